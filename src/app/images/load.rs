//! Reading and decoding images of strangers: bounded in bytes, pixels and memory.
//!
//! Only what the image crate was built for here: PNG, JPEG, GIF (its first image) and WebP. Not for where an image is
//! shown. The invariant: a file is a regular one inside the folder, through links too, and its name says nothing about
//! its kind: that is read from its first bytes.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::store::image_source::ImageInfo;
use crate::store::images::{GraphicsMode, ImagePixels};
use crate::text::data_url::{DataKey, find_payload};
use crate::text::human::binary_size;
use crate::ui::image::useful_pixels;

/// Of a file.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Of an image, and of each of its sides: what cameras take.
const MAX_PIXELS: u64 = 50_000_000;
const MAX_SIDE_PIXELS: u32 = 16_384;
/// What decoding may take.
const MAX_DECODE_BYTES: u64 = 256 << 20;

/// Decodes data that an answer holds.
pub fn decode_data(text: &str, letters: u64, hash: u64) -> Result<Vec<u8>, String> {
    if letters / 4 * 3 > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let letters = find_payload(text, DataKey { chars: letters, hash }).ok_or("the embedded image data is truncated")?;
    let mut letters = std::borrow::Cow::Borrowed(letters);
    for (escaped, letter) in [("%2B", "+"), ("%2F", "/"), ("%3D", "="), ("%2b", "+"), ("%2f", "/"), ("%3d", "=")] {
        if letters.contains(escaped) {
            letters = letters.replace(escaped, letter).into();
        }
    }
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if letters.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, config).decode(&*letters).map_err(|_| "invalid base64".into())
}

/// Reads a file of the folder.
pub fn read_file(folder: &Path, path: &str) -> Result<Vec<u8>, String> {
    let found = locate(folder, path)?;
    // A pipe would never end; one that takes the file's place now doesn't hold us up either.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(found).map_err(reason)?;
    let meta = file.metadata().map_err(reason)?;
    if !meta.is_file() {
        return Err("not a file".into());
    }
    if meta.len() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    read_bounded(file)
}

fn read_bounded(file: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(reason)?;
    if bytes.len() as u64 > MAX_FILE_BYTES { Err(too_large()) } else { Ok(bytes) }
}

/// Finds a file as it is written, or as an address is.
fn locate(folder: &Path, path: &str) -> Result<PathBuf, String> {
    let folder = folder.canonicalize().map_err(reason)?;
    let bare = path.split(['?', '#']).next().unwrap_or(path);
    let ways = [path.to_owned(), percent_decode(bare)];
    let found = ways.iter().find_map(|path| folder.join(path).canonicalize().ok()).ok_or("no such file")?;
    if !found.starts_with(&folder) {
        return Err("outside the working folder".into());
    }
    if found.is_file() { Ok(found) } else { Err("not a file".into()) }
}

/// Makes `%20` a blank.
fn percent_decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or(&[]);
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

/// Reads what an image is, and nothing more.
pub fn measure(bytes: &[u8]) -> Result<ImageInfo, String> {
    let (mut decoder, kind) = decoder(bytes)?;
    let (mut width, mut height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("the file is empty".into());
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("{width}×{height} is too many pixels"));
    }
    if is_rotated(decoder.orientation().unwrap_or(Orientation::NoTransforms)) {
        (width, height) = (height, width);
    }
    Ok(ImageInfo { format: kind, width, height, bytes: bytes.len() as u64 })
}

/// Makes of a measured image what is drawn of it.
pub fn decode(bytes: &[u8], info: ImageInfo, mode: GraphicsMode) -> Result<ImagePixels, String> {
    let (mut decoder, _) = decoder(bytes)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut limits = limits();
    limits.reserve(decoder.total_bytes()).map_err(unreadable)?;
    decoder.set_limits(limits).map_err(unreadable)?;
    let whole = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    let (width, height) = useful_pixels(info, mode);
    let (across, down) = if is_rotated(orientation) { (height, width) } else { (width, height) };
    let mut small =
        if (whole.width(), whole.height()) == (across, down) { whole } else { whole.thumbnail_exact(across, down) };
    small.apply_orientation(orientation);
    let small = small.into_rgba8();
    let (width, height) = small.dimensions();
    if !matches!(mode, GraphicsMode::Kitty(_)) {
        return Ok(ImagePixels::HalfBlocks { width, height, rgba: small.into_raw() });
    }
    // Never the stranger's file: the terminal decodes what was encoded here.
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive);
    small.write_with_encoder(encoder).map_err(unreadable)?;
    Ok(ImagePixels::Png(png))
}

fn decoder(bytes: &[u8]) -> Result<(impl ImageDecoder, &'static str), String> {
    let format = image::guess_format(bytes).map_err(|_| "not a readable image")?;
    let kind = match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        _ => return Err("unsupported image format".into()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    Ok((reader.into_decoder().map_err(unreadable)?, kind))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PIXELS);
    limits.max_image_height = Some(MAX_SIDE_PIXELS);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    limits
}

/// Returns whether the image is to be turned to its side.
fn is_rotated(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn too_large() -> String {
    format!("larger than {}", binary_size(MAX_FILE_BYTES))
}

#[allow(clippy::needless_pass_by_value)]
fn reason(error: std::io::Error) -> String {
    error.to_string()
}

#[allow(clippy::needless_pass_by_value)]
fn unreadable(error: image::ImageError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
