//! What a frame of the transcript costs at 200x60 with 100 000 items.
//! Targets: warm 1 ms, after a resize 15 ms, a page of scrolling 2 ms, a token into 200 kB and its frame 0.5 ms.

use divan::Bencher;
use jarvis_tui::app::screen::Screen;
use jarvis_tui::event::{
    AgentEvent, Envelope, FinishReason, MessageId, Millis, Role, Seq, TextKind, TurnId, TurnOutcome,
};
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::{Store, StoreOptions};
use jarvis_tui::ui::panes::transcript::{self, TranscriptView};
use jarvis_tui::ui::theme::{Theme, ThemeKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const ITEMS: usize = 100_000;
const ANSWER: &str = "# Title\n\nA paragraph with **bold** text and `code`, long enough to be wrapped on most screens.\n\n\
                      - one\n- two\n\n```rust\nfn main() {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nDone.\n";

fn main() {
    divan::main();
}

struct FrameSession {
    store: Store,
    seq: Seq,
}

impl FrameSession {
    fn new(items: usize) -> Self {
        let mut session = Self { store: Store::new(StoreOptions::default()), seq: Seq(0) };
        for number in 0..items / 3 {
            let turn = TurnId::new(format!("t{number}"));
            let message = MessageId::new(format!("m{number}"));
            session.event(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
            let question = MessageId::new(format!("u{number}"));
            session.event(AgentEvent::UserMessage { message: question, text: "a question of some words".into() });
            session.begin(&message);
            session.say(&message, ANSWER);
            session.event(AgentEvent::MessageFinished {
                message,
                finish_reason: FinishReason::End,
                full_text: None,
                provider_metadata: None,
            });
            session.event(AgentEvent::TurnFinished { turn, outcome: TurnOutcome::Completed });
        }
        session
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq = self.seq.next();
        let envelope = Envelope { seq: self.seq, at: Millis(self.seq.0), event };
        self.store.update(Msg::Event(envelope), &mut Vec::new());
    }

    fn begin(&mut self, message: &MessageId) {
        self.event(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
    }

    fn say(&mut self, message: &MessageId, text: &str) {
        let (message, text) = (message.clone(), text.to_owned());
        self.event(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
    }
}

fn draw(session: &FrameSession, view: &mut TranscriptView, width: u16, buf: &mut Buffer) {
    let area = Rect::new(0, 0, width, 60);
    transcript::draw(&session.store, view, &Theme::new(ThemeKind::Dark), true, area, buf);
}

fn buffer() -> Buffer {
    Buffer::empty(Rect::new(0, 0, 200, 60))
}

#[divan::bench]
fn warm_frame(bencher: Bencher<'_, '_>) {
    let session = FrameSession::new(ITEMS);
    let (mut view, mut buf) = (TranscriptView::new(), buffer());
    draw(&session, &mut view, 200, &mut buf);
    bencher.bench_local(|| draw(&session, &mut view, 200, &mut buf));
}

#[divan::bench]
fn frame_after_resize(bencher: Bencher<'_, '_>) {
    let session = FrameSession::new(ITEMS);
    let (mut view, mut buf) = (TranscriptView::new(), buffer());
    draw(&session, &mut view, 200, &mut buf);
    let mut width = 100;
    bencher.bench_local(|| {
        // A width that was not drawn lately.
        width = 100 + (width - 100 + 1) % 100;
        draw(&session, &mut view, width, &mut buf);
    });
}

#[divan::bench(sample_count = 20)]
fn first_frame(bencher: Bencher<'_, '_>) {
    let session = FrameSession::new(ITEMS);
    let mut buf = buffer();
    bencher.bench_local(|| draw(&session, &mut TranscriptView::new(), 200, &mut buf));
}

#[divan::bench(sample_count = 100, sample_size = 1)]
fn page_up(bencher: Bencher<'_, '_>) {
    let session = FrameSession::new(ITEMS);
    let (mut view, mut buf) = (TranscriptView::new(), buffer());
    draw(&session, &mut view, 200, &mut buf);
    bencher.bench_local(|| {
        view.page(-1);
        draw(&session, &mut view, 200, &mut buf);
    });
}

/// A word comes, the transcript is drawn and what is new goes out; every eighth word the rows move up.
#[divan::bench]
fn a_word_on_the_terminal(bencher: Bencher<'_, '_>) {
    let mut session = FrameSession::new(300);
    let message = MessageId::new("open");
    session.begin(&message);
    let (mut view, mut screen) = (TranscriptView::new(), Screen::new(std::io::sink(), 200, 60));
    let mut token = 0;
    bencher.bench_local(|| {
        token += 1;
        session.say(&message, if token % 8 == 0 { "end\n\n" } else { "word " });
        screen.draw(|area, buf| {
            transcript::draw(&session.store, &mut view, &Theme::new(ThemeKind::Dark), true, area, buf);
            None
        })
    });
}

#[divan::bench(args = ["paragraphs", "list", "code", "one paragraph"])]
fn token_into_200_kb(bencher: Bencher<'_, '_>, kind: &str) {
    let mut session = FrameSession::new(300);
    let message = MessageId::new("open");
    session.begin(&message);
    let text = match kind {
        "paragraphs" => "A paragraph of some words that goes on for a while.\n\n".repeat(3800),
        "list" => "- an item of some words\n".repeat(8400),
        "code" => format!("```\n{}", "let line = \"of code\";\n".repeat(9100)),
        _ => "word and word and word and word.\n".repeat(6100),
    };
    session.say(&message, &text);
    let (mut view, mut buf) = (TranscriptView::new(), buffer());
    draw(&session, &mut view, 200, &mut buf);
    let mut token = 0;
    bencher.bench_local(|| {
        token += 1;
        session.say(&message, if token % 12 == 0 { "end\n" } else { "word " });
        draw(&session, &mut view, 200, &mut buf);
    });
}
