//! The screen of `compare`: panes, a few keys, nothing that moves by itself.

use std::io;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::chat_loop::theme_pair;
use super::clipboard::TerminalEnv;
use super::input::InputReader;
use super::linear::term_mode;
use super::term::{self, ChatPanicScope, SignalEvent, Signals, Term, TermMode};
use super::{HANGUP_EXIT_CODE, is_gone};
use crate::compare::side_by_side::SideBySide;
use crate::config::UiConfig;
use crate::config::themes::ThemeFolder;
use crate::text::width::set_ambiguous_wide;
use crate::ui::comparison::{ComparisonMove, ComparisonView};

/// What a key does.
enum KeyUse {
    Move(ComparisonMove),
    Quit,
    Suspend,
    Nothing,
}

/// Returns whether the terminal can show panes; one for lines, or for a screen reader, gets the text.
pub fn can_show_panes(ui: &UiConfig) -> bool {
    super::has_terminal() && !matches!(term_mode(ui, &TerminalEnv::detect()), TermMode::Linear | TermMode::Dumb)
}

/// Shows a comparison until the person leaves; returns the exit code.
pub async fn run_comparison(pairs: Vec<SideBySide>, ui: &UiConfig, themes: &ThemeFolder) -> io::Result<u8> {
    let mut view = ComparisonView::new(pairs);
    set_ambiguous_wide(ui.ambiguous_width.is_wide(&|name| std::env::var(name).ok()));
    let theme = theme_pair(&ui.theme, TerminalEnv::detect().color_depth(), themes).on(false);
    ChatPanicScope(Box::pin(async {
        let mut signals = Signals::new()?;
        let mut input = InputReader::new()?;
        let mut term = Term::enter(TermMode::Full { mouse: false })?;
        term.show_ground(theme.ground())?;
        let mut events = Vec::new();
        loop {
            let drawn = term.screen.draw(|area, buf| {
                view.draw(theme, area, buf);
                None
            });
            match drawn {
                Err(error) if is_gone(&error) => return Ok(HANGUP_EXIT_CODE),
                drawn => drawn?,
            }
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    SignalEvent::Quit(code) => return Ok(code),
                    SignalEvent::Suspend => term.suspend(term::stop_self)?,
                },
                is_open = input.next(&mut events) => if !is_open {
                    return Ok(HANGUP_EXIT_CODE);
                },
            }
            for event in events.drain(..) {
                match event {
                    Event::Resize(columns, rows) => {
                        term.screen.resize(columns, rows);
                        term.screen.invalidate();
                    }
                    Event::Key(key) if key.kind != KeyEventKind::Release => match key_use(key) {
                        KeyUse::Move(asked) => view.apply(asked),
                        KeyUse::Quit => return Ok(0),
                        KeyUse::Suspend if term::can_suspend() => term.suspend(|| signals.stop_job())?,
                        KeyUse::Suspend | KeyUse::Nothing => {}
                    },
                    _ => {}
                }
            }
        }
    }))
    .await
}

fn key_use(key: KeyEvent) -> KeyUse {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => KeyUse::Quit,
            KeyCode::Char('z') => KeyUse::Suspend,
            _ => KeyUse::Nothing,
        };
    }
    KeyUse::Move(match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return KeyUse::Quit,
        KeyCode::Char('n') => ComparisonMove::NextDifference,
        KeyCode::Char('p' | 'N') => ComparisonMove::PreviousDifference,
        KeyCode::Char('j') | KeyCode::Down => ComparisonMove::Rows(1),
        KeyCode::Char('k') | KeyCode::Up => ComparisonMove::Rows(-1),
        KeyCode::Char(' ') | KeyCode::PageDown => ComparisonMove::Pages(1),
        KeyCode::Char('b') | KeyCode::PageUp => ComparisonMove::Pages(-1),
        KeyCode::Char('g') | KeyCode::Home => ComparisonMove::Start,
        KeyCode::Char('G') | KeyCode::End => ComparisonMove::End,
        KeyCode::Tab => ComparisonMove::NextSession,
        _ => return KeyUse::Nothing,
    })
}
