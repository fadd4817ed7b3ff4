//! What is to steer the running turn, and prompts that wait for it to end, above the composer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::text::one_line;
use crate::ui::key_hints::KeyHints;
use crate::ui::layout::Place;
use crate::ui::paint::RowWriter;
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

#[derive(Clone, Copy, Debug, Default)]
pub struct QueueList;

impl PaneView for QueueList {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        let most = match screen.area.height {
            0..8 => 0,
            8..16 => 1,
            _ => 3,
        };
        let session = &screen.store.session;
        Place::Rows((session.status.steering.len() + session.queue().len()).min(most) as u16)
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let steering = &screen.store.session.status.steering;
        for (row, text) in (0..area.height).zip(steering) {
            let mut pen = RowWriter::new(buf, area, row);
            pen.write(" ↳ ", screen.theme.style(Role::Info)).write("steers: ", screen.theme.style(Role::Dim));
            pen.write(&one_line(text, pen.room()), screen.theme.style(Role::Dim));
        }
        let used = area.height.min(steering.len() as u16);
        let below = Rect { y: area.y + used, height: area.height - used, ..area };
        list(screen.store, screen.key_hints, screen.theme, below, buf);
        None
    }
}

/// Draws the newest ones that fit; the key takes back the last.
fn list(store: &Store, labels: &KeyHints, theme: Theme, area: Rect, buf: &mut Buffer) {
    let queue = store.session.queue();
    let hidden = queue.len().saturating_sub(usize::from(area.height));
    for (row, queued) in queue.iter().skip(hidden).enumerate() {
        let row = row as u16;
        let newest = row + 1 == area.height || usize::from(row) + 1 + hidden == queue.len();
        let held = store.session.status.queue_held;
        let sends = if held { format!("{} sends  ", labels.send) } else { String::new() };
        let hint = format!("{sends}{} takes back", labels.dequeue_prompt);
        let keep = if newest && area.width >= 50 { hint.chars().count() + 3 } else { 1 };
        let mut pen = RowWriter::new(buf, area, row);
        pen.write(" ⧗ ", theme.style(Role::Info));
        if row == 0 && hidden > 0 {
            pen.write(&format!("+{hidden} "), theme.style(Role::Dim));
        }
        let room = pen.room().saturating_sub(keep);
        let text = queued.author.as_ref().map_or(queued.text.clone(), |author| format!("{author}: {}", queued.text));
        pen.write(&one_line(&text, room), theme.style(Role::Dim));
        if keep > 1 {
            let mut pen = RowWriter::at_right(buf, area, row, keep - 2);
            if held {
                pen.write(&labels.send, theme.style(Role::Key)).write(" sends  ", theme.style(Role::Dim));
            }
            pen.write(&labels.dequeue_prompt, theme.style(Role::Key)).write(" takes back", theme.style(Role::Dim));
        }
    }
}
