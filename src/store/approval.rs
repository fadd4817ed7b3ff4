//! What can be answered to an ask, and the patterns that an answer may allow.
//!
//! Not here: the ask on the screen (`overlay/approval.rs`).

use crate::event::command_line::{CommandLine, CommandPart};
use crate::event::{AnswerKind, ApprovalRequest, Pattern, ToolKind, allow_line};

/// What one can choose over an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalChoice {
    Once,
    /// This tool, for the rest of the session.
    Session,
    /// What looks like this call; the pattern can be edited first.
    Pattern,
    Deny,
    DenyWithReason,
    /// An answer that the asking agent offers, by its place.
    Offered(usize),
    /// To decide about each hunk of the diff; answers nothing by itself.
    Hunks,
    /// To see the whole of it; answers nothing.
    ShowAll,
}

impl ApprovalChoice {
    /// Those of an ask that has no answers of its own.
    const USUAL: [Self; 7] =
        [Self::Once, Self::Session, Self::Pattern, Self::Deny, Self::DenyWithReason, Self::Hunks, Self::ShowAll];

    /// Returns what this ask offers, in its order.
    pub fn all_for(ask: &ApprovalRequest) -> Vec<Self> {
        if ask.answers.is_empty() {
            return Self::USUAL
                .into_iter()
                .filter(|choice| *choice != Self::Pattern || ask.pattern.is_some())
                .filter(|choice| *choice != Self::Hunks || ask.hunks > 1)
                .collect();
        }
        (0..ask.answers.len()).map(Self::Offered).chain([Self::ShowAll]).collect()
    }

    /// Returns what a key that stands for this choice selects in an ask; none where the ask has nothing like it.
    pub fn find_in(self, ask: &ApprovalRequest) -> Option<Self> {
        let kind = match self {
            Self::Once => AnswerKind::AllowOnce,
            Self::Session => AnswerKind::AllowAlways,
            Self::Deny => AnswerKind::RejectOnce,
            Self::DenyWithReason => AnswerKind::RejectAlways,
            Self::Pattern | Self::Hunks | Self::Offered(_) | Self::ShowAll => return self.offered_by(ask),
        };
        if ask.answers.is_empty() {
            return self.offered_by(ask);
        }
        ask.answers.iter().position(|answer| answer.kind == kind).map(Self::Offered)
    }

    fn offered_by(self, ask: &ApprovalRequest) -> Option<Self> {
        Self::all_for(ask).contains(&self).then_some(self)
    }
}

/// A step of the decision about the hunks of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HunkStep {
    Next,
    Previous,
    /// Applies it.
    Take,
    /// Leaves it out.
    Leave,
    /// Takes all that are open.
    TakeRest,
    /// Leaves out all that are open.
    LeaveRest,
    /// Goes to the field of its note.
    Note,
}

/// Reads patterns, with blanks between them, that allow this call, with the others that allow some already.
pub fn parse_patterns(ask: &ApprovalRequest, allowing: &[Pattern], text: &str) -> Result<Vec<Pattern>, String> {
    let patterns = Pattern::parse_list_for(&ask.tool, text)?;
    let all: Vec<&Pattern> = patterns.iter().chain(allowing).collect();
    if ask.kind != ToolKind::Execute {
        let allows = patterns.iter().any(|pattern| pattern.allows(&ask.tool, ask.kind, &ask.subject));
        return if allows {
            Ok(patterns)
        } else {
            Err(format!("`{text}` would not allow this very call: {}", ask.subject))
        };
    }
    if allow_line(&all, &ask.tool, &ask.subject).is_some() {
        return Ok(patterns);
    }
    let line = CommandLine::read(&ask.subject);
    let unread = line.unread.as_deref();
    Err(match line.parts_with_rules().find(|part| !is_part_allowed(&all, &ask.tool, part)) {
        _ if unread.is_some() => format!("no pattern with `*` allows this: {}", unread.unwrap_or_default()),
        Some(part) if line.parts.len() > 1 => format!("`{text}` would not allow a part of this call: {}", part.text),
        _ => format!("`{text}` would not allow this very call: {}", ask.subject),
    })
}

/// A part of a command line that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedPart {
    pub text: String,
    /// The pattern that allows it already.
    pub allowed_by: Option<String>,
}

/// Returns the parts of the command line that an ask is about, and why it may run more than those. Nothing of an ask
/// about one command that is what it seems to be.
pub fn asked_parts(ask: &ApprovalRequest, allowing: &[Pattern]) -> (Vec<AskedPart>, Option<String>) {
    if ask.kind != ToolKind::Execute {
        return (Vec::new(), None);
    }
    let line = CommandLine::read(&ask.subject);
    let allowing: Vec<&Pattern> = allowing.iter().collect();
    let parts: Vec<AskedPart> = line
        .parts_with_rules()
        .map(|part| AskedPart {
            text: part.text.clone(),
            allowed_by: allowing
                .iter()
                .find(|pattern| is_part_allowed(&[pattern], &ask.tool, part))
                .map(ToString::to_string),
        })
        .collect();
    let is_one = parts.len() == 1 && parts[0].text == ask.subject.trim();
    (if is_one { Vec::new() } else { parts }, line.unread)
}

fn is_part_allowed(patterns: &[&Pattern], tool: &str, part: &CommandPart) -> bool {
    let mut mine = patterns.iter().filter(|pattern| pattern.tool == tool);
    mine.any(|pattern| pattern.glob.as_ref().is_none_or(|glob| part.is_allowed_by(glob)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::events::shell_approval;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn patterns_for_a_command_line_have_to_allow_all_of_it() {
        let ask = shell_approval("cd src && git status");
        assert_eq!(parse_patterns(&ask, &[], "shell(cd *) shell(git status*)").unwrap().len(), 2);
        let known = patterns(&["shell(cd *)"]);
        assert_eq!(parse_patterns(&ask, &known, "shell(git status*)").unwrap(), patterns(&["shell(git status*)"]));
        let wrong = parse_patterns(&ask, &[], "shell(git status*)").unwrap_err();
        assert_eq!(wrong, "`shell(git status*)` would not allow a part of this call: cd src");
        let wrong = parse_patterns(&shell_approval("curl x | sh"), &[], "shell(curl *) shell(sh)").unwrap_err();
        assert_eq!(wrong, "no pattern with `*` allows this: what `sh` reads shows only when it runs");
        parse_patterns(&shell_approval("curl x | sh"), &[], "shell(curl x | sh)").unwrap();
        parse_patterns(&ask, &[], "write_file(x)").unwrap_err();
    }

    #[test]
    fn an_ask_about_several_commands_lists_them() {
        let known = patterns(&["shell(cd *)"]);
        let (parts, unread) = asked_parts(&shell_approval("cd src && ls > out"), &known);
        let listed: Vec<_> = parts.iter().map(|part| (part.text.as_str(), part.allowed_by.as_deref())).collect();
        assert_eq!(listed, [("cd src", Some("shell(cd *)")), ("ls", None), ("> out", None)]);
        assert_eq!(unread, None);
        assert_eq!(asked_parts(&shell_approval("git status"), &known), (Vec::new(), None));
        let (parts, unread) = asked_parts(&shell_approval("curl x | sh"), &known);
        assert_eq!((parts.len(), unread.is_some()), (2, true));
        assert_eq!(asked_parts(&shell_approval("bash -c 'rm x'"), &[]).0[0].text, "rm x", "what stands in a string");
    }
}
