//! What an image that goes with a prompt is called: in the composer, in the transcript, in messages.

use crate::event::{PromptContext, PromptImage};
use crate::text::human::whole_size;
use crate::text::one_line;

/// Cells of a file's name in a label.
const MAX_NAME_CELLS: usize = 40;

/// Returns the label of an image: `[image cat.png 800x600, 120 kB]`. The name is that of the file, without its folders.
pub fn image_label(name: &str, image: &PromptImage) -> String {
    let file = one_line(name.rsplit('/').next().unwrap_or(name), MAX_NAME_CELLS).replace(['[', ']'], "");
    let pixels = image.pixels().map_or_else(String::new, |pixels| format!(" {pixels}"));
    format!("[image {file}{pixels}, {}]", whole_size(image.bytes()))
}

/// Returns whether any image is among what goes with a prompt.
pub fn has_images(context: &[PromptContext]) -> bool {
    context.iter().any(|part| part.image().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::images::{PNG_2X3, png_of_size};

    #[test]
    fn a_label_has_the_name_the_pixels_and_the_size() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let size = PNG_2X3.len();
        assert_eq!(image_label("docs/cat.png", &image), format!("[image cat.png 2x3, {size} bytes]"));
        assert_eq!(image_label("\u{1b}[31mcat]\n", &image), format!("[image cat 2x3, {size} bytes]"));
        let cut = PromptImage::new(&png_of_size(0, 1)).unwrap();
        assert_eq!(image_label("x", &cut), "[image x, 24 bytes]");
    }
}
