//! Which modules of a model an adapter names: PEFT's `target_modules` and `exclude_modules`.

use fancy_regex::Regex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::shape::Family;

/// A set of modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Modules {
    /// Every linear layer of the decoder blocks: PEFT's `all-linear`.
    AllLinear,
    /// Names, suffixes of paths after a dot, or whole paths.
    Names(Vec<String>),
    /// A regular expression that matches whole paths.
    Pattern(String),
}

impl Modules {
    /// Every linear layer of a family's decoder layers, by name.
    pub fn of_family(family: &Family) -> Self {
        Self::Names(family.module_names().into_iter().map(str::to_owned).collect())
    }

    /// The set that PEFT's value means.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::from_text(text)),
            Value::Array(names) => {
                Some(Self::Names(names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    /// The set that PEFT means by a single string: `all-linear`, or a regular expression.
    pub fn from_text(text: &str) -> Self {
        if text.eq_ignore_ascii_case("all-linear") { Self::AllLinear } else { Self::Pattern(text.to_owned()) }
    }

    /// What PEFT writes for it.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::AllLinear => json!("all-linear"),
            Self::Names(names) => json!(names),
            Self::Pattern(pattern) => json!(pattern),
        }
    }

    /// Whether a whole path stands in the list.
    pub(super) fn lists(&self, path: &str) -> bool {
        matches!(self, Self::Names(names) if names.iter().any(|name| name == path))
    }

    /// Checks that a regular expression is one.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn check(&self) -> Result<()> {
        self.matcher().map(drop)
    }

    /// A test of the paths of a model's linear layers.
    ///
    /// # Errors
    /// When the regular expression is none.
    pub(super) fn matcher(&self) -> Result<impl Fn(&str) -> bool> {
        let pattern = match self {
            Self::Pattern(pattern) => Some(Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(|_| {
                Error::new(ErrorKind::BadOption, "a string that is neither all-linear nor a regular expression")
            })?),
            _ => None,
        };
        Ok(move |path: &str| match (self, &pattern) {
            (Self::AllLinear, _) => true,
            (Self::Names(names), _) => names.iter().any(|name| is_suffix(path, name)),
            // A pattern that gives up on a path, by its limit on backtracking, does not match it.
            (Self::Pattern(_), pattern) => pattern.as_ref().is_some_and(|p| p.is_match(path).unwrap_or(false)),
        })
    }
}

/// The whole path, or the end of it after a dot.
fn is_suffix(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_peft_does() {
        let names = |names: &[&str]| Modules::Names(names.iter().map(|&name| name.to_owned()).collect());
        let q0 = "model.layers.0.self_attn.q_proj";
        let q10 = "model.layers.10.self_attn.q_proj";
        for (modules, path, expected) in [
            (names(&["q_proj"]), q0, true),
            (names(&["proj"]), q0, false),
            (names(&["self_attn.q_proj"]), q0, true),
            (names(&["0.self_attn.q_proj"]), q0, true),
            (names(&["0.self_attn.q_proj"]), q10, false),
            (names(&[q0]), q0, true),
            (names(&[q0]), q10, false),
            (Modules::from_text("all-linear"), q0, true),
            (Modules::from_text("q_proj"), q0, false),
            (Modules::from_text(r".*\.(q|v)_proj"), q0, true),
            (Modules::from_text(r".*layers\.\d\..*q_proj"), q10, false),
            (Modules::from_text(r"model\.(?!.*mlp).*_proj"), q0, true),
            (Modules::from_text(r"model\.(?!.*attn).*_proj"), q0, false),
            // An alternative without brackets has to match the whole path as well.
            (Modules::from_text("x|q_proj"), q0, false),
        ] {
            assert_eq!(modules.matcher().unwrap()(path), expected, "{modules:?} on {path}");
        }
        assert!(Modules::from_text("(").matcher().is_err());
    }
}
