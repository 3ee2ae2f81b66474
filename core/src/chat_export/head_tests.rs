use super::head;
use crate::chat_export::date::DateOrder;
use crate::chat_export::plain::plain;

/// `2023-12-31T21:41:05`, author (empty: the app itself), text.
type Expected<'a> = Option<(&'a str, &'a str, &'a str)>;

const fn said<'a>(time: &'a str, text: &'a str) -> Expected<'a> {
    Some((time, "Ana", text))
}

/// What a head says, in the first order of numbers that makes it a date.
fn read(line: &str) -> Option<(String, String, String)> {
    let found = head(line)?;
    let order = DateOrder::ALL.into_iter().find(|order| found.date.fits(*order)).expect("a head has a date");
    let time = found.date.day(order).unwrap() * 86_400 + found.seconds;
    Some((iso(time), found.author.unwrap_or_default(), plain(found.text)))
}

/// A time as ISO 8601.
fn iso(time: i64) -> String {
    let (day, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    let date = icu_calendar::Date::from_rata_die(icu_calendar::types::RataDie::new(day + 719_163), icu_calendar::Iso);
    let (year, month, day) = (date.year().extended_year(), date.month().number(), date.day_of_month().0);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[test]
fn heads_of_many_locales() {
    const NIGHT: &str = "2023-12-31T21:41:00";
    const NIGHT_5: &str = "2023-12-31T21:41:05";
    for (locale, line, expected) in [
        ("en-US iOS", "[12/31/23, 9:41:05\u{202f}PM] Ana: hi", said(NIGHT_5, "hi")),
        ("en-US iOS, old", "12/31/15, 9:41:05 PM: Ana: hi", said("2015-12-31T21:41:05", "hi")),
        ("en-US Android", "12/31/23, 9:41\u{202f}PM - Ana: hi", said(NIGHT, "hi")),
        ("en-US midnight", "12/31/23, 12:05 AM - Ana: hi", said("2023-12-31T00:05:00", "hi")),
        ("en-US noon", "12/31/23, 12:05 PM - Ana: hi", said("2023-12-31T12:05:00", "hi")),
        ("en-GB", "31/12/2023, 21:41 - Ana: hi: there", said(NIGHT, "hi: there")),
        ("en-IN", "31/12/23, 9:41 pm - Ana: hi", said(NIGHT, "hi")),
        ("en-CA", "2023-12-31, 9:41 p.m. - Ana: hi", said(NIGHT, "hi")),
        ("en-ZA", "2023/12/31, 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("12 hours said twice", "12/31/23, 21:41 PM - Ana: hi", said(NIGHT, "hi")),
        ("de", "31.12.23, 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("de iOS", "\u{200e}[31.12.23, 21:41:05] ~\u{202f}Ana: hi", said(NIGHT_5, "hi")),
        ("de, um", "31.12.2023 um 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("de, Uhr", "31.12.23, 21:41 Uhr - Ana: hi", said(NIGHT, "hi")),
        ("fr", "31/12/2023 à 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("fr-CH", "31.12.23 à 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("fr-CA", "2023-12-31 21 h 41 - Ana: hi", said(NIGHT, "hi")),
        ("fr-CA, seconds", "[2023-12-31 21 h 41 min 05 s] Ana: hi", said(NIGHT_5, "hi")),
        ("es", "31/12/23 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("es, a las", "31/12/2023 a las 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("es-MX", "31/12/2023, 9:41\u{202f}p.\u{a0}m. - Ana: hi", said(NIGHT, "hi")),
        ("es-CO", "31/12/2023 9:41 p. m. - Ana: hi", said(NIGHT, "hi")),
        ("ca", "31/12/23 a les 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("pt-BR", "31/12/2023 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("pt, às", "31/12/23 às 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("it", "31/12/23, 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("it, alle", "31/12/23 alle 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("nl", "31-12-2023 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("da", "31.12.2023 21.41 - Ana: hi", said(NIGHT, "hi")),
        ("da, kl.", "31.12.2023 kl. 21.41 – Ana:", said(NIGHT, "")),
        ("sv", "2023-12-31 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("nb", "31.12.2023, 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("fi", "31.12.2023 klo 21.41 - Ana: hi", said(NIGHT, "hi")),
        ("id", "31/12/23 21.41 - Ana: hi", said(NIGHT, "hi")),
        ("ru", "31.12.2023, 21:41 - Ана: привет", Some((NIGHT, "Ана", "привет"))),
        ("ru, г. и ч.", "31.12.2023 г., 21:41 ч. - Ana: hi", said(NIGHT, "hi")),
        ("bg", "31.12.23 г., 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("bg, ч.", "31.12.23 г. 21:41 ч. - Ana: hi", said(NIGHT, "hi")),
        ("uk, о", "31.12.23 р. о 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("cs", "31.12.23 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("cs, spaces", "31. 12. 2023 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("sk iOS", "[31. 12. 2023, 21:41:05] Ana: hi", said(NIGHT_5, "hi")),
        ("hr", "31. 12. 2023. 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("hr, u", "31. 12. 2023. u 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("pl, o", "31.12.2023 o 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("hu", "2023. 12. 31. 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("hu, du.", "2023. 12. 31. du. 9:41 - Ana: hi", said(NIGHT, "hi")),
        ("el", "31/12/23, 9:41\u{202f}μ.μ. - Άνα: γεια", Some((NIGHT, "Άνα", "γεια"))),
        ("el, morning", "31/12/23, 9:41 π.μ. - Ana: hi", said("2023-12-31T09:41:00", "hi")),
        ("tr", "31.12.2023 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("tr, ÖS", "31.12.2023 ÖS 9:41 - Ana: hi", said(NIGHT, "hi")),
        ("sq", "31.12.23, 9:41 e pasdites - Ana: hi", said(NIGHT, "hi")),
        ("ar", "٣١\u{200f}/١٢\u{200f}/٢٠٢٣، ٩:٤١ م - Ana: hi", said(NIGHT, "hi")),
        ("ar, morning", "\u{200f}31/12/2023، 9:41 ص - \u{202b}Ana\u{202c}: hi", said("2023-12-31T09:41:00", "hi")),
        ("ar iOS", "[٣١\u{200f}/١٢\u{200f}/٢٠٢٣, ٩:٤١:٠٥ م] Ana: hi", said(NIGHT_5, "hi")),
        ("he", "31.12.2023, 21:41 - \u{200f}Ana: hi", said(NIGHT, "hi")),
        ("fa, Persian calendar", "[۱۴۰۲/۱۰/۱۰،\u{200f} ۲۱:۴۱:۰۵] Ana: hi", said(NIGHT_5, "hi")),
        ("ar-SA, Umm al-Qura", "١٨\u{200f}/٦\u{200f}/١٤٤٥ هـ، ٩:٤١ م - Ana: hi", said(NIGHT, "hi")),
        ("hi", "31/12/23, 9:41 pm - अना: नमस्ते", Some((NIGHT, "अना", "नमस्ते"))),
        ("hi, अपराह्न", "३१/१२/२३, ९:४१ अपराह्न - Ana: hi", said(NIGHT, "hi")),
        ("mr", "३१/१२/२३, ९:४१ PM - Ana: hi", said(NIGHT, "hi")),
        ("bn", "৩১/১২/২৩, ৯:৪১ PM - Ana: hi", said(NIGHT, "hi")),
        ("th, Buddhist", "31/12/2566 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("th, Thai digits", "๓๑/๑๒/๒๕๖๖ ๒๑:๔๑ - Ana: hi", said(NIGHT, "hi")),
        ("th, short year", "31/12/66 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("en, BE", "[12/31/2566 BE, 21:41:05] Ana: hi", said(NIGHT_5, "hi")),
        ("ja", "2023/12/31 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("ja, 午後", "2023/12/31 午後9:41 - Ana: hi", said(NIGHT, "hi")),
        ("ja, 午後0時", "2023/12/31 午後0:05 - Ana: hi", said("2023-12-31T12:05:00", "hi")),
        ("ja, Reiwa", "[12/31/R5, 21:41:05] Ana: hi", said(NIGHT_5, "hi")),
        ("ja, Reiwa in kanji", "令和5年12月31日 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("zh-CN", "2023/12/31 21:41 - Ana: hi", said(NIGHT, "hi")),
        ("zh-CN, units", "2023年12月31日 晚上9:41 - Ana: hi", said(NIGHT, "hi")),
        ("zh-CN iOS", "[2023/12/31 下午9:41:05] Ana: hi", said(NIGHT_5, "hi")),
        ("zh-TW", "2023/12/31 晚上9:41 - Ana: hi", said(NIGHT, "hi")),
        ("zh-TW, small hours", "2023/12/31 凌晨12:05 - Ana: hi", said("2023-12-31T00:05:00", "hi")),
        ("zh-TW, noon", "2023/12/31 中午12:05 - Ana: hi", said("2023-12-31T12:05:00", "hi")),
        ("zh-TW, Minguo", "民國112/12/31 晚上9:41 - Ana: hi", said(NIGHT, "hi")),
        ("zh-HK", "31/12/2023 下午9:41 - Ana: hi", said(NIGHT, "hi")),
        ("ko", "2023. 12. 31. 오후 9:41 - Ana: hi", said(NIGHT, "hi")),
        ("ko, units", "2023년 12월 31일 오후 9:41 - Ana: hi", said(NIGHT, "hi")),
        ("ko, short year", "23. 12. 31. 오후 9:41 - Ana: hi", said(NIGHT, "hi")),
        ("ko iOS", "[2023. 12. 31. 오후 9:41:05] Ana: hi", said(NIGHT_5, "hi")),
        ("vi, time first", "[21:41:05, 31/12/23] Ana: hi", said(NIGHT_5, "hi")),
        ("vi Android", "21:41 31/12/23 - Ana: hi", said(NIGHT, "hi")),
        (
            "a number",
            "31.12.23, 21:41 - \u{202a}+44\u{a0}7700\u{a0}900123\u{202c}: hi",
            Some((NIGHT, "+44 7700 900123", "hi")),
        ),
        ("a notice", "31/12/2023, 21:41 - Ana added Ben", Some((NIGHT, "", "Ana added Ben"))),
        (
            "a quoted colon",
            "31/12/2023, 21:41 - Ben changed the subject from \"Ski: 2023\" to \"Ski: 2024\"",
            Some((NIGHT, "", "Ben changed the subject from \"Ski: 2023\" to \"Ski: 2024\"")),
        ),
        (
            "the second quoted",
            "[31.12.23, 21:41:05] Ben hat den Betreff von „Ski“ zu „Ski: 2024“ geändert",
            Some((NIGHT_5, "", "Ben hat den Betreff von „Ski“ zu „Ski: 2024“ geändert")),
        ),
        ("a quoted name", "31/12/2023, 21:41 - Ana \"the boss\" K: hi", Some((NIGHT, "Ana \"the boss\" K", "hi"))),
        ("decomposed", "31/12/2023, 21:41 - Ange\u{301}lique: hi", Some((NIGHT, "Angélique", "hi"))),
        ("no text", "31/12/2023, 21:41", None),
        ("no such hour", "31/12/2023, 25:41 - Ana: hi", None),
        ("no such afternoon", "31/12/2023, 13:41 AM - Ana: hi", None),
        ("no such date", "99/99/2023, 21:41 - Ana: hi", None),
        ("no time", "31/12/2023 - Ana: hi", None),
        ("open", "[31/12/2023, 21:41 - Ana: hi", None),
        ("a long year", "31/12/20234, 21:41 - Ana: hi", None),
        ("a word before", "at 31/12/2023, 21:41 - Ana: hi", None),
        ("a sentence", "31/12/2023 we all met there at 21:41 - and then: nothing", None),
        ("a phone number", "31-12-2023-555 21:41 - Ana: hi", None),
        ("a list", "1. 2. 3. go at 9:41 or so - ok: hi", None),
        ("a score", "3:2, 21:41 - Ana: hi", None),
        ("nothing", "", None),
    ] {
        let expected = expected.map(|(time, author, text)| (time.to_owned(), author.to_owned(), text.to_owned()));
        assert_eq!(read(line), expected, "{locale}: {line}");
    }
}

#[test]
fn heads_of_every_locale_of_cldr() {
    let locales = include_str!("marks/locale_heads.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut unread = Vec::new();
    let mut count = 0;
    for row in locales {
        let [locale, time, written] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let time = if time.len() == 16 { format!("{time}:00") } else { time.to_owned() };
        for line in [format!("[{written}] Ana: hi"), format!("{written} - Ana: hi")] {
            count += 1;
            // A date of two-digit numbers is read in the right order where one of the orders is right.
            let read = head(&line).is_some_and(|found| {
                let mut days = DateOrder::ALL.into_iter().filter_map(|order| found.date.day(order));
                days.any(|day| iso(day * 86_400 + found.seconds) == time) && found.author.as_deref() == Some("Ana")
            });
            if !read {
                unread.push(locale);
            }
        }
    }
    unread.dedup();
    assert!(count > 1000, "{count} heads");
    assert_eq!(unread, NOT_READ, "locales that are read or not");
}

/// Words between the numbers of a time or before it where the time begins the line, a month in Roman numerals, dates
/// of unlike separators, a day part with a stroke in it, minutes of one digit.
const NOT_READ: &[&str] = &["dz", "ee", "haw", "kkj", "xnr", "yo"];
