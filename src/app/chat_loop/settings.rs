//! Keys and looks that change while the chat runs.

use std::io;
use std::time::{Duration, Instant};

use super::ChatLoop;
use crate::app::live_settings::SettingsLook;
use crate::app::term;
use crate::config::themes::ThemeFolder;
use crate::config::user_commands::FoundCommands;
use crate::config::{EditorConfig, LoadedConfig, ThemeChoice, VimStart};
use crate::event::NoticeLevel;
use crate::store::overlay::themes::ThemePicker;
use crate::ui::composer::vim::VimMode;
use crate::ui::keymap::{BACKGROUND_QUERY, Shade};
use crate::ui::theme::{ColorDepth, ThemePair};

/// DECSCUSR: the shape of the cursor, steady.
const CURSOR_BAR_SEQUENCE: &[u8] = b"\x1b[6 q";
const CURSOR_BLOCK_SEQUENCE: &[u8] = b"\x1b[2 q";
/// A terminal that hasn't answered by now won't.
const TERMINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns what is wanted, for both grounds.
pub(in crate::app) fn theme_pair(theme: &ThemeChoice, depth: ColorDepth, folder: &ThemeFolder) -> ThemePair {
    ThemePair::new(theme, depth, &|name| folder.read(name).map(|found| found.colors))
}

/// Returns what the list of themes calls it.
pub(super) fn theme_name(theme: &ThemeChoice, is_light: bool) -> String {
    if let ThemeChoice::Pair { .. } = theme { theme.name_on(is_light) } else { theme.name() }.to_owned()
}

/// Returns the mode that the composer begins in; none where it has none.
pub(super) fn vim_start(editor: &EditorConfig) -> Option<VimMode> {
    editor.vim.then_some(match editor.vim_start {
        VimStart::Insert => VimMode::Insert,
        VimStart::Normal => VimMode::Normal,
    })
}

impl ChatLoop<'_> {
    /// Gives the cursor the shape of the composer's mode: a bar where one types, a block where keys are commands.
    pub(super) fn shape_cursor(&mut self) -> io::Result<()> {
        let mode = self.tabs.active.chat.ui.panes.composer.vim_mode();
        if std::mem::replace(&mut self.cursor_mode, mode) == mode {
            return Ok(());
        }
        term::set_cursor_shaped(mode.is_some());
        self.host.term.write_raw(match mode {
            Some(VimMode::Insert) => CURSOR_BAR_SEQUENCE,
            Some(VimMode::Normal | VimMode::Visual) => CURSOR_BLOCK_SEQUENCE,
            None => term::CURSOR_DEFAULT_SEQUENCE,
        })
    }

    /// Has the files looked at, if that is some time ago.
    pub(super) fn look_at_settings(&mut self, now: Instant) {
        if let Some(look) = self.settings.look(now) {
            self.host.effects.look_at_settings(look);
        }
    }

    /// The person wants them read again.
    pub(super) fn reload_settings(&mut self) {
        match self.settings.look_again() {
            Some(look) => self.host.effects.look_at_settings(look),
            None => self.tabs.active.chat.show_toast("there are no settings to read again here".into()),
        }
    }

    pub(super) fn apply_settings_look(&mut self, look: SettingsLook) -> io::Result<()> {
        self.settings.remember(&look);
        let about_commands = look.commands.map(|found| self.take_commands(found)).unwrap_or_default();
        match look.loaded {
            None => Ok(()),
            Some(Ok(loaded)) => self.apply_settings(&loaded, about_commands),
            Some(Err(why)) => {
                let told = format!("the settings stay as they were: {why}");
                self.tabs.active.chat.store.toast = Some((NoticeLevel::Warn, told));
                Ok(())
            }
        }
    }

    /// Returns what the person should know of files that are no commands.
    fn take_commands(&mut self, found: FoundCommands) -> Vec<String> {
        for tab in self.tabs.iter_mut() {
            tab.chat.store.user_commands.clone_from(&found.commands);
        }
        found.problems
    }

    fn apply_settings(&mut self, loaded: &LoadedConfig, about_commands: Vec<String>) -> io::Result<()> {
        let (keymap, about_keys) = loaded.keymap();
        let ui = &loaded.config.ui;
        for tab in self.tabs.iter_mut() {
            tab.chat.set_keymap(keymap.clone());
            tab.chat.ui.panes.transcript.set_prose_columns(ui.text_columns);
            tab.chat.store.set_output_views(ui.output_views());
            // What was chosen for this run stays, unless the settings say something new.
            if ui.panel_side != self.host.ui_config.panel_side {
                tab.chat.store.panel_side = ui.panel_side;
            }
            if ui.statusline != self.host.ui_config.statusline {
                tab.chat.store.status_parts = ui.statusline;
            }
        }
        self.set_theme(ui.theme.clone())?;
        self.host.ui_config = ui.clone();
        let mut told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        told.extend(about_keys);
        told.extend(about_commands);
        if told.is_empty() {
            self.tabs.active.chat.show_toast("keys, looks and your commands are read again".into());
        } else {
            self.tabs.active.chat.show_warnings(&told);
        }
        Ok(())
    }

    /// Shows the theme of that name, or the next one, and says which.
    pub(super) fn choose_theme(&mut self, name: Option<&str>) -> io::Result<()> {
        let list = &self.tabs.active.chat.store.themes;
        let next = || {
            let names: Vec<&str> = list.rows().map(|(name, _)| name).collect();
            let at = names.iter().position(|name| *name == list.current).map_or(0, |at| at + 1);
            names[at % names.len()].to_owned()
        };
        let name = name.map_or_else(next, str::to_owned);
        let found = self.themes.read(&name);
        let theme =
            ThemeChoice::parse(&name).filter(|theme| found.is_some() || !matches!(theme, ThemeChoice::Named(_)));
        let Some(theme) = theme else {
            self.tabs.active.chat.store.toast = Some((NoticeLevel::Warn, self.themes.missing(&name)));
            return Ok(());
        };
        self.tabs
            .active
            .chat
            .show_toast(format!("theme {name}; theme = \"{name}\" under [ui] in config.toml keeps it"));
        let problems = found.map(|found| found.problems).unwrap_or_default();
        if !problems.is_empty() {
            self.tabs.active.chat.show_warnings(&problems);
        }
        self.set_theme(theme)
    }

    /// Shows another theme at once, or the same as its files say it now.
    pub(super) fn set_theme(&mut self, theme: ThemeChoice) -> io::Result<()> {
        let asks = theme.follows_terminal() && self.theme != theme;
        self.is_theme_previewed = false;
        self.show_theme(&theme);
        self.theme = theme;
        if asks { self.query_background() } else { Ok(()) }
    }

    /// Shows a theme for as long as the list of themes is open.
    pub(super) fn preview_theme(&mut self, name: &str) {
        if let Some(theme) = ThemeChoice::parse(name) {
            self.is_theme_previewed = true;
            let current = self.tabs.active.chat.store.themes.current.clone();
            self.show_theme(&theme);
            self.tabs.active.chat.store.themes.current = current;
        }
    }

    /// However the list of themes was left without choosing, the theme from before is back.
    pub(super) fn end_theme_preview(&mut self) {
        if self.is_theme_previewed && self.tabs.active.chat.store.focus.find::<ThemePicker>().is_none() {
            self.is_theme_previewed = false;
            let theme = self.theme.clone();
            self.show_theme(&theme);
        }
    }

    fn show_theme(&mut self, theme: &ThemeChoice) {
        let (is_light, chat) = (self.shade == Some(Shade::Light), &mut self.tabs.active.chat);
        let pair = theme_pair(theme, chat.ui.theme.depth(), &self.themes);
        (chat.ui.theme, chat.ui.themes) = (pair.on(is_light), pair);
        chat.store.themes.current = theme_name(theme, is_light);
    }

    /// Asks the terminal whether it is dark or light.
    pub(super) fn query_background(&mut self) -> io::Result<()> {
        // Lines have no colors, and an answer would be typed into them.
        if self.host.linear.is_some() {
            return Ok(());
        }
        // One that was told colours would answer with those.
        self.host.term.show_ground(None)?;
        self.terminal_replies.expect();
        self.terminal_replies_until = Some(Instant::now() + TERMINAL_REPLY_TIMEOUT);
        self.host.term.write_raw(BACKGROUND_QUERY.as_bytes())
    }
}
