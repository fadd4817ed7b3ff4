//! What an empty transcript shows: what this is, who answers and why, and what to try.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::Mode;
use crate::store::Store;
use crate::store::transcript::Kind;
use crate::text::wrap::{Row as Range, wrap};
use crate::text::{clean, one_line};
use crate::ui::labels::Labels;
use crate::ui::layout::centered;
use crate::ui::paint::Pen;
use crate::ui::theme::{Role, Theme};

const TRY: [&str; 3] = ["what is 17% of 2349.50?", "list the files here", "how do I connect Ollama?"];

/// Columns it takes at most.
const WIDEST: u16 = 72;

/// Rows, the least important ones marked so that a small screen can leave them out.
enum Row {
    Title,
    About(&'static str),
    Fact(&'static str, String),
    /// A row of a notice, and whether it is its first.
    Note(bool, String, Role),
    Try(&'static str, &'static str),
    Keys,
    Gap,
}

pub fn draw(store: &Store, labels: &Labels, theme: Theme, area: Rect, buf: &mut Buffer) {
    let width = area.width;
    let rows = fitting(store, usize::from(area.height), width);
    let place = centered(area, area.width.saturating_sub(2).min(WIDEST), rows.len() as u16);
    for (index, row) in rows.iter().enumerate() {
        let mut pen = Pen::new(buf, place, index as u16);
        match row {
            Row::Gap => {}
            Row::Title => {
                pen.write("jarvis-tui", theme.style(Role::Heading));
                pen.write(concat!("  ", env!("CARGO_PKG_VERSION")), theme.style(Role::Dim));
            }
            Row::About(text) => {
                pen.write_cut(text, 0, theme.style(Role::Text));
            }
            Row::Fact(name, text) => {
                pen.write(&format!("{name:<8}"), theme.style(Role::Dim));
                let room = pen.room();
                pen.write(&one_line(text, room), theme.style(Role::Text));
            }
            Row::Note(first, text, role) => {
                pen.write(if *first { "note    " } else { "        " }, theme.style(Role::Dim));
                pen.write_cut(text, 0, theme.style(*role));
            }
            Row::Try(name, text) => {
                pen.write(&format!("{name:<8}"), theme.style(Role::Dim));
                pen.write("› ", theme.style(Role::Accent)).write_cut(text, 0, theme.style(Role::Text));
            }
            Row::Keys => {
                let (keys, commands) =
                    if width >= 60 { (" shows every key", " lists the commands") } else { (" keys", " commands") };
                pen.write(&labels.show_help, theme.style(Role::Key)).write(keys, theme.style(Role::Dim));
                pen.write("   /", theme.style(Role::Key)).write(commands, theme.style(Role::Dim));
            }
        }
    }
}

fn fitting(store: &Store, height: usize, width: u16) -> Vec<Row> {
    let about = if width >= 60 {
        "A chat with an agent that can work with your files and programs."
    } else {
        "A chat with an agent that uses tools."
    };
    let mut facts = Vec::new();
    if let Some(opened) = &store.session.opened {
        let why = if opened.why.is_empty() { String::new() } else { format!(" – {}", opened.why) };
        facts.push(Row::Fact("engine", format!("{}{why}", opened.name())));
        facts.push(Row::Fact("folder", opened.folder.clone()));
        facts.push(Row::Fact("mode", format!("{} – {}", opened.mode.name(), promise(opened.mode))));
    }
    let mut notes = notes(store, usize::from(width.saturating_sub(2).min(WIDEST)).saturating_sub(8));
    let mut tries = vec![Row::Try("try", TRY[0]), Row::Try("", TRY[1]), Row::Try("", TRY[2])];
    if height >= facts.len() + notes.len() + tries.len() + 7 {
        let mut rows = vec![Row::Title, Row::About(about), Row::Gap];
        rows.append(&mut facts);
        rows.append(&mut notes);
        rows.push(Row::Gap);
        rows.append(&mut tries);
        rows.push(Row::Gap);
        rows.push(Row::Keys);
        return rows;
    }
    // Small: the same without air, and then without the least.
    let mut rows = vec![Row::Title];
    rows.extend(facts.into_iter().take(1));
    let least = rows.len();
    rows.append(&mut notes);
    // What is to be known comes before what may be tried.
    let room = height.saturating_sub(rows.len() + 1);
    rows.extend(tries.drain(..).take(room));
    rows.push(Row::Keys);
    let missing = rows.len().saturating_sub(height);
    rows.drain(..missing.min(least));
    rows.truncate(height.max(1));
    rows
}

/// Returns what was noticed before anything was said.
fn notes(store: &Store, width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for item in store.transcript.items() {
        let Kind::Notice { level, text, .. } = &item.kind else { continue };
        let text = clean(text);
        let note = |(at, row): (usize, Range)| Row::Note(at == 0, row.slice(&text).to_owned(), Role::from(*level));
        rows.extend(wrap(&text, width).into_iter().enumerate().map(note));
    }
    rows
}

fn promise(mode: Mode) -> &'static str {
    match mode {
        Mode::Ask => "nothing is written, run or fetched without your yes",
        Mode::AutoEdit => "files here may be changed, all else is asked",
        Mode::Plan => "only reading; nothing is changed",
        Mode::Full => "everything is allowed without asking",
    }
}
