use super::*;

const ANDROID: Writer = Writer { iphone: false, marked: false };
const IPHONE: Writer = Writer { iphone: true, marked: false };
/// An iPhone's line with a mark of direction before it.
const MARKED: Writer = Writer { iphone: true, marked: true };

fn check(cases: &[(Writer, &str, &str)]) {
    for (writer, text, expected) in cases {
        let expected = match *expected {
            "-" => Said::Mark,
            "!" => Said::Notice,
            text => Said::Text(text.to_owned()),
        };
        assert_eq!(said(text, *writer), expected, "{writer:?} {text:?}");
    }
}

#[test]
fn files() {
    check(&[
        (ANDROID, "<Media omitted>", "-"),
        (ANDROID, "<Media omitted>\nManifesto.pdf", "-"),
        (ANDROID, "<Media omitted>\nthe ice", "the ice"),
        (ANDROID, "IMG-20231231-WA0003.jpg (file attached)", "-"),
        (ANDROID, "IMG-20231231-WA0003.jpg (file attached)\nthe ice\nis gone", "the ice\nis gone"),
        (ANDROID, "IMG-20210404-WA0003.jpg (Datei angehängt)\ndir auch, liebe grüße", "dir auch, liebe grüße"),
        (ANDROID, "PTT-20250328-WA0014.opus (archivo adjunto)", "-"),
        (ANDROID, "\u{200e}Alex.vcf (soubor byl přiložen)", "-"),
        (ANDROID, "\u{200e}Lease Ana Kovac.pdf (файл добавлен)\nLease Ana Kovac.pdf", "-"),
        (ANDROID, "Lease Ana Kovac.pdf (fichier joint)", "-"),
        (ANDROID, "4f2680f1db95a8454775cc2eefc95bfc.jpg (Datei angehängt)\nDir auch", "Dir auch"),
        // Names and marks that the app itself gives need no language.
        (ANDROID, "IMG-20231231-WA0003.jpg (cuirt ceangailte)", "-"),
        (ANDROID, "\u{200e}notes.docx (xyz)", "-"),
        (ANDROID, "STK-20220327-WA0000.webp (附件檔案)", "-"),
        (ANDROID, "see main.rs (line 4)", "see main.rs (line 4)"),
        (ANDROID, "tomorrow (maybe)", "tomorrow (maybe)"),
        (ANDROID, "<Medien ausgeschlossen>", "-"),
        (ANDROID, "<Médias omis>", "-"),
        (ANDROID, "<Multimedia omitido>", "-"),
        (ANDROID, "<Без медиафайлов>", "-"),
        (ANDROID, "<Pominięto multimedia>", "-"),
        (ANDROID, "<Medya dahil edilmedi>", "-"),
        (ANDROID, "<Media tidak disertakan>", "-"),
        (ANDROID, "<תמונה>", "<תמונה>"),
        (ANDROID, "<המדיה לא נכללה>", "-"),
        (ANDROID, "<تم استبعاد الوسائط>", "-"),
        (ANDROID, "<メディアは含まれていません>", "-"),
        (ANDROID, "<미디어 파일을 생략한 대화내용>", "-"),
        (ANDROID, "<省略多媒體檔>", "-"),
        (ANDROID, "null", "-"),
        (ANDROID, "null\nand void", "null\nand void"),
        (ANDROID, "it is null", "it is null"),
        (ANDROID, "use <br> here <b>", "use <br> here <b>"),
        (IPHONE, "image omitted", "-"),
        (IPHONE, "\u{200e}GIF omitted", "-"),
        (IPHONE, "\u{200e}Bild weggelassen", "-"),
        (IPHONE, "imagen omitida", "-"),
        (IPHONE, "图片已省略", "-"),
        (IPHONE, "ไม่มีรูปภาพ", "-"),
        (ANDROID, "ไม่มีรูปภาพ", "ไม่มีรูปภาพ"),
        (ANDROID, "the image omitted the best part", "the image omitted the best part"),
        (IPHONE, "the image omitted the best part", "the image omitted the best part"),
        (MARKED, "Lease Ana Kovac.pdf • \u{200e}14 pages \u{200e}<attached: 00000002-Lease Ana Kovac.pdf>", "-"),
        (MARKED, "Lease Ana Kovac.pdf • \u{200e}14 pages \u{200e}document omitted", "-"),
        (IPHONE, "Lease Ana Kovac.pdf • 14 pages document omitted", "-"),
        (IPHONE, "Manifesto.pdf • 116 pagina's <bijgevoegd: 00000017-Manifesto.pdf>", "-"),
        (IPHONE, "Resume.pdf • ページ数: 2 ドキュメントは含まれていません", "-"),
        (MARKED, "look at this \u{200e}image omitted", "look at this"),
        (MARKED, "look at this \u{200e}<attached: 00000012-PHOTO-2023-12-31.jpg>", "look at this"),
        (MARKED, "look\nat this \u{200e}image omitted", "look\nat this"),
        (MARKED, "look at this \u{200e}jotain muuta puuttuu", "look at this"),
        (MARKED, "\u{200e}jotain muuta puuttuu\nlook at this", "look at this"),
        (IPHONE, "\u{200e}<pièce jointe : 00000012-PHOTO-2023-12-31.jpg>", "-"),
        (IPHONE, "\u{200e}<מצורף: photo.jpg>", "-"),
        (IPHONE, "<xyz: 00000012-PHOTO-2023-12-31-21-41-05.jpg>", "-"),
        (IPHONE, "<ha: ha>", "<ha: ha>"),
    ]);
}

#[test]
fn edits() {
    check(&[
        (ANDROID, "see you at 9 <This message was edited>", "see you at 9"),
        (IPHONE, "see you at 9 \u{200e}<This message was edited>", "see you at 9"),
        (ANDROID, "bis 9 <Diese Nachricht wurde bearbeitet.>", "bis 9"),
        (ANDROID, "Texto real <Se editó este mensaje.>", "Texto real"),
        (ANDROID, "düzelttim <Bu mesaj düzenlendi>", "düzelttim"),
        (ANDROID, "два\nслова <Сообщение изменено>", "два\nслова"),
        (ANDROID, "נכון <ההודעה נערכה>", "נכון"),
        (ANDROID, "نعم \u{200f}<تم تعديل هذه الرسالة>", "نعم"),
        // An iPhone's own words, in whatever language.
        (IPHONE, "kyllä \u{200e}<Viestiä muokattiin>", "kyllä"),
        (MARKED, "look \u{200e}<attached: 00000012-PHOTO.jpg> \u{200e}<This message was edited>", "look"),
        (ANDROID, "i like <you all>", "i like <you all>"),
        (ANDROID, "<This message was edited>", "-"),
    ]);
}

#[test]
fn deleted_messages_calls_and_places() {
    check(&[
        (ANDROID, "This message was deleted", "-"),
        (IPHONE, "\u{200e}This message was deleted.", "-"),
        (ANDROID, "You deleted this message as admin", "-"),
        (ANDROID, "This message was deleted by admin Ben.", "-"),
        (ANDROID, "Diese Nachricht wurde gelöscht.", "-"),
        (ANDROID, "Du hast diese Nachricht gelöscht.", "-"),
        (ANDROID, "Eliminaste este mensaje.", "-"),
        (ANDROID, "Pesan ini dihapus oleh admin Budi.", "-"),
        (IPHONE, "このメッセージを削除しました。", "-"),
        (IPHONE, "Tin nhắn này đã bị xóa.", "-"),
        (ANDROID, "i deleted this message of yours", "i deleted this message of yours"),
        (ANDROID, "This message was deleted because i was wrong", "This message was deleted because i was wrong"),
        (ANDROID, "Missed voice call", "-"),
        (IPHONE, "\u{200e}Missed video call, \u{200e}Tap to call back", "-"),
        (IPHONE, "Voice call. 12 min • 2 joined", "-"),
        (ANDROID, "Verpasster Videoanruf um 21:41", "Verpasster Videoanruf um 21:41"),
        (ANDROID, "부재중 영상통화", "-"),
        (ANDROID, "missed voice calls make me sad", "missed voice calls make me sad"),
        (ANDROID, "live location shared", "-"),
        (ANDROID, "Live-Standort wird geteilt", "-"),
        (ANDROID, "ubicación en tiempo real compartida", "-"),
        (ANDROID, "location: https://maps.google.com/?q=51.5021456,-0.127397", "-"),
        (IPHONE, "Vị trí: https://maps.google.com/?q=51.5021456,-0.127397", "-"),
        (IPHONE, "Pimlico Gardens (London, United Kingdom): https://foursquare.com/v/4e89af95e5fa82ad4c0aa03b", "-"),
        (ANDROID, "Pimlico Gardens\nLondon, United Kingdom\nhttps://foursquare.com/v/4e89af95e5fa82ad4c0aa03b", "-"),
        (ANDROID, "see (file attached)", "see (file attached)"),
        (ANDROID, "come here: https://example.com/a?q=51.5,0.1", "come here: https://example.com/a?q=51.5,0.1"),
    ]);
}

#[test]
fn polls() {
    check(&[
        (
            IPHONE,
            "\u{200e}POLL:\nWhen shall we go?\n\u{200e}OPTION: Friday (1 vote)\n\u{200e}OPTION: Saturday (3 votes)\n",
            "-",
        ),
        (ANDROID, "POLL:\nWhen?\nOPTION: Friday (1 vote)\nOPTION: Saturday (3 votes)", "-"),
        (ANDROID, "POLL:\nWhen?\nor not?\nOPTION: Friday", "-"),
        (ANDROID, "ANKET:\nNe zaman?\nSEÇENEK: Cuma (1 oy)", "-"),
        // Words of other languages are known by their looks.
        (IPHONE, "UMFRAGE:\nWann?\nAUSWAHL: Freitag (1 Stimme)\nAUSWAHL: Samstag (3 Stimmen)", "-"),
        (IPHONE, "投票：\n何時？\n選項： 週五 (1 票)\n選項： 週六 (3 票)", "-"),
        (ANDROID, "سؤال:\nمتى؟\nخيار: الجمعة (٣ أصوات)", "-"),
        (ANDROID, "TODO:\nmilk\nASK: Ben (twice)", "TODO:\nmilk\nASK: Ben (twice)"),
        (ANDROID, "my plan:\nthis\nOPTION: or that (2 days)", "my plan:\nthis\nOPTION: or that (2 days)"),
    ]);
}

#[test]
fn notices() {
    check(&[
        (IPHONE, "\u{200e}Ana created group “Trip”", "!"),
        (IPHONE, "\u{200e}Ana changed this group's icon", "!"),
        (IPHONE, "\u{200f}هذا إشعار", "!"),
        (IPHONE, "\u{200e}Messages and calls are end-to-end encrypted. Only people in this chat can read them.", "!"),
        (IPHONE, "Messages and calls are end-to-end encrypted. Only people in this chat can read them.", "!"),
        (IPHONE, "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt. Niemand kann sie lesen.", "!"),
        (IPHONE, "Votre code de sécurité avec Elon a changé. Appuyez pour en savoir plus.", "!"),
        (IPHONE, "Elonとのセキュリティコードが変更されました。 タップして詳細を表示。", "!"),
        (ANDROID, "Waiting for this message. This may take a while.", "!"),
        (ANDROID, "\u{200e}hi", "hi"),
        (IPHONE, "hi \u{2068}@Ben\u{2069} \u{200e}there", "hi @Ben there"),
        (IPHONE, "", "-"),
        (IPHONE, "  \n hi\n\n", "hi"),
    ]);
}
