//! What must not be learned: what is masked of the reported texts, and of others of their kinds.

use std::collections::BTreeSet;

use libtest_mimic::Trial;

use crate::run::{idiolect, workspace};
use crate::{input, trial};

/// The trials of this subject.
pub fn trials() -> Vec<Trial> {
    let reported = [
        (
            "09 an AWS secret beside its id, and by name",
            "09/messages.txt",
            &["here are the keys for the bucket *** ***", "aws_secret_access_key=***"][..],
        ),
        (
            "12 IBANs with spaces or hyphens after the country",
            "12/messages.txt",
            &["my account is *** THANKS A LOT", "my account is ***"],
        ),
        (
            "13 passwords with signs of addresses in URLs",
            "13/messages.txt",
            &["db is postgres://app:***@db.example.com/shop", "db is mysql://root:***@10.0.0.5:3306/shop"],
        ),
    ];
    let reported = reported.map(|(name, path, masked)| {
        trial(name, move || {
            let lines = std::fs::read_to_string(input(path)).unwrap();
            assert_eq!(masked_by_the_program(&lines), set(masked));
        })
    });
    let kinds = trial("secrets in command lines, quotes and uneven groups", || {
        let (texts, masked): (Vec<&str>, Vec<&str>) = KINDS.iter().copied().unzip();
        assert_eq!(masked_by_the_program(&texts.join("\n")), set(&masked));
    });
    reported.into_iter().chain([kinds]).collect()
}

/// Texts, and what training sees of them.
const KINDS: [(&str, &str); 12] = [
    ("curl -u deploy:Sh1p-it https://example.com", "curl -u deploy:*** https://example.com"),
    ("ssh root:t00r/x@host", "ssh root:***@host"),
    ("mysql -u root -pSECRET shop", "mysql -u root -p*** shop"),
    ("sshpass -p 'two words' ssh pi@host", "sshpass -p '***' ssh pi@host"),
    ("the passphrase is \"our dog is brown\"", "the passphrase is \"***\""),
    ("card 4111  1111 1111   1111 ok", "card *** ok"),
    ("schreib an jörg.weiß@grüße.example", "schreib an ***"),
    ("пиши на иван@пример.рф", "пиши на ***"),
    ("token: dGhpcyBpcyBhIHRva2VuMTIzNDU2Nzg5MA==.", "token: ***."),
    ("curl -u is for names and passwords", "curl -u is for names and passwords"),
    ("mysql -u root -p asks for it", "mysql -u root -p asks for it"),
    ("http://localhost:3000/a:b@c is a path", "http://localhost:3000/a:b@c is a path"),
];

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// The lines of a file as the history has them when they are added with `--mask`: in no order, and what masking makes
/// alike once.
fn masked_by_the_program(lines: &str) -> BTreeSet<String> {
    let home = workspace();
    std::fs::write(home.path().join("messages.txt"), lines).unwrap();
    let added = idiolect(home.path(), &["history", "add", "me", "messages.txt", "--mask"]);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let rows = idiolect(home.path(), &["history", "list", "me", "--json"]).objects();
    rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}
