//! The pictures of the transcript: which were asked for, how large they are, and what there is to be drawn of each.
//!
//! A picture is asked for when it is first on the screen; then it is measured, so that room can be kept for it, then
//! decoded. Not for reading or decoding (`app`), nor for how many cells it takes (`ui`). The invariant: pictures and
//! bytes are bounded, and a picture that was forgotten can be asked for again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::effect::Effect;
use super::transcript::ItemId;

/// Names known at once: more than fit on a screen, or those on it would be asked for again and again.
const NAMES: usize = 2000;
/// Pictures that can be drawn at once. Each has a number of its own, see [`Picture::number`].
const MOST: usize = 160;
/// Bytes of them.
const BYTES: usize = 16 << 20;
/// The numbers: a terminal's colours behind its first sixteen.
const FIRST: u8 = 16;

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// They are only named.
    #[default]
    Named,
    /// A cell shows two pixels.
    Blocks,
    /// By kitty's graphics; a byte keeps apart what several programs show in one terminal.
    Kitty(u8),
}

/// Which picture: the same name in another item may be another file by then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub item: ItemId,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the item's text: letters of base64, and their hash.
    Data { letters: u64, hash: u64 },
    /// As the text has it. Not checked.
    File(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Such as PNG.
    pub kind: &'static str,
    /// In pixels, as it is looked at.
    pub width: u32,
    pub height: u32,
    /// Of the file.
    pub bytes: u64,
}

/// What is drawn of a picture.
#[derive(Clone, PartialEq, Eq)]
pub enum Pixels {
    /// Not more than cells can show: red, green, blue and alpha, row by row.
    Few { width: u32, height: u32, rgba: Vec<u8> },
    /// For the terminal.
    Png(Vec<u8>),
}

impl Pixels {
    fn bytes(&self) -> usize {
        match self {
            Self::Few { rgba: bytes, .. } | Self::Png(bytes) => bytes.len(),
        }
    }
}

/// Nobody wants to read pixels.
impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} bytes)", self.bytes())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// No other picture has it at the same time.
    pub number: u8,
    pub pixels: Pixels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Asked,
    /// It is being decoded.
    Measured(Facts),
    Ready(Facts, Arc<Picture>),
    /// Why it is only named.
    Failed(String),
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Measured(Facts),
    Ready(Pixels),
    Failed(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    way: Way,
    known: HashMap<Source, State>,
    /// The same, the oldest first.
    order: VecDeque<Source>,
    ready: usize,
    /// Of those that are ready.
    bytes: usize,
    version: u64,
    numbers: u8,
}

impl Images {
    pub fn way(&self) -> Way {
        self.way
    }

    pub fn get(&self, source: &Source) -> Option<&State> {
        self.known.get(source)
    }

    /// Changes with all that rows are made of.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn set_way(&mut self, way: Way) {
        self.version += u64::from(self.way != way);
        self.way = way;
    }

    /// Asks for what isn't known.
    pub(super) fn want(&mut self, sources: Vec<Source>, fx: &mut Vec<Effect>) {
        if self.way == Way::Named {
            return;
        }
        for source in sources {
            if !self.known.contains_key(&source) {
                self.known.insert(source.clone(), State::Asked);
                self.order.push_back(source.clone());
                fx.push(Effect::MeasureImage(source));
            }
        }
        self.shrink();
    }

    pub(super) fn told(&mut self, source: Source, told: Told, fx: &mut Vec<Effect>) {
        let Some(state) = self.known.get_mut(&source) else { return };
        if let State::Ready(_, picture) = state {
            self.ready -= 1;
            self.bytes -= picture.pixels.bytes();
        }
        *state = match (told, &*state) {
            (Told::Measured(facts), _) => {
                fx.push(Effect::DecodeImage(source, facts));
                State::Measured(facts)
            }
            (Told::Ready(pixels), State::Measured(facts)) => {
                self.ready += 1;
                self.bytes += pixels.bytes();
                // With more numbers than pictures, the one that had it before is long gone.
                let number = FIRST + self.numbers % (u8::MAX - FIRST);
                self.numbers = (self.numbers + 1) % (u8::MAX - FIRST);
                State::Ready(*facts, Arc::new(Picture { number, pixels }))
            }
            (Told::Ready(_), _) => State::Failed("it was not measured".into()),
            (Told::Failed(why), _) => State::Failed(why),
        };
        self.version += 1;
        self.shrink();
    }

    /// The oldest go; the last one stays.
    fn shrink(&mut self) {
        while self.order.len() > NAMES || self.ready > MOST || (self.bytes > BYTES && self.ready > 1) {
            let Some(source) = self.order.pop_front() else { return };
            if let Some(State::Ready(_, picture)) = self.known.remove(&source) {
                self.ready -= 1;
                self.bytes -= picture.pixels.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(item: u64) -> Source {
        Source { item: ItemId(item), place: Place::File("a.png".into()) }
    }

    fn facts() -> Facts {
        Facts { kind: "PNG", width: 4, height: 4, bytes: 9 }
    }

    fn ready(images: &mut Images, item: u64, bytes: usize) {
        let mut fx = Vec::new();
        images.want(vec![source(item)], &mut fx);
        images.told(source(item), Told::Measured(facts()), &mut fx);
        images.told(source(item), Told::Ready(Pixels::Png(vec![0; bytes])), &mut fx);
        let expected = [Effect::MeasureImage(source(item)), Effect::DecodeImage(source(item), facts())];
        assert_eq!(fx, expected);
    }

    #[test]
    fn a_picture_is_asked_for_once_then_measured_then_decoded() {
        let mut images = Images::default();
        let mut fx = Vec::new();
        images.want(vec![source(1)], &mut fx);
        assert_eq!((fx.len(), images.get(&source(1))), (0, None), "nothing is asked for that is not drawn");
        images.set_way(Way::Blocks);
        ready(&mut images, 1, 10);
        images.want(vec![source(1)], &mut fx);
        assert!(fx.is_empty());
        assert!(matches!(images.get(&source(1)), Some(State::Ready(_, picture)) if picture.number == FIRST));
        let version = images.version();
        images.told(source(1), Told::Failed("no".into()), &mut fx);
        assert_eq!(images.get(&source(1)), Some(&State::Failed("no".into())));
        assert!(images.version() > version);
        images.told(source(2), Told::Ready(Pixels::Png(vec![])), &mut fx);
        assert_eq!(images.get(&source(2)), None);
    }

    #[test]
    fn pictures_and_bytes_are_bounded_and_numbers_differ() {
        let mut images = Images::default();
        images.set_way(Way::Kitty(1));
        for item in 0..1000 {
            ready(&mut images, item, 1000);
        }
        assert_eq!((images.known.len(), images.order.len(), images.bytes), (MOST, MOST, MOST * 1000));
        let numbers: std::collections::HashSet<u8> = images
            .known
            .values()
            .filter_map(|state| if let State::Ready(_, picture) = state { Some(picture.number) } else { None })
            .collect();
        assert_eq!(numbers.len(), MOST);
        for item in 1000..1009 {
            ready(&mut images, item, BYTES / 2);
            assert!(images.bytes <= BYTES);
        }
        assert!(images.get(&source(1008)).is_some() && images.get(&source(1005)).is_none());
        images.want((2000..9000).map(source).collect(), &mut Vec::new());
        assert_eq!((images.known.len(), images.order.len(), images.ready, images.bytes), (NAMES, NAMES, 0, 0));
    }
}
