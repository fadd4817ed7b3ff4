//! Where the session is served, the token for it, and how another screen follows it.

use ratatui::buffer::Buffer;

use super::status::draw_facts;
use crate::store::overlay::serving::ServingText;
use crate::text::one_line;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};

const MAX_VALUE_CELLS: usize = 400;

pub fn draw(shown: &ServingText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let url = one_line(&shown.url, MAX_VALUE_CELLS);
    // Behind the `#`: browsers send that nowhere.
    let link =
        url.split_once("/v1/sessions/").map(|(server, id)| format!("{server}/#token={}&session={id}", shown.token));
    let facts = [
        ("Address", url.clone()),
        ("Token", shown.token.clone()),
        ("In a browser", link.unwrap_or_default()),
        ("Follow it", format!("JARVIS_TOKEN=<the token> jarvis-tui attach {url} --token-env JARVIS_TOKEN")),
        (
            "Note",
            "who has the token prompts and decides as you do; it is not shown again. /serve once more ends it."
                .to_owned(),
        ),
    ];
    draw_facts("This session is served", &facts, shown.scroll, screen, buf)
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;
    use crate::store::Store;
    use crate::ui::key_hints::KeyHints;
    use crate::ui::theme::Theme;

    #[test]
    fn words_are_whole_in_the_box() {
        let area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        let (store, key_hints) = (Store::default(), KeyHints::default());
        let screen =
            OverlayScreen { store: &store, key_hints: &key_hints, theme: Theme::default(), stage: area, input: area };
        let shown = ServingText { url: "http://127.0.0.1:1/v1/sessions/s".into(), token: "abc".into(), scroll: 0 };
        draw(&shown, &screen, &mut buf);
        let rows: Vec<String> =
            area.rows().map(|row| row.columns().map(|cell| buf[(cell.x, cell.y)].symbol()).collect()).collect();
        let text = rows.join("\n");
        for word in [
            "http://127.0.0.1:1/v1/sessions/s",
            "--token-env",
            "/#token=abc&session=s",
            "prompts",
            "decides",
            "again.",
            "/serve",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    }
}
