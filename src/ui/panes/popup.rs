//! Completions of a slash command, above the composer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::action_table::SlashCommand;
use crate::text::width::str_width;
use crate::ui::paint::{RowWriter, clear, restyle};
use crate::ui::theme::{Role, Theme};

/// Draws the commands in the rows that end at the bottom of `above`; the selected one stands out.
pub fn draw(commands: &[&SlashCommand], selected: usize, theme: Theme, above: Rect, buf: &mut Buffer) {
    let rows = commands.len().min(usize::from(above.height)).min(8) as u16;
    if rows == 0 || above.width < 4 {
        return;
    }
    let selected = selected.min(commands.len() - 1);
    let first = (selected + 1).saturating_sub(usize::from(rows));
    let area = Rect { y: above.bottom() - rows, height: rows, ..above };
    clear(area, buf);
    let arguments = above.width >= 60;
    let names = commands.iter().map(|command| name(command, arguments).chars().count()).max().unwrap_or_default();
    for (row, command) in commands.iter().skip(first).take(usize::from(rows)).enumerate() {
        let chosen = first + row == selected;
        let row = row as u16;
        let mut pen = RowWriter::new(buf, area, row);
        pen.write(if chosen { " ▸ " } else { "   " }, theme.style(Role::Accent));
        let begin = pen.column();
        pen.write(&format!("/{}", command.name), theme.style(Role::Key));
        if arguments && !command.argument.is_empty() {
            pen.write(&format!(" {}", command.argument), theme.style(Role::Dim));
        }
        let used = usize::from(pen.column() - begin);
        pen.skip((names + 3).saturating_sub(used)).write_truncated(command.about, 1, theme.style(Role::Dim));
        if chosen {
            let line = Rect { x: begin, y: area.y + row, width: area.right() - begin, height: 1 };
            restyle(line, theme.style(Role::Selection), buf);
        }
    }
    let below = commands.len() - (first + usize::from(rows)).min(commands.len());
    if below > 0 {
        let text = format!(" ↓{below} ");
        RowWriter::at_right(buf, area, rows - 1, str_width(&text)).write(&text, theme.style(Role::Dim));
    }
}

fn name(command: &SlashCommand, arguments: bool) -> String {
    let argument = if arguments { command.argument } else { "" };
    format!("/{} {argument}", command.name).trim_end().to_owned()
}
