//! Where the session is served, the token for it, and how another screen follows it.

use ratatui::buffer::Buffer;

use super::status::draw_facts;
use crate::store::overlay::serving::ServingText;
use crate::text::one_line;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};

const MAX_VALUE_CELLS: usize = 400;

pub fn draw(shown: &ServingText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let url = one_line(&shown.url, MAX_VALUE_CELLS);
    let facts = [
        ("Address", url.clone()),
        ("Token", shown.token.clone()),
        ("Follow it", format!("JARVIS_TOKEN=<the token> jarvis-tui attach {url} --token-env JARVIS_TOKEN")),
        (
            "Note",
            "who has the token prompts and decides as you do; it is not shown again. /serve once more ends it."
                .to_owned(),
        ),
    ];
    draw_facts("This session is served", &facts, shown.scroll, screen, buf)
}
