//! Histories that are no language.

/// How a random string draws its characters.
#[derive(Debug, Clone, Copy)]
pub enum Poison {
    /// Evenly from these.
    From(&'static str),
    /// Evenly from the code points from one up to another.
    Range(u32, u32),
}

pub const POISONS: [(&str, Poison); 9] = [
    ("small letters", Poison::From("abcdefghijklmnopqrstuvwxyz")),
    ("small letters and spaces", Poison::From("abcdefghijklmnopqrstuvwxyz    ")),
    ("letters and digits", Poison::From("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")),
    ("hexadecimal", Poison::From("0123456789abcdef")),
    ("one row of keys", Poison::From("asdfghjkl;")),
    ("all of ASCII", Poison::Range(32, 127)),
    ("letters with marks", Poison::Range(0xc0, 0x250)),
    ("Cyrillic", Poison::Range(0x430, 0x450)),
    ("Chinese", Poison::Range(0x4e00, 0x9fa5)),
];

impl Poison {
    /// Strings of 3 to 80 characters.
    pub fn strings(self, count: usize, seed: u64) -> Vec<String> {
        let mut state = seed;
        let mut below = |bound: u32| {
            // Knuth's MMIX generator; its upper bits are good enough here.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (((state >> 33) * u64::from(bound)) >> 31) as u32
        };
        let mut string = || {
            let length = 3 + below(78);
            let mut character = || match self {
                Self::From(alphabet) => alphabet.chars().nth(below(alphabet.chars().count() as u32) as usize),
                Self::Range(from, to) => char::from_u32(from + below(to - from)),
            };
            (0..length).filter_map(|_| character()).collect()
        };
        (0..count).map(|_| string()).collect()
    }
}

/// One message `count` times, with how often each text of it occurs: exactly, or with a number and an ending that vary.
pub fn variations(count: usize, varied: bool) -> Vec<(String, u64)> {
    let message = "the parcel is at the neighbour's, please fetch it before";
    if !varied {
        return vec![(format!("{message} eight"), count as u64)];
    }
    (0..count).map(|i| (format!("{message} {}{}", i, [".", "!", " ok?", ""][i % 4]), 1)).collect()
}
