//! What a word can be in an address, in the languages whose addresses are known.

use std::sync::LazyLock;

use super::lexicon::{STREET, Set};

static AFTER_NAME: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "after_name"));
static PLAIN: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "plain"));
static NUMBER_FIRST: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "number_first"));
static NUMBER_FIRST_PLAIN: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "number_first_plain"));
static BEFORE_NAME: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "before_name"));
static BETWEEN: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "between"));
static ENDING: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "ending"));
static CLEAR_ENDING: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "clear_ending"));
static NO_STREET: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "no_street"));
static PARTICLE: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "particle"));
static NO_NAME: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "no_name"));
static NUMBER_SIGN: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "number_sign"));
static COUNTED: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "counted"));
static ARTICLE: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "article"));
static LOCATIVE: LazyLock<Set> = LazyLock::new(|| Set::new(STREET, "locative"));

fn lower(word: &str) -> String {
    word.trim_end_matches(['.', ':', ',']).to_lowercase()
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// What a word can be in an address.
pub(super) struct Word<'a>(pub &'a str);

impl Word<'_> {
    /// A street's name, or part of it: with a capital, or counted as in `5th`.
    pub fn is_name(&self) -> bool {
        let ordinal = self.0.starts_with(|c: char| c.is_ascii_digit()) && {
            let ending = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
            matches!(ending, "st" | "nd" | "rd" | "th") && self.0.len() <= 5
        };
        let elided = self.0.split_once(['\'', '’']).is_some_and(|(article, name)| article.len() <= 2 && capital(name));
        (capital(self.0) || elided) && !NO_NAME.has(&lower(self.0)) || ordinal
    }

    pub fn is_particle(&self) -> bool {
        PARTICLE.has(&lower(self.0))
    }

    pub fn is_counted(&self) -> bool {
        COUNTED.has(&lower(self.0))
    }

    pub fn is_number_sign(&self) -> bool {
        NUMBER_SIGN.has(&lower(self.0))
    }

    pub fn is_letters(&self) -> bool {
        self.0.chars().all(|c| c.is_alphabetic() || "'’-".contains(c))
    }

    /// `Street`; without a capital only what means little else.
    pub fn is_after_name(&self, any_case: bool) -> bool {
        let word = lower(self.0);
        capital(self.0) && AFTER_NAME.has(&word) || any_case && PLAIN.has(&word)
    }

    /// With a capital, as a sentence begins: no name.
    pub fn is_article(&self) -> bool {
        capital(self.0) && ARTICLE.has(&lower(self.0))
    }

    /// With a capital, what begins the names of some streets: `Am Alten Markt`.
    pub fn is_locative(&self) -> bool {
        capital(self.0) && LOCATIVE.has(&lower(self.0))
    }

    pub fn is_number_first(&self) -> bool {
        NUMBER_FIRST.has(&lower(self.0))
    }

    /// One that means little else: the name may lack its capital.
    pub fn is_number_first_plain(&self) -> bool {
        NUMBER_FIRST_PLAIN.has(&lower(self.0))
    }

    pub fn is_before_name(&self) -> bool {
        // One or two letters are a street only as an abbreviation.
        let short = self.0.chars().count() <= 2 && !self.0.contains('/');
        !short && BEFORE_NAME.has(&lower(self.0)) || self.0.ends_with('.') && BEFORE_NAME.has(&lower(self.0))
    }

    pub fn is_between(&self) -> bool {
        let known = BETWEEN.has(&lower(self.0));
        known && (capital(self.0) || CLEAR_ENDING.has(&lower(self.0)))
    }

    /// Name and street in one word.
    pub fn is_compound(&self) -> bool {
        let word = lower(self.0);
        let ends = |endings: &Set| {
            endings.iter().any(|ending| word.strip_suffix(ending).is_some_and(|name| name.chars().count() >= 3))
        };
        let abbreviated = !word.ends_with("str") || self.0.ends_with('.');
        (capital(self.0) && ends(&ENDING) && abbreviated || ends(&CLEAR_ENDING)) && !NO_STREET.has(&word)
    }
}
