//! The shape of most keys: a prefix, then so many characters of a set.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::byte_class::ByteClass;

/// What stands behind a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) class: ByteClass,
    pub(super) min: usize,
    /// A longer run is something else.
    pub(super) max: usize,
    /// Whether the prefix alone says little, so that there must be digits and letters.
    pub(super) needs_mixture: bool,
}

/// A shape of the settings: a prefix and one set with a count, written as a regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomShape {
    pub kind: String,
    pub(super) prefix: String,
    pub(super) shape: Shape,
}

/// Why a shape of the settings is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("{0:?} is no regular expression: {1}")]
    NoRegex(String, String),
    #[error(
        "{0:?} has to be a prefix of at least 3 characters and one set with a count, such as acme_[A-Za-z0-9]{{24,}}"
    )]
    OtherForm(String),
    #[error("{0:?} allows fewer than 8 characters behind its prefix, or other than ASCII ones")]
    TooWide(String),
}

/// Characters that a prefix of the settings must have.
const MIN_PREFIX_BYTES: usize = 3;
const MIN_RUN_BYTES: u32 = 8;

impl CustomShape {
    /// Reads a shape such as `acme_[A-Za-z0-9]{24,}`. `kind` is what its secrets are called.
    pub fn parse(kind: &str, pattern: &str) -> Result<Self, ShapeError> {
        let other = || ShapeError::OtherForm(pattern.to_owned());
        let hir = regex_syntax::Parser::new()
            .parse(pattern)
            .map_err(|error| ShapeError::NoRegex(pattern.to_owned(), first_line(&error.to_string())))?;
        let HirKind::Concat(parts) = hir.kind() else { return Err(other()) };
        let [prefix, run] = parts.as_slice() else { return Err(other()) };
        let HirKind::Literal(prefix) = prefix.kind() else { return Err(other()) };
        let prefix = String::from_utf8(prefix.0.to_vec()).map_err(|_| other())?;
        let HirKind::Repetition(run) = run.kind() else { return Err(other()) };
        if prefix.len() < MIN_PREFIX_BYTES {
            return Err(other());
        }
        let class = class_of(&run.sub).ok_or_else(|| ShapeError::TooWide(pattern.to_owned()))?;
        if run.min < MIN_RUN_BYTES {
            return Err(ShapeError::TooWide(pattern.to_owned()));
        }
        let max = run.max.map_or(usize::MAX, |max| max as usize);
        let shape = Shape { class, min: run.min as usize, max, needs_mixture: false };
        Ok(Self { kind: kind.to_owned(), prefix, shape })
    }
}

/// Returns a set of ASCII characters; none if it has others.
fn class_of(hir: &Hir) -> Option<ByteClass> {
    let HirKind::Class(class) = hir.kind() else { return None };
    let mut set = ByteClass::empty();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                set = set.with_range(ascii(range.start())?, ascii(range.end())?);
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                set = set.with_range(range.start(), Some(range.end()).filter(u8::is_ascii)?);
            }
        }
    }
    let is_blank = [b' ', b'\n', b'"', b'\\'].iter().any(|byte| set.contains(*byte));
    (!is_blank).then_some(set)
}

fn ascii(c: char) -> Option<u8> {
    u8::try_from(c).ok().filter(u8::is_ascii)
}

fn first_line(error: &str) -> String {
    error.lines().rfind(|line| line.starts_with("error:")).unwrap_or("it can't be read").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_of_the_settings_is_a_prefix_and_a_set() {
        let shape = CustomShape::parse("acme", "acme_[A-Za-z0-9]{24,}").unwrap();
        assert_eq!(shape.prefix, "acme_");
        assert_eq!((shape.shape.min, shape.shape.max), (24, usize::MAX));
        assert_eq!(CustomShape::parse("x", "corp-[0-9a-f]{32}").unwrap().shape.max, 32);
    }

    #[test]
    fn other_forms_are_refused_with_what_is_taken() {
        for pattern in ["[a-z]{20}", "ab[a-z]{20}", "acme_", "acme_[a-z]{3}", "acme_.{20}", "acme_(", "(a|b)[a-z]{20}"]
        {
            let error = CustomShape::parse("x", pattern).unwrap_err().to_string();
            assert!(error.contains(pattern), "{error}");
        }
    }
}
