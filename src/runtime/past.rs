//! What was said before, read from a log: the history of a session that is resumed, and of a branch that is gone back to.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use super::Runtime;
use crate::agent::history::History;
use crate::agent::ids::IdAllocator;
use crate::agent::{BranchPast, ReadBranch, ReadLog};
use crate::bridge::SessionHandle;
use crate::bridge::session::{PriorSession, notice};
use crate::event::branches::Branches;
use crate::event::{AgentEvent, Envelope, NoticeCode, NoticeLevel, Seq};
use crate::journal::{ReadLimits, Reader};

/// Folds a whole log into what the agent needs, what is still open, and its damage. O(log).
///
/// `was_torn`: the log ended in a torn line, which was reported and has been terminated since.
pub(super) fn read_history(reader: &Reader, was_torn: bool) -> (History, IdAllocator, PriorSession) {
    let path = reader.branch_starts(Seq(u64::MAX)).map(|starts| starts.active_path()).unwrap_or_default();
    let (mut history, mut names) = (History::on_path(path), IdAllocator::default());
    let mut branches = Branches::default();
    let result = reader.for_each_event(|envelope| {
        history.observe_logged(envelope);
        branches.observe(envelope.seq, envelope.at, &envelope.event);
        names.observe(&envelope.event);
    });
    let past = match result {
        Ok((mut damage, sealer)) => {
            damage.unreadable = damage.unreadable.saturating_sub(u64::from(was_torn));
            let notices = damage.notices().into_iter().map(|(code, text)| notice(NoticeLevel::Warn, code, text));
            PriorSession { sealer, branches, notices: notices.collect() }
        }
        Err(error) => {
            tracing::error!("the session's history can't be read: {error}");
            let text = format!("the log can't be read further, so the history is incomplete: {error}");
            PriorSession {
                notices: vec![notice(NoticeLevel::Error, NoticeCode::UnreadableLines, text)],
                ..PriorSession::default()
            }
        }
    };
    (history, names, past)
}

pub(super) fn read_log(reader: Reader) -> ReadLog {
    Arc::new(move |from, through, tell| read_range(&reader, from, through, tell))
}

/// Calls a function with every event of the log between two numbers, both included.
fn read_range(reader: &Reader, from: Seq, through: Seq, tell: &mut dyn FnMut(&Envelope)) -> io::Result<()> {
    let mut cursor = reader.cursor_after(Seq(from.0.saturating_sub(1)))?;
    let limits = ReadLimits { through, ..ReadLimits::one_page() };
    loop {
        let page = reader.read(&mut cursor, limits)?;
        for entry in &page.entries {
            tell(&entry.envelope);
        }
        if page.at_end {
            return Ok(());
        }
    }
}

pub(super) fn read_branch(reader: Reader) -> ReadBranch {
    Arc::new(move |after| {
        if reader.last_saved().is_some_and(|saved| saved < after) {
            return Err(io::Error::other("it is not saved up to there"));
        }
        let path = reader.branch_starts(after)?.path_to(after);
        let mut past = BranchPast { history: History::on_path(path.clone()), opened: None };
        for (first, last) in path.ranges() {
            read_range(&reader, *first, *last, &mut |envelope| {
                past.history.observe_logged(envelope);
                if matches!(envelope.event, AgentEvent::SessionOpened { .. }) {
                    past.opened = Some(envelope.event.clone());
                }
            })?;
        }
        Ok(past)
    })
}

impl Runtime {
    /// Has a replay show one branch of its log, counted from 1 as their last turns stand in the log.
    pub fn choose_branch(&self, path: &Path, number: Option<u64>, replay: &SessionHandle) -> anyhow::Result<()> {
        let Some(number) = number else { return Ok(()) };
        let mut branches = Branches::default();
        Reader::open(path)?.for_each_event(|envelope| branches.observe(envelope.seq, envelope.at, &envelope.event))?;
        let tips = branches.tips();
        let tip = usize::try_from(number - 1).ok().and_then(|at| branches.turns().get(*tips.get(at)?));
        let Some(tip) = tip else { bail!("there is no branch {number}: this session has {}", tips.len()) };
        replay.hub.choose_path(branches.path_to(tip.last));
        Ok(())
    }
}
