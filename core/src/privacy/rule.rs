//! The rules by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// One kind of private stretch. Where several rules find overlapping stretches, the earlier of this list names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// The value tied to a word for password or PIN, the one in an address such as `https://user:password@host`, and the
    /// one on a command line such as `curl -u user:password`.
    Password,
    /// Keys and tokens of known issuers, the secret beside an id, private keys, and long random-looking tokens.
    ApiKey,
    /// Seed phrases of wallets (BIP-39).
    SeedPhrase,
    /// International bank account numbers.
    Iban,
    /// Identity, tax and insurance numbers of persons, by country.
    NationalId,
    /// Payment card numbers.
    PaymentCard,
    /// Numbers of passports, and the lines of travel documents that machines read.
    Passport,
    /// E-mail addresses.
    Email,
    /// Codes of 4 to 8 digits beside words such as "verification code".
    OneTimeCode,
    /// Degrees of latitude and longitude, places in links to maps, plus codes and three words.
    Coordinates,
    /// Telephone numbers.
    Phone,
    /// A house number with its street, and the postcode beside it.
    StreetAddress,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Self; 12] = [
        Self::Password,
        Self::ApiKey,
        Self::SeedPhrase,
        Self::Iban,
        Self::NationalId,
        Self::PaymentCard,
        Self::Passport,
        Self::Email,
        Self::OneTimeCode,
        Self::Coordinates,
        Self::Phone,
        Self::StreetAddress,
    ];

    /// The name in settings and reports; it does not change between releases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ApiKey => "api_key",
            Self::SeedPhrase => "seed_phrase",
            Self::Iban => "iban",
            Self::PaymentCard => "payment_card",
            Self::NationalId => "national_id",
            Self::Passport => "passport",
            Self::Email => "email",
            Self::OneTimeCode => "one_time_code",
            Self::Coordinates => "coordinates",
            Self::Phone => "phone",
            Self::StreetAddress => "street_address",
        }
    }

    /// What it masks, for people.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Password => "passwords and PINs named as such, and those in addresses and command lines",
            Self::ApiKey => "API keys, access tokens and private keys",
            Self::SeedPhrase => "seed phrases of wallets (BIP-39)",
            Self::Iban => "bank account numbers (IBAN)",
            Self::PaymentCard => "payment card numbers",
            Self::NationalId => "identity, tax and insurance numbers of persons",
            Self::Passport => "passport numbers and the lines that machines read",
            Self::Email => "e-mail addresses",
            Self::OneTimeCode => "one-time and verification codes",
            Self::Coordinates => "coordinates, places in links to maps, plus codes",
            Self::Phone => "telephone numbers",
            Self::StreetAddress => "house numbers with their street, and the postcode beside",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|rule| rule.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::new(ErrorKind::BadOption, "no such privacy rule").with_hint(format!("the rules are {names}"))
        })
    }
}
