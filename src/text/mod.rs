//! Pure functions on strings from outside: making them harmless, measuring them in cells, wrapping them.
//!
//! Not for styles and not for Markdown. The invariant: nothing here knows a terminal, and every function is linear in
//! the length of its text.

pub mod address;
pub mod clean;
pub mod data_url;
pub mod display_url;
pub mod fence;
pub mod front_matter;
pub mod fuzzy;
pub mod html;
pub mod human;
pub mod hunks;
pub mod link;
mod look_alike;
pub mod mention;
pub mod secrets;
pub mod short_path;
pub mod store_address;
pub mod suggestion;
pub mod visible;
pub mod width;
pub mod words;
pub mod wrap;

pub use clean::{clean, one_line};
pub use human::size;
pub use short_path::short_path;
pub use visible::{visible, visible_line};
