//! Commands that people write themselves: a Markdown file each, whose text becomes the prompt.
//!
//! The name is the file's. An optional front matter says what it does (`description`) and what may follow
//! (`argument-hint`), as in Claude Code's files (code.claude.com/docs, "slash commands"). Not here: where the files are and
//! who may write them (`config/user_commands.rs`).

use super::action_table::find_command;
use crate::event::McpPrompt;
use crate::text::front_matter::split_front_matter;
use crate::text::words::split_words;
use crate::text::{clean, one_line};

/// Cells of what a command says of itself.
const MAX_ABOUT_CELLS: usize = 120;
const MAX_HINT_CELLS: usize = 40;
const MAX_NAME_CHARS: usize = 60;
/// Bytes of a prompt that a command may make, for `$1` may stand in it more than once.
const MAX_PROMPT_BYTES: usize = 1 << 20;

/// A command of the person or of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCommand {
    pub name: String,
    pub about: String,
    /// What may follow; empty where nothing is said of it.
    pub argument_hint: String,
    /// Where it comes from, in words.
    pub source: String,
    body: String,
    /// A server writes the prompt, which has to be asked.
    is_of_server: bool,
}

impl UserCommand {
    /// A prompt of an MCP server.
    pub fn of_server(server: &str, prompt: &McpPrompt) -> Self {
        Self {
            name: one_line(&format!("{server}:{}", prompt.name).to_lowercase(), MAX_NAME_CHARS),
            about: one_line(&prompt.about, MAX_ABOUT_CELLS),
            argument_hint: one_line(&prompt.hint(), MAX_HINT_CELLS),
            source: format!("of the server {}", one_line(server, MAX_HINT_CELLS)),
            body: String::new(),
            is_of_server: true,
        }
    }

    pub fn is_of_server(&self) -> bool {
        self.is_of_server
    }

    /// Reads the text of a file; the error says why it is no command.
    pub fn parse(name: &str, text: &str, source: &str) -> Result<Self, String> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(is_name) {
            return Err("its name needs small letters, digits, - and _ only".into());
        }
        if find_command(name).is_some() {
            return Err(format!("/{name} is built in"));
        }
        let text = clean(text);
        let (facts, body) = split_front_matter(&text);
        let body = body.trim();
        if body.is_empty() {
            return Err("it has no text".into());
        }
        let fact =
            |key: &str, cells| facts.iter().find(|(known, _)| *known == key).map(|(_, value)| one_line(value, cells));
        let first_line =
            || one_line(body.lines().next().unwrap_or_default().trim_start_matches('#').trim(), MAX_ABOUT_CELLS);
        Ok(Self {
            name: name.to_owned(),
            about: fact("description", MAX_ABOUT_CELLS).filter(|about| !about.is_empty()).unwrap_or_else(first_line),
            argument_hint: fact("argument-hint", MAX_HINT_CELLS).unwrap_or_default(),
            source: source.to_owned(),
            body: body.to_owned(),
            is_of_server: false,
        })
    }

    /// Returns the prompt: `$ARGUMENTS` is what followed the command, `$1` to `$9` are its words, where quotes keep words
    /// together. What followed stands at the end if the text has no place for it.
    pub fn prompt(&self, arguments: &str) -> Result<String, String> {
        let words = split_words(arguments);
        let (mut prompt, mut rest, mut has_place) = (String::new(), self.body.as_str(), false);
        while let Some(at) = rest.find('$') {
            prompt.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let digit = behind.chars().next().and_then(|c| c.to_digit(10)).filter(|digit| *digit > 0);
            if let Some(after) = behind.strip_prefix("ARGUMENTS") {
                prompt.push_str(arguments);
                (rest, has_place) = (after, true);
            } else if let Some(nth) = digit {
                prompt.push_str(words.get(nth as usize - 1).map_or("", String::as_str));
                (rest, has_place) = (&behind[1..], true);
            } else {
                prompt.push('$');
                rest = behind;
            }
            if prompt.len() > MAX_PROMPT_BYTES {
                return Err(format!("/{} would make a prompt of more than {MAX_PROMPT_BYTES} bytes", self.name));
            }
        }
        prompt.push_str(rest);
        if !has_place && !arguments.is_empty() {
            prompt = format!("{}\n\n{arguments}", prompt.trim_end());
        }
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> UserCommand {
        UserCommand::parse("review", text, "commands/review.md").unwrap()
    }

    #[test]
    fn the_front_matter_says_what_it_does_and_the_rest_is_the_prompt() {
        let written =
            command("---\ndescription: \"Review a file\"\nargument-hint: FILE\nmodel: x\n---\n\nLook at $1.\n");
        assert_eq!((written.about.as_str(), written.argument_hint.as_str()), ("Review a file", "FILE"));
        assert_eq!(written.prompt("a.rs").as_deref(), Ok("Look at a.rs."));
        let bare = command("# Look at it\n\nand say what is wrong\n");
        assert_eq!((bare.about.as_str(), bare.argument_hint.as_str()), ("Look at it", ""));
        assert_eq!(command("---\nno end").prompt("").as_deref(), Ok("---\nno end"));
        assert_eq!(command("\u{1b}[31mred\u{1b}[0m text").prompt("").as_deref(), Ok("red text"));
    }

    #[test]
    fn arguments_go_to_their_places_once() {
        for (body, arguments, prompt) in [
            ("$1 and $2, all: $ARGUMENTS", "a b c", "a and b, all: a b c"),
            ("$1|$2|$3", "\"a b\" 'c d'", "a b|c d|"),
            ("$1|$2", "$2 $1", "$2|$1"),
            ("costs $0 and $x and $", "", "costs $0 and $x and $"),
            ("$10", "a", "a0"),
            ("no place", "for this", "no place\n\nfor this"),
            ("no place", "", "no place"),
            ("$1", "\"open end", "open end"),
            ("$ARGUMENTS", "\"kept as typed\"", "\"kept as typed\""),
        ] {
            assert_eq!(command(body).prompt(arguments).as_deref(), Ok(prompt), "{body} {arguments}");
        }
        assert!(command(&"$1".repeat(3000)).prompt(&"x".repeat(1000)).is_err());
    }

    #[test]
    fn a_name_is_plain_and_hides_nothing_that_is_built_in() {
        for (name, text, expected) in [
            ("model", "x", "/model is built in"),
            ("q", "x", "/q is built in"),
            ("a b", "x", "its name needs small letters, digits, - and _ only"),
            ("../x", "x", "its name needs small letters, digits, - and _ only"),
            ("", "x", "its name needs small letters, digits, - and _ only"),
            ("ok", " \n", "it has no text"),
        ] {
            assert_eq!(UserCommand::parse(name, text, "").unwrap_err(), expected, "{name}");
        }
    }
}
