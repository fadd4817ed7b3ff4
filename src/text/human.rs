//! Sizes and times as people read them, one function for each form that is shown. Running times on the screen are
//! `ui::format`'s, and durations that settings read back are `config::units`'.

use std::time::Duration;

/// `12 bytes`, `3.4 kB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => size_in_bytes(bytes),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Exact while it is short: `9999 bytes`, `40 kB`, `12 MB`.
pub fn whole_size(bytes: u64) -> String {
    match bytes {
        0..10_000 => size_in_bytes(bytes),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// In powers of two, as files are often told: `120 bytes`, `12 KB`, `3.4 MB`.
pub fn binary_size(bytes: u64) -> String {
    match bytes {
        0..1024 => size_in_bytes(bytes),
        1024..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        _ => format!("{}.{} MB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20),
    }
}

/// For a narrow column, in powers of two: `812 B`, `3.4 kB`.
pub fn column_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} kB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

/// A limit, in whole MiB: `8 MiB`.
pub fn size_limit(bytes: usize) -> String {
    format!("{} MiB", bytes >> 20)
}

/// A pause that somebody waits for: `1.5 s`, `3 min`; never less than it is.
pub fn pause(time: Duration) -> String {
    match time.as_secs() {
        0..120 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

/// A time limit: `90 s`, `15 min`.
pub fn time_limit(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 120 && seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

/// How long ago something was, roughly: `now`, `5 min ago`, `3 h ago`, `2 days ago`.
pub fn age(time: Duration) -> String {
    const DAY_SECONDS: u64 = 24 * 3600;
    match time.as_secs() {
        0..60 => "now".to_owned(),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..DAY_SECONDS => format!("{} h ago", seconds / 3600),
        seconds if seconds < 2 * DAY_SECONDS => "yesterday".to_owned(),
        seconds => format!("{} days ago", seconds / DAY_SECONDS),
    }
}

fn size_in_bytes(bytes: u64) -> String {
    if bytes == 1 { "1 byte".into() } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_unit_that_fits() {
        let cases = [(0, "now"), (59, "now"), (60, "1 min ago"), (3599, "59 min ago"), (3600, "1 h ago")];
        for (seconds, expected) in cases.into_iter().chain([
            (86_399, "23 h ago"),
            (86_400, "yesterday"),
            (172_800, "2 days ago"),
            (86_400 * 400, "400 days ago"),
        ]) {
            assert_eq!(age(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, plain, whole, binary, column) in [
            (0, "0 bytes", "0 bytes", "0 bytes", "0 B"),
            (1, "1 byte", "1 byte", "1 byte", "1 B"),
            (1024, "1.0 kB", "1024 bytes", "1 KB", "1.0 kB"),
            (40_000, "40.0 kB", "40 kB", "40 KB", "39.1 kB"),
            (1 << 20, "1.0 MB", "1048 kB", "1.0 MB", "1.0 MB"),
            (3_670_016, "3.7 MB", "3670 kB", "3.5 MB", "3.5 MB"),
            (5_200_000_000, "5.2 GB", "5200 MB", "4959.1 MB", "4959.1 MB"),
        ] {
            assert_eq!((size(bytes).as_str(), whole_size(bytes).as_str()), (plain, whole));
            assert_eq!((binary_size(bytes).as_str(), column_size(bytes).as_str()), (binary, column));
        }
        assert_eq!(size_limit(8 << 20), "8 MiB");
    }

    #[test]
    fn times_are_in_seconds_or_minutes() {
        for (millis, as_pause, as_limit) in [
            (1_500, "1.5 s", "1 s"),
            (90_000, "90.0 s", "90 s"),
            (119_000, "119.0 s", "119 s"),
            (121_000, "3 min", "121 s"),
            (900_000, "15 min", "15 min"),
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!((pause(time).as_str(), time_limit(time).as_str()), (as_pause, as_limit));
        }
    }
}
