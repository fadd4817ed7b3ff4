//! A session that is built of events and drawn, and its cells as text.

use crate::testkit::events::{Opened, message_finished, message_started, shell_approval, turn_started, user_message};
use crate::testkit::ui::dark_ui;
use jarvis_tui::event::{
    AgentEvent, ApprovalRequest, CallId, CallOutcome, CallOutput, Capabilities, Envelope, ExecutedBy, FinishReason,
    Millis, OutputStream, Risk, Seq, TextKind, ToolKind, Usage, UsageScope,
};
use jarvis_tui::store::action::Action;
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::{Store, StoreOptions};
use jarvis_tui::ui::{self, Ui};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// A session under construction: events in, store and view out.
pub(super) struct Scene {
    pub(super) store: Store,
    pub(super) ui: Ui,
    pub(super) seq: u64,
    pub(super) now: u64,
}

impl Scene {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        let mut scene = Self { store: Store::new(StoreOptions::default()), ui: dark_ui(), seq: 0, now: 0 };
        scene.event(
            Opened {
                wall_ms: 1_763_000_000_000,
                engine_reason: "no model was found",
                folder: "/home/ada/engine",
                capabilities,
                context_window: Some(32_768),
                price: Some((0.0, 0.0)),
                ..Opened::default()
            }
            .event(),
        );
        scene
    }

    pub(super) fn msg(&mut self, msg: Msg) {
        self.store.update(msg, &mut Vec::new());
        if self.ui.panes.composer.is_empty() {
            self.store.update(Msg::OfferApproval, &mut Vec::new());
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        self.msg(Msg::Action(action));
    }

    pub(super) fn event(&mut self, event: AgentEvent) {
        self.seq += 1;
        let envelope = Envelope { seq: Seq(self.seq), at: Millis(self.now), event };
        self.msg(Msg::Event(envelope));
    }

    pub(super) fn after(&mut self, ms: u64) -> &mut Self {
        self.now += ms;
        self
    }

    pub(super) fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.msg(Msg::Tick(Millis(self.now)));
    }

    pub(super) fn prompt(&mut self, turn: &str, text: &str) {
        self.event(turn_started(turn));
        self.event(user_message(&format!("u-{turn}"), text));
    }

    pub(super) fn message(&mut self, message: &str) {
        self.event(message_started(message));
    }

    pub(super) fn text(&mut self, message: &str, text: &str) {
        for piece in text.split_inclusive(' ') {
            let text = piece.to_owned();
            self.after(20).event(AgentEvent::TextDelta { message: message.into(), text, kind: TextKind::Text });
        }
    }

    pub(super) fn finished(&mut self, message: &str, stop: FinishReason) {
        self.event(message_finished(message, stop));
    }

    pub(super) fn call(&mut self, call: &str, message: &str, name: &str, args: &str) {
        let id: CallId = call.into();
        self.event(AgentEvent::ToolCallStarted {
            call: id.clone(),
            message: message.into(),
            name: Some(name.into()),
            parent: None,
            executed_by: ExecutedBy::Client,
        });
        self.event(AgentEvent::ToolCallReady {
            call: id,
            name: name.into(),
            args: args.into(),
            provider_metadata: None,
        });
    }

    pub(super) fn ask_to_fetch(&mut self) {
        self.call("c2", "m1", "fetch", r#"{"url":"https://example.org/carry"}"#);
        let request = ApprovalRequest {
            tool: "fetch".into(),
            kind: ToolKind::Fetch,
            risk: Risk::Network,
            folder: "/home/ada/engine".into(),
            ..shell_approval("https://example.org/carry")
        };
        self.event(AgentEvent::ApprovalRequested { call: "c2".into(), request });
    }

    pub(super) fn output(&mut self, call: &str, text: &str) {
        let stream = OutputStream::Stdout;
        self.event(AgentEvent::ToolOutput { call: call.into(), stream, text: text.into() });
    }

    pub(super) fn done(&mut self, call: &str, outcome: CallOutcome, output: &str) {
        let output = CallOutput::from_text(output);
        self.event(AgentEvent::ToolCallFinished { call: call.into(), outcome, output, duration: None });
    }

    pub(super) fn usage(&mut self, n: u32, input: u64, output: u64) {
        let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        self.event(AgentEvent::UsageReported { scope: UsageScope::Request(n), usage });
    }

    pub(super) fn draw(&mut self, (width, height): (u16, u16)) -> (Buffer, Option<(u16, u16)>) {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        let cursor = ui::draw(&self.store, &mut self.ui, area, &mut buf);
        (buf, cursor)
    }
}

pub(super) fn text(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buf.area.height {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..buf.area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buf[(x, y)].symbol();
            skip = jarvis_tui::text::width::str_width(symbol).saturating_sub(1);
            row.push_str(symbol);
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// Marks styled cells: one letter per color, upper case if bold, `#` if reversed.
pub(super) fn styles(buf: &Buffer) -> String {
    use ratatui::style::{Color, Modifier};
    let letter = |x, y| {
        let cell = &buf[(x, y)];
        let letter = match cell.fg {
            _ if cell.symbol() == " " && !cell.modifier.contains(Modifier::REVERSED) => ' ',
            _ if cell.modifier.contains(Modifier::REVERSED) => '#',
            Color::Reset if cell.modifier.contains(Modifier::DIM) => 'd',
            Color::Reset => '.',
            Color::Red | Color::LightRed => 'r',
            Color::Green => 'g',
            Color::Yellow => 'y',
            Color::Blue | Color::LightBlue => 'b',
            Color::Magenta | Color::LightMagenta => 'm',
            Color::Cyan => 'c',
            Color::Gray => 'w',
            Color::DarkGray => 'd',
            _ => '?',
        };
        if cell.modifier.contains(Modifier::BOLD) { letter.to_ascii_uppercase() } else { letter }
    };
    (0..buf.area.height)
        .map(|y| (0..buf.area.width).map(|x| letter(x, y)).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
}
