//! Markdown: from growing text to blocks, from a block to rows.
//!
//! Text that runs from right to left stays in the order it was written in, a letter a cell, and nothing is put between:
//! terminals that know such scripts turn each row around themselves, and in others at least the columns hold.
//!
//! Not for knowing where on the screen anything stands. The invariant: a finished block
//! never changes while text streams in, and every visible character of the source shows up on some row, whatever the
//! width.

pub mod blocks;
pub mod code;
pub mod code_blocks;
mod definitions;
mod html;
mod inline;
mod long_table;
mod math;
mod mermaid;
mod nesting;
pub mod render;
mod streaming;
pub mod syntax;
mod table;

pub use blocks::{BlockKind, MarkdownBlock, Splitter};
pub use definitions::{Definitions, may_define_links};
pub use render::{Images, RenderContext, lay_block, lay_with_images, whole_lines};
pub use streaming::stabilize;

use pulldown_cmark::Options;

#[cfg(test)]
mod tests;

/// What is read besides CommonMark.
pub fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM
        | Options::ENABLE_MATH
}
