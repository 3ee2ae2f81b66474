//! Messages in several languages and scripts, and of kinds that look unlike language. Written for this test.

/// A name and one message a line.
pub const LANGUAGES: [(&str, &str); 6] = [
    (
        "Chinese",
        "你到家了吗？\n我还在公司，今天可能要加班\n晚上一起吃饭吧\n好的，我七点到\n明天下雨，记得带伞\n妈妈让你给她打电话\n这个周末你有空吗\n\
         我想去看那部新电影\n票已经买好了，坐在中间\n路上堵车，我会晚十分钟\n没关系，我先点菜\n你想吃什么？鱼还是鸡肉\n都可以，别太辣就行\n\
         昨天的会议记录发给我一下\n已经发到你的邮箱了\n谢谢，我现在就看\n孩子今天在学校很开心\n老师说他的字写得越来越好了\n生日快乐！祝你天天开心\n\
         礼物放在桌子上了\n我忘了带钥匙，你几点回来\n大概八点，你先去楼下咖啡店等我\n这家店的面包很好吃\n下次我们带爸爸妈妈一起来\n飞机晚点了两个小时\n\
         到了给我发个消息\n行李已经拿到了，正在等出租车\n家里的灯坏了，你会修吗\n我周六过来看看\n最近工作太忙，都没有时间运动\n早上跑步其实很舒服\n\
         那明天早上六点公园门口见\n太早了吧，七点行不行\n行，就这么定了\n医生说休息几天就好了\n你要多喝水，少熬夜\n知道了，别担心我\n\
         这本书我看完了，明天还给你\n好看吗？我还没开始看\n很好看，结尾让人没想到\n我们什么时候去爬山\n等天气凉快一点吧\n超市今天鸡蛋打折\n\
         帮我买两盒牛奶和一点水果\n苹果还是香蕉\n都买一点吧\n电脑又死机了，文件没有保存\n先别着急，重新启动试试\n好了，文件还在\n太好了，吓死我了",
    ),
    (
        "Russian",
        "Привет, ты уже дома?\nЕщё нет, стою в пробке\nЗахвати по дороге хлеб и молоко\nХорошо, буду через полчаса\nМама звонила, спрашивала про выходные\n\
         Скажи ей, что мы приедем в субботу\nНе забудь взять зонт, обещали дождь\nСпасибо, уже положил в сумку\nКак прошла встреча?\n\
         Нормально, но долго, все устали\nДавай вечером посмотрим кино\nДавай, только не очень поздно\nЯ нашёл твои ключи под диваном\n\
         Ура! Я их два дня искала\nУчительница сказала, что он стал лучше читать\nОчень рада это слышать\nПоезд опаздывает на двадцать минут\n\
         Ничего, я подожду на платформе\nСколько стоят билеты?\nДорого, но места хорошие\nУ нас опять не работает лифт\nПридётся идти пешком на восьмой этаж\n\
         Зато полезно для здоровья\nПозвони, когда доедешь\nДоехали, всё в порядке, ложимся спать\nСпокойной ночи, до завтра\n\
         Завтра в девять у врача, не проспи\nПоставила три будильника\nСуп в холодильнике, разогрей себе\nОчень вкусно, спасибо!",
    ),
    (
        "Finnish",
        "Oletko jo kotona?\nEn vielä, bussi on myöhässä\nTuo kaupasta maitoa ja leipää\nSelvä, tulen puolen tunnin päästä\nÄiti kysyi viikonlopusta\n\
         Sano että tullaan lauantaina\nOta sateenvarjo mukaan, illalla sataa\nKiitos, on jo laukussa\nMiten kokous meni?\nIhan hyvin mutta se kesti liian kauan\n\
         Katsotaanko elokuva tänään?\nKatsotaan, mutta ei kovin myöhään\nLöysin avaimesi sohvan alta\nHienoa, etsin niitä kaksi päivää\n\
         Opettaja sanoi että lukeminen sujuu jo paremmin\nMukava kuulla\nJuna on kaksikymmentä minuuttia myöhässä\nEi haittaa, odotan asemalla\n\
         Paljonko liput maksavat?\nKalliita, mutta paikat ovat hyvät\nHissi on taas rikki\nPitää kävellä kahdeksanteen kerrokseen\nSoita kun olet perillä\n\
         Perillä ollaan, mennään nukkumaan\nHyvää yötä, huomenna nähdään\nHuomenna yhdeksältä lääkäriin, älä myöhästy\nKeittoa on jääkaapissa, lämmitä siitä\n\
         Todella hyvää, kiitos",
    ),
    (
        "Japanese",
        "もう家に着いた？\nまだ会社にいるよ、今日は遅くなりそう\n帰りに牛乳を買ってきてくれる？\nわかった、七時ごろ帰るね\n明日は雨だから傘を忘れないで\nありがとう、もうかばんに入れた\n\
         お母さんから電話があったよ\n週末に行くって伝えておいて\n会議はどうだった？\n長かったけどうまくいったよ\n今夜いっしょに映画を見ない？\nいいね、でもあまり遅くならないように\n\
         鍵がソファの下にあったよ\nよかった、二日も探していたんだ\n電車が二十分遅れています\n大丈夫、駅で待ってるね\n切符はいくらだった？\n高かったけど席はいいよ\n\
         またエレベーターが動かない\n八階まで歩くのは大変だね\n着いたら電話してね\n今着いたよ、おやすみなさい\n明日は九時に病院だから寝坊しないで\nスープが冷蔵庫にあるから温めて食べて\n\
         とてもおいしかった、ごちそうさま",
    ),
    (
        "Korean",
        "집에 도착했어?\n아직 회사야, 오늘 좀 늦을 것 같아\n오는 길에 우유 좀 사다 줄래?\n알았어, 일곱 시쯤 갈게\n내일 비 온대, 우산 챙겨\n고마워, 벌써 가방에 넣었어\n\
         엄마가 주말에 올 거냐고 물어보셨어\n토요일에 간다고 말씀드려\n회의는 어땠어?\n길었지만 잘 끝났어\n오늘 저녁에 영화 볼까?\n좋아, 너무 늦지만 않으면\n\
         소파 밑에서 열쇠 찾았어\n다행이다, 이틀 동안 찾았는데\n기차가 이십 분 늦는대\n괜찮아, 역에서 기다릴게\n표가 얼마였어?\n비싸지만 자리는 좋아\n\
         엘리베이터가 또 고장 났어\n팔 층까지 걸어가야겠네\n도착하면 전화해\n방금 도착했어, 잘 자\n내일 아홉 시에 병원 가야 하니까 늦잠 자지 마\n국은 냉장고에 있으니까 데워 먹어\n\
         정말 맛있었어, 고마워",
    ),
    (
        "links, hashes, emoji and code among words",
        "look at this: https://example.org/a/9f3kQz?x=71&y=Zt\nreverted in 3f9ac01d77be42, see the log\n😂😂😂😂😂😂😂😂😂😂\n🎉🥳🎂✨🎁🎈🍰🕯️💃🕺\n!!!!!!!!!!!!!!\n\
         hahahahahahaha\nsoooooooo tired today\nfor (int i = 0; i < n; i++) { sum += a[i]; }\nlet total: u64 = rows.iter().map(|row| row.len()).sum();\n\
         if x is None: return default\nSELECT name, price FROM items WHERE price > 20 ORDER BY name;\n¯\\_(ツ)_/¯\n:) :) :) :D\nok ok ok ok ok\n\
         the password is on the note, do not write it here\nmeet me at 52.5200, 13.4050 at 19:30\ncall me on extension 4471 tomorrow\nlol that is what she said\nomg no way, really?\nbrb, on the bus now\n\
         can you send the file again, please\nthe build is red again since this morning\nthe test passes here but not there\nwho changed the config file yesterday\nthanks, that fixed it for me\n\
         I will look at it after lunch\nlunch at one or at two?\nat one, I have a call at two\nfixed the crash when the list is empty\nadd a test for the empty list\nremove the old flag from the docs",
    ),
];
