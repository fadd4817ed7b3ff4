use super::*;
use crate::config::theme_file::COLOR_KEYS;
use crate::config::themes::ThemeFolder;
use crate::store::command_argument::THEMES;

type Rgb = (u8, u8, u8);

/// The ground, and the sixteen colours, of terminals that many people have.
const DARK_PALETTE: &[(&str, u32, [u32; 16])] = &[
    (
        "black",
        0x00_0000,
        [
            0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5, 0x7f_7f7f,
            0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
        ],
    ),
    (
        "editor",
        0x1e_1e1e,
        [
            0x00_0000, 0xcd_3131, 0x0d_bc79, 0xe5_e510, 0x24_72c8, 0xbc_3fbc, 0x11_a8cd, 0xe5_e5e5, 0x66_6666,
            0xf1_4c4c, 0x23_d18b, 0xf5_f543, 0x3b_8eea, 0xd6_70d6, 0x29_b8db, 0xe5_e5e5,
        ],
    ),
    (
        "campbell",
        0x0c_0c0c,
        [
            0x0c_0c0c, 0xc5_0f1f, 0x13_a10e, 0xc1_9c00, 0x00_37da, 0x88_1798, 0x3a_96dd, 0xcc_cccc, 0x76_7676,
            0xe7_4856, 0x16_c60c, 0xf9_f1a5, 0x3b_78ff, 0xb4_009e, 0x61_d6d6, 0xf2_f2f2,
        ],
    ),
    (
        "tango",
        0x2e_3436,
        [
            0x2e_3436, 0xcc_0000, 0x4e_9a06, 0xc4_a000, 0x34_65a4, 0x75_507b, 0x06_989a, 0xd3_d7cf, 0x55_5753,
            0xef_2929, 0x8a_e234, 0xfc_e94f, 0x72_9fcf, 0xad_7fa8, 0x34_e2e2, 0xee_eeec,
        ],
    ),
    (
        "solarized",
        0x00_2b36,
        [
            0x07_3642, 0xdc_322f, 0x85_9900, 0xb5_8900, 0x26_8bd2, 0xd3_3682, 0x2a_a198, 0xee_e8d5, 0x00_2b36,
            0xcb_4b16, 0x58_6e75, 0x65_7b83, 0x83_9496, 0x6c_71c4, 0x93_a1a1, 0xfd_f6e3,
        ],
    ),
];

const LIGHT_PALETTE: &[(&str, u32, [u32; 16])] = &[
    (
        "editor",
        0xff_ffff,
        [
            0x00_0000, 0xcd_3131, 0x10_7c10, 0x94_9800, 0x04_51a5, 0xbc_05bc, 0x05_98bc, 0x55_5555, 0x66_6666,
            0xcd_3131, 0x14_ce14, 0xb5_ba00, 0x04_51a5, 0xbc_05bc, 0x05_98bc, 0xa5_a5a5,
        ],
    ),
    (
        "mac",
        0xff_ffff,
        [
            0x00_0000, 0x99_0000, 0x00_a600, 0x99_9900, 0x00_00b2, 0xb2_00b2, 0x00_a6b2, 0xbf_bfbf, 0x66_6666,
            0xe5_0000, 0x00_d900, 0xe5_e500, 0x00_00ff, 0xe5_00e5, 0x00_e5e5, 0xe5_e5e5,
        ],
    ),
    (
        "solarized",
        0xfd_f6e3,
        [
            0x07_3642, 0xdc_322f, 0x85_9900, 0xb5_8900, 0x26_8bd2, 0xd3_3682, 0x2a_a198, 0xee_e8d5, 0x00_2b36,
            0xcb_4b16, 0x58_6e75, 0x65_7b83, 0x83_9496, 0x6c_71c4, 0x93_a1a1, 0xfd_f6e3,
        ],
    ),
];

const ROLES: &[Role] = &[
    Role::Text,
    Role::Dim,
    Role::Heading,
    Role::Code,
    Role::Source,
    Role::Keyword,
    Role::Type,
    Role::Literal,
    Role::Number,
    Role::Comment,
    Role::Function,
    Role::Attribute,
    Role::Math,
    Role::CodeEdge,
    Role::Link,
    Role::Quote,
    Role::User,
    Role::Assistant,
    Role::Thinking,
    Role::Tool,
    Role::Ok,
    Role::Warn,
    Role::Error,
    Role::Info,
    Role::Accent,
    Role::Selection,
    Role::Match,
    Role::CurrentMatch,
    Role::Border,
    Role::BorderFocused,
    Role::Status,
    Role::Added,
    Role::Removed,
    Role::Filled,
    Role::Key,
];

fn split(colour: u32) -> Rgb {
    let [_, r, g, b] = colour.to_be_bytes();
    (r, g, b)
}

/// WCAG 2: relative luminance, and the contrast of two colours.
fn luminance((r, g, b): Rgb) -> f64 {
    let channel = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
}

fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Returns the contrast of a role, given how colours look. What is faint is half as strong, as terminals have it.
fn of(style: Style, ground: Rgb, ink: Rgb, colour: &dyn Fn(Color) -> Option<Rgb>) -> f64 {
    let front = style.fg.and_then(colour).unwrap_or(ink);
    let back = style.bg.and_then(colour).unwrap_or(ground);
    let half = |a: u8, b: u8| u8::midpoint(a, b);
    let faint = (half(front.0, back.0), half(front.1, back.1), half(front.2, back.2));
    contrast(if style.add_modifier.contains(Modifier::DIM) { faint } else { front }, back)
}

fn is_dim(role: Role) -> bool {
    matches!(role, Role::Dim | Role::Comment | Role::Thinking | Role::CodeEdge | Role::Border)
}

#[test]
fn every_role_can_be_read_in_the_pictures_palette() {
    for (kind, ground, ink) in [
        (ThemeKind::Dark, (0x16, 0x18, 0x1d), (0xd7, 0xda, 0xe0)),
        (ThemeKind::Light, (0xff, 0xff, 0xff), (0x24, 0x29, 0x2f)),
    ] {
        for &role in ROLES {
            let light = kind == ThemeKind::Light;
            let found = of(Theme::new(kind).style(role), ground, ink, &|colour| rgb(colour, light));
            let least = if is_dim(role) { 3.0 } else { 4.5 };
            assert!(found >= least, "{role:?} in {} has a contrast of {found:.2}", kind.name());
        }
    }
}

/// What people have chosen for themselves is in charge; but nothing may vanish in it.
#[test]
fn no_role_vanishes_in_the_palettes_that_people_have() {
    for (kind, palettes) in [(ThemeKind::Dark, DARK_PALETTE), (ThemeKind::Light, LIGHT_PALETTE)] {
        for (name, ground, palette) in palettes {
            let colour = |colour: Color| match TermColor::from(colour) {
                TermColor::Index(index) => palette.get(usize::from(index)).map(|c| split(*c)),
                TermColor::Default | TermColor::TrueColor(..) => None,
            };
            // Text is what the palette has for it, or in older ones its black or its gray.
            let ink = if kind == ThemeKind::Dark { palette[7] } else { palette[0] };
            for &role in ROLES {
                let found = of(Theme::new(kind).style(role), split(*ground), split(ink), &colour);
                assert!(found >= 2.8, "{role:?} on {name}, {}, has a contrast of {found:.2}", kind.name());
            }
        }
    }
}

#[test]
fn mono_has_no_colour_at_all() {
    let theme = Theme::new(ThemeKind::Mono);
    for &role in ROLES {
        let style = theme.style(role);
        assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
    }
}

#[test]
fn emphasis_adds_to_the_role() {
    let style = Theme::new(ThemeKind::Dark).text_style(TextStyle::new(Role::Thinking).with(TextStyle::BOLD));
    assert!(style.add_modifier.contains(Modifier::BOLD | Modifier::ITALIC));
}

#[test]
fn names_parse_back() {
    for kind in ThemeKind::ALL {
        assert_eq!(ThemeKind::parse(kind.name()), Some(kind));
    }
}

#[test]
fn every_role_has_its_name_in_the_files_of_themes() {
    let names = ROLES.iter().map(|role| {
        let debug = format!("{role:?}");
        let name: String = debug
            .chars()
            .map(|c| if c.is_ascii_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.to_string() })
            .collect();
        (name.trim_start_matches('_').to_owned(), *role as usize)
    });
    for (name, place) in names {
        assert_eq!(COLOR_KEYS[place], name);
    }
    assert_eq!(COLOR_KEYS[ROLES.len()], "background");
}

/// The themes that are files here, by name.
fn named_themes() -> impl Iterator<Item = (&'static str, ThemeColors)> {
    let nowhere = ThemeFolder::default();
    let named = THEMES.iter().filter(|(name, _)| !matches!(*name, "auto" | "dark" | "light" | "mono"));
    named.map(move |(name, _)| (*name, nowhere.read(name).unwrap().colors))
}

/// Returns the contrast of a style on the theme's own ground.
fn on_own_ground(theme: Theme, style: Style) -> f64 {
    let ground = theme.ground().unwrap();
    of(style, ground.back, ground.ink, &|colour| match colour {
        Color::Rgb(r, g, b) => Some((r, g, b)),
        Color::Indexed(index) => Some(named::rgb_of_index(index)),
        _ => None,
    })
}

const SIDES: [u8; 4] = [
    TextStyle::ADDED_SIDE,
    TextStyle::ADDED_SIDE | TextStyle::CHANGED_PART,
    TextStyle::REMOVED_SIDE,
    TextStyle::REMOVED_SIDE | TextStyle::CHANGED_PART,
];

#[test]
fn every_text_of_a_named_theme_can_be_read_on_every_ground_of_it() {
    assert!(named_themes().count() >= 10);
    for (name, colors) in named_themes() {
        let theme = Theme::with_colors(&colors, ColorDepth::TrueColor);
        let least = if name.starts_with("contrast-") { 7.0 } else { 4.5 };
        for &role in ROLES {
            let found = on_own_ground(theme, theme.style(role));
            assert!(found >= least, "{role:?} in {name} has a contrast of {found:.2}");
            for side in SIDES {
                let style = theme.text_style(TextStyle::new(role).with(side));
                assert!(style.bg.is_some(), "{name} tints what changed");
                let found = on_own_ground(theme, style);
                assert!(found >= least, "{role:?} on a tint in {name} has a contrast of {found:.2}");
            }
        }
    }
}

#[test]
fn a_terminal_with_fewer_colours_shows_a_named_theme_as_well_as_it_can() {
    for (name, colors) in named_themes() {
        let indexed = Theme::with_colors(&colors, ColorDepth::Indexed);
        let sixteen = Theme::with_colors(&colors, ColorDepth::Sixteen);
        assert_eq!(sixteen.ground(), None, "its own palette has its own ground");
        for &role in ROLES {
            let style = indexed.style(role);
            assert!(!matches!(style.fg, Some(Color::Rgb(..))), "{role:?} in {name}");
            for style in
                SIDES.map(|side| indexed.text_style(TextStyle::new(role).with(side))).into_iter().chain([style])
            {
                let found = on_own_ground(indexed, style);
                assert!(found >= 2.8, "{role:?} in {name} of 256 colours has a contrast of {found:.2}");
            }
            assert_eq!(sixteen.style(role), Theme::new(sixteen.kind()).style(role), "{role:?} in {name}");
        }
    }
}

#[test]
fn what_a_theme_does_not_say_is_as_without_it() {
    let mut colors = ThemeColors::plain(ThemeBase::Light);
    assert_eq!(
        Theme::with_colors(&colors, ColorDepth::TrueColor),
        Theme::new(ThemeKind::Light).with_depth(ColorDepth::TrueColor)
    );
    colors.colors[Role::Dim as usize] = Some(ThemeColor::Index(5));
    let theme = Theme::with_colors(&colors, ColorDepth::Sixteen);
    assert_eq!((theme.style(Role::Dim).fg, theme.ground()), (Some(Color::Indexed(5)), None));
    assert_eq!(theme.style(Role::Link), Theme::new(ThemeKind::Light).style(Role::Link));
    let mut colors = ThemeColors::plain(ThemeBase::Dark);
    colors.colors[Role::Thinking as usize] = Some(ThemeColor::TrueColor(1, 2, 3));
    let style = Theme::with_colors(&colors, ColorDepth::TrueColor).style(Role::Thinking);
    assert!(!style.add_modifier.contains(Modifier::DIM) && style.add_modifier.contains(Modifier::ITALIC));
}
