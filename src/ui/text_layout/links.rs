//! Where the links on the screen go. A cell has no room for an address, so it carries a number that stands for one.
//!
//! Not for deciding what may be a link. The invariant: on one screen a number stands for one address or for none; two
//! that fell on the same number (anyone could make such a pair) are no links.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// The links of a frame.
#[derive(Clone, Debug, Default)]
pub struct ScreenLinks {
    known: HashMap<u32, Option<Rc<str>>>,
}

impl ScreenLinks {
    pub fn clear(&mut self) {
        self.known.clear();
    }

    pub fn add(&mut self, url: &Rc<str>) {
        match self.known.entry(link_number(url)) {
            Entry::Occupied(mut known) => {
                if known.get().as_ref().is_some_and(|other| other != url) {
                    known.insert(None);
                }
            }
            Entry::Vacant(free) => {
                free.insert(Some(Rc::clone(url)));
            }
        }
    }

    pub fn get(&self, number: u32) -> Option<&str> {
        self.known.get(&number)?.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Returns the number of an address: 24 bits, the same in every frame, so that a link that stays is not written again.
pub fn link_number(url: &str) -> u32 {
    let hash = url.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 24)) & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_of_one_number_are_no_links() {
        let mut links = ScreenLinks::default();
        let one: Rc<str> = "https://one".into();
        links.add(&one);
        links.add(&one);
        assert_eq!(links.get(link_number("https://one")), Some("https://one"));
        links.known.insert(link_number("https://one"), Some("https://other".into()));
        links.add(&one);
        assert_eq!(links.get(link_number("https://one")), None);
    }
}
