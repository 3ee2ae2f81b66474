//! A line of JSON as a sample.

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::origin::Origin;
use super::sample::NewSample;
use crate::time::iso_seconds;

/// The values of a row as they are written: each is looked at alone, so that what is said of it names its key.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    contact: Option<&'a RawValue>,
    conversation: Option<&'a RawValue>,
    origin: Option<&'a RawValue>,
    incognito: Option<&'a RawValue>,
}

/// The sample of a line, or what is wrong with it: in words that quote nothing of it, as serde_json's own may do.
pub(super) fn parse(line: &str) -> Result<NewSample, String> {
    // An array would be taken for the values in their order.
    if !line.trim_start().starts_with('{') {
        return Err("not a JSON object".into());
    }
    let row: Row<'_> = serde_json::from_str(line).map_err(|cause| match cause.classify() {
        Category::Data => format!("a key is there twice (column {})", cause.column()),
        _ => format!("not JSON (column {})", cause.column()),
    })?;
    let text = string("text", row.text)?.ok_or("text: missing")?;
    let timestamp = row.timestamp.map(|value| seconds(value).ok_or("timestamp: no time since 1970 and not ISO 8601"));
    // An empty name is none.
    let origin = string("origin", row.origin)?.filter(|name| !name.is_empty()).map(Origin::named);
    let incognito = row.incognito.map(|value| match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("incognito: neither true nor false"),
    });
    Ok(NewSample {
        id: id(row.id)?,
        text,
        context: string("context", row.context)?,
        source: string("source", row.source)?,
        contact: string("contact", row.contact)?,
        conversation: string("conversation", row.conversation)?,
        timestamp: timestamp.transpose()?.flatten(),
        origin: origin.unwrap_or_default(),
        incognito: incognito.transpose()?.unwrap_or(false),
    })
}

fn string(key: &str, value: Option<&RawValue>) -> Result<Option<String>, String> {
    let parse = |value: &RawValue| {
        serde_json::from_str(value.get()).map_err(|_| match is_string(value) {
            // All else that a string can have wrong has been found before.
            true => format!("{key}: half of a surrogate pair"),
            false => format!("{key}: not a string"),
        })
    };
    value.map(parse).transpose()
}

fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// A string, or another value as it is written; an empty one tells no row from another.
fn id(value: Option<&RawValue>) -> Result<Option<String>, String> {
    let id = match value {
        Some(value) if !is_string(value) => Some(value.get().to_owned()),
        value => string("id", value)?,
    };
    Ok(id.filter(|id| !id.is_empty()))
}

/// The units that times are counted in: what a number is below (without its sign), and how many make a second. In the
/// years from 1973 to 5138 no two of them give the same number.
const UNITS: [(u128, i64); 4] =
    [(10_u128.pow(11), 1), (10_u128.pow(14), 1_000), (10_u128.pow(17), 1_000_000), (10_u128.pow(20), 1_000_000_000)];

/// The first second of 2200, in UTC: a number that says a later one is in none of the units, or no time at all.
const TOO_LATE: i64 = 7_258_118_400;

/// Seconds since 1970 of a time as [`read_jsonl`](super::read_jsonl) takes it; inside, `None` for an empty string.
fn seconds(value: &RawValue) -> Option<Option<i64>> {
    if !is_string(value) {
        return counted(value.get()).map(Some);
    }
    let text: String = serde_json::from_str(value.get()).ok()?;
    match text.trim() {
        "" => Some(None),
        text => counted(text).or_else(|| iso_seconds(text)).map(Some),
    }
}

/// Seconds since 1970 of a number in one of [`UNITS`].
fn counted(text: &str) -> Option<i64> {
    let unit = |size: u128| UNITS.iter().find(|(below, _)| size < *below).map(|(_, unit)| *unit);
    let seconds = match text.parse::<i128>() {
        Ok(number) => i64::try_from(number.div_euclid(unit(number.unsigned_abs())?.into())).ok()?,
        Err(_) => {
            // Of what is no finite number, the size is in no unit.
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
            (number / unit(number.abs() as u128)? as f64).floor() as i64
        }
    };
    (seconds < TOO_LATE).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a row with further keys.
    fn with(keys: &str) -> String {
        format!("{{\"text\":\"secret\",{keys}}}")
    }

    #[test]
    fn times_are_read_in_the_units_that_files_have() {
        for (written, expected) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("1701990508", Some(1_701_990_508)),
            ("1701990508.9", Some(1_701_990_508)),
            ("1.701990508e9", Some(1_701_990_508)),
            ("1701990508999", Some(1_701_990_508)),
            ("1701990508999.5", Some(1_701_990_508)),
            ("1701990508123456", Some(1_701_990_508)),
            ("1701990508123456789", Some(1_701_990_508)),
            ("\"1701990508\"", Some(1_701_990_508)),
            ("\" 1701990508000 \"", Some(1_701_990_508)),
            ("\"1701990508.123456\"", Some(1_701_990_508)),
            ("\"1970-01-02T00:00:01\"", Some(86_401)),
            ("\"1970-01-01T02:00:00+02:00\"", Some(0)),
            ("-1", Some(-1)),
            ("-0.5", Some(-1)),
            ("-1000000000001", Some(-1_000_000_001)),
            ("99999999999", None),
            ("100000000000", Some(100_000_000)),
            ("7258118399", Some(7_258_118_399)),
            ("7258118400", None),
            ("\"20231231214105\"", None),
            ("9223372036854775807", None),
            ("18446744073709551616", None),
            ("1e300", None),
            ("-1e300", None),
            ("\"nan\"", None),
            ("\"infinity\"", None),
            ("\"0x10\"", None),
            ("\"yesterday\"", None),
            ("\"2023-02-29\"", None),
            ("\"12 \\ud83d\"", None),
            ("true", None),
            ("[12]", None),
            ("{\"seconds\":12}", None),
        ] {
            match (parse(&with(&format!("\"timestamp\":{written}"))), expected) {
                (Ok(sample), Some(time)) => assert_eq!(sample.timestamp, Some(time), "{written}"),
                (Err(why), None) => assert!(why.starts_with("timestamp: ") && !why.contains(written), "{why}"),
                (parsed, _) => panic!("{written}: {parsed:?}"),
            }
        }
        for none in ["null", "\"\"", "\" \""] {
            assert_eq!(parse(&with(&format!("\"timestamp\":{none}"))).unwrap().timestamp, None, "{none}");
        }
    }

    #[test]
    fn values_are_taken_or_refused_by_their_keys() {
        for (keys, expected) in [
            (r#""id":"x""#, Ok(Some("x"))),
            (r#""id":7"#, Ok(Some("7"))),
            (r#""id":123456789012345678901234567890"#, Ok(Some("123456789012345678901234567890"))),
            (r#""id":{"$oid":"5f"}"#, Ok(Some(r#"{"$oid":"5f"}"#))),
            (r#""id":null"#, Ok(None)),
            (r#""id":"""#, Ok(None)),
            (r#""other":["\ud83d",1],"other":2"#, Ok(None)),
            (r#""context":null,"source":null,"contact":null,"conversation":null,"origin":null"#, Ok(None)),
            (r#""id":"\ud83d""#, Err("id: half of a surrogate pair")),
            (r#""context":5"#, Err("context: not a string")),
            (r#""contact":["secret"]"#, Err("contact: not a string")),
            (r#""source":true"#, Err("source: not a string")),
            (r#""conversation":{}"#, Err("conversation: not a string")),
            (r#""origin":1"#, Err("origin: not a string")),
            (r#""incognito":"true""#, Err("incognito: ")),
            (r#""incognito":1"#, Err("incognito: ")),
            (r#""text":"again""#, Err("a key is there twice")),
            (r#""timestamp":NaN"#, Err("not JSON")),
            (r#""other":"#, Err("not JSON")),
        ] {
            match (parse(&with(keys)), expected) {
                (Ok(sample), Ok(id)) => assert_eq!((sample.id.as_deref(), &*sample.text), (id, "secret"), "{keys}"),
                (Err(why), Err(part)) => assert!(why.contains(part) && !why.contains("secret"), "{keys}: {why}"),
                (parsed, _) => panic!("{keys}: {parsed:?}"),
            }
        }
        for (keys, origin, incognito) in [
            (r#""origin":"suggestion_edited","incognito":false"#, Origin::SuggestionEdited, false),
            (r#""origin":null,"incognito":true"#, Origin::Typed, true),
            (r#""origin":"""#, Origin::Typed, false),
            (r#""origin":"dictated""#, Origin::Other("dictated".into()), false),
            (r#""incognito":null"#, Origin::Typed, false),
        ] {
            let sample = parse(&with(keys)).unwrap();
            assert_eq!((sample.origin, sample.incognito), (origin, incognito), "{keys}");
        }
    }
}
