//! What the text in the composer may become, and which of it is chosen: a command, or the path of a file.

use crate::store::action_table::SlashCommand;
use crate::store::slash;
use crate::text::fuzzy::FuzzyQuery;
use crate::text::mention::{open_mention, write_mention};

/// What can take the place of what was typed. Gone once the text is anything else.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    text: String,
    offered: Offered,
    selected: usize,
    /// The paths that a mention may name, as they were found last.
    paths: Vec<String>,
    /// The beginning of the mention for which paths are wanted and were not asked for.
    wanted_paths: Option<String>,
    is_closed: bool,
}

#[derive(Clone, Debug, Default)]
enum Offered {
    #[default]
    Nothing,
    Commands(Vec<&'static SlashCommand>),
    /// What was typed of the mention at the cursor, and what it may become.
    Paths {
        typed: String,
        found: Vec<String>,
    },
}

/// What is shown of it.
#[derive(Clone, Copy, Debug)]
pub enum Candidates<'a> {
    Commands(&'a [&'static SlashCommand]),
    Paths(&'a [String]),
}

/// What takes the place of what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The whole text.
    Command(String),
    /// The mention at the cursor.
    Mention(String),
}

/// Bytes of the longest text that can be a command.
const MAX_COMMAND_BYTES: usize = 64;
/// Paths that are compared letter by letter; the others have the letters too.
const MAX_RANKED_PATHS: usize = 2000;
/// Paths offered at once.
const MAX_SHOWN_PATHS: usize = 50;

impl Completion {
    /// Looks at the text again, and at the line up to the cursor; the choice starts over when it changed.
    pub fn update(&mut self, text: String, before_cursor: &str) {
        let typed = open_mention(before_cursor).map(|(_, typed)| typed);
        let known = match &self.offered {
            Offered::Paths { typed, .. } => Some(typed.as_str()),
            Offered::Nothing | Offered::Commands(_) => None,
        };
        if text == self.text && typed == known {
            return;
        }
        // A mention that begins looks for what there is now; one that leads elsewhere, there.
        if let Some(typed) = typed
            && known.is_none_or(|known| folder_of(known) != folder_of(typed) && leads_outside(typed))
        {
            self.wanted_paths = Some(typed.to_owned());
        }
        self.is_closed &= text == self.text;
        self.offered = match typed {
            Some(typed) => Offered::Paths { found: find_paths(&self.paths, typed), typed: typed.to_owned() },
            None if text.len() <= MAX_COMMAND_BYTES => Offered::Commands(slash::complete(&text)),
            None => Offered::Nothing,
        };
        self.text = text;
        self.selected = 0;
    }

    /// Returns the beginning of the mention for which paths are to be found, once.
    pub fn take_wanted_paths(&mut self) -> Option<String> {
        self.wanted_paths.take()
    }

    /// Takes the paths that there are.
    pub fn set_paths(&mut self, paths: Vec<String>) {
        self.paths = paths;
        if let Offered::Paths { typed, found } = &mut self.offered {
            *found = find_paths(&self.paths, typed);
            self.selected = 0;
        }
    }

    pub fn candidates(&self) -> Candidates<'_> {
        match &self.offered {
            _ if self.is_closed => Candidates::Commands(&[]),
            Offered::Nothing => Candidates::Commands(&[]),
            Offered::Commands(commands) => Candidates::Commands(commands),
            Offered::Paths { found, .. } => Candidates::Paths(found),
        }
    }

    pub fn selected(&self) -> usize {
        self.selected
    }

    pub fn is_open(&self) -> bool {
        !self.candidates().is_empty()
    }

    /// Tells whether it offers paths of which none was typed in full: Enter takes one before it sends.
    pub fn takes_enter(&self) -> bool {
        match (&self.offered, self.candidates()) {
            (Offered::Paths { typed, .. }, Candidates::Paths(found)) => {
                found.get(self.selected).is_some_and(|chosen| chosen != typed)
            }
            _ => false,
        }
    }

    /// Sends the offers away until the text changes.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.wanted_paths = None;
        self.selected = 0;
    }

    pub fn up(&mut self) {
        self.selected = self.selected.checked_sub(1).unwrap_or(self.candidates().len().saturating_sub(1));
    }

    pub fn down(&mut self) {
        self.selected = (self.selected + 1) % self.candidates().len().max(1);
    }

    /// Returns the chosen one in full. After a folder one can go on to what is in it.
    pub fn take(&self) -> Option<Completed> {
        match self.candidates() {
            Candidates::Commands(commands) => {
                let command = commands.get(self.selected)?;
                let space = if command.argument.is_empty() { "" } else { " " };
                Some(Completed::Command(format!("/{}{space}", command.name)))
            }
            Candidates::Paths(paths) => {
                let path = paths.get(self.selected)?;
                let mention = write_mention(path);
                Some(Completed::Mention(match mention.strip_suffix("/\"") {
                    Some(open) => format!("{open}/"),
                    None if path.ends_with('/') => mention,
                    None => format!("{mention} "),
                }))
            }
        }
    }
}

impl Candidates<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Commands(commands) => commands.len(),
            Self::Paths(paths) => paths.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn folder_of(typed: &str) -> &str {
    typed.rfind('/').map_or("", |slash| &typed[..=slash])
}

fn leads_outside(typed: &str) -> bool {
    typed.starts_with(['/', '~']) || typed.starts_with("..")
}

/// Returns the paths that fit, the best first. What has not all letters in their order is sorted out cheaply.
fn find_paths(paths: &[String], typed: &str) -> Vec<String> {
    if typed.is_empty() {
        return paths.iter().take(MAX_SHOWN_PATHS).cloned().collect();
    }
    let is_exact = |path: &&String| path.starts_with(typed);
    let candidates: Vec<&String> =
        paths.iter().filter(|path| has_letters(path, typed)).take(MAX_RANKED_PATHS).collect();
    let ranked = FuzzyQuery::new(typed).rank(&candidates);
    let mut found: Vec<&String> = ranked.into_iter().filter_map(|nth| candidates.get(nth).copied()).collect();
    // What begins so is what is being typed.
    found.sort_by_key(|path| !is_exact(path));
    found.into_iter().take(MAX_SHOWN_PATHS).cloned().collect()
}

fn has_letters(text: &str, wanted: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    wanted
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| !c.is_whitespace())
        .all(|c| letters.any(|letter| letter == c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(completion: &mut Completion, text: &str) {
        completion.update(text.to_owned(), text);
    }

    fn shown(completion: &Completion) -> Vec<&str> {
        match completion.candidates() {
            Candidates::Paths(paths) => paths.iter().map(String::as_str).collect(),
            Candidates::Commands(commands) => commands.iter().map(|command| command.name).collect(),
        }
    }

    #[test]
    fn paths_are_asked_for_once_and_found_by_some_letters() {
        let mut completion = Completion::default();
        typed(&mut completion, "see @");
        assert_eq!(completion.take_wanted_paths().as_deref(), Some(""));
        assert!(!completion.is_open() && completion.take_wanted_paths().is_none());
        completion
            .set_paths(["README.md", "src/", "src/app/", "src/app/chat.rs", "a b.md"].map(str::to_owned).to_vec());
        assert_eq!(shown(&completion).len(), 5);
        typed(&mut completion, "see @chat");
        assert_eq!(shown(&completion), ["src/app/chat.rs"]);
        assert_eq!(completion.take(), Some(Completed::Mention("@src/app/chat.rs ".into())));
        typed(&mut completion, "see @src/");
        assert_eq!(shown(&completion).first(), Some(&"src/"));
        assert!(!completion.takes_enter(), "it is written in full");
        completion.down();
        assert!(completion.takes_enter());
        typed(&mut completion, "see @ab");
        assert_eq!(completion.take(), Some(Completed::Mention("@\"a b.md\" ".into())));
        assert!(completion.take_wanted_paths().is_none(), "the list is there");
        typed(&mut completion, "see @/etc/");
        assert_eq!(completion.take_wanted_paths().as_deref(), Some("/etc/"));
        typed(&mut completion, "see @/etc/ho");
        assert!(completion.take_wanted_paths().is_none(), "the same folder");
    }

    #[test]
    fn what_is_sent_away_comes_back_with_the_next_letter() {
        let mut completion = Completion::default();
        typed(&mut completion, "/mo");
        assert_eq!(shown(&completion), ["model", "mode"]);
        completion.close();
        assert!(!completion.is_open() && completion.take().is_none());
        typed(&mut completion, "/mod");
        assert!(completion.is_open());
        typed(&mut completion, "hello");
        assert!(!completion.is_open());
    }
}
