//! Where the session takes place, as this screen was told: beside the events, for they don't say it.

/// What the program that shows a session knows of its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workplace {
    /// The id of the session.
    pub session: String,
    /// Host and port of what answers, where the session is attached.
    pub host: Option<String>,
    /// How it is attached; none where the session runs in this program.
    pub attachment: Option<Attachment>,
    /// What may be attached to by name, each with what it is.
    pub attach_targets: Vec<(String, String)>,
    /// The keys that the settings name: the setting, where the key is looked for, and whether it is there.
    pub keys: Vec<(String, String, String)>,
    /// What the model is told before the conversation, unless the person says otherwise; empty where that isn't known.
    pub system_prompt: String,
    /// The branch that is checked out in the folder, or the beginning of a commit.
    pub branch: Option<String>,
    /// The person's home, which paths are shown below as `~`.
    pub home: String,
    /// The log of the session, where it is kept on this machine.
    pub session_log: Option<String>,
    pub program_log: String,
    pub config_file: String,
    /// What this program was built for, and the terminal.
    pub platform: String,
}

/// How a session is attached to what runs elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// What was typed behind `/attach`; none where the program was started for it.
    pub line: Option<String>,
    /// It goes on when this screen leaves.
    pub goes_on: bool,
}

impl Workplace {
    /// Returns the same for a session that is opened beside: what is the session's own is left out.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { session: String::new(), session_log: None, host: None, attachment: None, ..self.clone() }
    }

    /// Returns a path as people write it.
    pub fn display_path(&self, path: &str) -> String {
        match path.strip_prefix(&self.home) {
            Some(rest) if !self.home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => format!("~{rest}"),
            _ => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_at_home_is_written_with_a_tilde() {
        let place = Workplace { home: "/home/me".into(), ..Workplace::default() };
        let shown = ["/home/me", "/home/me/src", "/home/meme", "/"].map(|path| place.display_path(path));
        assert_eq!(shown, ["~", "~/src", "/home/meme", "/"]);
        assert_eq!(Workplace::default().display_path("/x"), "/x");
    }
}
