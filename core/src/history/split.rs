//! Which part of training a new cluster of near-duplicates plays.
//!
//! A sample joins the split of its near-duplicates, else that of its conversation on that day, else it is drawn by its own
//! text; always by a keyed hash. Clusters come first because a copy of a held-out text in training would show the gate a
//! gain that is not there. Conversations count by the day because a person's whole history may be one conversation.

use super::near::normalised;
use super::sample::Split;
use crate::seal::KeyedHash;

const DAY: i64 = 24 * 60 * 60;

/// The split of a text without near-duplicates; `timestamp` in seconds.
pub(super) fn draw(hash: &KeyedHash, text: &str, conversation: Option<&str>, timestamp: Option<i64>) -> Split {
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
