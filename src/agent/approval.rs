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
            commands(subject).iter().any(|command| matches(glob, command, |_| true))
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
fn commands(line: &str) -> Vec<String> {
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
        loop {
            let Some((first, rest)) = words.split_first() else { break };
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
    commands
}

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
mod tests {
    use super::*;

    fn rule(pattern: &str) -> Rule {
        Rule::parse(pattern).unwrap()
    }

    fn policy(mode: Mode, allow: &[&str], deny: &[&str]) -> Policy {
        let own = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
        Policy::new(mode, &own(allow), &own(deny)).unwrap()
    }

    #[test]
    fn modes_and_risks_give_verdicts() {
        use Mode::{Ask, AutoEdit, Full, Plan};
        use Risk::{Execute, Network, ReadOnly, Write};
        let word = |verdict| match verdict {
            Verdict::Allow => "allow",
            Verdict::Ask => "ask",
            Verdict::Deny(_) => "deny",
        };
        for (mode, read, network, write, execute) in [
            (Ask, "allow", "ask", "ask", "ask"),
            (AutoEdit, "allow", "ask", "allow", "ask"),
            (Plan, "allow", "deny", "deny", "deny"),
            (Full, "allow", "allow", "allow", "allow"),
        ] {
            let policy = policy(mode, &[], &[]);
            let got = [ReadOnly, Network, Write, Execute].map(|risk| word(policy.judge("tool", risk, "x")));
            assert_eq!(got, [read, network, write, execute], "{mode:?}");
        }
    }

    #[test]
    fn denying_rules_win_over_everything() {
        let policy = policy(Mode::Full, &["shell"], &["shell(rm *)", "read_file(*.env)", "fetch"]);
        let denied = |tool, risk, subject| matches!(policy.judge(tool, risk, subject), Verdict::Deny(_));
        assert!(denied("shell", Risk::Execute, "rm -rf x"));
        assert!(denied("read_file", Risk::ReadOnly, "deploy/.env"));
        assert!(denied("fetch", Risk::Network, "https://example.com/"));
        assert!(!denied("shell", Risk::Execute, "ls"));
    }

    #[test]
    fn plan_mode_denies_what_a_rule_allows() {
        let policy = policy(Mode::Plan, &["shell"], &[]);
        let Verdict::Deny(why) = policy.judge("shell", Risk::Execute, "ls") else { panic!("not denied") };
        assert!(why.contains("plan mode"));
    }

    #[test]
    fn an_allowing_pattern_never_reaches_over_an_operator() {
        let status = rule("shell(git status*)");
        for command in ["git status", "git status -s", "  git status --porcelain  ", "git status 'a b'"] {
            assert!(status.allows("shell", command), "{command}");
        }
        for command in [
            "git status; rm -rf ~",
            "git status && rm x",
            "git status || rm x",
            "git status & rm x",
            "git status | sh",
            "git status `rm x`",
            "git status $(rm x)",
            "git status\nrm x",
            "git status\rrm x",
            "git status > ~/.bashrc",
            "git status < /etc/passwd",
            "git status <(rm x)",
            "git status ${x:=y}",
            "rm x; git status",
            "git stash",
            "FOO=1 git status",
        ] {
            assert!(!status.allows("shell", command), "{command}");
        }
        assert!(!status.allows("write_file", "git status"));
        assert!(rule("shell(cargo test * && git status*)").allows("shell", "cargo test -q && git status -s"));
        assert!(!rule("shell(cargo test * && git status*)").allows("shell", "cargo test; x && git status"));
        assert!(rule("shell").allows("shell", "a; b") && rule("shell(*)").allows("shell", "a; b"));
    }

    #[test]
    fn a_star_matches_anything_elsewhere() {
        for (pattern, subject, wanted) in [
            ("write_file(src/*)", "src/a/b.rs", true),
            ("write_file(src/*)", "src2/a", false),
            ("write_file(*.rs)", "a/b.rs", true),
            ("write_file(*a*b*)", "xaxxbx", true),
            ("write_file(*a*b)", "xaxbxb", true),
            ("write_file(*a*b)", "xaxbxc", false),
            ("write_file(a)", "a", true),
            ("write_file(a)", "ab", false),
            ("write_file(a(1))", "a(1)", true),
            ("write_file(a(1)b)", "a(1)b", true),
            ("write_file(é*)", "éa", true),
        ] {
            assert_eq!(rule(pattern).allows("write_file", subject), wanted, "{pattern} {subject}");
        }
        let fetch = rule("fetch(https://docs.rs/*)");
        assert!(fetch.allows("fetch", "https://docs.rs/a?b=c&d=e"));
        assert!(!fetch.allows("fetch", "https://docs.rs.evil.com/"));
        assert!(rule("shell(ls *)").allows("shell", "ls") && !rule("shell(ls *)").allows("shell", "lsof"));
    }

    #[test]
    fn a_denying_pattern_meets_every_part_of_a_command() {
        let rm = rule("shell(rm *)");
        for command in [
            "rm x",
            "ls; rm x",
            "ls && rm x",
            "ls | xargs rm -f",
            "echo $(rm x)",
            "echo `rm x`",
            "(rm x)",
            "{ rm x; }",
            "ls\nrm x",
            "/bin/rm x",
            "sudo rm x",
            "sudo -n -u root rm x",
            "FOO=bar rm x",
            "env -i A=b rm x",
            "bash -c 'rm x'",
            "\"rm\" x",
            "r\\m x",
            "rm   -rf  x",
            "if true; then rm x; fi",
            "timeout 5 rm x",
        ] {
            assert!(rm.denies("shell", command), "{command}");
        }
        for command in ["ls", "git rm x", "echo rm", "git commit -m 'rm old'", "rmdir x", ""] {
            assert!(!rm.denies("shell", command), "{command}");
        }
        assert!(rule("shell(*secret*)").denies("shell", "cat a | grep secret; ls"));
        assert!(rule("shell(curl * | sh*)").denies("shell", "curl x | sh"));
    }

    #[test]
    fn grants_last_for_the_session_and_fit_the_call() {
        let mut policy = policy(Mode::Ask, &[], &[]);
        let shell = |policy: &Policy, command| policy.judge("shell", Risk::Execute, command) == Verdict::Allow;
        policy.grant("shell", &Decision::Once).unwrap();
        policy.grant("shell", &Decision::Deny(None)).unwrap();
        assert!(!shell(&policy, "git status"));
        policy.grant("shell", &Decision::Pattern("shell(git status*)".into())).unwrap();
        policy.grant("shell", &Decision::Pattern("shell(git status*)".into())).unwrap();
        assert_eq!(policy.grants().len(), 1);
        assert!(shell(&policy, "git status -s") && !shell(&policy, "git push"));
        assert!(policy.grant("fetch", &Decision::Pattern("shell".into())).unwrap_err().contains("not about"));
        assert!(policy.grant("shell", &Decision::Pattern("shell(".into())).is_err());
        policy.grant("shell", &Decision::Session).unwrap();
        assert!(shell(&policy, "git push; ls"));
        assert_eq!(policy.judge("fetch", Risk::Network, "https://example.com/"), Verdict::Ask);
    }

    #[test]
    fn wrong_patterns_are_all_reported() {
        for pattern in ["", "()", "shell(", "shell(x", "shell()", "she ll", "shell)x", "*"] {
            Rule::parse(pattern).unwrap_err();
        }
        let error = Policy::new(Mode::Ask, &["shell(".into()], &["".into(), "fetch".into()]).unwrap_err();
        assert_eq!(error.lines().count(), 2);
        assert_eq!(rule(" shell( ls * ) ").to_string(), "shell(ls *)");
        let policy = policy(Mode::Ask, &["shell", "shel(x)"], &["fetch"]);
        assert_eq!(
            policy.unknown(&["shell".into(), "fetch".into()]).map(ToString::to_string).collect::<Vec<_>>(),
            ["shel(x)"]
        );
    }
}
