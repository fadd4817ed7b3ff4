//! PURE. Who may do what without being asked.
//!
//! Rules and grants are patterns: `tool`, or `tool(glob)` where `*` stands for anything and the rest for itself.
//! In a command of the shell an allowing `*` never reaches over an operator, so `shell(git status*)` does not allow
//! `git status; rm -rf ~`; a denying pattern is held against every part of a chained command. That is a rail for the
//! honest, not a sandbox: a shell has endless ways to write the same thing.

use std::fmt;

use crate::event::{Decision, Mode, Risk};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Ask,
    /// The reason, for the model and the person.
    Deny(String),
}

/// A pattern over calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    tool: String,
    /// None matches every call of the tool.
    glob: Option<String>,
}

/// Everything that decides about a call, grants of this session included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    pub allow: Vec<Rule>,
    pub deny: Vec<Rule>,
    /// Given by the person while the session runs; gone with it.
    grants: Vec<Rule>,
}

impl Policy {
    /// Reads the configured patterns. All that are wrong are named, one a line: dropping a denying one would be unsafe.
    pub fn new(mode: Mode, allow: &[String], deny: &[String]) -> Result<Self, String> {
        let mut wrong = Vec::new();
        let mut read = |patterns: &[String]| -> Vec<Rule> {
            let rules = patterns.iter().map(|pattern| Rule::parse(pattern));
            rules.filter_map(|rule| rule.map_err(|error| wrong.push(error)).ok()).collect()
        };
        let (allow, deny) = (read(allow), read(deny));
        if wrong.is_empty() { Ok(Self { mode, allow, deny, grants: Vec::new() }) } else { Err(wrong.join("\n")) }
    }

    /// Judges a call by the tool, and by the risk and subject that its ask names.
    pub fn judge(&self, tool: &str, risk: Risk, subject: &str) -> Verdict {
        if let Some(rule) = self.deny.iter().find(|rule| rule.denies(tool, subject)) {
            return Verdict::Deny(format!("denied by the rule `{rule}`"));
        }
        if self.mode == Mode::Plan {
            return match risk {
                Risk::ReadOnly => Verdict::Allow,
                _ => Verdict::Deny(format!(
                    "`{tool}` is denied in plan mode, which only reads; describe what you would do instead"
                )),
            };
        }
        let is_allowed = self.mode == Mode::Full
            || risk == Risk::ReadOnly
            || (self.mode == Mode::AutoEdit && risk == Risk::Write)
            || self.allow.iter().chain(&self.grants).any(|rule| rule.allows(tool, subject));
        if is_allowed { Verdict::Allow } else { Verdict::Ask }
    }

    /// Remembers what a decision about a call of `tool` allows from now on. "This session" allows the whole tool, the
    /// shell too: that is what people take it to mean, and a pattern is there for less. A pattern that is wrong, or
    /// that speaks of another tool, is refused; the call it came with is still allowed once.
    pub fn grant(&mut self, tool: &str, decision: &Decision) -> Result<(), String> {
        let rule = match decision {
            Decision::Once | Decision::Deny(_) => return Ok(()),
            Decision::Session => Rule { tool: tool.into(), glob: None },
            Decision::Pattern(pattern) => Rule::parse(pattern)?,
        };
        if rule.tool != tool {
            return Err(format!("the pattern `{rule}` is not about `{tool}`"));
        }
        if !self.grants.contains(&rule) {
            self.grants.push(rule);
        }
        Ok(())
    }

    pub fn grants(&self) -> &[Rule] {
        &self.grants
    }

    /// Returns the configured rules about tools that don't exist, which are most likely misspelt.
    pub fn unknown<'a>(&'a self, tools: &'a [String]) -> impl Iterator<Item = &'a Rule> {
        self.allow.iter().chain(&self.deny).filter(|rule| !tools.contains(&rule.tool))
    }
}

impl Rule {
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

    pub fn allows(&self, tool: &str, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        if tool == SHELL {
            matches(glob, subject.trim(), |c| !is_operator(c))
        } else {
            matches(glob, subject, |_| true)
        }
    }

    pub fn denies(&self, tool: &str, subject: &str) -> bool {
        let Some(glob) = &self.glob else { return self.tool == tool };
        if self.tool != tool {
            return false;
        }
        if tool == SHELL {
            commands(subject).is_none_or(|commands| commands.iter().any(|command| matches(glob, command, |_| true)))
        } else {
            matches(glob, subject, |_| true)
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.glob {
            None => f.write_str(&self.tool),
            Some(glob) => write!(f, "{}({glob})", self.tool),
        }
    }
}

/// The one tool whose subject is a language.
const SHELL: &str = "shell";

/// What ends a command, starts another, substitutes, expands or redirects.
fn is_operator(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '<' | '>' | '`' | '$' | '(' | ')' | '\n' | '\r')
}

/// Matches `*` against any run of characters that `may_skip` allows. A ` *` at the end also matches nothing at all,
/// so that `ls *` means `ls` too.
///
/// Going back to the latest star is enough, with the restriction too: what a star may not skip has to be matched
/// literally and in order. O(glob × text).
fn matches(glob: &str, text: &str, may_skip: impl Fn(char) -> bool) -> bool {
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
fn commands(line: &str) -> Option<Vec<String>> {
    let mut parts: Vec<&str> = line.split(|c| is_operator(c) || matches!(c, '{' | '}')).collect();
    // What another shell is told to run stands in quotes.
    let nested = |part: &&str| part.split_whitespace().any(|word| SHELLS.contains(&program(word).as_str()));
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
            if wrapped > DEEPEST {
                return None;
            }
            commands.push(words.join(" "));
            let name = program(first);
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

const DEEPEST: usize = 64;

const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "ksh", "fish", "eval", "su", "ssh", "xargs", "watch"];
const WRAPPERS: &[&str] = &[
    "sudo", "doas", "env", "nohup", "nice", "ionice", "time", "timeout", "command", "builtin", "exec", "xargs",
    "setsid", "stdbuf", "busybox", "eval", "then", "do", "else", "if", "while", "until", "!",
];

fn unquoted(word: &str) -> String {
    word.replace(['"', '\'', '\\'], "")
}

fn program(word: &str) -> String {
    let word = unquoted(word);
    word.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
