//! What the model is told before the conversation, wrapped; hidden characters are made visible, for a person judges it.

use ratatui::buffer::Buffer;

use crate::store::overlay::system_prompt::SystemPromptText;
use crate::text::visible;
use crate::ui::layout::centered;
use crate::ui::paint::draw_box;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::text_layout::laid_out::lay_out_plain;
use crate::ui::theme::Role;

const MAX_WIDTH: u16 = 100;

pub fn draw(shown: &SystemPromptText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let Some((text, is_default)) = SystemPromptText::prompt(store) else { return DrawnOverlay::default() };
    let width = area.width.saturating_sub(2).min(MAX_WIDTH);
    let page = lay_out_plain(&visible(text), Role::Text, width.saturating_sub(4));
    let rows = page.rows() as usize;
    let place = centered(area, width, (rows + 2).min(usize::from(area.height)) as u16);
    let height = usize::from(place.height.saturating_sub(2));
    let most = rows.saturating_sub(height);
    let first = shown.scroll.min(most);
    let change = if is_default { "/system TEXT changes it" } else { "/system default takes it back" };
    let footer = match most {
        0 => format!("{change} · {} closes", labels.close),
        _ => format!("{}–{} of {rows} · {change} · {} closes", first + 1, first + height, labels.close),
    };
    let title = if is_default { "System prompt" } else { "System prompt, as you set it" };
    let inner = draw_box(title, &footer, Role::BorderFocused, theme, place, buf);
    for (y, row) in (0..inner.height).zip(first..rows) {
        page.draw_row(row as u32, inner.x, inner.y + y, inner.width, theme, buf);
    }
    DrawnOverlay::with_scroll_end(most)
}
