//! PURE. The few fields of a certificate that are read here: its dates, the names in its subject, and whether it lists
//! names at all. RFC 5280, section 4.1; DER as far as certificates use it.

/// What was read of a certificate. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// The common names of its subject, which count as host names only where it lists none.
    pub(super) common_names: Vec<String>,
    /// It lists names of its own (subject alternative names).
    pub(super) lists_names: bool,
}

const SEQUENCE_TAG: u8 = 0x30;
const SET_TAG: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

impl Certificate {
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let mut whole = DerReader(der).expect_tag(SEQUENCE_TAG)?;
        let mut fields = whole.expect_tag(SEQUENCE_TAG)?;
        fields.optional_tag(0xa0);
        // Serial number, algorithm, issuer.
        for _ in 0..3 {
            fields.next()?;
        }
        let mut validity = fields.expect_tag(SEQUENCE_TAG)?;
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let common_names = common_names(fields.expect_tag(SEQUENCE_TAG)?)?;
        fields.expect_tag(SEQUENCE_TAG)?;
        fields.optional_tag(0x81);
        fields.optional_tag(0x82);
        let lists_names = match fields.optional_tag(0xa3) {
            Some(mut extensions) => has_extension(extensions.expect_tag(SEQUENCE_TAG)?, ALTERNATIVE_NAMES)?,
            None => false,
        };
        Some(Self { not_before, not_after, common_names, lists_names })
    }
}

fn common_names(mut subject: DerReader<'_>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !subject.0.is_empty() {
        let mut set = subject.expect_tag(SET_TAG)?;
        while !set.0.is_empty() {
            let mut attribute = set.expect_tag(SEQUENCE_TAG)?;
            let id = attribute.expect_tag(OBJECT_ID)?;
            let (_, value) = attribute.next()?;
            if id.0 == COMMON_NAME {
                names.push(String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    Some(names)
}

fn has_extension(mut extensions: DerReader<'_>, wanted: [u8; 3]) -> Option<bool> {
    while !extensions.0.is_empty() {
        let mut extension = extensions.expect_tag(SEQUENCE_TAG)?;
        if extension.expect_tag(OBJECT_ID)?.0 == wanted {
            return Some(true);
        }
    }
    Some(false)
}

/// Reads a time as certificates write it: always in UTC, always with seconds.
fn time((tag, digits): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut parts = [0_i8; 5];
    for (index, part) in parts.iter_mut().enumerate() {
        *part = rest.get(index * 2..index * 2 + 2)?.parse().ok()?;
    }
    let [month, day, hour, minute, second] = parts;
    let time = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// What is left to read.
struct DerReader<'a>(&'a [u8]);

impl<'a> DerReader<'a> {
    /// Reads the next value with its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if !(1..=4).contains(&count) {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(count)?;
            rest = after;
            bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// Reads the next value, which must have this tag.
    fn expect_tag(&mut self, tag: u8) -> Option<DerReader<'a>> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| DerReader(value))
    }

    fn optional_tag(&mut self, tag: u8) -> Option<DerReader<'a>> {
        if self.0.first() == Some(&tag) { self.expect_tag(tag) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::tls::tests::{AUTHORITY, EXPIRED, NAMED, NAMELESS};

    #[test]
    fn dates_and_names_are_read() {
        let nameless = Certificate::parse(&NAMELESS).unwrap();
        assert_eq!((nameless.common_names, nameless.lists_names), (vec!["localhost".to_owned()], false));
        assert!(nameless.not_after > nameless.not_before);
        assert!(Certificate::parse(&NAMED).unwrap().lists_names && Certificate::parse(&AUTHORITY).unwrap().lists_names);
        assert_eq!(Certificate::parse(&EXPIRED).unwrap().not_after, 1_583_020_800);
    }

    #[test]
    fn a_certificate_cut_anywhere_is_none_and_breaks_nothing() {
        for end in 0..NAMELESS.len() {
            assert_eq!(Certificate::parse(&NAMELESS[..end]), None, "{end}");
        }
        assert_eq!(time((UTC_TIME, b"260230000000Z")), None);
        assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(time((GENERALIZED_TIME, b"20500101000000Z")), Some(2_524_608_000));
    }
}
