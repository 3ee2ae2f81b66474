//! Alphabets: how many characters one chooses from.

/// The set of characters that a character is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Alphabet {
    /// Latin letters with all their marks.
    Latin,
    /// The digits 0 to 9.
    Digits,
    /// Spaces and the punctuation of ASCII.
    Punctuation,
    /// Chinese characters.
    Han,
    /// Korean syllables.
    Hangul,
    /// Emoji, arrows, dingbats and what joins them: any order of them is in use.
    Symbols,
    /// Any other script, by its block of 128 code points.
    Block(u32),
}

impl Alphabet {
    pub fn of(c: char) -> Self {
        match u32::from(c) {
            0x30..=0x39 => Self::Digits,
            0x41..=0x5a | 0x61..=0x7a | 0xc0..=0x24f | 0x1e00..=0x1eff => Self::Latin,
            0..=0xbf | 0x2010..=0x2027 | 0x3000..=0x303f | 0xff00..=0xff20 => Self::Punctuation,
            0x2000..=0x2bff | 0xfe00..=0xfe0f | 0x1f000..=0x1faff | 0xe0000..=0xe007f => Self::Symbols,
            0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff => Self::Han,
            0xac00..=0xd7a3 => Self::Hangul,
            // Hiragana and katakana are written side by side.
            0x3040..=0x30ff => Self::Block(0x3040 / 128),
            other => Self::Block(other / 128),
        }
    }

    /// Whether the alphabet is so large that a text hardly repeats its characters: then which characters occur at all
    /// says more than their order.
    pub fn is_large(self) -> bool {
        matches!(self, Self::Han | Self::Hangul)
    }

    /// Characters in it, roughly.
    pub fn size(self) -> f64 {
        match self {
            Self::Han => 20_992.0,
            Self::Hangul => 11_172.0,
            Self::Symbols => 4_000.0,
            Self::Digits => 10.0,
            Self::Punctuation => 100.0,
            Self::Latin | Self::Block(_) => 200.0,
        }
    }

    /// Probability of one of its characters before anything was read.
    pub fn prior(self) -> f64 {
        let share = match self {
            Self::Latin | Self::Block(_) => 0.4,
            Self::Punctuation => 0.25,
            Self::Han | Self::Hangul => 0.3,
            Self::Digits => 0.05,
            Self::Symbols => 0.1,
        };
        share / self.size()
    }
}
