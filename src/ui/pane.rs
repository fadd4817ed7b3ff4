//! What a part of the screen is asked: its place, its picture, and what keys and pointer do to it. And what an overlay is
//! drawn with.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::key_hints::KeyHints;
use super::layout::{Layout, Place, SidePlace};
use super::theme::Theme;
use crate::store::Store;
use crate::store::action::{Action, UiAction};
use crate::store::overlay::OverlayExtent;
use crate::store::pane::Pane;

/// What a frame is drawn with.
#[derive(Clone, Copy)]
pub struct PaneScreen<'a> {
    pub store: &'a Store,
    pub key_hints: &'a KeyHints,
    pub theme: Theme,
    /// The whole screen.
    pub area: Rect,
    /// Where everything is; empty while places are asked for.
    pub layout: &'a Layout,
}

impl PaneScreen<'_> {
    /// Returns whether that pane has the keys.
    pub fn has_keys(&self, pane: Pane) -> bool {
        self.store.focus.top().is_none() && self.store.focus.pane == pane
    }

    /// Names the pane that has the keys, unless it is where one writes.
    pub fn keyboard_elsewhere(&self) -> Option<String> {
        let pane = self.store.focus.pane;
        (pane != Pane::Composer && self.has_keys(pane)).then(|| format!("the {}", pane.title().to_lowercase()))
    }

    /// Returns the place of a side pane, which the person may want other than it is by default.
    pub fn beside(&self, pane: Pane, is_default: bool) -> Place {
        Place::Side(SidePlace { is_default, is_toggled: self.store.focus.is_toggled(pane) })
    }

    /// Returns whether a box lies over the panes.
    pub fn is_boxed(&self) -> bool {
        self.store.focus.extent() == Some(OverlayExtent::Box)
    }

    /// Returns whether a replay is watched: its bar stands where the composer would.
    pub fn is_replay(&self) -> bool {
        self.store.session.capabilities().seek && self.store.session.replay().is_some()
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum PaneResponse {
    /// It means nothing to this part.
    Ignored,
    Done,
    /// It is for the store.
    Tell(Action),
}

impl From<Option<Action>> for PaneResponse {
    fn from(action: Option<Action>) -> Self {
        action.map_or(Self::Done, Self::Tell)
    }
}

/// A part of the screen.
pub trait PaneView {
    /// Returns what it is called, if it can have the keys.
    fn pane(&self) -> Option<Pane> {
        None
    }

    /// Returns what it would like of the screen.
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place;

    /// Draws it and returns where the cursor belongs.
    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)>;

    /// Does what was asked for while it has the keys, or what no other part does.
    fn handle(&mut self, _store: &Store, _action: UiAction) -> PaneResponse {
        PaneResponse::Ignored
    }

    /// Returns whether an action of its keys does anything just now.
    fn has_effect(&self, _store: &Store, _action: UiAction) -> bool {
        true
    }

    /// Takes the turns of a wheel above it, rows down; false leaves them to the transcript.
    fn wheel(&mut self, _store: &Store, _rows: i32) -> bool {
        false
    }

    /// The pointer was pressed on it.
    fn press(&mut self, _store: &Store, _at: (u16, u16)) {}

    /// The pointer, pressed on it, moves; returns whether that selects something.
    fn drag(&mut self, _store: &Store, _at: (u16, u16)) -> bool {
        false
    }

    /// The pointer, pressed on it, was released.
    fn release(&mut self, _store: &Store, _at: (u16, u16)) -> Option<Action> {
        None
    }

    /// Takes a click on it, which never moves the keys.
    fn click(&self, _store: &Store, _at: (u16, u16)) -> Option<Action> {
        None
    }
}

/// What an overlay is drawn with.
#[derive(Clone, Copy)]
pub struct OverlayScreen<'a> {
    pub store: &'a Store,
    pub key_hints: &'a KeyHints,
    pub theme: Theme,
    /// For boxes.
    pub stage: Rect,
    /// The place of the composer.
    pub input: Rect,
}

/// What came of drawing an overlay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrawnOverlay {
    /// Where the cursor belongs.
    pub cursor: Option<(u16, u16)>,
    /// How far a text can be scrolled.
    pub scroll_end: usize,
}

impl DrawnOverlay {
    pub fn with_cursor(at: (u16, u16)) -> Self {
        Self { cursor: Some(at), scroll_end: 0 }
    }

    pub fn with_scroll_end(scroll_end: usize) -> Self {
        Self { cursor: None, scroll_end }
    }
}
