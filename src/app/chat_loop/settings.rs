//! Keys and looks that change while the chat runs.

use std::io;
use std::time::{Duration, Instant};

use super::ChatLoop;
use crate::app::live_settings::SettingsLook;
use crate::app::term;
use crate::config::user_commands::FoundCommands;
use crate::config::{EditorConfig, LoadedConfig, ThemeChoice, VimStart};
use crate::event::NoticeLevel;
use crate::ui::composer::vim::VimMode;
use crate::ui::keymap::BACKGROUND_QUERY;
use crate::ui::theme::ThemeKind;

/// DECSCUSR: the shape of the cursor, steady.
const CURSOR_BAR_SEQUENCE: &[u8] = b"\x1b[6 q";
const CURSOR_BLOCK_SEQUENCE: &[u8] = b"\x1b[2 q";
/// A terminal that hasn't answered by now won't.
const TERMINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns what a theme is; none if the terminal has to say it.
pub(super) fn theme_kind(theme: ThemeChoice) -> Option<ThemeKind> {
    match theme {
        ThemeChoice::Auto => None,
        ThemeChoice::Dark => Some(ThemeKind::Dark),
        ThemeChoice::Light => Some(ThemeKind::Light),
        ThemeChoice::Mono => Some(ThemeKind::Mono),
    }
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
        }
        self.set_theme(ui.theme)?;
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
        let next = || {
            let at = ThemeChoice::ALL.iter().position(|theme| *theme == self.theme).unwrap_or(0);
            ThemeChoice::ALL.get((at + 1) % ThemeChoice::ALL.len()).copied()
        };
        let Some(theme) = name.map_or_else(next, ThemeChoice::parse) else { return Ok(()) };
        self.tabs.active.chat.show_toast(format!("theme {}; theme = \"{0}\" under [ui] keeps it", theme.name()));
        self.set_theme(theme)
    }

    /// Shows another theme at once.
    pub(super) fn set_theme(&mut self, theme: ThemeChoice) -> io::Result<()> {
        if std::mem::replace(&mut self.theme, theme) == theme {
            return Ok(());
        }
        let kind = theme_kind(theme);
        let theme = &mut self.tabs.active.chat.ui.theme;
        *theme = theme.with_kind(kind.unwrap_or(ThemeKind::Dark));
        if kind.is_none() { self.query_background() } else { Ok(()) }
    }

    /// Asks the terminal whether it is dark or light.
    pub(super) fn query_background(&mut self) -> io::Result<()> {
        // Lines have no colors, and an answer would be typed into them.
        if self.host.linear.is_some() {
            return Ok(());
        }
        self.terminal_replies.expect();
        self.terminal_replies_until = Some(Instant::now() + TERMINAL_REPLY_TIMEOUT);
        self.host.term.write_raw(BACKGROUND_QUERY.as_bytes())
    }
}
