//! Pure functions on strings from outside: making them harmless, measuring them in cells, wrapping them.
//!
//! Not for styles and not for Markdown. The invariant: nothing here knows a terminal, and every function is linear in
//! the length of its text.

pub mod address;
pub mod clean;
pub mod data_url;
pub mod link;
mod look_alike;
pub mod visible;
pub mod width;
pub mod wrap;

pub use clean::{clean, one_line};
pub use visible::{visible, visible_line};

/// Returns a size for people: `12 bytes`, `3.4 kB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".into(),
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
