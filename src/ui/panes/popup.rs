//! What the text in the composer may become, in rows above it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::argument_values::ArgumentValue;
use crate::store::slash::CommandOffer;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::completion::{Candidates, Completion};
use crate::ui::paint::{RowWriter, clear, select_row};
use crate::ui::theme::{Role, Theme};

/// Rows of the list at most.
const MAX_POPUP_ROWS: usize = 8;

/// Draws the candidates in the rows that end at the bottom of `above`; the selected one stands out.
pub fn draw(completion: &Completion, theme: Theme, above: Rect, buf: &mut Buffer) {
    let candidates = completion.candidates();
    let rows = candidates.len().min(usize::from(above.height)).min(MAX_POPUP_ROWS) as u16;
    if rows == 0 || above.width < 4 {
        return;
    }
    let selected = completion.selected().map(|nth| nth.min(candidates.len() - 1));
    let first = (selected.unwrap_or(0) + 1).saturating_sub(usize::from(rows));
    let area = Rect { y: above.bottom() - rows, height: rows, ..above };
    clear(area, buf);
    for row in 0..rows {
        let nth = first + usize::from(row);
        let mut pen = RowWriter::new(buf, area, row);
        pen.write(if selected == Some(nth) { " ▸ " } else { "   " }, theme.style(Role::Accent));
        match candidates {
            Candidates::Commands(commands) => draw_command(commands, nth, theme, above.width, &mut pen),
            Candidates::Values(values) => draw_value(values, nth, theme, &mut pen),
            Candidates::Paths(paths) => {
                let room = pen.room();
                let path = paths.get(nth).map(|path| one_line(path, room)).unwrap_or_default();
                let role = if path.ends_with('/') { Role::Accent } else { Role::Text };
                pen.write(&path, theme.style(role));
            }
        }
        if selected == Some(nth) {
            let line = Rect { y: area.y + row, height: 1, ..area };
            select_row(line, theme, buf);
        }
    }
    let below = candidates.len() - (first + usize::from(rows)).min(candidates.len());
    if below > 0 {
        let text = format!(" ↓{below} ");
        RowWriter::at_right(buf, area, rows - 1, str_width(&text)).write(&text, theme.style(Role::Dim));
    }
}

fn draw_command(commands: &[CommandOffer], nth: usize, theme: Theme, width: u16, pen: &mut RowWriter<'_>) {
    let Some(command) = commands.get(nth) else { return };
    let arguments = width >= 60;
    let names = commands.iter().map(|command| name(command, arguments).chars().count()).max().unwrap_or_default();
    let begin = pen.column();
    pen.write(&format!("/{}", command.name), theme.style(Role::Key));
    if arguments && !command.argument.is_empty() {
        pen.write(&format!(" {}", command.argument), theme.style(Role::Dim));
    }
    let used = usize::from(pen.column() - begin);
    pen.skip((names + 3).saturating_sub(used)).write_truncated(&command.about, 1, theme.style(Role::Dim));
}

fn draw_value(values: &[ArgumentValue], nth: usize, theme: Theme, pen: &mut RowWriter<'_>) {
    let Some(known) = values.get(nth) else { return };
    let most = pen.room() / 2;
    let width = |known: &ArgumentValue| str_width(&one_line(&known.value, most));
    let column = values.iter().map(width).max().unwrap_or_default();
    let value = one_line(&known.value, if known.about.is_empty() { pen.room() } else { most });
    pen.write(&value, theme.style(Role::Key)).skip((column + 2).saturating_sub(str_width(&value)));
    pen.write_truncated(&known.about, 1, theme.style(Role::Dim));
}

fn name(command: &CommandOffer, arguments: bool) -> String {
    let argument = if arguments { command.argument.as_str() } else { "" };
    format!("/{} {argument}", command.name).trim_end().to_owned()
}
