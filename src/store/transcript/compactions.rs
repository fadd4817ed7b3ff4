//! Compactions as items: what they tell, and which of them count.

use super::Transcript;
use super::item::{CompactionRecord, ItemBody};
use crate::event::{Compaction, CompactionTrigger, Millis, TurnId};

/// Characters shown of the last prompt that is covered.
const MAX_PROMPT_CHARS: usize = 60;

impl Transcript {
    pub(super) fn compact(&mut self, at: Millis, compaction: &Compaction) {
        let text = self.describe_compaction(compaction);
        let compaction = Compaction { summary: None, ..compaction.clone() };
        let record = CompactionRecord { compaction, text, is_undone: false };
        let index = self.push(at, ItemBody::Compaction(Box::new(record)));
        self.compactions.push(index);
    }

    /// Those that came after it are undone as well.
    pub(super) fn undo_compaction(&mut self, through: &TurnId) {
        let is_meant = |index: &usize| {
            let body = self.records.get(*index).map(|record| &record.body);
            matches!(body, Some(ItemBody::Compaction(record)) if record.compaction.through == *through)
        };
        let Some(first) = self.compactions.iter().position(is_meant) else { return };
        for index in self.compactions.split_off(first) {
            self.change(index, |record, _| {
                if let ItemBody::Compaction(record) = &mut record.body {
                    record.is_undone = true;
                }
            });
        }
    }

    /// Says what the item shows when it is unfolded.
    fn describe_compaction(&self, compaction: &Compaction) -> String {
        let mut lines = Vec::new();
        let last_prompt = self.prompts.iter().rev().find(|(turn, _)| *turn == compaction.through);
        if let Some((_, index)) = last_prompt {
            let prompt = self.text_at(*index as usize).lines().next().unwrap_or_default();
            let mut shown: String = prompt.chars().take(MAX_PROMPT_CHARS).collect();
            if shown.len() < prompt.len() {
                shown.push('…');
            }
            lines.push(format!("From the first prompt through \u{201c}{shown}\u{201d}."));
        }
        lines.push(match compaction.trigger {
            CompactionTrigger::Person => "You asked for it; /compact undo takes it back.".to_owned(),
            CompactionTrigger::Window => {
                "The next request would not have fitted into the model's window; /compact undo takes it back."
                    .to_owned()
            }
        });
        if compaction.unread_turns > 0 {
            lines.push(format!("The oldest {} were too long to be read for it.", compaction.unread_turns));
        }
        match (&compaction.summary, &compaction.cut_reason) {
            (Some(summary), _) => lines.extend([String::new(), summary.clone()]),
            (None, Some(reason)) => lines.push(format!("There is no summary: {reason}.")),
            (None, None) => lines.push("There is no summary.".to_owned()),
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, TurnOutcome};
    use crate::store::transcript::ItemKind;
    use crate::store::usage::UsageStats;
    use crate::testkit::events::{turn_finished, turn_started, user_message};

    fn compacted(through: &str, turns: u32, summary: Option<&str>) -> AgentEvent {
        AgentEvent::Compacted(Box::new(Compaction {
            through: through.into(),
            turns,
            unread_turns: 0,
            summary: summary.map(str::to_owned),
            cut_reason: summary.is_none().then(|| "offline writes none".to_owned()),
            tokens_before: 100,
            tokens_after: 10,
            trigger: CompactionTrigger::Person,
        }))
    }

    fn folded(events: &[AgentEvent]) -> Transcript {
        let mut transcript = Transcript::default();
        for event in events {
            transcript.on_event(Millis(0), event, None, &UsageStats::default());
        }
        transcript
    }

    fn turn(id: &str, prompt: &str) -> [AgentEvent; 3] {
        [turn_started(id), user_message(id, prompt), turn_finished(id, TurnOutcome::Completed)]
    }

    fn shown(transcript: &Transcript) -> Vec<(String, bool)> {
        let items = transcript.items();
        let told = items.iter().filter_map(|item| match item.kind {
            ItemKind::Compaction { text, is_undone, .. } => Some((text.to_owned(), is_undone)),
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn a_compaction_tells_through_which_prompt_it_goes_and_what_its_summary_says() {
        let mut events = [turn("t1", "first"), turn("t2", &"long ".repeat(30))].concat();
        events.extend([compacted("t1", 1, Some("They met.")), compacted("t2", 2, None)]);
        let texts: Vec<String> = shown(&folded(&events)).into_iter().map(|(text, _)| text).collect();
        let expected = [
            "From the first prompt through \u{201c}first\u{201d}.\nYou asked for it; /compact undo takes it back.\n\nThey met."
                .to_owned(),
            format!(
                "From the first prompt through \u{201c}{}…\u{201d}.\nYou asked for it; /compact undo takes it back.\nThere \
                 is no summary: offline writes none.",
                "long ".repeat(12)
            ),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn who_undoes_one_undoes_those_after_it() {
        let mut events = [turn("t1", "a"), turn("t2", "b"), turn("t3", "c")].concat();
        events.extend([compacted("t1", 1, Some("1")), compacted("t2", 2, Some("2")), compacted("t3", 3, Some("3"))]);
        let undone = |events: &[AgentEvent]| shown(&folded(events)).into_iter().map(|(_, undone)| undone).collect();
        events.push(AgentEvent::CompactionUndone { through: "t2".into() });
        let flags: Vec<bool> = undone(&events);
        assert_eq!(flags, [false, true, true]);
        events.push(AgentEvent::CompactionUndone { through: "t9".into() });
        let same: Vec<bool> = undone(&events);
        assert_eq!(same, flags);
    }
}
