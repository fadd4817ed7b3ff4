//! What a block is laid out in, and what of it is drawn.

use crate::ui::markdown::definitions::Definitions;

/// What a block is laid out in.
#[derive(Clone, Copy, Debug, Default)]
pub struct RenderContext<'a> {
    /// What the whole text defines.
    pub definitions: Option<&'a Definitions>,
    /// Notes may still come.
    pub awaits_footnotes: bool,
    /// The whole text, where parts of long tables look for their head.
    pub text: &'a str,
    pub width: u16,
    /// Most columns of what is wrapped at words; tables, code and pictures use the whole width.
    pub prose_columns: Option<u16>,
    /// Links say where they go.
    pub show_link_targets: bool,
}

/// The pictures that may be drawn.
#[cfg(feature = "images")]
pub type Images<'a> = Option<crate::ui::image::ItemImages<'a>>;
/// They are only named.
#[cfg(not(feature = "images"))]
pub type Images<'a> = std::marker::PhantomData<&'a ()>;
