//! What the text in the composer may become, and which of it is chosen: a command, what follows it, or the path of a
//! file.

use crate::store::Store;
use crate::store::action_table::SlashCommand;
use crate::store::argument_values::{ArgumentValue, ValueList, argument_values, unknown_values};
use crate::store::command_argument::Argument;
use crate::store::slash::{self, CommandOffer};
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
    /// What has to be found before it can be offered, and was not asked for.
    wanted: Option<WantedList>,
    /// What was asked for since the text began to name a value.
    asked: Vec<ValueList>,
    /// For which server prompts were asked for since the text began to name a command; the empty one is any.
    asked_server: Option<String>,
    /// The person moved the choice.
    is_moved: bool,
    is_closed: bool,
}

#[derive(Clone, Debug, Default)]
enum Offered {
    #[default]
    Nothing,
    Commands(Vec<CommandOffer>),
    /// What was typed of the mention at the cursor, and what it may become.
    Paths {
        typed: String,
        found: Vec<String>,
    },
    /// What was typed of the argument of a command, and what it may become.
    Values {
        command: &'static SlashCommand,
        typed: String,
        found: Vec<ArgumentValue>,
    },
}

/// Something that only the disk, a server or the saved sessions can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedList {
    /// Paths that begin like this.
    Paths(String),
    /// The prompts that servers write; one may be named.
    ServerPrompts(Option<String>),
    Values(ValueList),
}

/// What is shown of it.
#[derive(Clone, Copy, Debug)]
pub enum Candidates<'a> {
    Commands(&'a [CommandOffer]),
    Paths(&'a [String]),
    Values(&'a [ArgumentValue]),
}

/// What takes the place of what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The whole text.
    Command(String),
    /// The mention at the cursor.
    Mention(String),
}

/// Bytes of the longest text that can be a command, and of one with what follows it.
const MAX_COMMAND_BYTES: usize = 64;
const MAX_ARGUMENT_BYTES: usize = 400;
/// Paths that are compared letter by letter; the others have the letters too.
const MAX_RANKED_PATHS: usize = 2000;
/// Paths offered at once.
const MAX_SHOWN_PATHS: usize = 50;

impl Completion {
    /// Looks at the text again, and at the line up to the cursor; the choice starts over when it changed.
    pub fn update(&mut self, text: String, before_cursor: &str, store: &Store) {
        let argument = Some(&text).filter(|text| text.len() <= MAX_ARGUMENT_BYTES && *text == before_cursor);
        if let Some((command, typed)) = argument.and_then(|text| slash::begun_argument(text)) {
            let typed = typed.to_owned();
            return self.offer_values(text, command, typed, store);
        }
        self.asked.clear();
        self.want_prompts(&text, store);
        let typed = open_mention(before_cursor).map(|(_, typed)| typed);
        let known = match &self.offered {
            Offered::Paths { typed, .. } => Some(typed.as_str()),
            Offered::Nothing | Offered::Commands(_) | Offered::Values { .. } => None,
        };
        if text == self.text && typed == known {
            return;
        }
        if let Some(typed) = typed
            && is_elsewhere(known, typed)
        {
            self.wanted = Some(WantedList::Paths(typed.to_owned()));
        }
        let offered = match typed {
            Some(typed) => Offered::Paths { found: find_paths(&self.paths, typed), typed: typed.to_owned() },
            None if text.len() <= MAX_COMMAND_BYTES => Offered::Commands(slash::complete(&text, &store.user_commands)),
            None => Offered::Nothing,
        };
        self.offer(text, offered);
    }

    /// Asks for the prompts of servers once a command begins, and once it names a server.
    fn want_prompts(&mut self, text: &str, store: &Store) {
        let begun = text.strip_prefix('/').filter(|begun| !begun.contains(|c: char| c.is_whitespace() || c == '/'));
        let Some(begun) = begun.filter(|_| !store.server_names.is_empty()) else {
            self.asked_server = None;
            return;
        };
        let named = begun.split_once(':').map_or("", |(name, _)| name);
        let server = store.server_names.iter().find(|known| known.eq_ignore_ascii_case(named));
        let named = server.map_or("", String::as_str);
        if self.asked_server.as_deref() != Some(named) {
            self.asked_server = Some(named.to_owned());
            self.wanted = Some(WantedList::ServerPrompts(server.cloned()));
        }
    }

    /// Has the offers made anew of the same text.
    pub fn forget(&mut self) {
        self.text.clear();
        self.offered = Offered::Nothing;
    }

    fn offer(&mut self, text: String, offered: Offered) {
        self.is_closed &= text == self.text;
        (self.text, self.offered) = (text, offered);
        (self.selected, self.is_moved) = (0, false);
    }

    /// Offers what may follow a command; what is not known yet is asked for once.
    fn offer_values(&mut self, text: String, command: &'static SlashCommand, typed: String, store: &Store) {
        let (is_same_text, known) = match &self.offered {
            Offered::Values { command: known, typed, .. } if known.name == command.name => {
                (text == self.text, Some(typed.as_str()))
            }
            _ => (false, None),
        };
        if command.argument == Argument::File && is_elsewhere(known, &typed) {
            self.wanted = Some(WantedList::Paths(typed.clone()));
        }
        if let Some(list) = unknown_values(store, command.argument).filter(|list| !self.asked.contains(list)) {
            self.asked.push(list);
            self.wanted = Some(WantedList::Values(list));
        }
        let found = match command.argument {
            Argument::File => {
                find_paths(&self.paths, &typed).into_iter().map(|path| ArgumentValue::new(path, "")).collect()
            }
            argument => find_values(argument_values(store, argument), &typed),
        };
        let is_same = is_same_text && matches!(&self.offered, Offered::Values { found: shown, .. } if *shown == found);
        if !is_same {
            self.offer(text, Offered::Values { command, typed, found });
        }
    }

    /// Returns what is to be found, once.
    pub fn take_wanted(&mut self) -> Option<WantedList> {
        self.wanted.take()
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
            Offered::Values { found, .. } => Candidates::Values(found),
        }
    }

    /// Returns the one that stands out; none where Enter takes none.
    pub fn selected(&self) -> Option<usize> {
        let is_chosen = self.is_moved || !matches!(self.offered, Offered::Values { .. }) || self.replaces_argument();
        is_chosen.then_some(self.selected)
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

    /// Tells whether Enter takes the chosen value in place of what was typed of it: the person chose it, or there is no
    /// other way to read what was typed.
    pub fn replaces_argument(&self) -> bool {
        let (Offered::Values { command, typed, found }, false) = (&self.offered, self.is_closed) else { return false };
        let is_one_of_them = !matches!(
            command.argument,
            Argument::File | Argument::Answer | Argument::AttachTarget | Argument::Recording
        );
        let is_begun =
            is_one_of_them && !typed.is_empty() && !found.is_empty() && found.iter().all(|known| known.value != *typed);
        self.is_moved || is_begun
    }

    /// Sends the offers away until the text changes.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.wanted = None;
        (self.selected, self.is_moved) = (0, false);
    }

    pub fn up(&mut self) {
        self.selected = self.selected.checked_sub(1).unwrap_or(self.candidates().len().saturating_sub(1));
        self.is_moved = true;
    }

    pub fn down(&mut self) {
        // Where none is chosen yet, it is the first.
        let next = if self.selected().is_some() { self.selected + 1 } else { 0 };
        self.selected = next % self.candidates().len().max(1);
        self.is_moved = true;
    }

    /// Returns the chosen one in full. After a folder one can go on to what is in it.
    pub fn take(&self) -> Option<Completed> {
        match self.candidates() {
            Candidates::Commands(commands) => {
                let command = commands.get(self.selected)?;
                let space = if command.argument.is_empty() { "" } else { " " };
                Some(Completed::Command(format!("/{}{space}", command.name)))
            }
            Candidates::Values(values) => {
                let Offered::Values { command, .. } = &self.offered else { return None };
                let value = &values.get(self.selected)?.value;
                Some(Completed::Command(format!("/{} {value}", command.name)))
            }
            Candidates::Paths(paths) => {
                let path = paths.get(self.selected)?;
                let mention = write_mention(path);
                Some(Completed::Mention(match mention.strip_suffix("/\"") {
                    Some(open) => format!("{open}/"),
                    None if path.ends_with('/') || path.ends_with(':') => format!("@{path}"),
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
            Self::Values(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Tells whether paths have to be looked for: a mention that begins looks for what there is now; one that leads
/// elsewhere, there.
fn is_elsewhere(known: Option<&str>, typed: &str) -> bool {
    let server = |typed: &str| typed.split_once(':').map(|(name, _)| name.to_owned());
    known.is_none_or(|known| {
        folder_of(known) != folder_of(typed) && leads_outside(typed) || server(known) != server(typed)
    })
}

/// Returns the values that fit what was typed, those first that begin so; none where there is nothing left to type.
fn find_values(values: Vec<ArgumentValue>, typed: &str) -> Vec<ArgumentValue> {
    if typed.is_empty() {
        return values;
    }
    let places = FuzzyQuery::new(&typed.to_lowercase()).rank(values.iter().map(|known| known.value.as_str()));
    let mut found: Vec<ArgumentValue> = places.into_iter().filter_map(|place| values.get(place).cloned()).collect();
    found.sort_by_key(|known| !known.value.starts_with(typed));
    if matches!(found.as_slice(), [only] if only.value == typed) { Vec::new() } else { found }
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
    use crate::store::models::ModelChoice;

    fn typed(completion: &mut Completion, text: &str) {
        completion.update(text.to_owned(), text, &Store::default());
    }

    fn shown(completion: &Completion) -> Vec<&str> {
        match completion.candidates() {
            Candidates::Paths(paths) => paths.iter().map(String::as_str).collect(),
            Candidates::Commands(commands) => commands.iter().map(|command| command.name.as_str()).collect(),
            Candidates::Values(values) => values.iter().map(|known| known.value.as_str()).collect(),
        }
    }

    fn wanted_paths(completion: &mut Completion) -> Option<String> {
        match completion.take_wanted() {
            Some(WantedList::Paths(typed)) => Some(typed),
            _ => None,
        }
    }

    #[test]
    fn paths_are_asked_for_once_and_found_by_some_letters() {
        let mut completion = Completion::default();
        typed(&mut completion, "see @");
        assert_eq!(wanted_paths(&mut completion).as_deref(), Some(""));
        assert!(!completion.is_open() && wanted_paths(&mut completion).is_none());
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
        assert!(wanted_paths(&mut completion).is_none(), "the list is there");
        typed(&mut completion, "see @/etc/");
        assert_eq!(wanted_paths(&mut completion).as_deref(), Some("/etc/"));
        typed(&mut completion, "see @/etc/ho");
        assert!(wanted_paths(&mut completion).is_none(), "the same folder");
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

    #[test]
    fn what_follows_a_command_is_offered_and_taken() {
        let mut completion = Completion::default();
        typed(&mut completion, "/mode ");
        assert_eq!(shown(&completion), ["ask", "auto-edit", "plan", "full"]);
        assert!(completion.selected().is_none() && !completion.replaces_argument(), "Enter lists them");
        assert_eq!(completion.take(), Some(Completed::Command("/mode ask".into())), "Tab takes the first");
        completion.down();
        completion.down();
        assert!(completion.replaces_argument());
        assert_eq!(completion.take(), Some(Completed::Command("/mode auto-edit".into())));
        typed(&mut completion, "/mode pl");
        assert_eq!((shown(&completion), completion.selected()), (vec!["plan"], Some(0)));
        assert!(completion.replaces_argument());
        typed(&mut completion, "/mode plan");
        assert!(!completion.is_open() && !completion.replaces_argument());
        typed(&mut completion, "/TIMES r");
        assert_eq!(completion.take(), Some(Completed::Command("/timestamps relative".into())));
        for other in ["/help me", "/search a", "/mode plan now", "/usr/bin x", "/mode plan\n"] {
            typed(&mut completion, other);
            assert!(!completion.is_open(), "{other}");
        }
    }

    #[test]
    fn what_is_not_known_is_asked_for_once_and_offered_when_it_comes() {
        let (mut completion, mut store) = (Completion::default(), Store::default());
        let look = |completion: &mut Completion, store: &Store| {
            completion.update("/model q".into(), "/model q", store);
            completion.take_wanted()
        };
        assert_eq!(look(&mut completion, &store), Some(WantedList::Values(ValueList::Models)));
        assert_eq!((look(&mut completion, &store), completion.is_open()), (None, false));
        let models = ["ollama/qwen3", "openai/gpt-4o"].map(|name| ModelChoice::new(name, "a remark"));
        store.session.models = Some(models.to_vec());
        assert_eq!(look(&mut completion, &store), None);
        assert_eq!(shown(&completion), ["ollama/qwen3"]);
    }

    #[test]
    fn a_file_is_completed_and_a_new_one_is_left_as_it_was_typed() {
        let mut completion = Completion::default();
        typed(&mut completion, "/frames sr");
        assert_eq!(wanted_paths(&mut completion).as_deref(), Some("sr"));
        completion.set_paths(vec!["src/".into(), "a.jsonl".into()]);
        typed(&mut completion, "/frames sr");
        assert_eq!(shown(&completion), ["src/"]);
        assert!(!completion.replaces_argument());
        assert_eq!(completion.take(), Some(Completed::Command("/frames src/".into())));
    }
}
