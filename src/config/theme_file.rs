//! PURE. A theme as people write it: TOML with a color for each kind of text, and those that are built in.
//!
//! Not here: what is looked for where (`themes.rs`), and how a color looks in a terminal (`ui/theme`). A color that is not
//! understood is told with its line, and the rest of the theme holds.

use super::value::{self, Setting, SettingValue, dotted, printable};
use crate::text::suggestion::suggest;

/// What a theme may color, by its names: kinds of text first, then the grounds they stand on.
pub const COLOR_KEYS: [&str; 40] = [
    "text",
    "dim",
    "heading",
    "code",
    "source",
    "keyword",
    "type",
    "literal",
    "number",
    "comment",
    "function",
    "attribute",
    "math",
    "code_edge",
    "link",
    "quote",
    "user",
    "assistant",
    "thinking",
    "tool",
    "ok",
    "warn",
    "error",
    "info",
    "accent",
    "selection",
    "match",
    "current_match",
    "border",
    "border_focused",
    "status",
    "added",
    "removed",
    "filled",
    "key",
    "background",
    "added_line",
    "added_part",
    "removed_line",
    "removed_part",
];
/// The first of those that are grounds: only they need all three parts of a color.
const FIRST_GROUND_KEY: &str = "background";
/// Longest name of a theme.
const MAX_NAME_CHARS: usize = 40;
/// Longest piece of a file that a message quotes.
const MAX_QUOTED_CHARS: usize = 40;
/// Complaints about one file.
const MAX_PROBLEMS: usize = 20;

/// The sixteen colors of a terminal, by number.
const ANSI_NAMES: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];

/// The themes that are files here, by name.
pub const BUILT_IN_THEMES: [(&str, &str); 10] = [
    ("catppuccin-mocha", include_str!("../../assets/themes/catppuccin-mocha.toml")),
    ("catppuccin-latte", include_str!("../../assets/themes/catppuccin-latte.toml")),
    ("gruvbox-dark", include_str!("../../assets/themes/gruvbox-dark.toml")),
    ("gruvbox-light", include_str!("../../assets/themes/gruvbox-light.toml")),
    ("solarized-dark", include_str!("../../assets/themes/solarized-dark.toml")),
    ("solarized-light", include_str!("../../assets/themes/solarized-light.toml")),
    ("rose-pine", include_str!("../../assets/themes/rose-pine.toml")),
    ("rose-pine-dawn", include_str!("../../assets/themes/rose-pine-dawn.toml")),
    ("contrast-dark", include_str!("../../assets/themes/contrast-dark.toml")),
    ("contrast-light", include_str!("../../assets/themes/contrast-light.toml")),
];

/// A color of a theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeColor {
    /// What the terminal takes for text.
    Default,
    /// One of the terminal's 256.
    Index(u8),
    TrueColor(u8, u8, u8),
}

/// What a theme is made for, and what holds where it says nothing: the terminal's own colors on such a ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeBase {
    #[default]
    Dark,
    Light,
}

/// A theme: a color for each of [`COLOR_KEYS`] that it has one for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThemeColors {
    pub base: ThemeBase,
    pub colors: [Option<ThemeColor>; COLOR_KEYS.len()],
}

impl ThemeColors {
    /// One without colors of its own.
    pub const fn plain(base: ThemeBase) -> Self {
        Self { base, colors: [None; COLOR_KEYS.len()] }
    }
}

/// A file, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ThemeText {
    base: Option<ThemeBase>,
    /// The theme that holds below, and the line that says so.
    pub(super) inherits: Option<(String, usize)>,
    colors: Vec<(usize, ThemeColor)>,
    /// With file and line.
    pub(super) problems: Vec<String>,
}

impl ThemeText {
    /// Reads a text; `file` is what it is called in messages.
    pub(super) fn parse(file: &str, text: &str) -> Self {
        let mut found = Self::default();
        match value::parse(text, &|_| false) {
            Ok(settings) => {
                for setting in settings {
                    if let Err(why) = found.add(&setting) {
                        found.tell(file, setting.line, &why);
                    }
                }
            }
            Err(error) => found.tell(file, error.line, &format!("not valid TOML: {}", error.message)),
        }
        found
    }

    /// Adds a complaint.
    pub(super) fn tell(&mut self, file: &str, line: usize, why: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(format!("{}:{line}: {why}", printable(file)));
        }
    }

    fn add(&mut self, Setting { path, value, line }: &Setting) -> Result<(), String> {
        let key = dotted(path);
        let quoted = || quote(&value.to_toml());
        match (key.as_str(), value) {
            ("kind", SettingValue::String(kind)) if kind == "dark" => self.base = Some(ThemeBase::Dark),
            ("kind", SettingValue::String(kind)) if kind == "light" => self.base = Some(ThemeBase::Light),
            ("kind", _) => return Err(format!("`kind`: expected \"dark\" or \"light\", found {}", quoted())),
            ("inherits", SettingValue::String(name)) if is_theme_name(name) => {
                self.inherits = Some((name.clone(), *line));
            }
            ("inherits", _) => return Err(format!("`inherits`: expected the name of a theme, found {}", quoted())),
            _ => {
                let Some(place) = COLOR_KEYS.iter().position(|known| *known == key) else {
                    let known = COLOR_KEYS.into_iter().chain(["kind", "inherits"]);
                    let hint = suggest(&key, known).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                    return Err(format!("unknown key `{}`{hint}", quote(&key)));
                };
                let first_ground = COLOR_KEYS.iter().position(|known| *known == FIRST_GROUND_KEY);
                let needs_rgb = first_ground.is_some_and(|first| place >= first);
                let color = color_of(value).filter(|color| !needs_rgb || matches!(color, ThemeColor::TrueColor(..)));
                let expected = if needs_rgb {
                    "a color such as \"#1e1e2e\""
                } else {
                    "a color such as \"#89b4fa\", \"bright-blue\", \"default\" or a number from 0 to 255"
                };
                let color = color.ok_or_else(|| format!("`{key}`: expected {expected}, found {}", quoted()))?;
                self.colors.push((place, color));
            }
        }
        Ok(())
    }

    /// Lays what it says over what it inherits.
    pub(super) fn over(&self, below: Option<ThemeColors>) -> ThemeColors {
        let mut theme = below.unwrap_or(ThemeColors::plain(self.base.unwrap_or_default()));
        theme.base = self.base.unwrap_or(theme.base);
        for (place, color) in &self.colors {
            if let Some(slot) = theme.colors.get_mut(*place) {
                *slot = Some(*color);
            }
        }
        theme
    }
}

/// Returns whether a theme may be called so: such a name is also a file's.
pub fn is_theme_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

fn color_of(value: &SettingValue) -> Option<ThemeColor> {
    match value {
        SettingValue::Int(index) => u8::try_from(*index).ok().map(ThemeColor::Index),
        SettingValue::String(text) if text == "default" => Some(ThemeColor::Default),
        SettingValue::String(text) => match text.strip_prefix('#') {
            Some(digits) => rgb(digits),
            None => ANSI_NAMES.iter().position(|name| name == text).map(|index| ThemeColor::Index(index as u8)),
        },
        _ => None,
    }
}

fn rgb(digits: &str) -> Option<ThemeColor> {
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some(ThemeColor::TrueColor(r, g, b))
}

fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(theme: ThemeColors, key: &str) -> Option<ThemeColor> {
        theme.colors[COLOR_KEYS.iter().position(|known| *known == key).unwrap()]
    }

    #[test]
    fn colors_are_written_in_three_ways() {
        let text = "kind = \"light\"\naccent = \"#0a0B0c\"\nlink = \"bright-blue\"\ncode = 214\ntext = \"default\"\n";
        let found = ThemeText::parse("t", text);
        assert_eq!(found.problems, [""; 0]);
        let theme = found.over(None);
        assert_eq!(theme.base, ThemeBase::Light);
        assert_eq!(color(theme, "accent"), Some(ThemeColor::TrueColor(10, 11, 12)));
        assert_eq!(color(theme, "link"), Some(ThemeColor::Index(12)));
        assert_eq!(color(theme, "code"), Some(ThemeColor::Index(214)));
        assert_eq!(color(theme, "text"), Some(ThemeColor::Default));
        assert_eq!(color(theme, "dim"), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_the_rest_holds() {
        let text = "accnt = 1\naccent = \"#12\"\nlink = 256\nbackground = 0\nkind = \"grey\"\ninherits = \"../x\"\nok = 2\n\
                    \"\\u001b[2J\" = 1\n";
        let found = ThemeText::parse("/t.toml", text);
        let starts = [
            "/t.toml:1: unknown key `accnt`, did you mean `accent`?",
            "/t.toml:2: `accent`: expected a color such as \"#89b4fa\"",
            "/t.toml:3: `link`: expected a color",
            "/t.toml:4: `background`: expected a color such as \"#1e1e2e\", found 0",
            "/t.toml:5: `kind`: expected \"dark\" or \"light\", found \"grey\"",
            "/t.toml:6: `inherits`: expected the name of a theme, found \"../x\"",
            "/t.toml:8: unknown key",
        ];
        assert_eq!(found.problems.len(), starts.len(), "{:?}", found.problems);
        for (told, start) in found.problems.iter().zip(starts) {
            assert!(told.starts_with(start) && !told.contains('\u{1b}'), "{told}");
        }
        assert_eq!(color(found.over(None), "ok"), Some(ThemeColor::Index(2)));
        assert!(ThemeText::parse("t", "a = = 1").problems[0].starts_with("t:1: not valid TOML"));
        assert_eq!(ThemeText::parse("t", &"x".repeat(9).repeat(9)).problems.len(), 1);
    }

    #[test]
    fn what_a_file_says_lies_over_what_it_inherits() {
        let below = ThemeText::parse("t", "kind = \"light\"\nok = 1\nwarn = 2").over(None);
        let theme = ThemeText::parse("t", "warn = 3").over(Some(below));
        assert_eq!(
            (color(theme, "ok"), color(theme, "warn")),
            (Some(ThemeColor::Index(1)), Some(ThemeColor::Index(3)))
        );
        assert_eq!(theme.base, ThemeBase::Light);
    }

    #[test]
    fn the_built_in_ones_color_everything_and_say_whose_they_are() {
        for (name, text) in BUILT_IN_THEMES {
            let found = ThemeText::parse(name, text);
            assert_eq!(found.problems, [""; 0]);
            assert!(is_theme_name(name) && text.starts_with("# ") && found.base.is_some(), "{name}");
            assert!(found.over(None).colors.iter().all(Option::is_some), "{name} lacks a color");
        }
    }
}
