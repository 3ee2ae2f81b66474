//! Near-duplicates: slightly varied copies of one message, found by what they share.
//!
//! A text is normalised (case, digits, punctuation, spacing and stretched letters do not count) and taken apart into
//! overlapping triples of characters. MinHash (Broder, 1997) with bands brings texts together that are likely to share
//! many: two with a similarity (Jaccard) of s agree in one of [`BANDS`] bands of [`ROWS`] minima with probability
//! 1 − (1 − sʳ)ᵇ: 0.92 at 0.7, below 0.001 at 0.05. Whoever is found is then compared exactly. All hashes are keyed;
//! only an HMAC of a band reaches the disk.

use crate::random::Random;
use crate::seal::KeyedHash;

/// How many bands there are; each is an indexed column.
pub(super) const BANDS: usize = 6;

/// Minima a band.
const ROWS: usize = 3;

/// From this similarity on, two texts are near-duplicates.
pub(super) const SIMILAR: f64 = 0.5;

/// Takes texts apart, under the key.
#[derive(Clone)]
pub(super) struct Shingler {
    hash: KeyedHash,
    seeds: [u64; BANDS * ROWS],
    seed: u64,
}

/// The set of triples in a text, as sorted keyed hashes.
pub(super) struct Shingles(Vec<u64>);

impl Shingler {
    pub fn new(hash: KeyedHash) -> Self {
        let seeds = std::array::from_fn(|i| hash.number("minhash", &[&i.to_le_bytes()]));
        let seed = hash.number("shingles", &[]);
        Self { hash, seeds, seed }
    }

    pub fn shingles(&self, text: &str) -> Shingles {
        let text = normalised(text);
        let of = |chars: &[char]| chars.iter().fold(self.seed, |hash, &c| mix(hash ^ u64::from(u32::from(c))));
        // A text shorter than a triple is one of its own.
        let mut set: Vec<u64> = if text.len() < 3 { vec![of(&text)] } else { text.windows(3).map(of).collect() };
        set.sort_unstable();
        set.dedup();
        Shingles(set)
    }

    /// The bands that go into the database.
    pub fn bands(&self, shingles: &Shingles) -> [i64; BANDS] {
        let minima = self.seeds.map(|seed| shingles.0.iter().map(|&shingle| mix(shingle ^ seed)).min().unwrap_or(0));
        std::array::from_fn(|band| {
            let rows: Vec<u8> =
                minima[band * ROWS..][..ROWS].iter().flat_map(|minimum| minimum.to_le_bytes()).collect();
            self.hash.number("band", &[&band.to_le_bytes(), &rows]).cast_signed()
        })
    }
}

impl Shingles {
    /// The Jaccard similarity: how much is shared of what either has.
    pub fn similarity(&self, other: &Self) -> f64 {
        let (mut a, mut b, mut shared) = (self.0.as_slice(), other.0.as_slice(), 0_usize);
        while let (Some((&x, rest_a)), Some((&y, rest_b))) = (a.split_first(), b.split_first()) {
            shared += usize::from(x == y);
            if x <= y {
                a = rest_a;
            }
            if y <= x {
                b = rest_b;
            }
        }
        shared as f64 / (self.0.len() + other.0.len() - shared) as f64
    }
}

/// Letters in lower case, every digit as 0, runs of one character as one; what has neither letters nor digits as it is,
/// without spaces.
pub(super) fn normalised(text: &str) -> Vec<char> {
    let letters = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    let mut kept: Vec<char> = letters.map(|c| if c.is_numeric() { '0' } else { c }).collect();
    if kept.is_empty() {
        kept = text.chars().filter(|c| !c.is_whitespace()).collect();
    }
    kept.dedup();
    kept
}

/// A bijection of 64 bits that scatters them.
fn mix(value: u64) -> u64 {
    Random::new(value).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Key, Purpose};

    fn shingler(key: u8) -> Shingler {
        let key = Key::from_bytes(&[key; 32]).unwrap();
        Shingler::new(KeyedHash::new(&key, Purpose::HistoryHashes).unwrap())
    }

    #[test]
    fn varied_copies_are_similar_and_others_are_not() {
        let shingler = shingler(7);
        for (a, b, near) in [
            ("meet at 5pm ok?", "Meet at 6 pm ok", true),
            ("Happy birthday!!", "happy birthdayyyy", true),
            ("call me on 555-1234", "Call me on 555 98 76", true),
            ("are you coming to the party tonight?", "are u coming to the party tonight", true),
            ("the invoice is attached, please pay", "the invoice is attached - please pay soon", true),
            ("ok", "OK!", true),
            ("😂😂😂", "😂😂", true),
            ("привет, как дела", "Привет как дела?", true),
            ("on my way home", "on my way to work", false),
            ("ok", "no", false),
            ("😂", "👍", false),
            ("see you at the station", "did you feed the cat", false),
            ("", "a", false),
        ] {
            let (a_set, b_set) = (shingler.shingles(a), shingler.shingles(b));
            let similarity = a_set.similarity(&b_set);
            assert_eq!(similarity >= SIMILAR, near, "{a} / {b}: {similarity}");
            assert!((similarity - b_set.similarity(&a_set)).abs() < 1e-12);
        }
    }

    #[test]
    fn bands_meet_as_often_as_the_formula_says() {
        let shingler = shingler(7);
        // Texts of 40 letters, the second with `changed` of them replaced.
        let mut random = Random::new(1);
        let mut letter = || char::from(b'a' + (random.next_u64() % 26) as u8);
        for changed in [1, 2, 4, 40] {
            let (mut met, mut expected) = (0, 0.0);
            let rounds = 300;
            for _ in 0..rounds {
                let a: Vec<char> = (0..40).map(|_| letter()).collect();
                let mut b = a.clone();
                for i in 0..changed {
                    b[i * 40 / changed] = letter();
                }
                let set = |text: &[char]| shingler.shingles(&text.iter().collect::<String>());
                let (a, b) = (set(&a), set(&b));
                let (bands_a, bands_b) = (shingler.bands(&a), shingler.bands(&b));
                met += usize::from(bands_a.iter().zip(&bands_b).any(|(a, b)| a == b));
                expected += 1.0 - (1.0 - a.similarity(&b).powi(ROWS as i32)).powi(BANDS as i32);
            }
            let (met, expected) = (met as f64 / f64::from(rounds), expected / f64::from(rounds));
            assert!((met - expected).abs() < 0.08, "{changed} changed: {met}, not {expected}");
        }
    }

    #[test]
    fn bands_are_keyed() {
        let text = "meet at 5pm ok?";
        let bands = |key| shingler(key).bands(&shingler(key).shingles(text));
        assert_eq!(bands(7), bands(7));
        assert!(bands(7).iter().all(|band| !bands(8).contains(band)));
    }
}
