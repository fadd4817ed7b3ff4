//! Sets of ASCII characters that keys are made of.

/// A set of ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteClass(u128);

impl ByteClass {
    pub(super) const ALNUM: Self = Self::of("A-Za-z0-9");
    pub(super) const WORD: Self = Self::of("A-Za-z0-9_");
    pub(super) const DASHED: Self = Self::of("A-Za-z0-9_-");
    pub(super) const DOTTED: Self = Self::of("A-Za-z0-9_.-");
    pub(super) const HEX: Self = Self::of("0-9a-f");
    pub(super) const HEX_DASHED: Self = Self::of("0-9A-Fa-f-");
    pub(super) const UPPER: Self = Self::of("A-Z0-9");
    pub(super) const LOWER: Self = Self::of("a-z0-9");
    pub(super) const BASE64: Self = Self::of("A-Za-z0-9+/=");
    /// What a token of RFC 6750 is made of.
    pub(super) const TOKEN: Self = Self::of("A-Za-z0-9._~+/=-");

    /// Reads a set as `a-z0-9_`; a `-` at the end is itself.
    pub(super) const fn of(spec: &str) -> Self {
        let bytes = spec.as_bytes();
        let (mut set, mut at) = (0u128, 0);
        while at < bytes.len() {
            let (from, to) = if at + 2 < bytes.len() && bytes[at + 1] == b'-' {
                at += 2;
                (bytes[at - 2], bytes[at])
            } else {
                (bytes[at], bytes[at])
            };
            let mut byte = from;
            while byte <= to {
                set |= 1 << byte;
                byte += 1;
            }
            at += 1;
        }
        Self(set)
    }

    pub(super) const fn contains(self, byte: u8) -> bool {
        byte < 128 && self.0 >> byte & 1 == 1
    }

    /// Adds the characters from one to another.
    pub(super) fn with_range(self, from: u8, to: u8) -> Self {
        (from..=to.min(127)).fold(self, |set, byte| Self(set.0 | 1 << byte))
    }

    pub(super) const fn empty() -> Self {
        Self(0)
    }

    /// Returns where the run ends that begins at `from`, at most at `limit`.
    pub(super) fn run_end(self, text: &[u8], from: usize, limit: usize) -> usize {
        let limit = limit.min(text.len());
        let run = text.get(from..limit).unwrap_or_default();
        from + run.iter().position(|byte| !self.contains(*byte)).unwrap_or(run.len())
    }

    /// Returns its characters in order.
    pub(super) fn characters(self) -> Vec<u8> {
        (0..128).filter(|byte| self.contains(*byte)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_with_its_ranges() {
        assert_eq!(ByteClass::of("a-c_-").characters(), b"-_abc");
        assert_eq!(ByteClass::empty().with_range(b'0', b'3').characters(), b"0123");
        assert!(!ByteClass::DASHED.contains(0xc3));
    }

    #[test]
    fn a_run_ends_where_the_set_does() {
        assert_eq!(ByteClass::HEX.run_end(b"x12fz", 1, 99), 4);
        assert_eq!(ByteClass::HEX.run_end(b"x12fz", 1, 2), 2);
        assert_eq!(ByteClass::HEX.run_end(b"x", 1, 9), 1);
    }
}
