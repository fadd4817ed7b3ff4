//! A pattern over calls: `tool`, or `tool(glob)` where `*` stands for anything and the rest for itself.
//!
//! In a command of the shell an allowing `*` never reaches over an operator, so `shell(git status*)` does not allow
//! `git status; rm -rf ~`; a denying pattern is held against every part of a chained command. That is a rail for the
//! honest, not a sandbox: a shell has endless ways to write the same thing.

use std::fmt;

/// A pattern over calls. Rules of the settings, grants and the answer "allow what looks like this" are written so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub tool: String,
    /// None matches every call of the tool.
    pub glob: Option<String>,
}

impl Pattern {
    /// Reads what people write; the error says what is wrong with it, in one line.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let text = pattern.trim();
        let (tool, glob) = match text.split_once('(') {
            None => (text, None),
            Some((tool, rest)) => {
                let glob = rest.strip_suffix(')').ok_or_else(|| format!("`{text}`: the last `)` is missing"))?;
                (tool.trim_end(), Some(glob.trim()))
            }
        };
        if tool.is_empty() || !tool.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            return Err(format!("`{text}`: a pattern is `tool` or `tool(glob)`, such as `shell(git status*)`"));
        }
        match glob {
            Some("") => Err(format!("`{text}`: nothing between the brackets; `{tool}` alone matches every call")),
            Some("*") | None => Ok(Self { tool: tool.into(), glob: None }),
            Some(glob) => Ok(Self { tool: tool.into(), glob: Some(glob.into()) }),
        }
    }

    /// Reads a pattern that must be about one tool.
    pub fn parse_for(tool: &str, pattern: &str) -> Result<Self, String> {
        let read = Self::parse(pattern)?;
        if read.tool == tool { Ok(read) } else { Err(format!("the pattern `{read}` is not about `{tool}`")) }
    }

    /// Tells whether an allowing pattern lets a call through. `subject` is what its ask names.
    pub fn allows(&self, tool: &str, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        if tool == SHELL_TOOL {
            glob_matches(glob, subject.trim(), |c| !is_operator(c))
        } else {
            glob_matches(glob, subject, |_| true)
        }
    }

    /// Tells whether a denying pattern stops a call; a chained command is held against it part by part.
    pub fn denies(&self, tool: &str, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        if tool == SHELL_TOOL {
            return split_commands(subject)
                .is_none_or(|commands| commands.iter().any(|command| glob_matches(glob, command, |_| true)));
        }
        // What is denied is the address, whatever network it is asked for in.
        let plain = subject.strip_prefix(PRIVATE_SUBJECT_PREFIX).filter(|_| tool == FETCH_TOOL);
        glob_matches(glob, subject, |_| true) || plain.is_some_and(|address| glob_matches(glob, address, |_| true))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.glob {
            None => f.write_str(&self.tool),
            Some(glob) => write!(f, "{}({glob})", self.tool),
        }
    }
}

/// The one tool whose subject is a language.
const SHELL_TOOL: &str = "shell";
const FETCH_TOOL: &str = "fetch";
/// What the subject of a fetch begins with that may lead into a private network without looking so. A pattern that allows
/// the address alone does not allow that; one that denies it denies both.
pub const PRIVATE_SUBJECT_PREFIX: &str = "private ";

/// What ends a command, starts another, substitutes, expands or redirects.
fn is_operator(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '<' | '>' | '`' | '$' | '(' | ')' | '\n' | '\r')
}

/// Matches `*` against any run of characters that `may_skip` allows. A ` *` at the end also matches nothing at all,
/// so that `ls *` means `ls` too.
///
/// Going back to the latest star is enough, with the restriction too: what a star may not skip has to be matched
/// literally and in order. O(glob × text).
fn glob_matches(glob: &str, text: &str, may_skip: impl Fn(char) -> bool) -> bool {
    if glob.strip_suffix(" *") == Some(text) {
        return true;
    }
    let (mut glob, mut text) = (glob.chars(), text.chars());
    // Behind the latest star, and where it ends so far.
    let mut star = None;
    loop {
        let (mut glob_next, mut text_next) = (glob.clone(), text.clone());
        match (glob_next.next(), text_next.next()) {
            (Some('*'), _) => {
                glob = glob_next;
                star = Some((glob.clone(), text.clone()));
            }
            (Some(wanted), Some(c)) if wanted == c => (glob, text) = (glob_next, text_next),
            (None, None) => return true,
            _ => {
                let Some((behind, mut end)) = star.take() else { return false };
                match end.next() {
                    Some(c) if may_skip(c) => {
                        (glob, text) = (behind.clone(), end.clone());
                        star = Some((behind, end));
                    }
                    _ => return false,
                }
            }
        }
    }
}

/// Returns the commands that a command line may run, each also without quotes, wrappers and the program's folder.
/// Nothing for a line that wraps its commands deeper than anybody would who has nothing to hide.
fn split_commands(line: &str) -> Option<Vec<String>> {
    let mut parts: Vec<&str> = line.split(|c| is_operator(c) || matches!(c, '{' | '}')).collect();
    // What another shell is told to run stands in quotes.
    let nested = |part: &&str| part.split_whitespace().any(|word| SHELLS.contains(&program_name(word).as_str()));
    let quoted: Vec<&str> = parts.iter().copied().filter(nested).flat_map(|part| part.split(['"', '\''])).collect();
    parts.extend(quoted);
    parts.push(line);
    let mut commands = Vec::new();
    for part in parts {
        let plain: Vec<String> = part.split_whitespace().map(unquoted).filter(|word| !word.is_empty()).collect();
        let whole = part.trim().to_owned();
        if plain.is_empty() {
            continue;
        }
        let mut words = plain.as_slice();
        commands.push(whole);
        // Every word behind a wrapper may be where its command starts: wrappers have options.
        let mut wrapped = 0;
        while let Some((first, rest)) = words.split_first() {
            wrapped += 1;
            if wrapped > MAX_WRAPPER_DEPTH {
                return None;
            }
            commands.push(words.join(" "));
            let name = program_name(first);
            commands.push(
                std::iter::once(name.as_str()).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join(" "),
            );
            let is_assignment = first.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
            let is_wrapped = WRAPPERS.contains(&name.as_str());
            if !is_wrapped && !is_assignment {
                break;
            }
            words = rest;
            if is_wrapped {
                for skipped in 1..rest.len().min(8) {
                    let later = &rest[skipped..];
                    commands.push(later.join(" "));
                }
            }
        }
    }
    Some(commands)
}

const MAX_WRAPPER_DEPTH: usize = 64;

const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "ksh", "fish", "eval", "su", "ssh", "xargs", "watch"];
const WRAPPERS: &[&str] = &[
    "sudo", "doas", "env", "nohup", "nice", "ionice", "time", "timeout", "command", "builtin", "exec", "xargs",
    "setsid", "stdbuf", "busybox", "eval", "then", "do", "else", "if", "while", "until", "!",
];

fn unquoted(word: &str) -> String {
    word.replace(['"', '\'', '\\'], "")
}

fn program_name(word: &str) -> String {
    let word = unquoted(word);
    word.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
