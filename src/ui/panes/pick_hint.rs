//! What to do with the letters on the code blocks, in the place of the composer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::ui::layout::inset;
use crate::ui::paint::{RowWriter, clear};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

pub fn draw(any: bool, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let area = inset(screen.input);
    if area.is_empty() {
        return DrawnOverlay::default();
    }
    clear(Rect { x: area.x.saturating_sub(1), width: area.width.saturating_add(2), ..area }, buf);
    let text = if any { "press a block's letter to copy it" } else { "no code block on the screen; scroll to one" };
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write("copy: ", theme.style(Role::Accent)).write_truncated(text, 0, theme.style(Role::Text));
    if !labels.cancel.is_empty() && pen.room() > labels.cancel.len() + 12 {
        pen.write(" · ", theme.style(Role::Dim)).write(&labels.cancel, theme.style(Role::Key));
        pen.write(" leaves", theme.style(Role::Dim));
    }
    DrawnOverlay::default()
}
