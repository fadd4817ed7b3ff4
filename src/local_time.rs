//! The time zone of this machine, read from one file.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

const ZONE_PATH: &str = "/etc/localtime";

/// `TimeZone::system` wants the zone's name as well, and for it lists the database of zones, a thousand files (jiff
/// 0.2): more than the rest of what a start does on disk. It is asked only where one file can't tell.
static LOCAL_ZONE: LazyLock<TimeZone> = LazyLock::new(|| {
    let is_named = std::env::var_os("TZ").is_some();
    let read = if is_named { None } else { read_zone(Path::new(ZONE_PATH)) };
    read.unwrap_or_else(TimeZone::system)
});

/// Returns a time as the clock here shows it. The zone is the one that was set when this was first called; it has no
/// name.
pub fn to_local(time: Timestamp) -> Zoned {
    time.to_zoned(LOCAL_ZONE.clone())
}

/// Returns the time as the clock here shows it.
pub fn local_now() -> Zoned {
    to_local(Timestamp::now())
}

/// Reads a zone's file (TZif, RFC 9636). No file means UTC, as it does to the C library; `None` if it can't be read.
fn read_zone(path: &Path) -> Option<TimeZone> {
    match fs::read(path) {
        Ok(bytes) => TimeZone::tzif("local", &bytes).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(TimeZone::UTC),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one kind of time, two hours ahead of UTC.
    fn zone_file() -> Vec<u8> {
        let mut bytes = b"TZif".to_vec();
        bytes.extend([0; 16]);
        // Leap seconds and times of change: none. Kinds of time: 1; letters of their names: 4.
        for count in [0_u32, 0, 0, 0, 1, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend(7_200_i32.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(b"EET\0");
        bytes
    }

    #[test]
    fn a_zone_is_read_from_its_file_and_without_one_it_is_utc() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("localtime");
        assert_eq!(read_zone(&path), Some(TimeZone::UTC));
        fs::write(&path, zone_file()).unwrap();
        let zone = read_zone(&path).unwrap();
        assert_eq!(zone.to_offset(Timestamp::UNIX_EPOCH).seconds(), 7_200);
        fs::write(&path, b"TZif and nothing more").unwrap();
        assert_eq!(read_zone(&path), None);
    }

    #[test]
    fn the_local_time_is_that_of_the_system() {
        let time = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(to_local(time).offset(), time.to_zoned(TimeZone::system()).offset());
    }
}
