//! What a command runs in turn, read from its words: shells, programs that run others, commands in strings.

use std::borrow::Cow;

use super::syntax::{Found, FoundCommand, Input, find_commands};
use super::words::Word;
use super::{CommandLine, CommandPart, MAX_DEPTH, MAX_LINE_BYTES};

/// How many programs that run others may stand before each other.
const MAX_WRAPPERS: usize = 32;
/// How many words behind such a program are looked at for the one that it runs, where its options aren't known.
const MAX_SKIPPED_WORDS: usize = 8;

const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "ksh", "mksh", "ash", "fish"];

/// A program whose last arguments are a command.
struct Wrapper {
    name: &'static str,
    /// Short options with an argument of their own.
    options: &'static str,
    /// Arguments before the command.
    arguments: usize,
    /// Whether the command is the same without it, but for its priority, time or group.
    is_neutral: bool,
}

const fn wrapper(name: &'static str, options: &'static str, arguments: usize, is_neutral: bool) -> Wrapper {
    Wrapper { name, options, arguments, is_neutral }
}

/// Options are those of the GNU and Linux programs and of bash.
const WRAPPERS: &[Wrapper] = &[
    wrapper("!", "", 0, true),
    wrapper("time", "fo", 0, true),
    wrapper("timeout", "ks", 1, true),
    wrapper("nice", "n", 0, true),
    wrapper("ionice", "cnpPu", 0, true),
    wrapper("nohup", "", 0, true),
    wrapper("setsid", "", 0, true),
    wrapper("stdbuf", "ioe", 0, true),
    wrapper("command", "", 0, true),
    wrapper("exec", "a", 0, true),
    wrapper("coproc", "", 0, true),
    wrapper("xargs", "IinPLldEas", 0, true),
    wrapper("builtin", "", 0, false),
    wrapper("busybox", "", 0, false),
    wrapper("chroot", "", 1, false),
    wrapper("doas", "uC", 0, false),
    wrapper("env", "uCS", 0, false),
    wrapper("flock", "wE", 1, false),
    wrapper("pkexec", "", 0, false),
    wrapper("runuser", "ugG", 0, false),
    wrapper("ssh", "bcDEeFIiJLlmOopQRSWw", 1, false),
    wrapper("strace", "abeopsuEIOPSX", 0, false),
    wrapper("su", "gGs", 1, false),
    wrapper("sudo", "CDghpRrTtUu", 0, false),
    wrapper("unshare", "", 0, false),
    wrapper("watch", "nq", 0, false),
];

/// Programs that read commands out of places where nobody can look before they run.
const COMMAND_READERS: &[&str] = &["parallel", "at", "batch", "crontab"];

/// Words that no program is called: where one stands in the place of a program, the grammar is at a loss.
const KEYWORDS: &[&str] = &[
    "{", "}", "(", ")", "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "select", "function", "in", "[[", "]]",
];

/// Reads `line` and adds what it would run; `inherited` is what it finds on its standard input.
pub(super) fn read_into(line: &str, inherited: &InputText, depth: usize, out: &mut CommandLine) {
    if depth > MAX_DEPTH {
        return out.set_unread("its commands stand in each other too deep");
    }
    if line.len() > MAX_LINE_BYTES {
        return out.set_unread("it is too long to be read");
    }
    if let Some(c) = line.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        out.set_unread(format!("it contains the control character U+{:04X}", c as u32));
    }
    let line = joined_lines(line);
    let found = find_commands(&line).unwrap_or_else(|why| {
        out.set_unread(why);
        Vec::new()
    });
    for item in &found {
        match item {
            Found::Command(command) => {
                let input = input_text(&command.input, inherited, &found);
                add_command(command.text.clone(), command.words.clone(), &input, depth, out);
            }
            Found::Redirection { operator, file } => {
                let text = format!("{operator} {}", file.quoted());
                out.parts.push(part(text, vec![Word::literal(*operator), file.clone()], depth));
            }
            Found::Expression(text) => {
                let words = vec![Word { text: text.clone(), is_literal: false }];
                out.parts.push(part(text.clone(), words, depth));
            }
        }
    }
}

/// Joins lines that end in a backslash, as bash does before it looks for words.
fn joined_lines(line: &str) -> Cow<'_, str> {
    if !line.contains("\\\n") {
        return Cow::Borrowed(line);
    }
    let mut joined = String::with_capacity(line.len());
    // The quote that is open, or `#` in a comment.
    let mut open = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None | Some('"'), '\\') => match chars.next() {
                Some('\n') => {}
                escaped => joined.extend(std::iter::once(c).chain(escaped)),
            },
            (None, '\'' | '"') => {
                let is_ansi = c == '\'' && joined.ends_with('$');
                open = Some(if is_ansi { '$' } else { c });
                joined.push(c);
            }
            // The grammar takes the next line for a part of the comment, and bash doesn't.
            (Some('#'), '\\') if chars.peek() == Some(&'\n') => {}
            (Some('$'), '\\') => joined.extend(std::iter::once(c).chain(chars.next())),
            (None, '#')
                if joined.is_empty() || joined.ends_with(|c: char| c.is_whitespace() || ";&|()".contains(c)) =>
            {
                open = Some('#');
                joined.push(c);
            }
            _ => {
                let closes = matches!((open, c), (Some('"'), '"') | (Some('\'' | '$'), '\'') | (Some('#'), '\n'));
                open = open.filter(|_| !closes);
                joined.push(c);
            }
        }
    }
    Cow::Owned(joined)
}

fn part(text: String, words: Vec<Word>, depth: usize) -> CommandPart {
    CommandPart { text, words, program_at: 0, needs_rule: true, depth }
}

/// What a command reads that would run what it reads.
#[derive(Clone)]
pub(super) enum InputText {
    None,
    Text(String),
    Unknown,
}

fn input_text(input: &Input, inherited: &InputText, found: &[Found]) -> InputText {
    match input {
        Input::None => inherited.clone(),
        Input::Unknown => InputText::Unknown,
        Input::Text(text) => InputText::Text(text.clone()),
        Input::Command(place) => match found.get(*place) {
            Some(Found::Command(command)) => printed_text(command).map_or(InputText::Unknown, InputText::Text),
            _ => InputText::Unknown,
        },
    }
}

/// Returns what a command prints, where its words say that.
fn printed_text(command: &FoundCommand) -> Option<String> {
    let (program, arguments) = command.words.split_first()?;
    if !arguments.iter().all(|word| word.is_literal) {
        return None;
    }
    let join = |words: &[Word]| words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let text = match (program.program_name(), arguments) {
        ("cat", []) => match &command.input {
            Input::Text(text) => text.clone(),
            _ => return None,
        },
        ("echo", _) => {
            let is_option = |word: &&Word| matches!(word.text.as_str(), "-n" | "-e" | "-E" | "-ne" | "-en");
            join(arguments.get(arguments.iter().take_while(is_option).count()..)?)
        }
        ("printf", [format, rest @ ..]) if matches!(format.text.as_str(), "%s" | "%s\\n" | "%s\n") => join(rest),
        ("printf", [format]) if !format.text.contains('%') => format.text.clone(),
        _ => return None,
    };
    let text = text.replace("\\n", "\n");
    (!text.contains('\\')).then_some(text)
}

/// Adds a command, and what it runs in turn.
fn add_command(text: String, words: Vec<Word>, input: &InputText, depth: usize, out: &mut CommandLine) {
    if depth > MAX_DEPTH {
        return out.set_unread("its commands stand in each other too deep");
    }
    let Some(places) = program_places(&words) else {
        out.is_evasive = true;
        return out.set_unread("too many programs stand before the one that they run");
    };
    let at = out.parts.len();
    out.parts.push(CommandPart { program_at: neutral_prefix(&words), ..part(text, words, depth) });
    let words = out.parts[at].words.clone();
    let program_at = out.parts[at].program_at;
    for place in places {
        let Some((program, arguments)) = words.get(place..).and_then(<[Word]>::split_first) else { continue };
        if program.expands() {
            out.set_unread(format!("which program `{}` is shows only when it runs", program.text));
        }
        if KEYWORDS.contains(&program.text.as_str()) {
            out.set_unread(format!("its syntax can't be read at `{}`", program.text));
        }
        let is_read = match program.program_name() {
            name if SHELLS.contains(&name) => add_shell(name, arguments, input, depth, out),
            "eval" => add_text(arguments, "eval", input, depth, out),
            "trap" => match arguments.iter().find(|word| !word.text.starts_with('-') || word.text == "-") {
                Some(action) if action.text != "-" => add_text(std::slice::from_ref(action), "trap", input, depth, out),
                _ => false,
            },
            "." | "source" => {
                if arguments.iter().any(|word| !word.is_literal && word.text.contains("<(")) {
                    out.set_unread("what `source` reads shows only when it runs");
                }
                add_words(arguments.to_vec(), depth, out, false);
                false
            }
            "alias" => {
                for value in arguments.iter().filter_map(|word| word.text.split_once('=')) {
                    read_into(value.1, input, depth + 1, out);
                }
                false
            }
            "find" => {
                add_find(arguments, depth, out);
                false
            }
            "xargs" => add_for_each_input(&words, place, depth, out),
            "su" | "watch" | "ssh" | "env" | "flock" => {
                // A command in one string; which argument it is depends on options.
                for argument in arguments.iter().filter(|word| word.text.contains(char::is_whitespace)) {
                    read_into(&argument.text, input, depth + 1, out);
                }
                false
            }
            name if COMMAND_READERS.contains(&name) => {
                out.set_unread(format!("what `{name}` runs can't be read"));
                false
            }
            _ => false,
        };
        // What it runs is among the parts, and it does nothing else.
        if is_read && place == program_at {
            out.parts[at].needs_rule = false;
        }
    }
}

/// Adds what a shell runs; returns whether that is all that it does.
fn add_shell(name: &str, arguments: &[Word], input: &InputText, depth: usize, out: &mut CommandLine) -> bool {
    let options = arguments.iter().take_while(|word| word.text.starts_with(['-', '+']) && word.text.len() > 1).count();
    let (options, rest) = arguments.split_at(options);
    let takes_text = |word: &Word| !word.text.starts_with("--") && word.text.contains('c');
    if options.iter().any(takes_text) {
        let is_plain = options.iter().all(|word| word.text.trim_start_matches('-').chars().all(|c| "ceux".contains(c)));
        let Some(command) = rest.first() else { return false };
        return add_text(std::slice::from_ref(command), name, input, depth, out) && is_plain;
    }
    let reads_input = rest.is_empty() || options.iter().any(|word| word.text == "-s");
    match input {
        _ if !reads_input => {
            // A file that doesn't exist yet: `bash <(…)`.
            if let Some(script) = rest.first().filter(|word| !word.is_literal && word.text.contains("<(")) {
                out.set_unread(format!("what `{name}` reads from `{}` shows only when it runs", script.text));
            }
            // The script is a program like others; the rule for the shell's command allows it.
            add_words(rest.to_vec(), depth, out, false);
            false
        }
        InputText::None => false,
        InputText::Text(text) => {
            read_into(text, &InputText::None, depth + 1, out);
            options.is_empty()
        }
        InputText::Unknown => {
            out.set_unread(format!("what `{name}` reads shows only when it runs"));
            false
        }
    }
}

/// Adds the commands in words that are joined; returns whether they are known.
fn add_text(words: &[Word], program: &str, input: &InputText, depth: usize, out: &mut CommandLine) -> bool {
    let is_known = words.iter().all(|word| word.is_literal);
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    read_into(&text.join(" "), input, depth + 1, out);
    if !is_known {
        out.set_unread(format!("what `{program}` runs shows only when it runs"));
    }
    is_known
}

/// Adds what `find` runs for what it found, or does to it.
fn add_find(arguments: &[Word], depth: usize, out: &mut CommandLine) {
    let mut rest = arguments;
    while let Some((word, behind)) = rest.split_first() {
        rest = behind;
        match word.text.as_str() {
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let end = rest.iter().position(|word| word.text == ";" || word.text == "+").unwrap_or(rest.len());
                add_words(rest[..end].to_vec(), depth, out, true);
                rest = &rest[end..];
            }
            "-delete" | "-fprint" | "-fprint0" | "-fprintf" | "-fls" => {
                // Told apart from `find` itself, which many a rule allows.
                out.parts.push(part(word.text.clone(), vec![word.clone()], depth + 1));
            }
            _ => {}
        }
    }
}

/// Adds the command of `xargs`, which gets its input as further arguments; returns whether there is one.
fn add_for_each_input(words: &[Word], place: usize, depth: usize, out: &mut CommandLine) -> bool {
    let Some(inner) = wrapped_at(words, place).and_then(|at| words.get(at..)).filter(|inner| !inner.is_empty()) else {
        return false;
    };
    let mut inner = inner.to_vec();
    inner.push(Word::literal("{}"));
    add_words(inner, depth, out, true);
    true
}

fn add_words(words: Vec<Word>, depth: usize, out: &mut CommandLine, needs_rule: bool) {
    let text = words.iter().map(Word::quoted).collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        return;
    }
    let from = out.parts.len();
    add_command(text, words, &InputText::Unknown, depth + 1, out);
    if let Some(part) = out.parts.get_mut(from) {
        part.needs_rule &= needs_rule;
    }
}

fn wrapper_of(word: &Word) -> Option<&'static Wrapper> {
    let name = word.program_name();
    WRAPPERS.iter().find(|wrapper| wrapper.name == name)
}

/// Returns the place of the command that the wrapper at `place` runs; `None` if it isn't a wrapper, runs nothing or has
/// an option that isn't known.
fn wrapped_at(words: &[Word], place: usize) -> Option<usize> {
    let wrapper = wrapper_of(words.get(place)?)?;
    let mut at = place + 1;
    while let Some(word) = words.get(at).filter(|word| word.text.starts_with('-') && word.text.len() > 1) {
        at += 1;
        match word.text.strip_prefix("--") {
            Some("") => break,
            Some(long) if long.contains('=') => {}
            // It may have an argument.
            Some(_) => return None,
            None => {
                let with_argument = word.text[1..].find(|c| wrapper.options.contains(c));
                let ends_with_it = with_argument.is_some_and(|found| found + 2 == word.text.len());
                at += usize::from(ends_with_it && word.text != "-l" && word.text != "-i");
            }
        }
    }
    at += wrapper.arguments;
    (at < words.len()).then_some(at)
}

/// Returns how many words only limit what the rest runs.
fn neutral_prefix(words: &[Word]) -> usize {
    let mut at = 0;
    while words.get(at).and_then(wrapper_of).is_some_and(|wrapper| wrapper.is_neutral && wrapper.name != "xargs") {
        match wrapped_at(words, at).filter(|next| words[at..*next].iter().all(|word| word.is_literal)) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// Returns the places where a program may stand: the first word, what follows assignments and programs that run others.
/// `None` if there are more of those than an honest command has.
fn program_places(words: &[Word]) -> Option<Vec<usize>> {
    let mut places = vec![];
    let mut at = 0;
    for _ in 0..MAX_WRAPPERS {
        let Some(word) = words.get(at) else { return Some(places) };
        places.push(at);
        if word.is_assignment() {
            at += 1;
        } else if wrapper_of(word).is_some() {
            if let Some(next) = wrapped_at(words, at) {
                // Assignments follow `env`, and options may be others than are known.
                places.extend(at + 1..next);
                at = next;
            } else {
                let end = words.len().min(at + 1 + MAX_SKIPPED_WORDS);
                places.extend(at + 1..end);
                return Some(places);
            }
        } else {
            return Some(places);
        }
    }
    None
}

/// Returns what a denying rule is held against: the words without quotes from each place on where a program may stand,
/// with and without its folder.
pub(super) fn denied_forms(words: &[Word]) -> Vec<String> {
    let mut forms = Vec::new();
    for place in program_places(words).unwrap_or_default() {
        let Some((program, arguments)) = words.get(place..).and_then(<[Word]>::split_first) else { continue };
        for name in [program.text.as_str(), program.program_name()] {
            let rest = arguments.iter().map(|word| word.text.as_str());
            forms.push(std::iter::once(name).chain(rest).collect::<Vec<_>>().join(" "));
        }
    }
    forms.dedup();
    forms
}

/// Returns the commands that may stand in a line that can't be read: between its operators and quotes.
pub(super) fn suspected(line: &str) -> Vec<CommandPart> {
    let pieces = line.split([';', '&', '|', '<', '>', '`', '$', '(', ')', '\n', '\r', '{', '}', '"', '\'']);
    let words = pieces.map(|piece| piece.split_whitespace().skip_while(|word| KEYWORDS.contains(word)).map(Word::read));
    words.map(|words| part(String::new(), words.collect(), 0)).filter(|part| !part.words.is_empty()).collect()
}
