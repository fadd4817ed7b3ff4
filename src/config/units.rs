//! PURE. Durations as people write them: `90s`, `15m`, `250ms`, `1h30m`.

use std::time::Duration;

/// More than this is a mistake, and still far from overflowing a clock.
const MAX_DURATION: Duration = Duration::from_hours(365 * 24);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Parses a duration such as `90s` or `1h30m`; `None` if a unit is missing or it exceeds a year.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = tail;
    }
    Some(Duration::from_millis(millis)).filter(|span| *span <= MAX_DURATION)
}

/// Formats a duration in its largest whole unit, so that [`parse_duration`] reads it back to the millisecond.
pub fn format_duration(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let fits = |factor: u64| millis >= factor && millis.is_multiple_of(factor);
    // Days would hide that a limit is in hours.
    let unit = UNITS.iter().rev().skip(1).find(|(_, factor)| fits(*factor));
    unit.map_or_else(|| "0s".into(), |(name, factor)| format!("{}{name}", millis / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_written() {
        for (text, millis) in [
            ("90s", Some(90_000)),
            ("15m", Some(900_000)),
            ("250ms", Some(250)),
            ("1h30m", Some(5_400_000)),
            ("0s", Some(0)),
            ("", None),
            ("90", None),
            ("s", None),
            ("5 s", None),
            ("-5s", None),
            ("5x", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("400d", None),
            ("٣s", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn spans_read_back() {
        for millis in [0, 1, 250, 1_000, 1_500, 90_000, 900_000, 3_600_000, 3_601_001] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(span)), Some(span), "{}", format_duration(span));
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "90s");
        assert_eq!(format_duration(Duration::from_mins(15)), "15m");
    }
}
