//! Colours: the only file that names them.
//!
//! Everything else says what a text *is* (a [`Role`]) and a [`Theme`] says how that looks. Unless the person chose a theme
//! with colours of its own, only the terminal's sixteen are used, so that their palette and background stay in charge.
//! Laid-out lines hold [`TextStyle`]s, not styles: changing the theme lays nothing out again.

mod named;
mod pair;

use ratatui::style::{Color, Modifier, Style};

pub use self::named::GroundColors;
use self::named::{NamedColors, TintColors};
pub use self::pair::ThemePair;
use crate::config::theme_file::{ThemeBase, ThemeColor, ThemeColors};
use crate::event::NoticeLevel;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    #[default]
    Text,
    /// Less important: hints, footers, durations.
    Dim,
    Heading,
    Code,
    /// Code in a block: what is none of the following.
    Source,
    Keyword,
    Type,
    /// A string.
    Literal,
    /// A number, or a constant that has a name.
    Number,
    Comment,
    /// What is called or defined.
    Function,
    /// A key, an attribute, a variable.
    Attribute,
    Math,
    /// The bar and label around code.
    CodeEdge,
    Link,
    Quote,
    /// What the person wrote.
    User,
    Assistant,
    Thinking,
    /// The name of a tool.
    Tool,
    Ok,
    Warn,
    Error,
    Info,
    Accent,
    Selection,
    /// What a search found.
    Match,
    /// The match that is shown.
    CurrentMatch,
    Border,
    BorderFocused,
    Status,
    Added,
    Removed,
    /// The part of a bar or gauge that is filled.
    Filled,
    /// A key in hints and help.
    Key,
}

/// How a message to the person looks.
impl From<NoticeLevel> for Role {
    fn from(level: NoticeLevel) -> Self {
        match level {
            NoticeLevel::Info => Self::Info,
            NoticeLevel::Warn => Self::Warn,
            NoticeLevel::Error => Self::Error,
        }
    }
}

/// A role with the emphasis that Markdown adds, and the link it belongs to. Small, since laid-out lines hold many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextStyle {
    pub role: Role,
    emphasis: u8,
    /// One more than its row in a list of targets; zero is none.
    link: u16,
}

impl TextStyle {
    pub const BOLD: u8 = 1;
    pub const ITALIC: u8 = 2;
    pub const STRIKE: u8 = 4;
    pub const UNDERLINE: u8 = 8;
    /// It stands in a line that came, or in one that went.
    pub const ADDED_SIDE: u8 = 16;
    pub const REMOVED_SIDE: u8 = 32;
    /// What of such a line is different.
    pub const CHANGED_PART: u8 = 64;

    pub const fn new(role: Role) -> Self {
        Self { role, emphasis: 0, link: 0 }
    }

    #[must_use]
    pub const fn with(self, emphasis: u8) -> Self {
        Self { emphasis: self.emphasis | emphasis, ..self }
    }

    /// Says which target it leads to, by its row in the list of them.
    #[must_use]
    pub fn with_link_target(self, row: Option<usize>) -> Self {
        let link = row.and_then(|row| u16::try_from(row + 1).ok()).unwrap_or(0);
        Self { link, ..self }
    }

    /// Returns the face of a link whose text would look like this.
    #[must_use]
    pub fn as_link(self) -> Self {
        Self { role: if self.role == Role::Code { Role::Code } else { Role::Link }, ..self }.with(Self::UNDERLINE)
    }

    /// Returns the row of its target.
    pub fn link(self) -> Option<usize> {
        usize::from(self.link).checked_sub(1)
    }
}

impl From<Role> for TextStyle {
    fn from(role: Role) -> Self {
        Self::new(role)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ThemeKind {
    #[default]
    Dark,
    Light,
    /// No colours at all, for `NO_COLOR`; bold, reverse and the like remain.
    Mono,
}

impl ThemeKind {
    pub const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::Mono];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How every role looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    kind: ThemeKind,
    depth: ColorDepth,
    /// Colours of its own.
    named: Option<NamedColors>,
}

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorDepth {
    /// Its own; there are no tints.
    #[default]
    Sixteen,
    Indexed,
    TrueColor,
}

impl Theme {
    pub const fn new(kind: ThemeKind) -> Self {
        Self { kind, depth: ColorDepth::Sixteen, named: None }
    }

    /// One that has colours of its own, as many of them as the terminal can show.
    pub fn with_colors(colors: &ThemeColors, depth: ColorDepth) -> Self {
        let kind = match colors.base {
            ThemeBase::Dark => ThemeKind::Dark,
            ThemeBase::Light => ThemeKind::Light,
        };
        Self { kind, depth, named: NamedColors::new(colors, depth) }
    }

    /// Returns the colours that the whole screen is to have, where the theme sets them.
    pub fn ground(&self) -> Option<GroundColors> {
        self.named?.ground
    }

    /// Lets it use more colours, for tints.
    #[must_use]
    pub const fn with_depth(self, depth: ColorDepth) -> Self {
        Self { depth, ..self }
    }

    pub const fn depth(self) -> ColorDepth {
        self.depth
    }

    pub const fn kind(self) -> ThemeKind {
        self.kind
    }

    pub fn style(self, role: Role) -> Style {
        let style = match self.kind {
            ThemeKind::Dark => dark(role),
            ThemeKind::Light => light(role),
            ThemeKind::Mono => mono(role),
        };
        match self.named.and_then(|named| named.color(role)) {
            // Its own colours say how faint a text is.
            Some(color) => Style { fg: Some(color.into()), add_modifier: style.add_modifier - Modifier::DIM, ..style },
            None => style,
        }
    }

    pub fn text_style(self, face: TextStyle) -> Style {
        let mut style = self.diff_style(face).unwrap_or_else(|| self.style(face.role));
        for (bit, modifier) in [
            (TextStyle::BOLD, Modifier::BOLD),
            (TextStyle::ITALIC, Modifier::ITALIC),
            (TextStyle::STRIKE, Modifier::CROSSED_OUT),
            (TextStyle::UNDERLINE, Modifier::UNDERLINED),
        ] {
            if face.emphasis & bit != 0 {
                style = style.add_modifier(modifier);
            }
        }
        style
    }
}

impl Theme {
    /// Returns how a piece of a line that came or went looks: on a tint in its own colours, or where there are no tints in
    /// the colour of its side.
    fn diff_style(self, face: TextStyle) -> Option<Style> {
        let side = match face.emphasis & (TextStyle::ADDED_SIDE | TextStyle::REMOVED_SIDE) {
            0 => return None,
            TextStyle::ADDED_SIDE => Role::Added,
            _ => Role::Removed,
        };
        let is_changed = face.emphasis & TextStyle::CHANGED_PART != 0;
        Some(match tint(self, side == Role::Added, is_changed) {
            Some(tint) => self.style(face.role).bg(tint),
            None if face.role == Role::Dim => self.style(Role::Dim),
            None if is_changed => self.style(side).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            None => self.style(side),
        })
    }
}

/// Returns the ground of a line that came or went, and of what changed in it.
fn tint(theme: Theme, is_added: bool, is_changed: bool) -> Option<Color> {
    if let Some(TintColors(tints)) = theme.named.and_then(|named| named.tints) {
        return Some(tints[usize::from(!is_added) * 2 + usize::from(is_changed)].into());
    }
    let (dark, light) = match (is_added, is_changed) {
        (true, false) => ((22, (18, 50, 30)), (194, (218, 246, 224))),
        (true, true) => ((28, (28, 92, 50)), (157, (166, 232, 182))),
        (false, false) => ((52, (62, 24, 28)), (224, (253, 226, 226))),
        (false, true) => ((88, (112, 38, 44)), (217, (248, 182, 182))),
    };
    let (index, (r, g, b)) = match theme.kind {
        ThemeKind::Dark => dark,
        ThemeKind::Light => light,
        ThemeKind::Mono => return None,
    };
    match theme.depth {
        ColorDepth::Sixteen => None,
        ColorDepth::Indexed => Some(Color::Indexed(index)),
        ColorDepth::TrueColor => Some(Color::Rgb(r, g, b)),
    }
}

/// Marks a style as part of the link of that number. Cells have no field for it: it rides in the colour of underlines,
/// which no theme uses, and is taken out before a cell is written.
pub fn with_link(style: Style, number: u32) -> Style {
    let [_, r, g, b] = number.to_be_bytes();
    style.underline_color(Color::Rgb(r, g, b))
}

/// The upper and the lower pixel of a cell: red, green and blue; none is the background.
#[cfg(feature = "images")]
pub type PixelPair = (Option<[u8; 3]>, Option<[u8; 3]>);

/// Returns what shows two pixels in a cell.
#[cfg(feature = "images")]
pub fn two_pixels((upper, lower): PixelPair) -> (&'static str, Style) {
    let colour = |[r, g, b]: [u8; 3]| Color::Rgb(r, g, b);
    let plain = Style::new();
    match (upper, lower) {
        (Some(upper), Some(lower)) => ("▀", plain.fg(colour(upper)).bg(colour(lower))),
        (Some(upper), None) => ("▀", plain.fg(colour(upper))),
        (None, Some(lower)) => ("▄", plain.fg(colour(lower))),
        (None, None) => (" ", plain),
    }
}

/// Returns how a piece of a picture names the picture to the terminal.
#[cfg(feature = "images")]
pub fn placeholder_style(number: u8) -> Style {
    Style::new().fg(Color::Indexed(number))
}

/// Returns the number of the link that a cell belongs to.
pub fn link_of(underline: Color) -> Option<u32> {
    match underline {
        Color::Rgb(r, g, b) => Some(u32::from_be_bytes([0, r, g, b])),
        _ => None,
    }
}

/// A colour as a terminal is told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TermColor {
    /// What it takes for text, or for its background.
    #[default]
    Default,
    /// One of its 256.
    Index(u8),
    TrueColor(u8, u8, u8),
}

impl From<Color> for TermColor {
    fn from(color: Color) -> Self {
        Self::Index(match color {
            Color::Reset => return Self::Default,
            Color::Rgb(r, g, b) => return Self::TrueColor(r, g, b),
            Color::Indexed(index) => index,
            Color::Black => 0,
            Color::Red => 1,
            Color::Green => 2,
            Color::Yellow => 3,
            Color::Blue => 4,
            Color::Magenta => 5,
            Color::Cyan => 6,
            Color::Gray => 7,
            Color::DarkGray => 8,
            Color::LightRed => 9,
            Color::LightGreen => 10,
            Color::LightYellow => 11,
            Color::LightBlue => 12,
            Color::LightMagenta => 13,
            Color::LightCyan => 14,
            Color::White => 15,
        })
    }
}

impl From<ThemeColor> for Color {
    fn from(color: ThemeColor) -> Self {
        match color {
            ThemeColor::Default => Self::Reset,
            ThemeColor::Index(index) => Self::Indexed(index),
            ThemeColor::TrueColor(r, g, b) => Self::Rgb(r, g, b),
        }
    }
}

/// On a dark ground the bright red, blue and magenta are the readable ones, whatever the palette; what is less important
/// is faint, since the bright black of some palettes is the ground itself.
fn dark(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Text | Role::Assistant | Role::Source => plain,
        Role::Dim | Role::CodeEdge | Role::Border => plain.add_modifier(Modifier::DIM),
        Role::Thinking | Role::Comment => plain.add_modifier(Modifier::DIM | Modifier::ITALIC),
        Role::Quote | Role::Status => plain.fg(Color::Gray),
        Role::Keyword => plain.fg(Color::LightMagenta),
        Role::Tool => plain.fg(Color::LightMagenta).add_modifier(Modifier::BOLD),
        Role::Function | Role::Attribute | Role::Info => plain.fg(Color::LightBlue),
        Role::Link => plain.fg(Color::LightBlue).add_modifier(Modifier::UNDERLINED),
        Role::Type | Role::Math | Role::Heading => plain.fg(Color::Cyan),
        Role::Accent | Role::BorderFocused | Role::Filled => plain.fg(Color::Cyan),
        Role::User | Role::Key => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
        Role::Number | Role::Code | Role::Warn => plain.fg(Color::Yellow),
        Role::Literal | Role::Ok | Role::Added => plain.fg(Color::Green),
        Role::Error | Role::Removed => plain.fg(Color::LightRed),
        Role::Selection => reversed(None),
        Role::Match => reversed(Some(Color::Yellow)),
        Role::CurrentMatch => reversed(Some(Color::Green)).add_modifier(Modifier::BOLD),
    }
}

/// Yellow, cyan and the bright colours can't be read on white.
fn light(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Text | Role::Assistant | Role::Source => plain,
        Role::Dim | Role::CodeEdge | Role::Border | Role::Quote | Role::Status => plain.fg(Color::DarkGray),
        Role::Thinking | Role::Comment => plain.fg(Color::DarkGray).add_modifier(Modifier::ITALIC),
        Role::Keyword | Role::Code | Role::Warn => plain.fg(Color::Magenta),
        Role::Tool => plain.fg(Color::Magenta).add_modifier(Modifier::BOLD),
        Role::Function | Role::Attribute | Role::Info => plain.fg(Color::Blue),
        Role::Link => plain.fg(Color::Blue).add_modifier(Modifier::UNDERLINED),
        Role::Type | Role::Math | Role::Heading => plain.fg(Color::Blue),
        Role::Accent | Role::BorderFocused | Role::Filled => plain.fg(Color::Blue),
        Role::User | Role::Key => plain.fg(Color::Blue).add_modifier(Modifier::BOLD),
        Role::Literal | Role::Ok | Role::Added => plain.fg(Color::Green),
        Role::Number | Role::Error | Role::Removed => plain.fg(Color::Red),
        Role::Selection => reversed(None),
        Role::Match => reversed(Some(Color::Magenta)),
        Role::CurrentMatch => reversed(Some(Color::Blue)).add_modifier(Modifier::BOLD),
    }
}

/// Swaps a colour that can be read on the ground with the ground: what stands out can be read on any.
fn reversed(colour: Option<Color>) -> Style {
    Style { fg: colour, ..Style::new() }.add_modifier(Modifier::REVERSED).remove_modifier(Modifier::DIM)
}

fn mono(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Text
        | Role::Assistant
        | Role::Source
        | Role::Type
        | Role::Literal
        | Role::Number
        | Role::Function
        | Role::Attribute
        | Role::Math
        | Role::Border
        | Role::CodeEdge
        | Role::Quote
        | Role::Ok
        | Role::Info
        | Role::Added
        | Role::Removed
        | Role::Filled
        | Role::Status => plain,
        Role::Dim | Role::Comment => plain.add_modifier(Modifier::DIM),
        Role::Keyword => plain.add_modifier(Modifier::BOLD),
        Role::Thinking => plain.add_modifier(Modifier::DIM | Modifier::ITALIC),
        Role::Link => plain.add_modifier(Modifier::UNDERLINED),
        Role::Code
        | Role::Heading
        | Role::User
        | Role::Tool
        | Role::Warn
        | Role::Error
        | Role::Accent
        | Role::BorderFocused
        | Role::Key => plain.add_modifier(Modifier::BOLD),
        Role::Selection | Role::CurrentMatch => plain.add_modifier(Modifier::REVERSED),
        Role::Match => plain.add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
    }
}

/// Returns what a colour looks like in a picture: the palette is a common one, readable on its ground.
pub fn rgb(colour: Color, light: bool) -> Option<(u8, u8, u8)> {
    Some(match (colour, light) {
        (Color::Black, _) => (0x24, 0x29, 0x2f),
        (Color::Red | Color::LightRed, false) => (0xf0, 0x71, 0x78),
        (Color::Red | Color::LightRed, true) => (0xb3, 0x26, 0x1e),
        (Color::Green | Color::LightGreen, false) => (0x98, 0xc3, 0x79),
        (Color::Green | Color::LightGreen, true) => (0x1a, 0x7f, 0x37),
        (Color::Yellow | Color::LightYellow, false) => (0xe5, 0xc0, 0x7b),
        (Color::Yellow | Color::LightYellow, true) => (0x8a, 0x5a, 0x00),
        (Color::Blue | Color::LightBlue, false) => (0x6c, 0xb2, 0xf7),
        (Color::Blue | Color::LightBlue, true) => (0x09, 0x50, 0xae),
        (Color::Magenta | Color::LightMagenta, false) => (0xc6, 0x92, 0xe9),
        (Color::Magenta | Color::LightMagenta, true) => (0x82, 0x50, 0xdf),
        (Color::Cyan | Color::LightCyan, false) => (0x5c, 0xc5, 0xcd),
        (Color::Cyan | Color::LightCyan, true) => (0x0b, 0x6e, 0x7f),
        (Color::Gray, _) => (0xab, 0xb2, 0xbf),
        (Color::DarkGray, false) => (0x7d, 0x85, 0x93),
        (Color::DarkGray, true) => (0x6a, 0x73, 0x7d),
        (Color::White, _) => (0xff, 0xff, 0xff),
        (Color::Rgb(r, g, b), _) => (r, g, b),
        (Color::Indexed(index @ 16..), _) => named::rgb_of_index(index),
        (Color::Reset | Color::Indexed(_), _) => return None,
    })
}

/// Returns what the sixteen colours of a terminal look like in a picture.
pub fn palette(light: bool) -> [(u8, u8, u8); 16] {
    [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ]
    .map(|colour| rgb(colour, light).unwrap_or_default())
}

/// Returns a style as the parameters of an SGR sequence, each after a semicolon.
pub fn escape_codes(style: Style) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let modifiers = [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
        (Modifier::CROSSED_OUT, 9),
    ];
    for (modifier, code) in modifiers {
        if style.add_modifier.contains(modifier) {
            let _ = write!(out, ";{code}");
        }
    }
    for (colour, base) in [(style.fg, 30), (style.bg, 40)] {
        // Of the sixteen the bright ones begin sixty further on.
        let _ = match colour.map(TermColor::from) {
            Some(TermColor::Index(index @ 0..8)) => write!(out, ";{}", base + index),
            Some(TermColor::Index(index @ 8..16)) => write!(out, ";{}", base + 52 + index),
            Some(TermColor::Index(index)) => write!(out, ";{};5;{index}", base + 8),
            Some(TermColor::TrueColor(r, g, b)) => write!(out, ";{};2;{r};{g};{b}", base + 8),
            Some(TermColor::Default) | None => Ok(()),
        };
    }
    out
}

#[cfg(test)]
mod tests;
