//! The view as the tests of screens have it: dark, without a mouse and images.

use jarvis_tui::config::keys::Keymap;
use jarvis_tui::config::{Config, ImageChoice, ThemeChoice, UiConfig};
use jarvis_tui::ui::Ui;
use jarvis_tui::ui::theme::{Theme, ThemeKind};

pub(crate) fn dark_ui() -> Ui {
    let config = UiConfig { theme: ThemeChoice::Dark, mouse: false, images: ImageChoice::Off, ..Config::default().ui };
    Ui::new(&config, Theme::new(ThemeKind::Dark), &Keymap::default())
}
