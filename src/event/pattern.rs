//! A pattern over calls: `tool`, or `tool(glob)` where `*` matches anything and every other character itself.
//!
//! In a command line an allowing `*` never matches an operator, so `shell(git status*)` does not allow `git status; rm
//! -rf ~`; a denying pattern is matched against every part of a chained command. This guards against mistakes and is no
//! sandbox: a shell has endless ways to write the same thing.

use std::fmt;

use super::ToolKind;

/// A pattern over calls. Rules in the settings, grants and "allow calls like this one" are written this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub tool: String,
    /// `None` matches every call of the tool.
    pub glob: Option<String>,
}

impl Pattern {
    /// Parses a pattern; the error says in one line what is wrong with it.
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
            Some("") => Err(format!("`{text}`: empty parentheses; `{tool}` alone matches every call")),
            Some("*") | None => Ok(Self { tool: tool.into(), glob: None }),
            Some(glob) => Ok(Self { tool: tool.into(), glob: Some(glob.into()) }),
        }
    }

    /// Parses a pattern that must be about `tool`.
    pub fn parse_for(tool: &str, pattern: &str) -> Result<Self, String> {
        let read = Self::parse(pattern)?;
        if read.tool == tool { Ok(read) } else { Err(format!("the pattern `{read}` is not for `{tool}`")) }
    }

    /// Returns whether an allowing pattern allows a call. `subject` is the one in its approval request.
    pub fn allows(&self, tool: &str, kind: ToolKind, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        if kind == ToolKind::Execute {
            glob_matches(glob, subject.trim(), |c| !is_operator(c))
        } else {
            glob_matches(glob, subject, |_| true)
        }
    }

    /// Returns whether a denying pattern denies a call; chained commands are matched part by part.
    pub fn denies(&self, tool: &str, kind: ToolKind, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        if kind == ToolKind::Execute {
            return split_commands(subject)
                .is_none_or(|commands| commands.iter().any(|command| glob_matches(glob, command, |_| true)));
        }
        // Denying an address denies it in private networks as well.
        let plain = subject.strip_prefix(PRIVATE_SUBJECT_PREFIX).filter(|_| kind == ToolKind::Fetch);
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

/// Prefix of a fetch's subject if it may reach a private network without looking like it. A pattern that allows just
/// the address does not allow that; one that denies the address denies both.
pub const PRIVATE_SUBJECT_PREFIX: &str = "private ";

/// Returns whether `c` ends a command, starts another, substitutes, expands or redirects.
fn is_operator(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '<' | '>' | '`' | '$' | '(' | ')' | '\n' | '\r')
}

/// Matches `*` against any run of characters that `may_skip` accepts. A trailing ` *` also matches nothing at all, so
/// that `ls *` matches `ls`.
///
/// Backtracking to the latest star is enough, even with the restriction: what a star may not skip has to be matched
/// literally and in order. O(glob × text).
fn glob_matches(glob: &str, text: &str, may_skip: impl Fn(char) -> bool) -> bool {
    if glob.strip_suffix(" *") == Some(text) {
        return true;
    }
    let (mut glob, mut text) = (glob.chars(), text.chars());
    // The position after the latest star, and where its match ends so far.
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
/// `None` for a line that nests its commands deeper than an honest command would.
fn split_commands(line: &str) -> Option<Vec<String>> {
    let mut parts: Vec<&str> = line.split(|c| is_operator(c) || matches!(c, '{' | '}')).collect();
    // A command for another shell is passed as a quoted string.
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
        // A wrapper may have options, so every word after it may be where its command starts.
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
