//! How one item of the transcript looks, part by part.
//!
//! Not for where it stands on the screen. The invariant: everything from outside is cleaned here, and what moves with
//! the clock is not laid out but drawn over the rows (see `live_indicator`), so that a spinner lays nothing out.

pub(super) mod call;
pub(super) mod call_preview;

use crate::event::{Compaction, FinishReason, LastContent, Millis, NoticeCode, NoticeLevel, TurnOutcome, Usage};
use crate::store::tool_calls::CallState;
use crate::store::transcript::{ItemKind, TranscriptItem};
use crate::store::{Store, Timestamps};
use crate::text::mention::file_mentions;
use crate::text::width::{expand_tabs, str_width};
use crate::text::{clean, one_line, size};
use crate::ui::format::{clock, count, duration, money, running_duration, time_of_day};
use crate::ui::markdown::{BlockKind, Definitions, Images, RenderContext, lay_with_images, stabilize, whole_lines};
use crate::ui::paint::spinner;
use crate::ui::panes::transcript::{ItemPart, PartKind, quick_hash};
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder, StyledText};
use crate::ui::theme::{Role, TextStyle};

/// Everything that a part's rows depend on.
pub(super) struct PartContext<'a> {
    pub(super) store: &'a Store,
    pub(super) item: TranscriptItem<'a>,
    /// The text that the part is a range of, for items that have one.
    pub(super) text: &'a str,
    pub(super) part: ItemPart,
    pub(super) width: u16,
    pub(super) definitions: Option<&'a Definitions>,
    pub(super) folded: bool,
    pub(super) fold_key: &'a str,
    /// Most columns of prose.
    pub(super) prose_columns: u16,
}

/// Returns by how much an item's rows are indented. Others bring their own marker.
pub(super) fn indent(kind: ItemKind<'_>, width: u16) -> u16 {
    match kind {
        ItemKind::Answer { .. } | ItemKind::TurnSummary { .. } if width >= 16 => 2,
        _ => 0,
    }
}

impl PartContext<'_> {
    /// Returns a number that changes whenever the rows would: made of what they are made of, so that a change
    /// elsewhere in the item lays nothing out again.
    ///
    /// `source` is the hash of the part's source, see [`Self::source_hash`].
    pub(super) fn stamp(&self, source: u64) -> u64 {
        let folded = u64::from(self.folded);
        match (self.part.kind, self.item.kind) {
            (PartKind::Markdown(kind), _) => {
                let sample = match kind {
                    BlockKind::TableRows { head, sample, .. } => {
                        self.text.get(head as usize..sample as usize).unwrap_or("")
                    }
                    BlockKind::OpenTable
                    | BlockKind::Paragraphs
                    | BlockKind::Tags { .. }
                    | BlockKind::Item { .. }
                    | BlockKind::Code { .. } => "",
                };
                let sample = if sample.is_empty() { 0 } else { quick_hash(sample.as_bytes()) };
                source
                    ^ self.definitions.map_or(0, Definitions::stamp).rotate_left(7)
                    ^ sample.rotate_left(21)
                    ^ block_stamp(kind)
                    ^ u64::from(self.store.show_link_targets) << 62
                    ^ u64::from(self.part.open) << 61
                    ^ u64::from(self.expects_footnotes()) << 60
                    ^ self.image_stamp()
            }
            (PartKind::Prompt | PartKind::Thinking, _) => source,
            (PartKind::ThinkingHead, ItemKind::Thinking { open: true, .. }) => u64::MAX - folded,
            (_, ItemKind::Call { call }) => self.store.tool_calls.get(call).map_or(0, |call| call::stamp(self, call)),
            _ => u64::from(self.item.rev) << 1 | folded,
        }
    }

    /// Returns the hash of what is shown of the part's source; zero where the stamp doesn't stand on it. O(part).
    pub(super) fn source_hash(&self) -> u64 {
        let source = self.part.source(self.text);
        match self.part.kind {
            // What isn't a whole row yet is not shown.
            PartKind::Markdown(BlockKind::OpenTable | BlockKind::TableRows { open: true, .. }) => {
                quick_hash(whole_lines(source).as_bytes())
            }
            PartKind::Markdown(_) | PartKind::Prompt | PartKind::Thinking => quick_hash(source.as_bytes()),
            _ => 0,
        }
    }

    /// Returns whether there are references whose notes may still come.
    fn expects_footnotes(&self) -> bool {
        matches!(self.item.kind, ItemKind::Answer { open: true, .. })
            && memchr::memmem::find(self.part.source(self.text).as_bytes(), b"[^").is_some()
    }

    #[cfg(feature = "images")]
    #[allow(clippy::unnecessary_wraps)]
    fn images(&self) -> Images<'_> {
        Some(crate::ui::image::ItemImages { images: &self.store.images, item: self.item.id })
    }

    #[cfg(not(feature = "images"))]
    #[allow(clippy::unused_self)]
    fn images(&self) -> Images<'_> {
        Images::default()
    }

    /// Pictures come in late.
    #[cfg(feature = "images")]
    fn image_stamp(&self) -> u64 {
        let source = self.part.source(self.text).as_bytes();
        let has_image = |mark: &[u8]| memchr::memmem::find(source, mark).is_some();
        let version = self.store.images.version();
        if version > 0 && (has_image(b"![") || has_image(b"<")) { version.rotate_left(48) } else { 0 }
    }

    #[cfg(not(feature = "images"))]
    #[allow(clippy::unused_self)]
    fn image_stamp(&self) -> u64 {
        0
    }

    pub(super) fn lay_out(&self) -> LaidOut {
        match (self.part.kind, self.item.kind) {
            (PartKind::Markdown(kind), _) => {
                let says_targets = self.store.show_link_targets;
                let source = self.part.source(self.text);
                let setting = RenderContext {
                    definitions: self.definitions,
                    awaits_footnotes: self.expects_footnotes(),
                    text: self.text,
                    width: self.width,
                    prose_columns: Some(self.prose_columns),
                    show_link_targets: says_targets,
                };
                let source = if self.part.open { stabilize(source, kind) } else { source.into() };
                lay_with_images(&source, kind, setting, self.images())
            }
            (PartKind::Prompt, _) => self.lay_prompt(),
            (PartKind::PromptRest, _) => self.lay_prompt_rest(),
            (PartKind::Remark, ItemKind::Answer { finish_reason: stop, is_refusal: refusal, .. }) => {
                self.lay_remark(stop, refusal)
            }
            (PartKind::ThinkingHead, ItemKind::Thinking { text, open, duration: took, .. }) => {
                self.lay_thinking_head(text, open, took)
            }
            (PartKind::Thinking, _) => self.lay_thinking(),
            (PartKind::CompactionHead, ItemKind::Compaction { compaction, is_undone, .. }) => {
                self.lay_compaction_head(compaction, is_undone)
            }
            (
                PartKind::CallHead
                | PartKind::Preview
                | PartKind::Detail(_)
                | PartKind::Output(_)
                | PartKind::Json
                | PartKind::FullOutput,
                ItemKind::Call { call },
            ) => self.store.tool_calls.get(call).map(|call| call::lay_out(self, call)).unwrap_or_default(),
            (PartKind::Notice, ItemKind::Notice { code: NoticeCode::Note, text, .. }) => self.lay_note(text),
            (PartKind::Notice, ItemKind::Notice { level, text, count, .. }) => self.lay_notice(level, text, count),
            (
                PartKind::TurnSummary,
                ItemKind::TurnSummary { outcome: end, duration: took, usage, first_token, cost },
            ) => self.lay_ended(end, took, (usage, cost), first_token),
            _ => LaidOut::default(),
        }
    }

    fn prose_width(&self) -> u16 {
        self.width.min(self.prose_columns)
    }

    /// The part's lines, cleaned, without the newline at its end.
    fn plain(&self) -> String {
        let source = self.part.source(self.text);
        let cleaned = clean(source.strip_suffix('\n').unwrap_or(source));
        expand_tabs(&cleaned, 4).into_owned()
    }

    fn lay_prompt(&self) -> LaidOut {
        let mut page = LayoutBuilder::new(self.prose_width());
        page.indent(if self.part.start == 0 { "› " } else { "  " }, TextStyle::new(Role::User));
        let text = self.plain();
        let (mut flow, mut end) = (StyledText::default(), 0);
        for mention in file_mentions(&text) {
            flow.push(&text[end..mention.range.start], Role::User.into());
            flow.push(&text[mention.range.clone()], Role::Link.into());
            end = mention.range.end;
        }
        flow.push(&text[end..], Role::User.into());
        page.add_wrapped(&flow);
        page.finish()
    }

    fn lay_prompt_rest(&self) -> LaidOut {
        let rest = self.part.source(self.text);
        let lines = memchr::memchr_iter(b'\n', rest.as_bytes()).count();
        let what = if lines == 0 { size(rest.len() as u64) } else { format!("{lines} lines") };
        let text = one_line(
            &format!("[{what} more: Space or a click unfolds them]"),
            usize::from(self.width).saturating_sub(2),
        );
        let mut page = LayoutBuilder::new(self.width);
        page.indent("  ", TextStyle::default());
        page.add_row([(text.as_str(), TextStyle::new(Role::Dim))]);
        page.finish()
    }

    fn lay_remark(&self, stop: Option<FinishReason>, refusal: bool) -> LaidOut {
        let last = if refusal { LastContent::Refusal } else { LastContent::Text };
        let text =
            stop.and_then(|stop| stop.explanation(last)).map_or("the model declined to answer", |(_, text)| text);
        let mut page = LayoutBuilder::new(self.prose_width());
        page.add_wrapped(&StyledText::of(text, Role::Warn.into()));
        page.finish()
    }

    fn lay_thinking_head(&self, text: &str, open: bool, took: Option<Millis>) -> LaidOut {
        let mut page = LayoutBuilder::new(self.width);
        page.indent(if self.folded { "▸ " } else { "▾ " }, TextStyle::new(Role::Dim));
        let words = || match text.split_whitespace().count() {
            1 => "1 word".to_owned(),
            words => format!("{} words", count(words as u64)),
        };
        let line = match took {
            _ if open => "thinking…".to_owned(),
            Some(took) if took.0 > 0 => format!("thought for {} · {}", duration(took), words()),
            _ => format!("thought · {}", words()),
        };
        page.add_wrapped(&StyledText::of(&line, Role::Thinking.into()));
        page.finish()
    }

    fn lay_thinking(&self) -> LaidOut {
        let mut page = LayoutBuilder::new(self.prose_width());
        page.bar("┊ ", TextStyle::new(Role::Border));
        page.add_wrapped(&StyledText::of(&self.plain(), Role::Thinking.into()));
        page.finish()
    }

    fn lay_compaction_head(&self, compaction: &Compaction, is_undone: bool) -> LaidOut {
        let (line, role) = compaction_line(compaction, is_undone);
        let mut page = LayoutBuilder::new(self.width);
        page.indent(if self.folded { "▸ " } else { "▾ " }, TextStyle::new(Role::Dim));
        page.add_wrapped(&StyledText::of(&line, role.into()));
        page.finish()
    }

    /// What the person noted stands out among what the program says.
    fn lay_note(&self, text: &str) -> LaidOut {
        let mut page = LayoutBuilder::new(self.width);
        page.indent("# ", TextStyle::new(Role::Accent));
        page.add_wrapped(&StyledText::of(&expand_tabs(clean(text).trim_end(), 4), Role::Accent.into()));
        page.finish()
    }

    fn lay_notice(&self, level: NoticeLevel, text: &str, times: u32) -> LaidOut {
        let (mark, role) = match level {
            NoticeLevel::Info => ("· ", Role::Dim),
            NoticeLevel::Warn => ("! ", Role::Warn),
            NoticeLevel::Error => ("✗ ", Role::Error),
        };
        let mut flow = StyledText::of(&expand_tabs(clean(text).trim_end(), 4), role.into());
        if times > 1 {
            flow.push(&format!(" ×{times}"), Role::Dim.into());
        }
        let mut page = LayoutBuilder::new(self.prose_width());
        page.indent(mark, TextStyle::new(role));
        page.add_wrapped(&flow);
        page.finish()
    }

    fn lay_ended(
        &self,
        end: &TurnOutcome,
        took: Millis,
        (usage, cost): (Option<Usage>, Option<f64>),
        first_token: Option<Millis>,
    ) -> LaidOut {
        // What failed at once took no time worth telling.
        let at_once = took.0 < 100;
        let took = duration(took);
        let (head, role) = match end {
            TurnOutcome::Completed => (took, Role::Dim),
            TurnOutcome::Cancelled => (format!("cancelled after {took}"), Role::Warn),
            TurnOutcome::Interrupted => (format!("interrupted after {took}, the answer is incomplete"), Role::Warn),
            TurnOutcome::Failed(fault) if at_once => (format!("failed: {}", clean(&fault.message)), Role::Error),
            TurnOutcome::Failed(fault) => (format!("failed after {took}: {}", clean(&fault.message)), Role::Error),
        };
        let mut flow = StyledText::of(&head, role.into());
        let mut figures = Vec::new();
        if let Some(first) = first_token {
            figures.push(format!(" · first token {}", duration(first)));
        }
        if let Some(usage) = usage {
            let about = if usage.estimated { "~" } else { "" };
            let (input, output) = (count(usage.input_tokens), count(usage.output_tokens));
            // Something came out, so something went in: a zero means that nobody said how much.
            figures.push(match usage.input_tokens {
                0 => format!(" · {about}{output} out"),
                _ => format!(" · {about}{input} in, {about}{output} out"),
            });
        }
        if let Some(cost) = cost.filter(|cost| *cost > 0.0) {
            let about = if usage.is_some_and(|usage| usage.estimated) { "~" } else { "" };
            figures.push(format!(" · {about}{}", money(cost)));
        }
        // Figures are dropped sooner than wrapped.
        let mut used = str_width(&flow.text);
        for figure in figures {
            used += str_width(&figure);
            if used <= usize::from(self.width) {
                flow.push(&figure, Role::Dim.into());
            }
        }
        let mut page = LayoutBuilder::new(self.width);
        page.add_wrapped(&flow);
        page.finish()
    }
}

/// Says in a line what a compaction did.
pub(in crate::ui) fn compaction_line(compaction: &Compaction, is_undone: bool) -> (String, Role) {
    let turns = match compaction.turns {
        1 => "the first turn".to_owned(),
        turns => format!("the first {turns} turns"),
    };
    let is_cut = compaction.cut_reason.is_some();
    let (done, role) = match (is_undone, is_cut) {
        (true, _) => ("sent again", Role::Dim),
        (false, true) => ("left out", Role::Warn),
        (false, false) => ("summed up", Role::Accent),
    };
    let (before, after) = (count(compaction.tokens_before), count(compaction.tokens_after));
    let tokens = if is_undone { String::new() } else { format!(" · ~{before} → ~{after} tokens") };
    (format!("{done}: {turns}{tokens}"), role)
}

fn block_stamp(kind: BlockKind) -> u64 {
    match kind {
        BlockKind::Paragraphs => 0,
        BlockKind::OpenTable => 1,
        BlockKind::Code { first, closed, indent, syntax } => {
            2 | u64::from(first) << 2 | u64::from(closed) << 3 | u64::from(indent) << 4 | syntax.stamp() << 8
        }
        BlockKind::Tags { inside } => 0x200 | inside.map_or(0, |raw| 1 + raw as u64),
        BlockKind::TableRows { first, .. } => 0x100 | u64::from(first),
        BlockKind::Item { number } => 3 | number.map_or(0, |number| number.wrapping_add(1) << 2),
    }
}

/// Returns when an item began, as the person wants to know it. `zone` is seconds east of Greenwich.
pub(super) fn time_label(store: &Store, item: TranscriptItem<'_>, zone: i32) -> Option<String> {
    if matches!(item.kind, ItemKind::TurnSummary { .. }) {
        return None;
    }
    match store.timestamps {
        Timestamps::Off => None,
        Timestamps::Relative => Some(format!("+{}", clock(item.at))),
        Timestamps::Clock => store.session.wall_time(item.at).map(|wall| time_of_day(wall, zone)),
    }
}

/// What is drawn over an item's first row because it moves with the clock.
pub(in crate::ui) struct LiveIndicator {
    pub(super) glyph: &'static str,
    /// How long it has been going on.
    pub(super) time: Option<String>,
}

/// Returns what moves in an item now, if anything does.
pub(super) fn live_indicator(store: &Store, item: TranscriptItem<'_>) -> Option<LiveIndicator> {
    let now = store.session.now;
    let since = match item.kind {
        ItemKind::Thinking { open: true, .. } => Some(now.since(item.at)),
        ItemKind::Call { call } => {
            let call = store.tool_calls.get(call)?;
            match call.state {
                CallState::Writing => None,
                CallState::Running => call.running_time(now),
                CallState::AwaitingApproval | CallState::Done(_) => return None,
            }
        }
        _ => return None,
    };
    Some(LiveIndicator { glyph: spinner(store), time: since.filter(|since| since.0 >= 1000).map(running_duration) })
}
