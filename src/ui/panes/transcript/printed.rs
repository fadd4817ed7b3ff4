//! The rows of the transcript for a terminal that keeps what was printed: those that are finished are handed out once, in
//! their order, and what is not finished is shown below them.
//!
//! The invariant: a row that was handed out is never handed out again, whatever the width is by then.

use std::rc::Rc;

use ratatui::buffer::Buffer;

use super::TranscriptView;
use super::layout_cache::LayoutKey;
use crate::store::Store;
use crate::store::tool_calls::CallState;
use crate::store::transcript::{ItemId, ItemKind, TranscriptItem};
use crate::ui::panes::item;
use crate::ui::text_layout::{BlockPlace, LaidOut};
use crate::ui::theme::Theme;

/// Where the part begins that was not handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintedPlace {
    epoch: u64,
    item: u64,
    block: u32,
}

/// A row that is ready to be drawn.
#[derive(Clone, Debug)]
pub struct LooseRow {
    laid: Rc<LaidOut>,
    /// None is an empty row above a part.
    row: Option<u32>,
    indent: u16,
}

impl LooseRow {
    pub fn draw(&self, y: u16, theme: Theme, buf: &mut Buffer) {
        if let Some(row) = self.row {
            let room = buf.area.width.saturating_sub(self.indent);
            self.laid.draw_row(row, buf.area.x + self.indent, y, room, theme, buf);
        }
    }
}

impl PrintedPlace {
    /// Goes to the last prompt: what is before was said in an earlier run.
    pub fn skip_past(&mut self, store: &Store) {
        let items = store.transcript.items();
        let last = items.iter().rev().find(|item| matches!(item.kind, ItemKind::Prompt { .. })).or(items.first());
        if let Some(last) = last.filter(|last| last.id.0 > self.item) {
            (self.item, self.block) = (last.id.0, 0);
        }
    }
}

impl TranscriptView {
    /// Takes the rows that are finished at this width; they count as handed out.
    pub fn take_finished(&mut self, store: &Store, width: u16, from: &mut PrintedPlace) -> Vec<LooseRow> {
        self.cache.sync(store, LayoutKey::new(store, width));
        let transcript = &store.transcript;
        if from.epoch != transcript.epoch() {
            *from = PrintedPlace { epoch: transcript.epoch(), block: 0, ..*from };
        }
        if let Some(first) = transcript.items().first().filter(|first| first.id.0 > from.item) {
            (from.item, from.block) = (first.id.0, 0);
        }
        let mut rows = Vec::new();
        while let Some(index) = transcript.index_of(ItemId(from.item)) {
            let Some(item) = transcript.item(ItemId(from.item)) else { break };
            let parts = self.cache.parts(store, index);
            let is_finished = is_finished(store, item);
            let ready = if is_finished { parts } else { self.cache.finished_parts(item) };
            while from.block < ready {
                self.add_part(store, item, BlockPlace { index, block: from.block }, &mut rows);
                from.block += 1;
            }
            if !is_finished {
                break;
            }
            (from.item, from.block) = (from.item + 1, 0);
        }
        rows
    }

    /// Returns the last of the rows that were not handed out, at most so many.
    pub fn unfinished_rows(&mut self, store: &Store, width: u16, from: PrintedPlace, most: usize) -> Vec<LooseRow> {
        self.cache.sync(store, LayoutKey::new(store, width));
        let transcript = &store.transcript;
        let mut rows = Vec::new();
        let Some(first) = transcript.index_of(ItemId(from.item)) else { return rows };
        let mut last = transcript.items().len();
        // From the end up, till there are enough.
        while last > first && rows.len() < most {
            last -= 1;
            let Some(item) = transcript.items().get(last) else { break };
            let begin = if last == first { from.block } else { 0 };
            let mut block = self.cache.parts(store, last);
            while block > begin && rows.len() < most {
                block -= 1;
                let mut part = Vec::new();
                self.add_part(store, item, BlockPlace { index: last, block }, &mut part);
                rows.extend(part.into_iter().rev());
            }
        }
        rows.truncate(most);
        rows.reverse();
        rows
    }

    fn add_part(&mut self, store: &Store, item: TranscriptItem<'_>, place: BlockPlace, rows: &mut Vec<LooseRow>) {
        let (laid, lead) = self.cache.part(store, place);
        let indent = item::indent(item.kind, self.cache.key.width);
        let above = (0..lead).map(|_| None);
        let all = above.chain((0..laid.rows()).map(Some));
        rows.extend(all.map(|row| LooseRow { laid: Rc::clone(&laid), row, indent }));
    }
}

/// Returns whether nothing more will be said in an item.
fn is_finished(store: &Store, item: TranscriptItem<'_>) -> bool {
    match item.kind {
        ItemKind::Prompt { .. }
        | ItemKind::Notice { .. }
        | ItemKind::Compaction { .. }
        | ItemKind::TurnSummary { .. } => true,
        ItemKind::Answer { open, .. } | ItemKind::Thinking { open, .. } => !open,
        ItemKind::Call { call } => {
            store.tool_calls.get(call).is_none_or(|call| matches!(call.state, CallState::Done(_)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FinishReason, TurnOutcome};
    use crate::testkit::events::{
        message_finished, message_started, opened, text_delta, turn_finished, turn_started, user_message,
    };
    use crate::testkit::store::fold;

    fn texts(rows: &[LooseRow]) -> Vec<String> {
        let text = |row: &LooseRow| row.row.map_or("", |nth| row.laid.row_text(nth)).trim_end().to_owned();
        rows.iter().map(text).collect()
    }

    #[test]
    fn blocks_are_handed_out_once_they_are_closed_whatever_the_width() {
        let (mut store, mut view, mut place) = (Store::default(), TranscriptView::new(), PrintedPlace::default());
        fold(&mut store, [opened(), turn_started("t1"), user_message("m1", "go"), message_started("m2")]);
        let mut printed = Vec::new();
        let mut answer = String::new();
        for nth in 0..30 {
            let width = if nth % 2 == 0 { 60 } else { 140 };
            let piece = format!("Paragraph {nth} of the answer.\n\n- item {nth}\n\n```\ncode {nth}\n```\n\n");
            answer.push_str(&piece);
            let (begin, end) = piece.split_at(17);
            fold(&mut store, [text_delta("m2", begin)]);
            printed.extend(texts(&view.take_finished(&store, width, &mut place)));
            let shown = texts(&view.unfinished_rows(&store, width, place, 3));
            assert!(shown.last().is_some_and(|row| row.contains(&format!("Paragraph {nth}"))), "{shown:?}");
            fold(&mut store, [text_delta("m2", end)]);
            printed.extend(texts(&view.take_finished(&store, 200 - width, &mut place)));
        }
        fold(&mut store, [message_finished("m2", FinishReason::End), turn_finished("t1", TurnOutcome::Completed)]);
        printed.extend(texts(&view.take_finished(&store, 60, &mut place)));
        assert!(view.unfinished_rows(&store, 60, place, 9).is_empty());
        assert!(view.take_finished(&store, 140, &mut place).is_empty());

        let mut whole = TranscriptView::new();
        let at_once = texts(&whole.take_finished(&store, 60, &mut PrintedPlace::default()));
        let words = |rows: &[String]| rows.concat().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&printed), words(&at_once));
        for nth in 0..30 {
            let line = format!("Paragraph {nth} of the answer.");
            assert_eq!(printed.iter().filter(|row| row.trim() == line).count(), 1, "{line}");
        }
    }

    #[test]
    fn of_an_earlier_run_the_last_turn_is_handed_out() {
        let (mut store, mut view, mut place) = (Store::default(), TranscriptView::new(), PrintedPlace::default());
        fold(&mut store, [opened(), turn_started("t1"), user_message("m1", "first")]);
        fold(
            &mut store,
            [turn_finished("t1", TurnOutcome::Completed), turn_started("t2"), user_message("m2", "second")],
        );
        place.skip_past(&store);
        let rows = texts(&view.take_finished(&store, 60, &mut place));
        assert!(rows.concat().contains("second") && !rows.concat().contains("first"), "{rows:?}");
    }
}
