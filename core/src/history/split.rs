//! Which part of training a new cluster of near-duplicates plays.
//!
//! A sample joins the split of its near-duplicates, else that of its conversation on that day, else it is drawn by its own
//! text; always by a keyed hash. Clusters come first because a copy of a held-out text in training would show the gate a
//! gain that is not there. Conversations count by the day because a person's whole history may be one conversation.
//!
//! The first day of a history may be all that there is for a while, and it would be outside training for one key in five.
//! So a conversation's day that begins a history, which holds nothing to learn from then, goes to training; it is noted, for
//! its later texts go there too, whatever becomes of the history. No text of another part is ever moved.

use rusqlite::Transaction;

use super::database::Fault;
use super::near::normalised;
use super::sample::{NewSample, Split};
use super::{Secrets, origin};
use crate::seal::KeyedHash;
use crate::time::DAY;

/// The split of a new text without near-duplicates; `time` is when it was written, where that is known.
pub(super) fn of_new(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
    sample: &NewSample,
    time: Option<i64>,
) -> Result<Split, Fault> {
    let conversation = sample.conversation.as_deref();
    let drawn = draw(&secrets.hash, &sample.text, conversation, time);
    let Some((conversation, time)) = conversation.zip(time).filter(|_| drawn != Split::Training) else {
        return Ok(drawn);
    };
    let day = of_day(&secrets.hash, conversation, time).cast_signed();
    let is_first = transaction.prepare_cached("SELECT 1 FROM first_days WHERE day = ?1")?.exists([day])?;
    let begins = !is_first && sample.origin.is_learned() && {
        let sql = format!("SELECT 1 FROM samples WHERE origin IN {} LIMIT 1", origin::learned());
        !transaction.prepare_cached(&sql)?.exists([])?
    };
    if begins {
        transaction.execute("INSERT INTO first_days VALUES (?1)", [day])?;
    }
    Ok(if is_first || begins { Split::Training } else { drawn })
}

/// What a keyed hash draws; `timestamp` in seconds.
fn draw(hash: &KeyedHash, text: &str, conversation: Option<&str>, timestamp: Option<i64>) -> Split {
    let drawn = match (conversation, timestamp) {
        (Some(conversation), Some(timestamp)) => of_day(hash, conversation, timestamp),
        _ => {
            let text: String = normalised(text).into_iter().collect();
            hash.number("split of a text", &[text.as_bytes()])
        }
    };
    match drawn % 10 {
        0..8 => Split::Training,
        8 => Split::Validation,
        _ => Split::HeldOut,
    }
}

/// What a conversation draws by on the day of `timestamp`, in seconds.
pub(super) fn of_day(hash: &KeyedHash, conversation: &str, timestamp: i64) -> u64 {
    hash.number("split of a conversation", &[conversation.as_bytes(), &timestamp.div_euclid(DAY).to_le_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Key, Purpose};

    #[test]
    fn conversations_stay_together_for_a_day_and_proportions_hold() {
        let hash = KeyedHash::new(&Key::from_bytes(&[7; 32]).unwrap(), Purpose::HistoryHashes).unwrap();
        let mut counts = [[0; 3]; 2];
        for i in 0..4000_i64 {
            let (text, time) = (format!("{i:x} words"), Some(i * DAY));
            let talk = draw(&hash, &text, Some("talk"), time);
            assert_eq!(talk, draw(&hash, "something else", Some("talk"), time.map(|time| time + DAY - 1)));
            counts[0][talk.code() as usize] += 1;
            counts[1][draw(&hash, &format!("{} words", char::from_u32(0x4e00 + i as u32).unwrap()), None, time).code()
                as usize] += 1;
        }
        for [training, validation, held_out] in counts {
            // 80, 10 and 10 % of 4,000, within four standard deviations.
            assert!((3100..3300).contains(&training), "{training}");
            assert!((324..476).contains(&validation), "{validation}");
            assert!((324..476).contains(&held_out), "{held_out}");
        }
    }
}
