//! The saved sessions that the picker offers.

use crate::event::SessionId;

/// A saved session, as far as a person chooses by it. All texts are raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionChoice {
    pub id: SessionId,
    /// The first line of its first prompt; none before that.
    pub title: Option<String>,
    pub folder: String,
    /// Who answered last, in words.
    pub engine: String,
    /// When it was last used, in words.
    pub age: String,
}

impl SessionChoice {
    /// Returns what a query looks at.
    pub fn searched_text(&self) -> String {
        let title = self.title.as_deref().unwrap_or_default();
        format!("{title} {} {} {} {}", self.folder, self.engine, self.age, self.id)
    }
}
