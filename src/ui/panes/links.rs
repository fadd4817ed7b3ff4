//! The list of links and files: a letter, what it is called, and what it really points to.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::links::{self, LinkTarget};
use crate::store::overlay::links::LinkList;
use crate::text::{one_line, visible};
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

pub fn draw(list: &LinkList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let LinkList { links: list, selected, .. } = list;
    let place = centered(area, area.width.saturating_sub(2).min(110), (list.len().max(1) + 2).min(30) as u16);
    let footer = format!("letter chooses · {} opens · y copies · {} closes", labels.accept, labels.close);
    let inner = draw_box("Links and files", &footer, Role::BorderFocused, theme, place, buf);
    let height = usize::from(inner.height);
    let first = selected.map_or(0, |selected| (selected + 1).saturating_sub(height));
    for (row, (nth, link)) in (0..).zip(list.iter().enumerate().skip(first).take(height)) {
        let mut pen = RowWriter::new(buf, inner, row);
        let letter = links::letter(nth).unwrap_or(' ');
        pen.write(&letter.to_string(), theme.style(Role::Key)).skip(2);
        let role = match link.target {
            LinkTarget::Url(_) => Role::Link,
            LinkTarget::File(_) => Role::Code,
            LinkTarget::Other(_) => Role::Warn,
        };
        // The name goes before the target does: that is what must be seen.
        let target = visible(link.target.as_str()).into_owned();
        let room = pen.room();
        let name = one_line(&link.text, (room / 3).max(8));
        if !name.is_empty() && room > 30 {
            pen.write(&name, theme.style(Role::Text)).skip(2);
        }
        let room = pen.room();
        pen.write(&one_line(&target, room), theme.style(role));
        if Some(nth) == *selected {
            select_row(Rect { y: inner.y + row, height: 1, ..inner }, theme, buf);
        }
    }
    DrawnOverlay::default()
}
