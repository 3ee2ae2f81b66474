//! All rules over one text.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    Rule, api_key, command_line, coordinates, credentials, email, iban, national_id, numbers, one_time_code, passport,
    password, payment_card, phone, seed_phrase, street_address,
};

/// What stands in the text that training sees for every stretch that a rule found.
pub const PLACEHOLDER: &str = "***";

/// The rules and their switches. The default has every rule on, those of later releases included: only what was
/// switched off is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(default)]
    off: BTreeSet<Rule>,
}

/// A stretch that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule; the first of several that found overlapping stretches.
    pub rule: Rule,
    /// The bytes of the text.
    pub range: Range<usize>,
}

/// A text with its private stretches replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The text that training sees.
    pub text: String,
    /// The bytes of each placeholder in it, in order: they carry no loss.
    pub placeholders: Vec<Range<usize>>,
}

impl Filter {
    /// A filter with the given rules switched off.
    pub fn without(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { off: rules.into_iter().collect() }
    }

    /// Switches a rule.
    pub fn switch(&mut self, rule: Rule, on: bool) {
        if on {
            self.off.remove(&rule);
        } else {
            self.off.insert(rule);
        }
    }

    /// Whether a rule is on.
    pub fn is_on(&self, rule: Rule) -> bool {
        !self.off.contains(&rule)
    }

    /// The private stretches of a text: in order, none overlapping, none empty.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let (groups, credentials) = (numbers::groups(text), credentials::find(text));
        let emails = email::find(text, &credentials);
        let mut findings = Vec::new();
        for rule in Rule::ALL.into_iter().filter(|rule| self.is_on(*rule)) {
            let ranges = match rule {
                Rule::Password => {
                    let mut ranges = password::find(text, &emails);
                    // A token in a password's place is a key's.
                    let passwords = credentials.iter().map(|found| found.password.clone());
                    ranges.extend(passwords.filter(|password| !api_key::is_issued(&text[password.clone()])));
                    ranges.extend(command_line::find(text));
                    ranges
                }
                Rule::ApiKey => api_key::find(text),
                Rule::SeedPhrase => seed_phrase::find(text),
                Rule::Iban => iban::find(text),
                Rule::PaymentCard => payment_card::find(text, &groups),
                Rule::NationalId => national_id::find(text),
                Rule::Passport => passport::find(text),
                Rule::Email => emails.clone(),
                Rule::OneTimeCode => one_time_code::find(text, &groups),
                Rule::Coordinates => coordinates::find(text),
                Rule::Phone => phone::find(text, &groups),
                Rule::StreetAddress => street_address::find(text, &groups),
            };
            findings.extend(ranges.into_iter().map(|range| Finding { rule, range }));
        }
        merged(findings)
    }

    /// The text that training sees.
    pub fn mask(&self, text: &str) -> Masked {
        let mut masked = Masked { text: String::with_capacity(text.len()), placeholders: Vec::new() };
        let mut copied = 0;
        for Finding { range, .. } in self.find(text) {
            masked.text.push_str(&text[copied..range.start]);
            let start = masked.text.len();
            masked.text.push_str(PLACEHOLDER);
            masked.placeholders.push(start..masked.text.len());
            copied = range.end;
        }
        masked.text.push_str(&text[copied..]);
        masked
    }
}

/// Overlapping findings become one that covers them all: whatever any rule found stays hidden.
fn merged(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.range.start, finding.rule));
    let mut out: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match out.last_mut().filter(|last| finding.range.start < last.range.end) {
            Some(last) => {
                last.rule = last.rule.min(finding.rule);
                last.range.end = last.range.end.max(finding.range.end);
            }
            None => out.push(finding),
        }
    }
    out
}
