//! Where keys are expected, and whether they are there; and how one is given.

use ratatui::buffer::Buffer;

use super::status::draw_facts;
use crate::store::Store;
use crate::store::overlay::key_status::KeyStatusText;
use crate::text::one_line;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};

const MAX_VALUE_CELLS: usize = 400;

pub fn draw(shown: &KeyStatusText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    draw_facts("Keys for models and servers", &facts(screen.store), shown.scroll, screen, buf)
}

fn facts(store: &Store) -> Vec<(String, String)> {
    let clean = |text: &str| one_line(text, MAX_VALUE_CELLS);
    let keys = store.workplace.keys.iter();
    let mut facts: Vec<_> =
        keys.map(|(setting, source, state)| (clean(setting), format!("{}: {}", clean(source), clean(state)))).collect();
    let file = clean(&store.workplace.display_path(&store.workplace.config_file));
    let how = format!(
        "set the variable before the program starts, or name another under the setting in {file}: env:NAME, or \
         cmd:COMMAND for a password manager. A key that is typed here would be kept with your prompts, so none is taken."
    );
    facts.push(("To give a key".to_owned(), how));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_told_with_its_state_and_how_a_key_is_given() {
        let mut store = Store::default();
        store.workplace.config_file = "/home/me/c.toml".into();
        store.workplace.home = "/home/me".into();
        store.workplace.keys = vec![("engines.x.api_key".into(), "X_KEY\u{1b}[31m".into(), "not found".into())];
        let told = facts(&store);
        assert_eq!(told[0], ("engines.x.api_key".to_owned(), "X_KEY: not found".to_owned()));
        assert!(told[1].1.contains("~/c.toml") && told[1].1.contains("cmd:COMMAND"), "{told:?}");
    }
}
