//! An image that goes with a prompt: what it is by its first bytes, its size in pixels by its header, and its bytes.
//!
//! Not here: reading files, and decoding pixels. The invariant: an image that was made by [`PromptImage::new`] is what
//! its media type says, and not larger than [`MAX_IMAGE_BYTES`]; one that came from outside is not, before
//! [`PromptImage::check`] said so.
//!
//! Formats: PNG (ISO/IEC 15948), JPEG (ITU-T T.81, annex B), GIF89a, WebP (RFC 9649).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PromptContext;

/// Bytes of one image: what the strictest of the large vendors takes.
pub const MAX_IMAGE_BYTES: u64 = 5_000_000;
/// Bytes of all images of a prompt.
pub const MAX_PROMPT_IMAGE_BYTES: u64 = 10_000_000;
/// How many images go with a prompt.
pub const MAX_PROMPT_IMAGES: usize = 20;
/// Pixels that cost a token, roughly, as vendors count an image.
const PIXELS_PER_TOKEN: u64 = 750;
/// The most tokens that an image costs: servers make larger ones smaller.
const MAX_IMAGE_TOKENS: u64 = 1600;

/// The kinds of images that every server with images takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageType {
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/gif")]
    Gif,
    #[serde(rename = "image/webp")]
    WebP,
}

impl ImageType {
    /// Returns what begins with these bytes.
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
        }
    }

    /// Returns its name for people; its lower case is the usual end of a file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
        }
    }
}

/// Bytes in base64. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64Data(Arc<str>);

/// Nobody wants to read it.
impl fmt::Debug for Base64Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64Data({} characters)", self.0.len())
    }
}

impl Serialize for Base64Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Base64Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into()))
    }
}

/// An image; its name is that of the [`PromptContext`] that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptImage {
    pub media_type: ImageType,
    /// In pixels, as its header says, like `height`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    pub data: Base64Data,
}

impl PromptImage {
    /// Returns the image that these bytes are; the error says why they are none, or too many.
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        let media_type = ImageType::detect(bytes).ok_or("not a PNG, JPEG, GIF or WebP image")?;
        if bytes.len() as u64 > MAX_IMAGE_BYTES {
            return Err(too_large(bytes.len() as u64));
        }
        let (width, height) = pixel_size(media_type, bytes).unzip();
        Ok(Self { media_type, width, height, data: Base64Data(STANDARD.encode(bytes).into()) })
    }

    /// Returns the image in these characters of base64.
    pub fn from_base64(characters: &str) -> Result<Self, String> {
        // Before anything is made of it.
        if decoded_len(characters) > MAX_IMAGE_BYTES {
            return Err(too_large(decoded_len(characters)));
        }
        Self::new(&STANDARD.decode(characters).map_err(|error| format!("no base64: {error}"))?)
    }

    /// Returns the image of a `data:` address; the error says why that is none.
    pub fn from_data_url(url: &str) -> Result<Self, String> {
        let data = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and_then(|_| url.get(5..));
        let (head, characters) =
            data.and_then(|data| data.split_once(',')).ok_or("only images in data: addresses are taken")?;
        if !head.to_ascii_lowercase().ends_with(";base64") {
            return Err("a data: address must be in base64".into());
        }
        Self::from_base64(characters)
    }

    /// Returns why one that came from outside is not what it says.
    pub fn check(&self) -> Result<(), String> {
        let read = Self::from_base64(self.base64())?;
        if read == *self { Ok(()) } else { Err(format!("this is a {} image of another size", read.media_type.name())) }
    }

    pub fn base64(&self) -> &str {
        &self.data.0
    }

    /// Returns its `data:` address.
    pub fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.media_type.media_type(), self.base64())
    }

    /// Returns how many bytes it has.
    pub fn bytes(&self) -> u64 {
        decoded_len(self.base64())
    }

    /// Returns its size in pixels, `800x600`, if its header says it.
    pub fn pixels(&self) -> Option<String> {
        Some(format!("{}x{}", self.width?, self.height?))
    }

    /// Estimates the tokens that it costs: a token for 750 pixels, at most 1600 as after a server made it smaller.
    pub fn estimate_tokens(&self) -> u64 {
        let pixels = self.width.zip(self.height).map(|(width, height)| u64::from(width) * u64::from(height));
        pixels.map_or(MAX_IMAGE_TOKENS, |pixels| pixels.div_ceil(PIXELS_PER_TOKEN).min(MAX_IMAGE_TOKENS))
    }
}

/// Returns why these images can't go with one prompt.
pub fn check_images(context: &[PromptContext]) -> Result<(), String> {
    let images = || context.iter().filter_map(PromptContext::image);
    let (count, bytes) = (images().count(), images().map(PromptImage::bytes).sum::<u64>());
    if count > MAX_PROMPT_IMAGES {
        return Err(format!("{count} images, at most {MAX_PROMPT_IMAGES} go with a prompt"));
    }
    if bytes > MAX_PROMPT_IMAGE_BYTES {
        let (told, most) = (megabytes(bytes), megabytes(MAX_PROMPT_IMAGE_BYTES));
        return Err(format!("{told} of images, at most {most} go with a prompt"));
    }
    Ok(())
}

/// Says that an image of this size is too large.
pub fn too_large(bytes: u64) -> String {
    format!("{} is too large, an image may have {}", megabytes(bytes), megabytes(MAX_IMAGE_BYTES))
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    match tenths % 10 {
        0 => format!("{} MB", tenths / 10),
        rest => format!("{}.{rest} MB", tenths / 10),
    }
}

fn decoded_len(characters: &str) -> u64 {
    let padding = characters.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
    (characters.len() / 4 * 3).saturating_sub(padding) as u64
}

/// Returns width and height as the header says them; they may be lies.
fn pixel_size(media_type: ImageType, bytes: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = match media_type {
        ImageType::Png => {
            let is_header = bytes.get(12..16)? == b"IHDR";
            (is_header.then_some(read_be32(bytes, 16)?)?, read_be32(bytes, 20)?)
        }
        ImageType::Gif => (read_le(bytes, 6, 2)?, read_le(bytes, 8, 2)?),
        ImageType::WebP => webp_size(bytes)?,
        ImageType::Jpeg => jpeg_size(bytes)?,
    };
    (width > 0 && height > 0).then_some((width, height))
}

fn read_be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn read_be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Reads up to four bytes, the lowest first.
fn read_le(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    Some(bytes.get(at..at + count)?.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " if bytes.get(23..26)? == [0x9d, 0x01, 0x2a] => {
            Some((read_le(bytes, 26, 2)? & 0x3fff, read_le(bytes, 28, 2)? & 0x3fff))
        }
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let packed = read_le(bytes, 21, 4)?;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((read_le(bytes, 24, 3)? + 1, read_le(bytes, 27, 3)? + 1)),
        _ => None,
    }
}

/// Walks the segments to the first frame header. O(segments).
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            // Fill bytes.
            0xff => at += 1,
            // Markers that stand alone.
            0x01 | 0xd0..=0xd8 => at += 2,
            0xd9 | 0xda => return None,
            // Frame headers, without the tables that have their numbers in between.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((read_be16(bytes, at + 7)?.into(), read_be16(bytes, at + 5)?.into()));
            }
            _ => at += 2 + usize::from(read_be16(bytes, at + 2)?).max(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::images::{GIF_2X3, JPEG_2X3, PNG_2X3, WEBP_2X3, png_of_size};

    fn told(image: &PromptImage) -> (ImageType, Option<u32>, Option<u32>, u64) {
        (image.media_type, image.width, image.height, image.bytes())
    }

    #[test]
    fn an_image_is_known_by_its_first_bytes_and_measured_by_its_header() {
        for (bytes, media_type) in [
            (PNG_2X3, ImageType::Png),
            (JPEG_2X3, ImageType::Jpeg),
            (GIF_2X3, ImageType::Gif),
            (WEBP_2X3, ImageType::WebP),
        ] {
            let image = PromptImage::new(bytes).unwrap();
            assert_eq!(told(&image), (media_type, Some(2), Some(3), bytes.len() as u64));
            assert_eq!(PromptImage::from_data_url(&image.data_url()).unwrap(), image);
            assert_eq!(image.check(), Ok(()));
            // Cut anywhere it is told without a size, or is no image at all.
            for cut in 0..bytes.len() {
                let _ = PromptImage::new(&bytes[..cut]);
            }
        }
        let lossless = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\x01\x80\0\0\0";
        assert_eq!(told(&PromptImage::new(lossless).unwrap()).1, Some(2));
        assert_eq!(told(&PromptImage::new(lossless).unwrap()).2, Some(3));
        assert_eq!(PromptImage::new(b"<svg/>").unwrap_err(), "not a PNG, JPEG, GIF or WebP image");
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_size_and_the_limit() {
        let mut bytes = png_of_size(4, 4);
        bytes.resize(MAX_IMAGE_BYTES as usize, 0);
        let image = PromptImage::new(&bytes).unwrap();
        bytes.push(0);
        assert_eq!(PromptImage::new(&bytes).unwrap_err(), "5.1 MB is too large, an image may have 5 MB");
        assert!(PromptImage::from_base64(&STANDARD.encode(&bytes)).unwrap_err().starts_with("5.1 MB is too large"));
        let part = |image: &PromptImage| PromptContext::from_image("a.png".into(), image.clone());
        assert_eq!(check_images(&[part(&image), part(&image)]), Ok(()));
        let error = check_images(&[part(&image), part(&image), part(&image)]).unwrap_err();
        assert_eq!(error, "15 MB of images, at most 10 MB go with a prompt");
        let small = PromptImage::new(PNG_2X3).unwrap();
        assert!(check_images(&vec![part(&small); MAX_PROMPT_IMAGES + 1]).unwrap_err().starts_with("21 images"));
    }

    #[test]
    fn what_came_from_outside_must_be_what_it_says() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let lies = [
            PromptImage { media_type: ImageType::Gif, ..image.clone() },
            PromptImage { width: Some(9), ..image.clone() },
            PromptImage { data: Base64Data("!".into()), ..image.clone() },
            PromptImage { data: Base64Data("".into()), ..image },
        ];
        for lie in lies {
            assert!(lie.check().is_err(), "{lie:?}");
        }
        for url in ["https://example.org/a.png", "data:image/png,x", "data:image/png;base64", "datä:,"] {
            assert!(PromptImage::from_data_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn tokens_follow_the_pixels_up_to_what_servers_keep() {
        let tokens = |width, height| PromptImage::new(&png_of_size(width, height)).unwrap().estimate_tokens();
        assert_eq!((tokens(1, 1), tokens(300, 250), tokens(u32::MAX, u32::MAX)), (1, 100, MAX_IMAGE_TOKENS));
        let unknown = PromptImage { width: None, height: None, ..PromptImage::new(PNG_2X3).unwrap() };
        assert_eq!(unknown.estimate_tokens(), MAX_IMAGE_TOKENS);
    }
}
