//! Times: seconds since 1970 in UTC, as they are written, read and told.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// The present moment, in seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed())
}

/// The present local time of the system's time zone, in seconds since 1970 as its calendar has them.
pub(crate) fn local_now() -> i64 {
    let now = jiff::Zoned::now();
    now.timestamp().as_second() + i64::from(now.offset().seconds())
}

/// Seconds since 1970 of an ISO 8601 date, alone or with a time; without a zone it is taken as UTC.
pub(crate) fn iso_seconds(text: &str) -> Option<i64> {
    let in_utc = |time: DateTime| TimeZone::UTC.to_timestamp(time);
    let parsed: Result<Timestamp, jiff::Error> = text
        .parse()
        .or_else(|_| text.parse::<DateTime>().and_then(in_utc))
        .or_else(|_| text.parse::<Date>().and_then(|date| in_utc(date.into())));
    // Rounded down, as the seconds of a clock are.
    parsed.ok().map(|time| time.as_nanosecond().div_euclid(1_000_000_000) as i64)
}

/// The day of a time in seconds since 1970 as ISO 8601 has it; `None` from 9999-12-31 on and before the year 0.
pub fn iso_day(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?.to_zoned(TimeZone::UTC);
    (0..=9999).contains(&time.year()).then(|| time.date().to_string())
}

/// A time in seconds since 1970, as C's `strftime` writes it; what that does not know stands there as it is.
pub(crate) fn strftime(seconds: i64, format: &str) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_zoned(TimeZone::UTC).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2023-12-31T21:41:05", Some(1_704_058_865)),
            ("2023-12-31 21:41", Some(1_704_058_860)),
            ("2023-12-31T21:41:05.250Z", Some(1_704_058_865)),
            ("2023-12-31T21:41:05,250", Some(1_704_058_865)),
            ("2023-12-31t21:41:05z", Some(1_704_058_865)),
            ("2023-12-31T21:41:05+02:00", Some(1_704_051_665)),
            ("2023-12-31T21:41:05-0530", Some(1_704_078_665)),
            ("1669-06-10", Some(-9_484_732_800)),
            ("1969-12-31T23:59:59.5Z", Some(-1)),
            ("2023-02-29", None),
            ("2023-12-31T24:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(iso_seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, Some("1970-01-01")),
            (-1, Some("1969-12-31")),
            (951_782_400, Some("2000-02-29")),
            (4_107_542_400, Some("2100-03-01")),
            (-9_484_732_800, Some("1669-06-10")),
            (-62_135_596_800, Some("0001-01-01")),
            (253_402_128_000, Some("9999-12-30")),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(iso_day(seconds).as_deref(), expected, "{seconds}");
        }
    }

    #[test]
    fn strftime_writes_what_c_does() {
        for (seconds, format, expected) in [
            (0, "%d %b %Y", "01 Jan 1970"),
            (0, "%A %j %I:%M %p", "Thursday 001 12:00 AM"),
            (951_782_400, "%F %a", "2000-02-29 Tue"),
            (951_868_799, "%F %T", "2000-02-29 23:59:59"),
            (951_868_800, "%F %y %e", "2000-03-01 00  1"),
            (1_735_689_599, "%d %B %Y %H %I %p %j", "31 December 2024 23 11 PM 366"),
            (4_107_542_400, "%F %A", "2100-03-01 Monday"),
            (1_753_920_000, "100 %% %Z%z", "100 % UTC+0000"),
            (0, "at %", "at %"),
            (0, "%d %! ~", "01 %! ~"),
        ] {
            assert_eq!(strftime(seconds, format), expected, "{seconds} {format}");
        }
    }
}
