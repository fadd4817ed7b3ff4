//! The colours of a theme that has its own, fitted to what the terminal can show.
//!
//! A terminal with 256 colours gets the nearest of them; one with sixteen keeps its own palette, and of a theme only what
//! names a colour of that palette.

use super::{ColorDepth, Role};
use crate::config::theme_file::{COLOR_KEYS, ThemeColor, ThemeColors};

/// Kinds of text: the first of the keys.
const ROLE_COUNT: usize = Role::Key as usize + 1;
const BACKGROUND_PLACE: usize = ROLE_COUNT;
/// A line that came, what changed in it, and the same for one that went.
const TINT_COUNT: usize = 4;

/// What is behind all text, and the colour of text that has no other: red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroundColors {
    pub back: (u8, u8, u8),
    pub ink: (u8, u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NamedColors {
    pub ground: Option<GroundColors>,
    /// By role; none is that of the terminal's own palette.
    roles: [Option<ThemeColor>; ROLE_COUNT],
    pub tints: Option<TintColors>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TintColors(pub [ThemeColor; TINT_COUNT]);

impl NamedColors {
    /// None where a theme has no colours.
    pub(super) fn new(theme: &ThemeColors, depth: ColorDepth) -> Option<Self> {
        let colors = &theme.colors;
        let text = colors[Role::Text as usize];
        let ground = match (colors[BACKGROUND_PLACE], text) {
            (Some(ThemeColor::TrueColor(r, g, b)), Some(ThemeColor::TrueColor(ink_r, ink_g, ink_b))) => {
                Some(GroundColors { back: (r, g, b), ink: (ink_r, ink_g, ink_b) })
            }
            _ => None,
        }
        .filter(|_| depth != ColorDepth::Sixteen);
        let mut roles = [None; ROLE_COUNT];
        for (role, color) in roles.iter_mut().zip(colors) {
            // The terminal is told the colour of text: who names none gets it.
            *role = color.filter(|color| ground.is_none() || Some(*color) != text).and_then(|color| fit(color, depth));
        }
        let tint = |nth: usize| colors[BACKGROUND_PLACE + 1 + nth].and_then(|color| fit(color, depth));
        let tints = match [0, 1, 2, 3].map(tint) {
            [Some(added), Some(added_part), Some(removed), Some(removed_part)] => {
                Some(TintColors([added, added_part, removed, removed_part]))
            }
            _ => None,
        };
        (theme.colors != [None; COLOR_KEYS.len()]).then_some(Self { ground, roles, tints })
    }

    pub(super) fn color(&self, role: Role) -> Option<ThemeColor> {
        self.roles[role as usize]
    }
}

/// Returns the nearest colour that the terminal has; none where that could be any.
fn fit(color: ThemeColor, depth: ColorDepth) -> Option<ThemeColor> {
    match (color, depth) {
        (ThemeColor::TrueColor(..) | ThemeColor::Index(16..), ColorDepth::Sixteen) => None,
        (ThemeColor::TrueColor(r, g, b), ColorDepth::Indexed) => Some(ThemeColor::Index(nearest_index((r, g, b)))),
        (color, _) => Some(color),
    }
}

/// The levels of the cube of 216 colours that begins at 16.
const CUBE_LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// Returns the nearest of the 240 colours that are the same everywhere.
fn nearest_index(color: (u8, u8, u8)) -> u8 {
    let level = |value: u8| (0..6_u8).min_by_key(|nth| CUBE_LEVELS[usize::from(*nth)].abs_diff(value)).unwrap_or(0);
    let cube = 16 + 36 * level(color.0) + 6 * level(color.1) + level(color.2);
    let mean = (u16::from(color.0) + u16::from(color.1) + u16::from(color.2)) / 3;
    let gray = 232 + (mean.saturating_sub(3) / 10).min(23) as u8;
    let distance = |index: u8| {
        let (r, g, b) = rgb_of_index(index);
        let square = |one: u8, other: u8| u32::from(one.abs_diff(other)).pow(2);
        square(r, color.0) + square(g, color.1) + square(b, color.2)
    };
    if distance(gray) < distance(cube) { gray } else { cube }
}

/// Returns what one of those looks like.
pub(super) fn rgb_of_index(index: u8) -> (u8, u8, u8) {
    if index >= 232 {
        let level = 8 + 10 * (index - 232);
        return (level, level, level);
    }
    let place = usize::from(index.saturating_sub(16));
    (CUBE_LEVELS[place / 36], CUBE_LEVELS[place / 6 % 6], CUBE_LEVELS[place % 6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_color_of_256_is_found() {
        for index in 16..=255 {
            let shown = rgb_of_index(index);
            assert_eq!(rgb_of_index(nearest_index(shown)), shown, "{index}");
        }
        assert_eq!(nearest_index((0x1e, 0x1e, 0x2e)), 235);
        assert_eq!(nearest_index((250, 5, 5)), 196);
    }
}
