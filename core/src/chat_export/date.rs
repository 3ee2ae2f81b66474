//! Dates of exports: three numbers in whatever order, in the calendars that phones have.

use std::ops::RangeInclusive;

use icu_calendar::Date;
use icu_calendar::cal::Hijri;
use icu_calendar::types::RataDie;

use super::table::{alternatives, rows};

/// A number as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub value: u32,
    pub digits: usize,
}

/// A date of three numbers as written, its parts not yet known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenDate {
    pub parts: [Number; 3],
    pub year: YearPlace,
    /// The calendar, where a word names it.
    pub calendar: Option<Calendar>,
}

/// Where the year can stand: it has more digits than the rest, or any of both ends may be it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum YearPlace {
    First,
    Last,
    Either,
}

/// In which order the numbers of a date are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 31/12/2023
    DayFirst,
    /// 12/31/2023
    MonthFirst,
    /// 2023-12-31
    YearFirst,
}

impl DateOrder {
    /// All of them; where a file leaves it open, the first that fits is taken.
    pub(super) const ALL: [Self; 3] = [Self::DayFirst, Self::MonthFirst, Self::YearFirst];
}

/// A way to count years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calendar {
    /// From the year 1, and years like those of the Gregorian calendar: what is added to get those.
    Gregorian(i32),
    Persian,
    /// The Islamic calendar of Umm al-Qura.
    Hijri,
}

const BUDDHIST: Calendar = Calendar::Gregorian(-543);
const MINGUO: Calendar = Calendar::Gregorian(1911);

impl Calendar {
    /// The calendar that a word beside a year names: `BE`, `民國`, the `R` of `R5`.
    pub fn of(word: &str) -> Option<Self> {
        let mut rows = rows(include_str!("marks/eras.tsv"));
        let row = rows.find(|row| alternatives(row[1]).any(|known| known == word))?;
        Some(match row[0] {
            "persian" => Self::Persian,
            "hijri" => Self::Hijri,
            years => Self::Gregorian(years.parse().expect("years in a constant table")),
        })
    }

    /// The calendar of a year that no word tells. The years in which there are such chats (from 2009 on) have other
    /// numbers in every calendar: 2552 on, 98 on, 1388 on and, by the time that the Persian one reaches 1430, 1473.
    fn of_year(year: Number) -> Self {
        match (year.digits, year.value) {
            (4, 2400..=2799) => BUDDHIST,
            (4, 1388..=1429) => Self::Persian,
            (4, 1430..=1500) => Self::Hijri,
            (3, _) => MINGUO,
            // Of two digits, 52 is 2552.
            (1 | 2, 52..) => Self::Gregorian(2500 - 543),
            (1 | 2, _) => Self::Gregorian(2000),
            _ => Self::Gregorian(0),
        }
    }

    /// Days since 1970-01-01.
    fn day(self, year: u32, month: u32, day: u32) -> Option<i64> {
        let (year, month, day) = (i32::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        let since = match self {
            Self::Gregorian(years) => Date::try_new_iso(year.checked_add(years)?, month, day).ok()?.to_rata_die(),
            Self::Persian => Date::try_new_persian(year, month, day).ok()?.to_rata_die(),
            Self::Hijri => {
                Date::try_new_hijri_with_calendar(year, month, day, Hijri::new_umm_al_qura()).ok()?.to_rata_die()
            }
        };
        Some(since.since(EPOCH))
    }
}

/// 1970-01-01 as a day from 0001-01-01.
const EPOCH: RataDie = RataDie::new(719_163);
/// 1970 to 2199.
const DAYS: RangeInclusive<i64> = 0..=84_005;

impl WrittenDate {
    /// Whether the numbers are a date in this order.
    pub fn fits(self, order: DateOrder) -> bool {
        self.day(order).is_some()
    }

    /// Days since 1970-01-01, where there is such a day.
    pub fn day(self, order: DateOrder) -> Option<i64> {
        let [a, b, c] = self.parts;
        let (year, month, day) = match (order, self.year) {
            (DateOrder::YearFirst, YearPlace::First | YearPlace::Either) => (a, b, c),
            (DateOrder::DayFirst, YearPlace::Last | YearPlace::Either) => (c, b, a),
            (DateOrder::MonthFirst, YearPlace::Last | YearPlace::Either) => (c, a, b),
            _ => return None,
        };
        let calendar = self.calendar.unwrap_or_else(|| Calendar::of_year(year));
        calendar.day(year.value, month.value, day.value).filter(|day| DAYS.contains(day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of `1/1/1970`, of which a word may name the calendar.
    fn day(written: &str, year: YearPlace, order: DateOrder, era: &str) -> Option<i64> {
        let mut parts = written.split('/').map(|part| Number { value: part.parse().unwrap(), digits: part.len() });
        let parts = [(); 3].map(|()| parts.next().unwrap());
        WrittenDate { parts, year, calendar: Calendar::of(era) }.day(order)
    }

    #[test]
    fn days_of_dates() {
        use DateOrder::{DayFirst, MonthFirst, YearFirst};
        use YearPlace::{Either, First, Last};
        const LAST_DAY_OF_2023: Option<i64> = Some(19_722);
        for (written, year, order, era, expected) in [
            ("1/1/1970", Last, DayFirst, "", Some(0)),
            ("1970/1/2", First, YearFirst, "", Some(1)),
            ("29/2/2000", Last, DayFirst, "", Some(11_016)),
            ("3/1/2000", Last, MonthFirst, "", Some(11_017)),
            ("31/12/23", Either, DayFirst, "", LAST_DAY_OF_2023),
            ("12/31/23", Either, MonthFirst, "", LAST_DAY_OF_2023),
            ("23/12/31", Either, YearFirst, "", LAST_DAY_OF_2023),
            ("12/31/23", Either, DayFirst, "", None),
            ("2023/12/31", First, DayFirst, "", None),
            ("29/2/2100", Last, DayFirst, "", None),
            ("1/3/2100", Last, DayFirst, "", Some(47_541)),
            ("0/1/2020", Last, DayFirst, "", None),
            ("31/4/2020", Last, DayFirst, "", None),
            ("1/1/1969", Last, DayFirst, "", None),
            ("1/1/2200", Last, DayFirst, "", None),
            ("1/1/4000000000", Last, DayFirst, "", None),
            ("31/12/2566", Last, DayFirst, "", LAST_DAY_OF_2023),
            ("31/12/66", Either, DayFirst, "", LAST_DAY_OF_2023),
            ("1402/10/10", First, YearFirst, "", LAST_DAY_OF_2023),
            ("10/10/1402", Last, MonthFirst, "AP", LAST_DAY_OF_2023),
            ("18/6/1445", Last, DayFirst, "", LAST_DAY_OF_2023),
            ("112/12/31", First, YearFirst, "", LAST_DAY_OF_2023),
            ("5/12/31", First, YearFirst, "令和", LAST_DAY_OF_2023),
            ("31/12/31", Last, DayFirst, "H", Some(18_261)),
        ] {
            assert_eq!(day(written, year, order, era), expected, "{written} {order:?} {era}");
        }
    }
}
