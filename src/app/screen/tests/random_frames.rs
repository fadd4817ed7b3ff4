//! Frames that change at random, and terminals that have to show each.

use super::*;

/// What happens between two frames.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Scroll(i8),
    Grow(u8),
    Put(u8, u8, u8, u8),
    Panel(u8),
    Foot(u8),
    Cursor(u8, u8),
    Resize(u8, u8),
    Redraw,
    Jump(u8),
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (-6..6_i8).prop_map(Change::Scroll),
        4 => any::<u8>().prop_map(Change::Grow),
        4 => any::<(u8, u8, u8, u8)>().prop_map(|(x, y, what, style)| Change::Put(x, y, what, style)),
        1 => (0..4_u8).prop_map(Change::Panel),
        2 => any::<u8>().prop_map(Change::Foot),
        2 => any::<(u8, u8)>().prop_map(|(x, y)| Change::Cursor(x, y)),
        1 => (1..50_u8, 1..16_u8).prop_map(|(columns, rows)| Change::Resize(columns, rows)),
        1 => Just(Change::Redraw),
        1 => any::<u8>().prop_map(Change::Jump),
    ]
}

pub(super) const ROW_WORDS: [&str; 12] = [
    "word",
    "日本語",
    "",
    "é e\u{301}x",
    "────│",
    "👩\u{200d}👩\u{200d}👧 family",
    "🚀",
    "a  b          c",
    "한글",
    "x",
    "                              end",
    "ｆｕｌｌ",
];

/// Words that terminals disagree about.
pub(super) const AMBIGUOUS_WORDS: [&str; 20] = [
    "word",
    "⚠\u{fe0f} two",
    "❤\u{fe0f}❤\u{fe0f}",
    "1\u{fe0f}\u{20e3}",
    "👨\u{200d}👩\u{200d}👧\u{200d}👦 family",
    "🏳\u{fe0f}\u{200d}🌈",
    "👍🏽",
    "🫩🫩x",
    "\u{20c1}\u{1c89}\u{2b96} new",
    "\u{2ffc}",
    "🚀",
    "日本語",
    "",
    "────│",
    "\u{179f}\u{17d2}\u{178f}\u{17d2}\u{179a}\u{17b8} km",
    "\u{1d158}\u{1d165}\u{1d16e}x",
    "⌚\u{fe0e}x",
    "ｶﾞﾊﾟ",
    "a  b          c",
    "é e\u{301}x",
];

pub(super) fn style(seed: u8) -> Style {
    let style = match seed % 8 {
        0..3 => Style::default(),
        3 => Style::default().fg(Color::Cyan),
        4 => Style::default().fg(Color::DarkGray).add_modifier(Modifier::ITALIC),
        5 => Style::default().fg(Color::Rgb(seed, 0, 200)).bg(Color::Indexed(seed)),
        6 => Style::default().bg(Color::Blue).add_modifier(Modifier::CROSSED_OUT | Modifier::DIM),
        _ => with_link(
            Style::default().add_modifier(Modifier::UNDERLINED),
            links::link_number(LINKS[usize::from(seed) % 2]),
        ),
    };
    match seed / 8 % 4 {
        0 => style.add_modifier(Modifier::BOLD),
        1 => style.add_modifier(Modifier::REVERSED),
        _ => style,
    }
}

pub(super) const LINKS: [&str; 2] = ["https://one.example/a;b", "https://two.example/"];

/// What is on the screen in the random frames.
pub(super) struct RandomFrame {
    words: &'static [&'static str],
    from: i64,
    grown: u8,
    put: Vec<(u8, u8, u8, u8)>,
    panel: u8,
    foot: u8,
    cursor: Option<(u8, u8)>,
}

impl RandomFrame {
    pub(super) fn of(words: &'static [&'static str]) -> Self {
        Self { words, from: 0, grown: 0, put: Vec::new(), panel: 0, foot: 0, cursor: None }
    }

    pub(super) fn paint(&self, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let foot = area.height.saturating_sub(2);
        for y in 0..foot {
            let line = self.from + i64::from(y);
            let seed = (line.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
            let mut x = 0;
            for word in 0..seed % 5 + usize::from(y + 1 == foot) * usize::from(self.grown % 3) {
                let seed = seed / (word + 1);
                x = draw_text(self.words[seed % self.words.len()], x, y, area.width, style(seed as u8), buf);
            }
            match self.panel {
                1 => drop(buf.set_stringn(area.width / 2, y, "│", 1, style(4))),
                2 => drop(buf.set_stringn(area.width * 2 / 3, y, format!("│ panel {y}"), 20, style(y as u8))),
                _ => {}
            }
        }
        for y in foot..area.height {
            let text = format!("foot {} ", self.foot);
            buf.set_stringn(0, y, text, usize::from(area.width), style(self.foot));
        }
        for (x, y, what, seed) in &self.put {
            let (x, y) = (u16::from(*x) % area.width, u16::from(*y) % area.height);
            let what = self.words[usize::from(*what) % self.words.len()];
            draw_text(what, x, y, area.width, style(*seed), buf);
        }
        self.cursor.map(|(x, y)| (u16::from(x) % area.width, u16::from(y) % area.height))
    }

    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::Scroll(by) => self.from += i64::from(*by),
            Change::Grow(by) => self.grown = *by,
            Change::Put(x, y, what, style) => self.put.push((*x, *y, *what, *style)),
            Change::Panel(panel) => self.panel = *panel,
            Change::Foot(foot) => self.foot = *foot,
            Change::Cursor(x, y) => self.cursor = (*x > 20).then_some((*x, *y)),
            Change::Resize(..) | Change::Redraw => self.put.clear(),
            Change::Jump(to) => self.from = i64::from(*to) * 1000,
        }
    }
}

/// Draws the frames and looks after each whether the terminal shows it.
pub(super) fn shows_each(changes: Vec<Change>, (columns, rows): (u16, u16), widths: Widths) {
    let mut known = ScreenLinks::default();
    for link in LINKS {
        known.add(&link.into());
    }
    let link = |cell: &Cell| link_of(cell.underline_color).and_then(|number| known.get(number)).map(str::to_owned);
    let strict = widths == Widths::Strict;
    let mut screen = Screen::new(Vec::new(), columns, rows);
    let mut terminal = Terminal::counting(widths, columns, rows);
    let mut other = vt100::Parser::new(size(rows), size(columns), 0);
    let (mut page, mut joined) = (RandomFrame::of(if strict { &ROW_WORDS } else { &AMBIGUOUS_WORDS }), false);
    for change in changes {
        page.change(&change);
        match change {
            Change::Resize(columns, rows) => {
                let (columns, rows) = (u16::from(columns), u16::from(rows));
                if screen.area() != Rect::new(0, 0, columns, rows) {
                    screen.resize(columns, rows);
                    terminal = Terminal::counting(widths, columns, rows);
                    other.screen_mut().set_size(size(rows), size(columns));
                }
            }
            Change::Redraw => screen.invalidate(),
            _ => {}
        }
        let mut cursor = None;
        screen
            .draw_linked(|area, buf| {
                cursor = page.paint(area, buf);
                Painted { cursor, links: Some(&known), ..Painted::default() }
            })
            .unwrap();
        let bytes = std::mem::take(&mut screen.out);
        terminal.process(&bytes);
        terminal.assert_shows(&screen.front, cursor, link);
        // Of a family it makes several people.
        joined |= screen.front.content.iter().any(|cell| cell.symbol().contains('\u{200d}'));
        if strict {
            other.process(&bytes);
        }
        if strict && !joined {
            assert_alike(&other, &screen.front);
        }
    }
}

proptest! {
    #[test]
    fn after_any_frames_the_terminal_shows_the_last_one(
        changes in proptest::collection::vec(change(), 1..40), columns in 1..60_u16, rows in 1..24_u16,
    ) {
        shows_each(changes, (columns, rows), Widths::Strict);
    }

    #[test]
    fn whatever_a_terminal_takes_for_the_width_of_a_sign_everything_else_stands_in_its_place(
        changes in proptest::collection::vec(change(), 1..40), columns in 1..60_u16, rows in 1..24_u16,
        widths in proptest::sample::select(&Widths::LOOSE[..]),
    ) {
        shows_each(changes, (columns, rows), widths);
    }
}

#[test]
pub(super) fn rows_that_scroll_down_on_a_screen_that_then_grows_are_all_drawn() {
    use Change::{Grow, Resize, Scroll};
    let changes = vec![Scroll(-5), Scroll(-3), Scroll(-3), Scroll(-1), Scroll(-3), Resize(45, 4), Grow(2)];
    shows_each(changes, (1, 1), Widths::Strict);
}
