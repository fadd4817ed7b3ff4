//! Which image of the transcript is meant, and what is known of it before it is decoded.

use super::transcript::ItemId;

/// Which image: the same name in another item may be another file by then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageSource {
    pub item: ItemId,
    pub location: ImageLocation,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageLocation {
    /// In the item's text: letters of base64, and their hash.
    Data { base64_chars: u64, hash: u64 },
    /// As the text has it. Not checked.
    File(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Such as PNG.
    pub format: &'static str,
    /// In pixels, as it is looked at.
    pub width: u32,
    pub height: u32,
    /// Of the file.
    pub bytes: u64,
}
