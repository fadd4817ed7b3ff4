//! The list of links and files: a small letter chooses one, a capital copies it, [`COPY_KEY`] copies the chosen one.

use super::approval::ANSWER_GUARD_TIME;
use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{Millis, NoticeLevel};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::links::{COPY_KEY, Link, index_of_letter, links};
use crate::store::transcript::ItemId;
use crate::store::update::copy::copy_text;
use crate::store::update::support::open;

/// Said when something is to be done to a link and none is chosen.
const CHOOSE_LINK_HINT: &str = "choose one first: its letter, or the arrows";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkList {
    pub links: Vec<Link>,
    /// Nothing is chosen until the person chooses, so that Enter opens nothing by accident.
    pub selected: Option<usize>,
    /// When the last letter chose one: Enter right behind it was typed, and not meant.
    chosen_at: Millis,
}

impl LinkList {
    fn link(&self, letter: char) -> Option<usize> {
        index_of_letter(letter).filter(|nth| *nth < self.links.len())
    }

    fn selected_link(&self) -> Option<&Link> {
        self.links.get(self.selected?)
    }
}

impl OverlayState for LinkList {
    fn letter_use(&self, letter: char) -> LetterUse {
        LetterUse::Choice(self.link(letter).is_some() || letter == COPY_KEY)
    }

    fn type_char(&mut self, c: char, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        let copied = if c == COPY_KEY {
            self.selected_link()
        } else {
            let Some(nth) = self.link(c) else { return OverlayOutcome::Stay };
            if c.is_ascii_lowercase() {
                (self.selected, self.chosen_at) = (Some(nth), store.session.now);
                return OverlayOutcome::Stay;
            }
            self.links.get(nth)
        };
        let Some(link) = copied else {
            store.toast = Some((NoticeLevel::Info, CHOOSE_LINK_HINT.into()));
            return OverlayOutcome::Stay;
        };
        copy_text(store, "the target", link.target.as_str().to_owned(), fx);
        OverlayOutcome::Close
    }

    /// The first step chooses, from the end that it comes from.
    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        let last = self.links.len().saturating_sub(1);
        self.selected = Some(match (step, self.selected) {
            (ScrollStep::Back(rows), None) => self.links.len().saturating_sub(rows),
            (ScrollStep::Forward(rows), None) => rows.saturating_sub(1).min(last),
            (step, Some(selected)) => step.from(selected, last),
        });
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        let row = |link: &Link| match link.text.as_str() {
            "" => link.target.as_str().to_owned(),
            text => format!("{text}: {}", link.target.as_str()),
        };
        Some(self.links.iter().map(row).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        (self.selected, self.chosen_at) = (Some(nth), Millis(0));
        self.accept(store, fx)
    }

    /// Opens the chosen one. Enter right behind a letter ends a word that somebody typed, and opens nothing.
    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if self.chosen_at.0 > 0 && store.session.now.since(self.chosen_at) < ANSWER_GUARD_TIME {
            return OverlayOutcome::Stay;
        }
        let Some(link) = self.selected_link() else {
            store.toast = Some((NoticeLevel::Info, CHOOSE_LINK_HINT.into()));
            return OverlayOutcome::Stay;
        };
        fx.push(Effect::Open(link.target.clone()));
        OverlayOutcome::Close
    }
}

/// Lists the links and files of an item; without one, the newest there are.
pub(in crate::store) fn open_links(store: &mut Store, item: Option<u64>) {
    let items = &store.transcript;
    let links = match item.and_then(|item| items.item(ItemId(item))) {
        Some(item) => links(std::iter::once(item), &store.tool_calls),
        None => links(items.items().iter().rev(), &store.tool_calls),
    };
    if links.is_empty() {
        store.toast = Some((NoticeLevel::Info, "no links or files here".into()));
    } else {
        open(store, LinkList { links, selected: None, chosen_at: Millis(0) });
    }
}
