//! What a screen does itself in the working folder: it finds and reads what a prompt mentions.

use std::path::PathBuf;

use super::Runtime;
use crate::net::redact_registered;
use crate::tool::mention;
pub use crate::tool::mention::MentionedFiles;

/// The working folder of a screen. What the session's agent may do is none of its business.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub folder: PathBuf,
}

impl Workspace {
    /// Returns the paths that a mention may name that begins like this. Blocks.
    pub fn list_paths(&self, typed: &str) -> Vec<String> {
        mention::list_paths(&self.folder, typed)
    }

    /// Reads what a prompt mentions, without the secrets of this program. Blocks.
    pub fn read_mentions(&self, prompt: &str) -> MentionedFiles {
        let mut read = mention::read_mentions(&self.folder, prompt);
        read.context.iter_mut().for_each(|part| redact_registered(&mut part.text));
        read
    }
}

impl Runtime {
    pub fn workspace(&self) -> Workspace {
        Workspace { folder: self.folder.clone() }
    }
}
