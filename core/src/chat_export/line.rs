//! One line of an export: does it begin a message, and of what kind.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::time::WrittenDate;

/// `[12/31/23, 9:41:05 PM] …` or `31/12/2023, 21:41 - …`: date, time, and what follows. White space may be of any kind.
static BEGINNING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?P<open>\[)?(?P<a>[0-9]{1,4})[/.\-](?P<b>[0-9]{1,2})[/.\-](?P<c>[0-9]{1,4})\.?,?(?:\s|T)",
        r"(?:(?P<word>上午|下午|午前|午後|오전|오후)\s?)?",
        r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?:[:.](?P<second>[0-9]{2}))?",
        r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?",
        r"(?:(?P<close>\])|\s[-–]|:)\s(?P<rest>.*)$"
    ))
    .expect("a constant pattern")
});

/// The head of a line that begins a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub date: WrittenDate,
    /// Seconds since midnight.
    pub seconds: i64,
    /// The author; none for what the app says itself.
    pub author: Option<&'a str>,
    pub text: &'a str,
}

/// The head of a line, where it begins a message. The line is [`plain`].
pub(super) fn head(line: &str) -> Option<Head<'_>> {
    let found = BEGINNING.captures(line)?;
    if found.name("open").is_some() != found.name("close").is_some() {
        return None;
    }
    let number = |name: &str| found.name(name).and_then(|part| part.as_str().parse::<u32>().ok());
    let parts = [number("a")?, number("b")?, number("c")?];
    let written = |name: &str| found.name(name).map_or(0, |part| part.len());
    // A year has two or four digits, at one of the ends.
    let date = match (written("a"), written("c")) {
        (4, 1 | 2) => WrittenDate { parts, year_first: true },
        (1 | 2, 2 | 4) => WrittenDate { parts, year_first: false },
        _ => return None,
    };
    let seconds = seconds(&found, number("hour")?, number("minute")?, number("second").unwrap_or(0))?;
    let rest = found.name("rest")?.as_str();
    let (author, text) = match author_and_text(rest) {
        Some((author, text)) => (Some(author), text),
        None => (None, rest),
    };
    Some(Head { date, seconds, author, text })
}

fn seconds(found: &Captures<'_>, hour: u32, minute: u32, second: u32) -> Option<i64> {
    let half = found.name("half").or(found.name("word")).map(|half| half.as_str());
    let hour = match half {
        Some(half) => {
            let afternoon = matches!(half, "p" | "P" | "下午" | "午後" | "오후");
            let within = (1..=12).contains(&hour).then_some(hour % 12)?;
            within + if afternoon { 12 } else { 0 }
        }
        None => hour,
    };
    (hour < 24 && minute < 60 && second < 61).then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// `Name: text`. A name has no colon followed by white space, and is not as long as a sentence.
fn author_and_text(rest: &str) -> Option<(&str, &str)> {
    const LONGEST: usize = 100;
    let (author, text) = match rest.split_once(": ") {
        Some(parts) => parts,
        // The text may begin on the next line.
        None => (rest.strip_suffix(':')?, ""),
    };
    let author = author.trim().trim_start_matches('~').trim();
    (!author.is_empty() && author.chars().count() <= LONGEST).then_some((author, text))
}

/// A line without the marks of direction that exports strew in.
pub(super) fn plain(line: &str) -> String {
    let mark = |c: &char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    line.chars().filter(|c| !mark(c)).collect()
}

/// What the app writes in place of what was sent or taken back.
static MARK: LazyLock<Regex> = LazyLock::new(|| {
    let kinds =
        "image|video|audio|sticker|gif|document|contact card|media|photo|voice message|video note|poll|location";
    let marks = [
        // English
        r"<media omitted>".to_owned(),
        format!(r"<?(?:{kinds}) omitted>?"),
        r"<attached: [^<>]*>".to_owned(),
        r"\S.{0,120} \(file attached\)".to_owned(),
        r"(?:this message was deleted|you deleted this message|deleted message)\.?".to_owned(),
        r"(?:missed (?:voice|video) call|(?:voice|video) call)(?:[,.].{0,40})?".to_owned(),
        r"(?:live )?location(?: shared)?: https?://\S+".to_owned(),
        r"null|<view once .{0,20}omitted>|view once .{0,20}omitted".to_owned(),
        r"waiting for this message.{0,60}".to_owned(),
        r"messages and calls are end-to-end encrypted\..*|your security code with .{1,80} changed\..*".to_owned(),
        // German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Russian, Indonesian
        r"<medien ausgeschlossen>|(?:bild|video|audio|sticker|gif|dokument) weggelassen|diese nachricht wurde gelöscht\.?|du hast diese nachricht gelöscht\.?".to_owned(),
        r"<médias omis>|(?:image|vidéo|audio|sticker|gif|document) (?:absente?|omise?)|ce message a été supprimé\.?|vous avez supprimé ce message\.?".to_owned(),
        r"<multimedia omitido>|(?:imagen|video|audio|sticker|gif|documento) omitid[oa]|(?:se )?eliminó este mensaje\.?|eliminaste este mensaje\.?".to_owned(),
        r"<mídia oculta>|<ficheiro não revelado>|(?:imagem|vídeo|áudio|figurinha|documento) ocult[oa]|(?:esta )?mensagem (?:foi )?apagada\.?|você apagou esta mensagem\.?".to_owned(),
        r"<media omessi>|(?:immagine|video|audio|sticker|documento) omess[oa]|questo messaggio è stato eliminato\.?|hai eliminato questo messaggio\.?".to_owned(),
        r"<media weggelaten>|(?:afbeelding|video|audio|sticker|document) weggelaten|dit bericht (?:is|werd) verwijderd\.?".to_owned(),
        r"<pominięto multimedia>|(?:obraz|wideo|audio|naklejka|dokument) pominięt[oya]|ta wiadomość została usunięta\.?|usunięto tę wiadomość\.?".to_owned(),
        r"<medya dahil edilmedi>|(?:görüntü|video|ses|çıkartma|belge) dahil edilmedi|bu mesaj silindi\.?|bu mesajı sildiniz\.?".to_owned(),
        r"<без медиафайлов>|<медиафайлы пропущены>|(?:изображение|видео|аудио|стикер|документ) (?:отсутствует|пропущено)|(?:данное |это )?сообщение удалено\.?|вы удалили (?:данное |это )?сообщение\.?".to_owned(),
        r"<media tidak disertakan>|(?:gambar|video|audio|stiker|dokumen) tidak disertakan|pesan ini (?:telah )?dihapus\.?|anda menghapus pesan ini\.?".to_owned(),
    ];
    Regex::new(&format!("(?i)^(?:{})$", marks.join("|"))).expect("a constant pattern")
});

/// An edited message ends with this.
static EDITED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\s*<this message was edited>$").expect("a constant pattern"));

/// Whether a line stands for media, a call or a deleted message.
pub(super) fn is_mark(line: &str) -> bool {
    MARK.is_match(line.trim())
}

/// A line without the mark of an edit.
pub(super) fn unedited(line: &str) -> &str {
    EDITED.find(line).map_or(line, |mark| &line[..mark.start()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let head_of = |line: &str| {
            let line = plain(line);
            let found = head(&line)?;
            Some((found.date.parts, found.seconds, found.author.map(str::to_owned), found.text.to_owned()))
        };
        let said = |parts, seconds, author: &str, text: &str| {
            let author = (!author.is_empty()).then(|| author.to_owned());
            Some((parts, seconds, author, text.to_owned()))
        };
        for (line, expected) in [
            ("[12/31/23, 9:41:05 PM] Ana: hi", said([12, 31, 23], 78_065, "Ana", "hi")),
            ("\u{200e}[31.12.23, 21:41:05] ~\u{202f}Ana K.: hi", said([31, 12, 23], 78_065, "Ana K.", "hi")),
            ("[12/31/23, 9:41:05\u{202f}PM] Ana: \u{200e}hi", said([12, 31, 23], 78_065, "Ana", "hi")),
            ("31/12/2023, 21:41 - Ana: hi: there", said([31, 12, 2023], 78_060, "Ana", "hi: there")),
            ("12/31/23, 12:05 AM - Ana: hi", said([12, 31, 23], 300, "Ana", "hi")),
            ("12/31/23, 12:05 p.\u{a0}m. - Ana: hi", said([12, 31, 23], 43_500, "Ana", "hi")),
            ("31/12/2023 21:41 - Ana: hi", said([31, 12, 2023], 78_060, "Ana", "hi")),
            ("[2023-12-31, 21:41:05] Ana: hi", said([2023, 12, 31], 78_065, "Ana", "hi")),
            ("31.12.23, 21:41 - +44 7700 900123: hi", said([31, 12, 23], 78_060, "+44 7700 900123", "hi")),
            ("31.12.23, 21.41 – Ana:", said([31, 12, 23], 78_060, "Ana", "")),
            ("31/12/2023, 21:41 - Ana added Ben", said([31, 12, 2023], 78_060, "", "Ana added Ben")),
            ("[2023/12/31 下午9:41:05] Ana: hi", said([2023, 12, 31], 78_065, "Ana", "hi")),
            ("12/31/15, 9:41:05 PM: Ana: hi", said([12, 31, 15], 78_065, "Ana", "hi")),
            ("31/12/2023, 21:41", None),
            ("31/12/2023, 25:41 - Ana: hi", None),
            ("31/12/2023, 13:41 PM - Ana: hi", None),
            ("31/12/2023 - Ana: hi", None),
            ("[31/12/2023, 21:41 - Ana: hi", None),
            ("31/12/20234, 21:41 - Ana: hi", None),
            ("at 31/12/2023, 21:41 - Ana: hi", None),
            ("", None),
        ] {
            assert_eq!(head_of(line), expected, "{line:?}");
        }
    }

    #[test]
    fn marks() {
        for (line, expected) in [
            ("<Media omitted>", true),
            ("image omitted", true),
            ("GIF omitted", true),
            ("<attached: 00000012-PHOTO-2023-12-31.jpg>", true),
            ("IMG-20231231-WA0003.jpg (file attached)", true),
            ("This message was deleted.", true),
            ("You deleted this message", true),
            ("Missed voice call", true),
            ("Missed video call, Tap to call back", true),
            ("<Medien ausgeschlossen>", true),
            ("Bild weggelassen", true),
            ("Diese Nachricht wurde gelöscht.", true),
            ("<Медиафайлы пропущены>", true),
            ("imagen omitida", true),
            ("null", true),
            ("the image omitted the best part", false),
            ("i deleted this message of yours", false),
            ("media", false),
            ("", false),
        ] {
            assert_eq!(is_mark(line), expected, "{line:?}");
        }
        assert_eq!(unedited("see you at 9 <This message was edited>"), "see you at 9");
    }
}
