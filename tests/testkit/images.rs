//! Small images, two pixels wide and three high.

/// As written by any encoder: signature, header, data and end.
pub(crate) const PNG_2X3: &[u8] = b"\
    \x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x02\x00\x00\x00\x03\
    \x08\x00\x00\x00\x00\x9c\x81\x81\x5d\x00\x00\x00\x0d\x49\x44\x41\x54\x78\x9c\x63\xf8\xcf\xc0\x00\
    \x46\x00\x0e\xfa\x02\xfe\xf5\x1e\x4c\xa9\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";
/// Its headers, with an application segment before the frame.
pub(crate) const JPEG_2X3: &[u8] =
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xff\xc0\0\x0b\x08\0\x03\0\x02\x01\x01\x11\0\xff\xd9";
pub(crate) const GIF_2X3: &[u8] =
    b"GIF89a\x02\0\x03\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x03\0\0\x02\x03\x84\x11\x05\0;";
pub(crate) const WEBP_2X3: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8 \x0e\0\0\0\0\0\0\x9d\x01\x2a\x02\0\x03\0\0\0\0\0";

/// Returns the beginning of a PNG that says to be that large.
pub(crate) fn png_of_size(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = PNG_2X3[..24].to_vec();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    bytes
}
