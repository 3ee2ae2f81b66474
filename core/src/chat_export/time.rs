//! Dates and times of exports: numbers in either order, 12 or 24 hours.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex::Regex;

/// A date of three numbers as written, its parts not yet known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenDate {
    pub parts: [u32; 3],
    /// Whether the year is written first.
    pub year_first: bool,
}

/// Which of day and month is written first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 31/12/2023
    DayFirst,
    /// 12/31/2023
    MonthFirst,
}

const YEARS: RangeInclusive<u32> = 1970..=2199;

impl WrittenDate {
    /// Whether the numbers are a date in this order.
    pub fn fits(self, order: DateOrder) -> bool {
        self.day(order).is_some()
    }

    /// Days since 1970-01-01, where there is such a day.
    pub fn day(self, order: DateOrder) -> Option<i64> {
        let [a, b, c] = self.parts;
        let (year, month, day) = match order {
            _ if self.year_first => (a, b, c),
            DateOrder::DayFirst => (c, b, a),
            DateOrder::MonthFirst => (c, a, b),
        };
        let year = if year < 100 { year + 2000 } else { year };
        YEARS.contains(&year).then(|| day_number(year.into(), month, day)).flatten()
    }
}

/// Seconds since 1970 of an ISO 8601 date, alone or with a time; without a zone it is taken as UTC.
pub(crate) fn iso_seconds(text: &str) -> Option<i64> {
    static ISO: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"^([0-9]{4})-([0-9]{2})-([0-9]{2})",
            r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?)?$"
        ))
        .expect("a constant pattern")
    });
    let found = ISO.captures(text)?;
    let number = |at: usize| found.get(at).map_or(Some(0), |part| part.as_str().parse::<u32>().ok());
    let day = day_number(number(1)?.into(), number(2)?, number(3)?)?;
    let (hour, minute, second) = (number(4)?, number(5)?, number(6)?);
    let (zone_hour, zone_minute) = (number(8)?, number(9)?);
    let known = hour < 24 && minute < 60 && second < 61 && zone_hour < 24 && zone_minute < 60;
    let zone = i64::from(zone_hour * 3600 + zone_minute * 60);
    let east = if found.get(7).is_some_and(|sign| sign.as_str() == "-") { -zone } else { zone };
    known.then(|| day * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - east)
}

/// Days since 1970-01-01, where the year (1 on) has such a day.
fn day_number(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (year >= 1 && (1..=length).contains(&day)).then(|| days(year, month.into(), day.into()))
}

/// Days from 1970-01-01 in the Gregorian calendar. Years begin in March here, so that a leap day ends one: month m of
/// such a year begins on its day `(153 m + 2) / 5`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_dates() {
        use DateOrder::{DayFirst, MonthFirst};
        for (parts, year_first, order, expected) in [
            ([1, 1, 1970], false, DayFirst, Some(0)),
            ([1970, 1, 2], true, MonthFirst, Some(1)),
            ([29, 2, 2000], false, DayFirst, Some(11_016)),
            ([3, 1, 2000], false, MonthFirst, Some(11_017)),
            ([31, 12, 23], false, DayFirst, Some(19_722)),
            ([12, 31, 23], false, MonthFirst, Some(19_722)),
            ([12, 31, 23], false, DayFirst, None),
            ([29, 2, 2100], false, DayFirst, None),
            ([1, 3, 2100], false, DayFirst, Some(47_541)),
            ([0, 1, 2020], false, DayFirst, None),
            ([31, 4, 2020], false, DayFirst, None),
            ([1, 1, 1969], false, DayFirst, None),
            ([1, 1, 4_000_000_000], false, DayFirst, None),
        ] {
            let date = WrittenDate { parts, year_first };
            assert_eq!(date.day(order), expected, "{parts:?} {order:?}");
        }
    }

    #[test]
    fn iso_times() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2023-12-31T21:41:05", Some(1_704_058_865)),
            ("2023-12-31 21:41", Some(1_704_058_860)),
            ("2023-12-31T21:41:05.250Z", Some(1_704_058_865)),
            ("2023-12-31T21:41:05+02:00", Some(1_704_051_665)),
            ("2023-12-31T21:41:05-0530", Some(1_704_078_665)),
            ("1669-06-10", Some(-9_484_732_800)),
            ("0000-01-01", None),
            ("2023-02-29", None),
            ("2023-12-31T24:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(iso_seconds(text), expected, "{text}");
        }
    }
}
