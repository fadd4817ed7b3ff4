//! What Markdown costs that opens more than anybody would read: nanoseconds a byte at 100 kB and at 1.6 MB, read at once
//! and as it streams in, and how much more a byte costs in the long text. Target: 1.3 times at most.
//!
//! Arguments: parts of the names of the kinds to measure; `once` or `streamed` for only one of the ways; `piece=20` for
//! the bytes that come before each frame; `size=100000` to read one text of that size once, for whoever counts
//! instructions (`valgrind --tool=callgrind`).

use std::hint::black_box;
use std::time::{Duration, Instant};

use jarvis_tui::event::{
    AgentEvent, Envelope, FinishReason, MessageId, Millis, Role, Seq, TextKind, TurnId, TurnOutcome,
};
use jarvis_tui::store::msg::Msg;
use jarvis_tui::store::{Store, StoreOptions};
use jarvis_tui::ui::markdown::{Definitions, RenderContext, Splitter, lay_block};
use jarvis_tui::ui::panes::transcript::{self, TranscriptView};
use jarvis_tui::ui::theme::{Theme, ThemeKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const SMALL: usize = 100_000;
const LARGE: usize = 1_600_000;

/// What is repeated.
const OPENINGS: &[(&str, &str)] = &[
    ("bracket", "["),
    ("image", "!["),
    ("closing and target", "]("),
    ("link to", "[a]("),
    ("closing bracket", "]"),
    ("reference", "[a][b] "),
    ("note", "[^1] "),
    ("open note", "[^a"),
    ("angle", "<"),
    ("tag", "<a "),
    ("attribute", "<a b=\""),
    ("bold tag", "<b>"),
    ("ending tag", "</b>"),
    ("tags", "<b>x</b> <i>"),
    ("autolink", "<http://a"),
    ("autolinks", "<http://a.b> "),
    ("addresses", "http://a.b/c "),
    ("address", "http://a"),
    ("www", "www."),
    ("mail", "a@b."),
    ("mails", "a@b.cd "),
    ("star", "*"),
    ("star word", "*a "),
    ("stars", "**a "),
    ("underscore", "_a "),
    ("mixture", "*a_b"),
    ("mixtures", "**a *b _c ~~d "),
    ("strike", "~~"),
    ("strikes", "~~a "),
    ("tick", "`"),
    ("ticks", "` `` ``` "),
    ("dollar", "$"),
    ("dollars", "$$"),
    ("formula", "$a "),
    ("formulas", "$x$ "),
    ("displayed", "$$a "),
    ("TeX", "\\("),
    ("TeX displayed", "\\["),
    ("TeX groups", "$\\frac{a_{b^{"),
    ("quote", "> "),
    ("quotes", ">"),
    ("item", "- "),
    ("number", "1. "),
    ("item and quote", "- > "),
    ("item and quote lines", "- > - > a\n"),
    ("task", "- [ ] "),
    ("heading", "#"),
    ("headings", "# a\n"),
    ("entity", "&amp"),
    ("entities", "&amp;"),
    ("ampersand", "&"),
    ("backslash", "\\"),
    ("div", "<div>"),
    ("div lines", "<div>\n"),
    ("div blocks", "<div>\n\n"),
    ("comment", "<!--"),
    ("instruction", "<?"),
    ("declaration", "<!A"),
    ("data", "<![CDATA["),
    ("script", "<script>"),
    ("hard breaks", "a  \n"),
    ("broken lines", "a\\\n"),
    ("setext", "a\n="),
    ("setext lines", "a\n===\n"),
    ("rules", "---\n"),
    ("blanks", " "),
    ("tabs", "\t"),
    ("newlines", "\n"),
    ("blank lines", "  \n"),
    ("lines", "a\n"),
    ("indented", "    a\n"),
    ("words", "word "),
    ("letters", "a"),
    ("ideographs", "漢字。"),
    ("Thai", "ภาษาไทย"),
    ("combining", "e\u{301}"),
    ("joined", "👩\u{200d}"),
    ("parenthesis", "("),
    ("address and parentheses", ")"),
    ("bars", "|"),
    ("cells", "|a"),
    ("rule of a table", "|-"),
    ("escapes", "\u{1b}["),
    ("bracket lines", "[a\n"),
    ("image lines", "![a\n"),
    ("link lines", "[a](\n"),
    ("angle lines", "<a\n"),
    ("tick lines", "`a\n"),
    ("ticks and lines", "``\na `\n"),
    ("dollar lines", "$a\n"),
    ("dollars and lines", "$$a\n"),
    ("star lines", "*a\n"),
    ("stars and lines", "**a_\n"),
    ("quote lines", "> a\n"),
    ("quoted lines", "> > > - a\n"),
    ("item lines", "- a\n"),
    ("number lines", "1. a\n\n"),
    ("comment lines", "a <!--\n"),
    ("paragraphs", "A *paragraph* of `words` with [a link](http://x.y).\n\n"),
];

/// Kinds that aren't one thing repeated.
const MADE: &[(&str, MakeFn)] = &[
    ("runs of ticks", |size| lines(size, |nth| "`".repeat(nth % 400) + " ")),
    ("fences that grow", |size| lines(size, |nth| "`".repeat(3 + nth % 2000) + "\na\n")),
    ("fences in items", |size| lines(size, |_| "- a\n  ```\n  [[[[\n".into())),
    ("columns", |size| table(size / 8, 1)),
    ("3000 columns", |size| table(3000, size / 6000)),
    ("tables of 100 columns", |size| lines(size, |_| table(100, 1) + "\n")),
    ("wide head and short rows", |size| table(900, 0) + &"|b|\n".repeat(size / 4)),
    ("100 columns and short rows", |size| table(100, 0) + &"|b|\n".repeat(size / 4)),
    ("rows", |size| table(2, size / 6)),
    ("rows with bars", |size| table(2, 0) + &"|`c|d`|e||f|\n".repeat(size / 13)),
    ("definitions", |size| lines(size, |nth| format!("[a{nth}]: b\n"))),
    ("definitions used", |size| {
        lines(size, |nth| format!("[a{nth}]: http://b.c/{nth}\n\nSee [a{nth}] and [a{}].\n\n", nth / 2))
    }),
    ("notes", |size| lines(size, |nth| format!("[^{nth}]: b\n"))),
    ("notes used", |size| lines(size, |nth| format!("See[^{nth}] and[^{}].\n\n[^{nth}]: b\n\n", nth / 2))),
    ("notes first", |size| {
        let see = lines(size / 2, |nth| format!("See[^{nth}] "));
        see + "\n\n" + &lines(size / 2, |nth| format!("[^{nth}]: b\n\n"))
    }),
    ("images closed", |size| paragraphs(size, |most| "![".repeat(most / 6) + "a" + &"](b)".repeat(most / 6))),
    ("links closed", |size| paragraphs(size, |most| "[".repeat(most / 5) + "a" + &"](b)".repeat(most / 5))),
    ("stars closed", |size| paragraphs(size, |most| "*a ".repeat(most / 6) + "b" + &" a*".repeat(most / 6))),
    ("quotes closed", |size| lines(size, |nth| "> ".repeat(nth % 300) + "a\n")),
    ("deeper items", |size| lines(size, |nth| "  ".repeat(nth % 600) + "- a\n")),
    ("deeper lines", |size| lines(size, |nth| " ".repeat(nth % 2000) + "a\n")),
    ("address with an end", |size| "http://a.b/".to_owned() + &")".repeat(size)),
    ("address with ends", |size| "http://a.b/".to_owned() + &").".repeat(size / 2)),
    ("tags closed", |size| paragraphs(size, |most| "<b>".repeat(most / 7) + "a" + &"</b>".repeat(most / 7))),
    ("small letters", |size| paragraphs(size, |most| "<sub>".repeat(most / 11) + "a" + &"</sub>".repeat(most / 11))),
    ("letter with marks", |size| "e".to_owned() + &"\u{301}".repeat(size / 2)),
];

type MakeFn = fn(usize) -> String;

fn table(columns: usize, rows: usize) -> String {
    let row = |cell: &str| cell.repeat(columns) + "|\n";
    row("|a") + &row("|-") + &row("|b").repeat(rows)
}

fn lines(size: usize, line: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for nth in 0.. {
        if out.len() >= size {
            break;
        }
        out.push_str(&line(nth));
    }
    out
}

fn paragraphs(size: usize, paragraph: impl Fn(usize) -> String) -> String {
    lines(size, |_| paragraph(50_000) + "\n\n")
}

type Make = Box<dyn Fn(usize) -> String>;

fn texts(wanted: &[String]) -> Vec<(&'static str, Make)> {
    let repeated = OPENINGS.iter().map(|&(name, piece)| {
        let make: Make = Box::new(move |size: usize| piece.repeat(size / piece.len()));
        (name, make)
    });
    let made = MADE.iter().map(|&(name, make)| (name, Box::new(make) as Make));
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    repeated.chain(made).filter(|(name, _)| is_wanted(name)).collect()
}

/// All blocks of a text that has ended, laid out.
fn once(text: &str) {
    let definitions = Definitions::parse(text);
    let setting = RenderContext { definitions: Some(&definitions), text, width: 100, ..RenderContext::default() };
    for block in Splitter::split(text).stable() {
        black_box(lay_block(block.source(text), block.kind, setting));
    }
}

struct NestedSession {
    store: Store,
    seq: Seq,
    view: TranscriptView,
    buf: Buffer,
}

impl NestedSession {
    fn event(&mut self, event: AgentEvent) {
        self.seq = self.seq.next();
        let envelope = Envelope { seq: self.seq, at: Millis(self.seq.0), event };
        self.store.update(Msg::Event(envelope), &mut Vec::new());
    }

    fn draw(&mut self) {
        let area = self.buf.area;
        transcript::draw(&self.store, &mut self.view, &Theme::new(ThemeKind::Dark), true, area, &mut self.buf);
    }
}

/// A text that comes in pieces of that many bytes, and a frame after each; then its end. Returns how long the longest
/// frame took, and the last.
fn streamed(text: &str, piece: usize) -> (Duration, Duration) {
    let area = Rect::new(0, 0, 100, 50);
    let store = Store::new(StoreOptions::default());
    let mut session = NestedSession { store, seq: Seq(0), view: TranscriptView::new(), buf: Buffer::empty(area) };
    let (turn, message) = (TurnId::new("t"), MessageId::new("m"));
    session.event(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
    session.event(AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None });
    let (mut at, mut longest) = (0, Duration::ZERO);
    while at < text.len() {
        let end = text.ceil_char_boundary((at + piece).min(text.len()));
        let delta = text[at..end].to_owned();
        at = end;
        let before = Instant::now();
        session.event(AgentEvent::TextDelta { message: message.clone(), text: delta, kind: TextKind::Text });
        session.draw();
        longest = longest.max(before.elapsed());
    }
    let before = Instant::now();
    session.event(AgentEvent::MessageFinished {
        message,
        finish_reason: FinishReason::End,
        full_text: None,
        provider_metadata: None,
    });
    session.event(AgentEvent::TurnFinished { turn, outcome: TurnOutcome::Completed });
    session.draw();
    (longest, before.elapsed())
}

/// The shortest of some runs, in nanoseconds a byte.
fn per_byte(text: &str, runs: usize, run: impl Fn(&str)) -> f64 {
    let times = (0..runs).map(|_| {
        let before = Instant::now();
        run(text);
        before.elapsed()
    });
    times.min().unwrap_or_default().as_nanos() as f64 / text.len() as f64
}

#[allow(clippy::print_stdout)]
fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut take = |name: &str| {
        let at = wanted.iter().position(|argument| argument.starts_with(name))?;
        Some(wanted.remove(at).trim_start_matches(name).trim_start_matches('=').to_owned())
    };
    let (only_once, only_streamed) = (take("once").is_some(), take("streamed").is_some());
    let number = |argument: Option<String>| argument.and_then(|number| number.parse::<usize>().ok());
    let (piece, size) = (number(take("piece")).unwrap_or(400), number(take("size")));
    let stream = |text: &str| {
        black_box(streamed(text, piece));
    };
    let mut worst: f64 = 0.0;
    for (name, text) in texts(&wanted) {
        if let Some(size) = size {
            let text = text(size);
            if only_streamed {
                stream(&text);
            } else {
                once(&text);
            }
            continue;
        }
        let (small, large) = (text(SMALL), text(LARGE));
        if !only_streamed {
            let (at_small, at_large) = (per_byte(&small, 12, once), per_byte(&large, 2, once));
            worst = worst.max(at_large / at_small);
            println!("{name:24} once     {at_small:9.1} {at_large:9.1} ns/byte {:6.2}", at_large / at_small);
        }
        if !only_once {
            let (at_small, at_large) = (per_byte(&small, 3, stream), per_byte(&large, 1, stream));
            let (longest, last) = streamed(&text(400_000), piece);
            worst = worst.max(at_large / at_small);
            println!(
                "{name:24} streamed {at_small:9.1} {at_large:9.1} ns/byte {:6.2}   frame {longest:9.1?} end {last:9.1?}",
                at_large / at_small
            );
        }
    }
    println!("{:24} {worst:39.2}", "at most");
}
