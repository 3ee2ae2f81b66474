//! What training must never see: card numbers, codes, passwords, keys, account and identity numbers, and where to find
//! people.
//!
//! A [`Filter`] finds such stretches in a text and gives the text that training sees, each stretch replaced by a
//! placeholder that carries no loss. The person's stored copy is not touched. Every rule has a stable name and its own
//! switch; all are on unless switched off.
//!
//! The rules go by shape and by the words beside, so they miss some and mask some that is harmless: how much of either
//! is measured on the labelled texts of `tests/privacy`. Those words are data, a language a row (`words/`). Work is
//! linear in the length of the text: every candidate is judged by a bounded stretch around it.

mod api_key;
mod check_digits;
mod command_line;
mod coordinates;
mod credentials;
mod email;
mod filter;
mod iban;
mod issuers;
mod lexicon;
mod lock;
mod misspelt;
mod national_id;
mod numbers;
mod one_time_code;
mod passport;
mod password;
mod payment_card;
mod phone;
mod rule;
mod said;
mod seed_phrase;
mod street;
mod street_address;
mod striking;
mod words;

pub use filter::{Filter, Finding, Masked, PLACEHOLDER};
pub use rule::Rule;
