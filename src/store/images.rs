//! The images of the transcript: which were asked for, how large they are, and what there is to be drawn of each.
//!
//! An image is asked for when it is first on the screen; then it is measured, so that room can be kept for it, then
//! decoded. Not for reading or decoding (`app`), nor for how many cells it takes (`ui`). The invariant: images and
//! bytes are bounded, and an image that was forgotten can be asked for again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::effect::Effect;
use super::image_source::{ImageInfo, ImageSource};

/// Names known at once: more than fit on a screen, or those on it would be asked for again and again.
const MAX_KNOWN_IMAGES: usize = 2000;
/// Images that can be drawn at once. Each has a number of its own, see [`ReadyImage::number`].
const MAX_READY_IMAGES: usize = 160;
/// Bytes of them.
const MAX_READY_BYTES: usize = 16 << 20;
/// The numbers: a terminal's colours behind its first sixteen.
const FIRST_IMAGE_NUMBER: u8 = 16;

/// How images are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphicsMode {
    /// They are only named.
    #[default]
    NameOnly,
    /// A cell shows two pixels.
    HalfBlocks,
    /// By kitty's graphics; a byte keeps apart what several programs show in one terminal.
    Kitty(u8),
}

/// What is drawn of an image.
#[derive(Clone, PartialEq, Eq)]
pub enum ImagePixels {
    /// Not more than cells can show: red, green, blue and alpha, row by row.
    HalfBlocks { width: u32, height: u32, rgba: Vec<u8> },
    /// For the terminal.
    Png(Vec<u8>),
}

impl ImagePixels {
    fn bytes(&self) -> usize {
        match self {
            Self::HalfBlocks { rgba: bytes, .. } | Self::Png(bytes) => bytes.len(),
        }
    }
}

/// Nobody wants to read pixels.
impl fmt::Debug for ImagePixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} bytes)", self.bytes())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyImage {
    /// No other image has it at the same time.
    pub number: u8,
    pub pixels: ImagePixels,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageState {
    Requested,
    /// It is being decoded.
    Measured(ImageInfo),
    Ready(ImageInfo, Arc<ReadyImage>),
    /// Why it is only named.
    Failed(String),
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum DecodeResult {
    Measured(ImageInfo),
    Ready(ImagePixels),
    Failed(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageCache {
    mode: GraphicsMode,
    known: HashMap<ImageSource, ImageState>,
    /// The same, the oldest first.
    order: VecDeque<ImageSource>,
    ready: usize,
    /// Of those that are ready.
    bytes: usize,
    version: u64,
    next_number: u8,
}

impl ImageCache {
    pub fn mode(&self) -> GraphicsMode {
        self.mode
    }

    pub fn get(&self, source: &ImageSource) -> Option<&ImageState> {
        self.known.get(source)
    }

    /// Changes with all that rows are made of.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn set_mode(&mut self, mode: GraphicsMode) {
        self.version += u64::from(self.mode != mode);
        self.mode = mode;
    }

    /// Asks for what isn't known.
    pub(super) fn request(&mut self, sources: Vec<ImageSource>, fx: &mut Vec<Effect>) {
        if self.mode == GraphicsMode::NameOnly {
            return;
        }
        for source in sources {
            if !self.known.contains_key(&source) {
                self.known.insert(source.clone(), ImageState::Requested);
                self.order.push_back(source.clone());
                fx.push(Effect::MeasureImage(source));
            }
        }
        self.evict();
    }

    pub(super) fn on_result(&mut self, source: ImageSource, told: DecodeResult, fx: &mut Vec<Effect>) {
        let Some(state) = self.known.get_mut(&source) else { return };
        if let ImageState::Ready(_, picture) = state {
            self.ready -= 1;
            self.bytes -= picture.pixels.bytes();
        }
        *state = match (told, &*state) {
            (DecodeResult::Measured(info), _) => {
                fx.push(Effect::DecodeImage(source, info));
                ImageState::Measured(info)
            }
            (DecodeResult::Ready(pixels), ImageState::Measured(info)) => {
                self.ready += 1;
                self.bytes += pixels.bytes();
                // With more numbers than images, the one that had it before is long gone.
                let number = FIRST_IMAGE_NUMBER + self.next_number % (u8::MAX - FIRST_IMAGE_NUMBER);
                self.next_number = (self.next_number + 1) % (u8::MAX - FIRST_IMAGE_NUMBER);
                ImageState::Ready(*info, Arc::new(ReadyImage { number, pixels }))
            }
            (DecodeResult::Ready(_), _) => ImageState::Failed("its size is unknown".into()),
            (DecodeResult::Failed(why), _) => ImageState::Failed(why),
        };
        self.version += 1;
        self.evict();
    }

    /// The oldest go; the last one stays.
    fn evict(&mut self) {
        while self.order.len() > MAX_KNOWN_IMAGES
            || self.ready > MAX_READY_IMAGES
            || (self.bytes > MAX_READY_BYTES && self.ready > 1)
        {
            let Some(source) = self.order.pop_front() else { return };
            if let Some(ImageState::Ready(_, picture)) = self.known.remove(&source) {
                self.ready -= 1;
                self.bytes -= picture.pixels.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::image_source::ImageLocation;
    use crate::store::transcript::ItemId;

    fn source(item: u64) -> ImageSource {
        ImageSource { item: ItemId(item), location: ImageLocation::File("a.png".into()) }
    }

    fn info() -> ImageInfo {
        ImageInfo { format: "PNG", width: 4, height: 4, bytes: 9 }
    }

    fn ready(images: &mut ImageCache, item: u64, bytes: usize) {
        let mut fx = Vec::new();
        images.request(vec![source(item)], &mut fx);
        images.on_result(source(item), DecodeResult::Measured(info()), &mut fx);
        images.on_result(source(item), DecodeResult::Ready(ImagePixels::Png(vec![0; bytes])), &mut fx);
        let expected = [Effect::MeasureImage(source(item)), Effect::DecodeImage(source(item), info())];
        assert_eq!(fx, expected);
    }

    #[test]
    fn an_image_is_asked_for_once_then_measured_then_decoded() {
        let mut images = ImageCache::default();
        let mut fx = Vec::new();
        images.request(vec![source(1)], &mut fx);
        assert_eq!((fx.len(), images.get(&source(1))), (0, None), "nothing is asked for that is not drawn");
        images.set_mode(GraphicsMode::HalfBlocks);
        ready(&mut images, 1, 10);
        images.request(vec![source(1)], &mut fx);
        assert!(fx.is_empty());
        assert!(
            matches!(images.get(&source(1)), Some(ImageState::Ready(_, picture)) if picture.number == FIRST_IMAGE_NUMBER)
        );
        let version = images.version();
        images.on_result(source(1), DecodeResult::Failed("no".into()), &mut fx);
        assert_eq!(images.get(&source(1)), Some(&ImageState::Failed("no".into())));
        assert!(images.version() > version);
        images.on_result(source(2), DecodeResult::Ready(ImagePixels::Png(vec![])), &mut fx);
        assert_eq!(images.get(&source(2)), None);
    }

    #[test]
    fn images_and_bytes_are_bounded_and_numbers_differ() {
        let mut images = ImageCache::default();
        images.set_mode(GraphicsMode::Kitty(1));
        for item in 0..1000 {
            ready(&mut images, item, 1000);
        }
        assert_eq!(
            (images.known.len(), images.order.len(), images.bytes),
            (MAX_READY_IMAGES, MAX_READY_IMAGES, MAX_READY_IMAGES * 1000)
        );
        let numbers: std::collections::HashSet<u8> = images
            .known
            .values()
            .filter_map(|state| if let ImageState::Ready(_, picture) = state { Some(picture.number) } else { None })
            .collect();
        assert_eq!(numbers.len(), MAX_READY_IMAGES);
        for item in 1000..1009 {
            ready(&mut images, item, MAX_READY_BYTES / 2);
            assert!(images.bytes <= MAX_READY_BYTES);
        }
        assert!(images.get(&source(1008)).is_some() && images.get(&source(1005)).is_none());
        images.request((2000..9000).map(source).collect(), &mut Vec::new());
        assert_eq!(
            (images.known.len(), images.order.len(), images.ready, images.bytes),
            (MAX_KNOWN_IMAGES, MAX_KNOWN_IMAGES, 0, 0)
        );
    }
}
