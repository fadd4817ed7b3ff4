//! What an empty transcript shows: what this is, who answers and why, and what to try.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::ApprovalMode;
use crate::store::Store;
use crate::store::transcript::ItemKind;
use crate::text::wrap::{WrappedRow as Range, wrap};
use crate::text::{clean, one_line};
use crate::ui::key_hints::KeyHints;
use crate::ui::layout::centered;
use crate::ui::paint::RowWriter;
use crate::ui::theme::{Role, Theme};

const EXAMPLE_PROMPTS: [&str; 3] = ["what is 17% of 2349.50?", "list the files here", "how do I connect Ollama?"];

/// Columns it takes at most.
const MAX_COLUMNS: u16 = 72;

/// Rows, the least important ones marked so that a small screen can leave them out.
enum WelcomeRow {
    Title,
    About(&'static str),
    Info(&'static str, String),
    /// A row of a notice, and whether it is its first.
    Notice(bool, String, Role),
    Try(&'static str, &'static str),
    Keys,
    Gap,
}

pub fn draw(store: &Store, labels: &KeyHints, theme: Theme, area: Rect, buf: &mut Buffer) {
    let width = area.width;
    let rows = fitting(store, usize::from(area.height), width);
    let place = centered(area, area.width.saturating_sub(2).min(MAX_COLUMNS), rows.len() as u16);
    for (index, row) in rows.iter().enumerate() {
        let mut pen = RowWriter::new(buf, place, index as u16);
        match row {
            WelcomeRow::Gap => {}
            WelcomeRow::Title => {
                pen.write("jarvis-tui", theme.style(Role::Heading));
                pen.write(concat!("  ", env!("CARGO_PKG_VERSION")), theme.style(Role::Dim));
            }
            WelcomeRow::About(text) => {
                pen.write_truncated(text, 0, theme.style(Role::Text));
            }
            WelcomeRow::Info(name, text) => {
                pen.write(&format!("{name:<8}"), theme.style(Role::Dim));
                let room = pen.room();
                pen.write(&one_line(text, room), theme.style(Role::Text));
            }
            WelcomeRow::Notice(first, text, role) => {
                pen.write(if *first { "note    " } else { "        " }, theme.style(Role::Dim));
                pen.write_truncated(text, 0, theme.style(*role));
            }
            WelcomeRow::Try(name, text) => {
                pen.write(&format!("{name:<8}"), theme.style(Role::Dim));
                pen.write("› ", theme.style(Role::Accent)).write_truncated(text, 0, theme.style(Role::Text));
            }
            WelcomeRow::Keys => {
                let (keys, commands) =
                    if width >= 60 { (" shows every key", " lists the commands") } else { (" keys", " commands") };
                pen.write(&labels.show_help, theme.style(Role::Key)).write(keys, theme.style(Role::Dim));
                pen.write("   /", theme.style(Role::Key)).write(commands, theme.style(Role::Dim));
            }
        }
    }
}

fn fitting(store: &Store, height: usize, width: u16) -> Vec<WelcomeRow> {
    let about = if width >= 60 {
        "A chat with an agent that can work with your files and programs."
    } else {
        "A chat with an agent that uses tools."
    };
    let mut facts = Vec::new();
    if let Some(opened) = &store.session.opened {
        let why = if opened.reason.is_empty() { String::new() } else { format!(" – {}", opened.reason) };
        facts.push(WelcomeRow::Info("engine", format!("{}{why}", opened.name())));
        facts.push(WelcomeRow::Info("folder", opened.folder.clone()));
        facts.push(WelcomeRow::Info("mode", format!("{} – {}", opened.mode.name(), mode_promise(opened.mode))));
    }
    let mut notes = notice_rows(store, usize::from(width.saturating_sub(2).min(MAX_COLUMNS)).saturating_sub(8));
    let mut tries = vec![
        WelcomeRow::Try("try", EXAMPLE_PROMPTS[0]),
        WelcomeRow::Try("", EXAMPLE_PROMPTS[1]),
        WelcomeRow::Try("", EXAMPLE_PROMPTS[2]),
    ];
    if height >= facts.len() + notes.len() + tries.len() + 7 {
        let mut rows = vec![WelcomeRow::Title, WelcomeRow::About(about), WelcomeRow::Gap];
        rows.append(&mut facts);
        rows.append(&mut notes);
        rows.push(WelcomeRow::Gap);
        rows.append(&mut tries);
        rows.push(WelcomeRow::Gap);
        rows.push(WelcomeRow::Keys);
        return rows;
    }
    // Small: the same without air, and then without the least.
    let mut rows = vec![WelcomeRow::Title];
    rows.extend(facts.into_iter().take(1));
    let least = rows.len();
    rows.append(&mut notes);
    // What is to be known comes before what may be tried.
    let room = height.saturating_sub(rows.len() + 1);
    rows.extend(tries.drain(..).take(room));
    rows.push(WelcomeRow::Keys);
    let missing = rows.len().saturating_sub(height);
    rows.drain(..missing.min(least));
    rows.truncate(height.max(1));
    rows
}

/// Returns what was noticed before anything was said.
fn notice_rows(store: &Store, width: usize) -> Vec<WelcomeRow> {
    let mut rows = Vec::new();
    for item in store.transcript.items().iter() {
        let ItemKind::Notice { level, text, .. } = item.kind else { continue };
        let text = clean(text);
        let note =
            |(at, row): (usize, Range)| WelcomeRow::Notice(at == 0, row.slice(&text).to_owned(), Role::from(level));
        rows.extend(wrap(&text, width).into_iter().enumerate().map(note));
    }
    rows
}

fn mode_promise(mode: ApprovalMode) -> &'static str {
    match mode {
        ApprovalMode::Ask => "asks before writing, running or fetching",
        ApprovalMode::AutoEdit => "changes files here, asks for everything else",
        ApprovalMode::Plan => "reads only; changes nothing",
        ApprovalMode::Full => "everything is allowed without asking",
    }
}
