//! Where the session takes place, as this screen was told: beside the events, for they don't say it.

/// What the program that shows a session knows of its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workplace {
    /// The id of the session.
    pub session: String,
    /// Host and port of what answers, where the session is attached.
    pub host: Option<String>,
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

impl Workplace {
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
