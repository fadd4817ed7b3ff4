//! A pattern over calls: `tool`, or `tool(glob)` where `*` matches anything and every other character itself.
//!
//! A command line is read into its parts (see [`CommandLine`]): it is allowed if every part is, and denied if one is. So
//! `shell(git status*)` does not allow `git status; rm -rf ~`, and together with `shell(ls *)` it allows `git status && ls
//! src`. This guards against mistakes and is no sandbox: programs have endless ways to run others.

use std::fmt;

use super::ToolKind;
use super::command_line::CommandLine;
use super::glob::{MatchScope, glob_matches, is_operator};

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

    /// Parses one or more patterns, with blanks between them, that must be about `tool`: `shell(cd *) shell(ls *)`.
    pub fn parse_list_for(tool: &str, patterns: &str) -> Result<Vec<Self>, String> {
        let begin = format!("{tool}(");
        let mut rest = patterns.trim();
        let mut list = Vec::new();
        // A pattern ends where the next one begins.
        while let Some(end) = rest.match_indices(')').map(|(at, _)| at + 1).find(|end| {
            let behind = &rest[*end..];
            behind.starts_with(char::is_whitespace) && behind.trim_start().starts_with(&begin)
        }) {
            list.push(Self::parse_for(tool, &rest[..end])?);
            rest = rest[end..].trim_start();
        }
        list.push(Self::parse_for(tool, rest)?);
        Ok(list)
    }

    /// Writes patterns as [`Self::parse_list_for`] reads them.
    pub fn write_list(patterns: &[Self]) -> String {
        patterns.iter().map(Self::to_string).collect::<Vec<_>>().join(" ")
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
            return self.allows_alone(subject, &CommandLine::read(subject));
        }
        glob_matches(glob, subject, MatchScope::Anything)
    }

    /// Returns whether it allows a command line of its tool without the help of others.
    fn allows_alone(&self, subject: &str, line: &CommandLine) -> bool {
        self.allows_line(subject, line) || (line.unread.is_none() && allowed_parts(&[self], &self.tool, line).is_some())
    }

    /// Returns whether it allows a command line as a whole: it is just that line, or has operators of its own.
    fn allows_line(&self, subject: &str, line: &CommandLine) -> bool {
        let Some(glob) = &self.glob else { return true };
        let is_exact = !glob.contains('*');
        (is_exact || (glob.contains(is_operator) && line.is_flat()))
            && glob_matches(glob, subject.trim(), MatchScope::NoOperators)
    }

    /// Returns whether a denying pattern denies a call; chained commands are matched part by part.
    pub fn denies(&self, tool: &str, kind: ToolKind, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        let matches = |text: &str| glob_matches(glob, text, MatchScope::Anything);
        if kind == ToolKind::Execute {
            return matches(subject.trim()) || CommandLine::read(subject).is_denied_by(glob);
        }
        // Denying an address denies it in private networks as well.
        let plain = subject.strip_prefix(PRIVATE_SUBJECT_PREFIX).filter(|_| kind == ToolKind::Fetch);
        matches(subject) || plain.is_some_and(matches)
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

/// Returns the places of the patterns that together allow a command line of a tool that runs them; `None` if one of its
/// parts is allowed by none of them.
pub fn allow_line(patterns: &[&Pattern], tool: &str, subject: &str) -> Option<Vec<usize>> {
    let line = CommandLine::read(subject);
    let alone = |pattern: &&Pattern| pattern.tool == tool && pattern.allows_alone(subject, &line);
    if let Some(place) = patterns.iter().position(alone) {
        return Some(vec![place]);
    }
    if line.unread.is_some() { None } else { allowed_parts(patterns, tool, &line) }
}

fn allowed_parts(patterns: &[&Pattern], tool: &str, line: &CommandLine) -> Option<Vec<usize>> {
    let mut used = Vec::new();
    for part in line.parts_with_rules() {
        let allows = |pattern: &&Pattern| {
            pattern.tool == tool && pattern.glob.as_ref().is_none_or(|glob| part.is_allowed_by(glob))
        };
        let place = patterns.iter().position(allows)?;
        if !used.contains(&place) {
            used.push(place);
        }
    }
    // A line of comments and blanks runs nothing and is no reason to allow anything.
    (!used.is_empty()).then_some(used)
}

/// Prefix of a fetch's subject if it may reach a private network without looking like it. A pattern that allows just
/// the address does not allow that; one that denies the address denies both.
pub const PRIVATE_SUBJECT_PREFIX: &str = "private ";

#[cfg(test)]
mod tests;
