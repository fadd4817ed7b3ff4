//! Numbers for the eyes: short, and of the same shape from frame to frame.

use crate::event::Millis;

/// `230ms`, `4.2s`, `38s`, `2m05s`, `1h02m`.
pub fn duration(time: Millis) -> String {
    let seconds = time.0 / 1000;
    match time.0 {
        0..1000 => format!("{}ms", time.0),
        1000..10_000 => format!("{seconds}.{}s", time.0 % 1000 / 100),
        10_000..60_000 => format!("{seconds}s"),
        60_000..3_600_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Like [`duration`], in whole seconds: for a time that runs.
pub fn running_duration(time: Millis) -> String {
    let seconds = time.0 / 1000;
    if seconds < 60 { format!("{seconds}s") } else { duration(time) }
}

/// `0:07`, `12:40`, `1:02:03`.
pub fn clock(time: Millis) -> String {
    let seconds = time.0 / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `0.007`, `12.345`, `3:05.120`.
pub fn precise_clock(time: Millis) -> String {
    let (minutes, seconds, millis) = (time.0 / 60_000, time.0 / 1000 % 60, time.0 % 1000);
    if minutes > 0 { format!("{minutes}:{seconds:02}.{millis:03}") } else { format!("{seconds}.{millis:03}") }
}

/// `14:05:09`, of milliseconds since 1970, that many seconds east of Greenwich.
pub fn time_of_day(wall: u64, zone: i32) -> String {
    let seconds = i64::try_from(wall / 1000).unwrap_or(0).saturating_add(i64::from(zone)).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `812`, `3.4k`, `128k`, `1.2M`.
pub fn count(n: u64) -> String {
    match n {
        0..1000 => n.to_string(),
        1000..10_000 => tenths(n, 1000, 'k'),
        10_000..1_000_000 => format!("{}k", n / 1000),
        1_000_000..10_000_000 => tenths(n, 1_000_000, 'M'),
        _ => format!("{}M", n / 1_000_000),
    }
}

fn tenths(n: u64, unit: u64, letter: char) -> String {
    match (n / unit, n % unit / (unit / 10)) {
        (whole, 0) => format!("{whole}{letter}"),
        (whole, tenth) => format!("{whole}.{tenth}{letter}"),
    }
}

/// `$0`, `$0.0042`, `$0.31`, `$12.30`.
pub fn money(dollars: f64) -> String {
    if dollars == 0.0 {
        "$0".into()
    } else if dollars < 0.00005 {
        "<$0.0001".into()
    } else if dollars < 0.1 {
        format!("${dollars:.4}")
    } else {
        format!("${dollars:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases =
            [(0, "0ms"), (999, "999ms"), (4250, "4.2s"), (59_999, "59s"), (125_000, "2m05s"), (3_725_000, "1h02m")];
        for (ms, text) in cases {
            assert_eq!(duration(Millis(ms)), text);
        }
        assert_eq!((running_duration(Millis(900)), running_duration(Millis(61_000))), ("0s".into(), "1m01s".into()));
        assert_eq!((clock(Millis(7000)), clock(Millis(3_723_000))), ("0:07".into(), "1:02:03".into()));
        let precise = [7, 12_345, 185_120].map(|ms| precise_clock(Millis(ms)));
        assert_eq!(precise, ["0.007", "12.345", "3:05.120"]);
    }

    #[test]
    fn counts_and_money_are_short() {
        let counts = [0, 812, 3450, 4000, 128_500, 1_250_000, 48_000_000].map(count);
        assert_eq!(counts, ["0", "812", "3.4k", "4k", "128k", "1.2M", "48M"]);
        let sums = [0.0, 0.000_01, 0.0042, 0.314, 12.3].map(money);
        assert_eq!(sums, ["$0", "<$0.0001", "$0.0042", "$0.31", "$12.30"]);
    }
}
