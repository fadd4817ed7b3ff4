//! All keys and commands, generated from the keymap and the table of commands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::slash::COMMANDS;
use crate::text::width::{ellipsis, str_width};
use crate::ui::labels::Labels;
use crate::ui::layout::centered;
use crate::ui::paint::{Pen, frame};
use crate::ui::theme::{Role, Theme};

/// Most cells for the keys of one action: what they do matters more than the third way to do it.
const KEYS: usize = 24;

enum Row<'a> {
    Heading(&'a str),
    Entry(String, &'a str),
    Gap,
}

/// Draws the overlay and returns how many rows one can scroll down.
pub fn draw(labels: &Labels, scroll: usize, theme: Theme, area: Rect, buf: &mut Buffer) -> usize {
    let groups = groups(labels);
    let columns = if area.width >= 96 { 2 } else { 1 };
    let columns = balance(groups, columns);
    let longest = columns.iter().map(Vec::len).max().unwrap_or_default();
    let width = if columns.len() > 1 { 132 } else { 76 };
    let (wide, high) = (area.width.saturating_sub(2).min(width), (longest + 2).min(usize::from(area.height)) as u16);
    let place = centered(area, wide, high);
    let rows_shown = usize::from(place.height.saturating_sub(2));
    let most = longest.saturating_sub(rows_shown);
    let scroll = scroll.min(most);
    let footer = match most {
        0 => format!("{} closes", labels.close),
        _ => format!("{}–{} of {longest} · ↑↓ · {} closes", scroll + 1, scroll + rows_shown, labels.close),
    };
    let inner = frame("Help", &footer, Role::BorderFocused, theme, place, buf);
    let count = columns.len().max(1) as u16;
    let each = inner.width.saturating_sub(3 * (count - 1)) / count;
    for (nth, column) in columns.iter().enumerate() {
        let x = inner.x + nth as u16 * (each + 3);
        let part = Rect { x, width: each.min(inner.right().saturating_sub(x)), ..inner };
        let keys = column.iter().map(|row| if let Row::Entry(key, _) = row { str_width(key) } else { 0 }).max();
        let keys = keys.unwrap_or_default().min(KEYS).min(usize::from(each) * 2 / 5);
        for (row, entry) in column.iter().skip(scroll).take(rows_shown).enumerate() {
            let mut pen = Pen::new(buf, part, row as u16);
            match entry {
                Row::Gap => {}
                Row::Heading(text) => {
                    pen.write_cut(text, 0, theme.style(Role::Heading));
                }
                Row::Entry(key, what) => {
                    let begin = pen.column();
                    pen.skip(1).write(&ellipsis(key, keys), theme.style(Role::Key));
                    let used = usize::from(pen.column() - begin);
                    pen.skip((keys + 3).saturating_sub(used).max(1)).write_cut(what, 0, theme.style(Role::Text));
                }
            }
        }
    }
    most
}

fn groups(labels: &Labels) -> Vec<Vec<Row<'_>>> {
    let mut groups: Vec<Vec<Row<'_>>> = Vec::new();
    let mut context = "";
    for (name, key, what) in &labels.help {
        if context != *name {
            context = name;
            groups.push(vec![Row::Heading(heading(name))]);
        }
        if let Some(group) = groups.last_mut() {
            group.push(Row::Entry(key.clone(), what));
        }
    }
    let mut commands = vec![Row::Heading("Commands")];
    commands.extend(COMMANDS.iter().map(|command| {
        let name = format!("/{} {}", command.name, command.argument);
        Row::Entry(name.trim_end().to_owned(), command.about)
    }));
    groups.insert(groups.len().min(1), commands);
    groups
}

fn heading(context: &str) -> &str {
    match context {
        "global" => "Anywhere",
        "composer" => "Composer",
        "empty-composer" => "Empty composer",
        "transcript" => "Transcript",
        "tool-panel" => "Tool panel",
        "approval" => "Approval",
        "replay" => "Replay",
        "overlay" => "Lists and fields",
        other => other,
    }
}

/// Puts whole groups into columns of about the same length, in order.
fn balance(groups: Vec<Vec<Row<'_>>>, columns: usize) -> Vec<Vec<Row<'_>>> {
    let total: usize = groups.iter().map(|group| group.len() + 1).sum();
    let mut done: Vec<Vec<Row<'_>>> = vec![Vec::new()];
    for group in groups {
        let open = done.len();
        if let Some(column) = done.last_mut() {
            let half_over = column.len() + group.len() / 2 > total.div_ceil(columns);
            if column.is_empty() {
                column.extend(group);
            } else if half_over && open < columns {
                done.push(group);
            } else {
                column.push(Row::Gap);
                column.extend(group);
            }
        }
    }
    done
}
