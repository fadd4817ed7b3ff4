//! The themes for the two grounds that a terminal may have.

use super::{ColorDepth, Theme, ThemeKind};
use crate::config::ThemeChoice;
use crate::config::theme_file::ThemeColors;

/// The same twice where the terminal has no say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThemePair {
    dark: Theme,
    light: Theme,
}

impl ThemePair {
    /// Makes what is wanted of what `read` knows by name; what it doesn't know has the terminal's own colours.
    pub fn new(choice: &ThemeChoice, depth: ColorDepth, read: &dyn Fn(&str) -> Option<ThemeColors>) -> Self {
        let theme = |is_light: bool| {
            let name = choice.name_on(is_light);
            let plain = |kind| Theme::new(kind).with_depth(depth);
            match ThemeKind::parse(name) {
                Some(kind) => plain(kind),
                None => match read(name) {
                    Some(colors) => Theme::with_colors(&colors, depth),
                    None if is_light => plain(ThemeKind::Light),
                    None => plain(ThemeKind::Dark),
                },
            }
        };
        let dark = theme(false);
        Self { dark, light: if choice.follows_terminal() { theme(true) } else { dark } }
    }

    pub fn on(&self, is_light: bool) -> Theme {
        if is_light { self.light } else { self.dark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::theme_file::ThemeBase;

    #[test]
    fn a_pair_follows_the_ground_and_one_name_does_not() {
        let read = |name: &str| (name == "own").then_some(ThemeColors::plain(ThemeBase::Light));
        let kinds = |choice: ThemeChoice| {
            let pair = ThemePair::new(&choice, ColorDepth::Sixteen, &read);
            [false, true].map(|is_light| pair.on(is_light).kind())
        };
        assert_eq!(kinds(ThemeChoice::Auto), [ThemeKind::Dark, ThemeKind::Light]);
        assert_eq!(kinds(ThemeChoice::Mono), [ThemeKind::Mono; 2]);
        assert_eq!(kinds(ThemeChoice::Named("own".into())), [ThemeKind::Light; 2]);
        let pair = ThemeChoice::Pair { dark: "gone".into(), light: "own".into() };
        assert_eq!(kinds(pair), [ThemeKind::Dark, ThemeKind::Light]);
    }
}
