//! Check digits by their names: what must be right in a number, as the data files say it.

use std::borrow::Cow;

/// What one entry of a number's check asks.
pub(super) enum Check {
    /// From the right, every second digit doubled, its digits summed; a multiple of ten.
    Luhn { from: usize },
    /// The dihedral group of ten, by Verhoeff's permutation.
    Verhoeff,
    /// ISO 7064, pure decimal with modulus 11 and 10.
    Mod11And10,
    /// The last two digits are what the rest lacks to a multiple of 97, alone or behind this digit.
    Mod97 { before: Option<u64> },
    /// A weighted sum is a multiple of the modulus.
    Sum { modulus: u32, weights: Vec<u32> },
    /// A weighted sum says which character the check character is.
    Digit { place: Option<usize>, choices: Vec<Choice> },
    /// The last two digits are a weighted sum by the modulus, by a hundred.
    Pair { modulus: u32, weights: Vec<u32> },
    /// Italy's table for every second character, beginning with the first.
    OddEven,
    /// Of the first ten digits one occurs two or three times and all others once.
    OneRepeated,
    /// A day of the calendar.
    Date { order: &'static str, from: usize, months: Vec<u32>, days: Vec<u32> },
    /// What the characters count in what follows: their places here.
    Values(&'static str),
    /// Characters at a place that are others in what follows.
    Read { place: usize, pairs: Vec<(&'static str, &'static str)> },
}

/// One way to a check character.
pub(super) struct Choice {
    modulus: u32,
    characters: &'static str,
    weights: Vec<u32>,
}

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Where a check character's table says that the next weights decide.
const NEXT: char = '>';

impl Check {
    /// The entries of a field: none where it is a hyphen.
    ///
    /// # Panics
    ///
    /// On what is no check: the field is one of a data file that is compiled in.
    pub fn parse(field: &'static str) -> Vec<Self> {
        field.split("; ").filter(|entry| *entry != "-").map(Self::entry).collect()
    }

    fn entry(entry: &'static str) -> Self {
        let (name, rest) = entry.split_once(' ').unwrap_or((entry, ""));
        let (name, place) = match name.split_once('@') {
            Some((name, place)) => (name, Some(number(place))),
            None => (name, None),
        };
        match name {
            "luhn" => Self::Luhn { from: place.unwrap_or(0) },
            "verhoeff" => Self::Verhoeff,
            "mod_11_10" => Self::Mod11And10,
            "mod_97" => Self::Mod97 { before: rest.parse().ok() },
            "sum" => {
                let Choice { modulus, weights, .. } = Choice::parse(rest, false);
                Self::Sum { modulus, weights }
            }
            "pair" => {
                let Choice { modulus, weights, .. } = Choice::parse(rest, false);
                Self::Pair { modulus, weights }
            }
            "digit" => {
                Self::Digit { place, choices: rest.split(" or ").map(|choice| Choice::parse(choice, true)).collect() }
            }
            "odd_even" => Self::OddEven,
            "one_repeated" => Self::OneRepeated,
            "date" => {
                let (order, from) =
                    rest.split(' ').next().and_then(|order| order.split_once('@')).expect("an order and a place");
                let more = |unit: &str| {
                    let offsets = rest.split(' ').filter_map(|word| word.strip_prefix(unit)).map(number);
                    std::iter::once(0).chain(offsets).collect()
                };
                Self::Date { order, from: number(from), months: more("m+"), days: more("d+") }
            }
            "values" => Self::Values(rest),
            "read" => Self::Read {
                place: place.unwrap_or(0),
                pairs: rest.split(' ').filter_map(|pair| pair.split_once('=')).collect(),
            },
            _ => panic!("no check is called {name}"),
        }
    }

    /// Whether it tells more than the date that is in a number.
    pub fn is_check_digit(&self) -> bool {
        !matches!(self, Self::Date { .. } | Self::Values(_) | Self::Read { .. })
    }

    /// Whether a number, in capitals and without separators, is right.
    pub fn all(checks: &[Self], number: &str) -> bool {
        let mut number = Cow::Borrowed(number);
        let mut alphabet = ALPHABET;
        checks.iter().all(|check| {
            match check {
                Self::Values(own) => alphabet = own,
                Self::Read { place, pairs } => {
                    let there =
                        |(from, _): &&(&str, &str)| number.get(*place..).is_some_and(|rest| rest.starts_with(from));
                    if let Some((from, to)) = pairs.iter().find(there) {
                        let (head, rest) = number.split_at(*place);
                        number = Cow::Owned([head, to, &rest[from.len()..]].concat());
                    }
                }
                check => return check.is_right(&number, alphabet),
            }
            true
        })
    }

    fn is_right(&self, number: &str, alphabet: &str) -> bool {
        let value = |c: char| alphabet.chars().position(|own| own == c).and_then(|at| u32::try_from(at).ok());
        let Some(values) = number.chars().map(value).collect::<Option<Vec<u32>>>() else { return false };
        match self {
            Self::Luhn { from } => values.get(*from..).is_some_and(luhn),
            Self::Verhoeff => verhoeff(&values),
            Self::Mod11And10 => mod_11_10(&values),
            Self::Mod97 { before } => [None, *before].into_iter().any(|before| mod_97(&values, before)),
            Self::Sum { modulus, weights } => weighted(weights, &values, *modulus) == 0,
            Self::Pair { modulus, weights } => {
                let (rest, check) = values.split_at(values.len().saturating_sub(2));
                weighted(weights, rest, *modulus) % 100 == check.iter().fold(0, |value, digit| value * 10 + digit)
            }
            Self::Digit { place, choices } => is_check_character(number, &values, *place, choices),
            Self::OddEven => odd_even(&values),
            Self::OneRepeated => one_repeated(&values),
            Self::Date { order, from, months, days } => {
                values.get(*from..from + order.len()).is_some_and(|digits| is_date(digits, order, months, days))
            }
            Self::Values(_) | Self::Read { .. } => true,
        }
    }
}

impl Choice {
    /// `M w…`, or `M CHARACTERS w…`.
    fn parse(words: &'static str, characters: bool) -> Self {
        let mut words = words.split(' ');
        let modulus = words.next().map(number).expect("a modulus");
        let characters = if characters { words.next().expect("check characters") } else { "" };
        Self { modulus, characters, weights: words.map(number).collect() }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn weighted(weights: &[u32], values: &[u32], modulus: u32) -> u32 {
    weights.iter().zip(values).map(|(weight, value)| weight * value).sum::<u32>() % modulus
}

/// Whether the check character is the one that the first choice to decide says.
fn is_check_character(number: &str, values: &[u32], place: Option<usize>, choices: &[Choice]) -> bool {
    let check = place.unwrap_or(values.len().saturating_sub(1));
    let said = choices.iter().find_map(|Choice { modulus, characters, weights }| {
        let sum = match place {
            Some(_) => weighted(weights, values, *modulus),
            // A shorter number does without the first weights, a longer one has characters that count nothing.
            None => {
                let count = weights.len().min(check);
                weighted(&weights[weights.len() - count..], &values[check - count..check], *modulus)
            }
        };
        characters.chars().nth(usize::try_from(sum).ok()?).filter(|character| *character != NEXT)
    });
    said.is_some() && said == number.chars().nth(check)
}

/// From the right, every second value doubled and less nine where it is more than nine; a multiple of ten.
pub(super) fn luhn(values: &[u32]) -> bool {
    let doubled = |value: u32| if value > 4 { 2 * value - 9 } else { 2 * value };
    let values = values.iter().rev().enumerate();
    values.map(|(at, value)| if at % 2 == 1 { doubled(*value) } else { *value }).sum::<u32>() % 10 == 0
}

fn verhoeff(values: &[u32]) -> bool {
    // The dihedral group of order ten: rotations 0 to 4, reflections 5 to 9.
    let product = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |value: u32, times: usize| (0..times % 8).fold(value, |value, _| PERMUTATION[value as usize]);
    values.iter().all(|value| *value < 10)
        && values.iter().rev().enumerate().fold(0, |sum, (at, value)| product(sum, permuted(*value, at))) == 0
}

fn mod_11_10(values: &[u32]) -> bool {
    let Some((check, rest)) = values.split_last() else { return false };
    let product = rest.iter().fold(10, |product, value| match (product + value) % 10 {
        0 => 20 % 11,
        sum => 2 * sum % 11,
    });
    (product + check) % 10 == 1
}

fn mod_97(values: &[u32], before: Option<u64>) -> bool {
    let (rest, check) = values.split_at(values.len().saturating_sub(2));
    let value =
        |start: u64, digits: &[u32]| digits.iter().fold(start, |value, digit| (value * 10 + u64::from(*digit)) % 97);
    let check = check.iter().fold(0, |value, digit| value * 10 + u64::from(*digit));
    97 - value(before.unwrap_or(0), rest) == check
}

fn odd_even(values: &[u32]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some((check, rest)) = values.split_last() else { return false };
    // Digits and letters count alike from their first.
    let place = |value: u32| if value < 10 { value } else { value - 10 };
    let counted = rest.iter().enumerate().map(|(at, value)| match place(*value) {
        place if at % 2 == 0 => ODD[place as usize],
        place => place,
    });
    *check >= 10 && counted.sum::<u32>() % 26 == place(*check)
}

fn one_repeated(values: &[u32]) -> bool {
    let mut counts = [0; 10];
    values.iter().take(10).for_each(|value| counts[*value as usize % 10] += 1);
    let repeated: Vec<u32> = counts.into_iter().filter(|count| *count > 1).collect();
    matches!(repeated.as_slice(), [2 | 3])
}

/// Whether digits are a day in an order such as `ddmmyy`. Where a year has not all its digits, a leap day is one if it
/// was in some century.
fn is_date(digits: &[u32], order: &str, months: &[u32], days: &[u32]) -> bool {
    if digits.iter().any(|digit| *digit > 9) {
        return false;
    }
    let part = |unit: char| {
        order.chars().zip(digits).filter(|(own, _)| *own == unit).fold(0, |value, (_, digit)| value * 10 + digit)
    };
    let (year, month, day) = (part('y'), part('m'), part('d'));
    let whole = order.matches('y').count() == 4;
    let leap = year % 4 == 0 && (!whole || year % 100 != 0 || year % 400 == 0);
    let length = |month: u32| match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    let mut months = months.iter().filter_map(|more| month.checked_sub(*more));
    months.any(|month| {
        days.iter().filter_map(|more| day.checked_sub(*more)).any(|day| (1..=length(month)).contains(&day))
    })
}
