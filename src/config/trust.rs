//! PURE. Trusted projects: the folder and the exact text of its settings.
//!
//! Any change of the text requires trust again, so that a later commit can't sneak in settings.

use serde::{Deserialize, Serialize};

/// The list as kept in `trusted.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustList {
    #[serde(default, rename = "folder", skip_serializing_if = "Vec::is_empty")]
    folders: Vec<TrustedFolder>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustedFolder {
    /// Canonical.
    path: String,
    content: String,
}

impl TrustList {
    /// Parses the list; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    pub fn to_text(&self) -> Result<String, String> {
        let list = toml::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("# Projects whose settings were accepted with `jarvis-tui config trust`.\n{list}"))
    }

    pub fn trusts(&self, path: &str, content: &str) -> bool {
        self.folders.iter().any(|folder| folder.path == path && folder.content == content)
    }

    /// Trusts this text for this folder, replacing any earlier one.
    pub fn add(&mut self, path: &str, content: &str) {
        self.remove(path);
        self.folders.push(TrustedFolder { path: path.to_owned(), content: content.to_owned() });
    }

    /// Returns whether the folder was in the list.
    pub fn remove(&mut self, path: &str) -> bool {
        let before = self.folders.len();
        self.folders.retain(|folder| folder.path != path);
        self.folders.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_for_one_folder_and_one_text() {
        let mut list = TrustList::default();
        let text = "model = \"x\"\r\n# '''\"\"\" é\u{1b}\n";
        list.add("/a", text);
        let list = TrustList::parse(&list.to_text().unwrap()).unwrap();
        assert!(list.trusts("/a", text));
        assert!(!list.trusts("/a", "model = \"x\"") && !list.trusts("/a/b", text) && !list.trusts("/", text));
    }

    #[test]
    fn trusting_again_replaces_and_removing_forgets() {
        let mut list = TrustList::default();
        list.add("/a", "1");
        list.add("/a", "2");
        assert!(!list.trusts("/a", "1") && list.trusts("/a", "2"));
        assert!(list.remove("/a") && !list.remove("/a"));
        assert_eq!(TrustList::parse(&list.to_text().unwrap()), Ok(TrustList::default()));
    }

    #[test]
    fn a_broken_list_is_an_error() {
        assert!(TrustList::parse("folder = 1").is_err());
        assert!(TrustList::parse("x = 1").is_err());
    }
}
