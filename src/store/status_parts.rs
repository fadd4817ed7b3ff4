//! What the two lowest rows of the screen tell, as the person wants it.
//!
//! Not here: how it is told (`ui/panes/status_line.rs`, `ui/panes/usage_bar.rs`). The mode, the link, what waits and what
//! is wrong are no parts: they are always told.

/// A part that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPart {
    Model,
    Effort,
    Folder,
    /// The branch, or the host of what answers elsewhere.
    Branch,
    Grants,
    Queue,
    Keys,
    Context,
    Tokens,
    Cost,
    /// How long the first token took.
    FirstToken,
    Rate,
    /// How long the turn takes or took.
    Time,
}

/// Some of them; a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusParts(u16);

impl StatusPart {
    pub const ALL: [Self; 13] = [
        Self::Model,
        Self::Effort,
        Self::Folder,
        Self::Branch,
        Self::Grants,
        Self::Queue,
        Self::Keys,
        Self::Context,
        Self::Tokens,
        Self::Cost,
        Self::FirstToken,
        Self::Rate,
        Self::Time,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Effort => "effort",
            Self::Folder => "folder",
            Self::Branch => "branch",
            Self::Grants => "grants",
            Self::Queue => "queue",
            Self::Keys => "keys",
            Self::Context => "context",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::FirstToken => "first-token",
            Self::Rate => "rate",
            Self::Time => "time",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

impl StatusParts {
    pub fn all() -> Self {
        StatusPart::ALL.into_iter().collect()
    }

    pub fn has(self, part: StatusPart) -> bool {
        self.0 & (1 << part as u16) != 0
    }

    /// Returns these with the part where it was not, and without it where it was.
    #[must_use]
    pub fn toggled(self, part: StatusPart) -> Self {
        Self(self.0 ^ (1 << part as u16))
    }

    pub fn iter(self) -> impl Iterator<Item = StatusPart> {
        StatusPart::ALL.into_iter().filter(move |part| self.has(*part))
    }
}

impl Default for StatusParts {
    fn default() -> Self {
        Self::all()
    }
}

impl FromIterator<StatusPart> for StatusParts {
    fn from_iter<I: IntoIterator<Item = StatusPart>>(parts: I) -> Self {
        Self(parts.into_iter().fold(0, |set, part| set | 1 << part as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_taken_out_and_put_back_by_its_name() {
        for part in StatusPart::ALL {
            assert_eq!(StatusPart::parse(part.name()), Some(part));
            let without = StatusParts::all().toggled(part);
            assert!(!without.has(part) && without.iter().count() == StatusPart::ALL.len() - 1);
            assert_eq!(without.toggled(part), StatusParts::all());
        }
    }
}
