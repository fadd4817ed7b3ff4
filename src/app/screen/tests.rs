mod model;
mod random_frames;

use std::num::NonZero;

use proptest::prelude::*;
use ratatui::style::{Color, Modifier, Style};

use self::model::{Terminal, Widths};
use self::random_frames::{Change, ROW_WORDS, RandomFrame};
use super::*;
use crate::text::width::{set_ambiguous_wide, str_width};
use crate::ui::text_layout::laid_out::draw_text;
use crate::ui::text_layout::links;
use crate::ui::theme::{link_of, with_link};

struct ScreenRig {
    screen: Screen<Vec<u8>>,
    terminal: vt100::Parser,
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

impl ScreenRig {
    fn new(columns: u16, rows: u16) -> Self {
        let mut terminal = vt100::Parser::new(size(rows), size(columns), 0);
        terminal.process(HIDE_CURSOR);
        Self { screen: Screen::new(Vec::new(), columns, rows), terminal }
    }

    /// Draws these rows and returns the bytes it took.
    fn draw(&mut self, rows: &[&str], cursor: Option<(u16, u16)>) -> Vec<u8> {
        let paint = |_: Rect, buf: &mut Buffer| {
            for (y, row) in (0..).zip(rows) {
                buf.set_string(0, y, row, Style::default());
            }
            cursor
        };
        self.screen.draw(paint).unwrap();
        let bytes = std::mem::take(&mut self.screen.out);
        self.terminal.process(&bytes);
        bytes
    }

    fn shows(&self) -> String {
        self.terminal.screen().contents()
    }
}

#[test]
fn a_frame_shows_up_and_the_same_again_writes_nothing() {
    let mut rig = ScreenRig::new(10, 3);
    let bytes = rig.draw(&["one", "two"], Some((3, 1)));
    assert_eq!(String::from_utf8_lossy(&bytes), "\x1b[Hone\r\ntwo\x1b[?25h");
    assert_eq!(rig.shows(), "one\ntwo");
    assert_eq!(rig.terminal.screen().cursor_position(), (1, 3));
    assert!(!rig.terminal.screen().hide_cursor());
    assert_eq!(rig.draw(&["one", "two"], Some((3, 1))), b"");
    assert_eq!(rig.screen.counters.written, 1);
    assert_eq!(rig.screen.counters.frames, 2);
}

#[test]
fn only_changed_cells_are_written() {
    let mut rig = ScreenRig::new(10, 3);
    rig.draw(&["one", "two"], None);
    let before = rig.screen.counters.cells;
    rig.draw(&["one", "twx"], None);
    assert_eq!(rig.screen.counters.cells - before, 1);
    assert_eq!(rig.shows(), "one\ntwx");
    assert!(rig.terminal.screen().hide_cursor());
}

#[test]
fn the_cursor_alone_can_move() {
    let mut rig = ScreenRig::new(10, 3);
    rig.draw(&["one"], Some((0, 0)));
    let before = rig.screen.counters.cells;
    assert_ne!(rig.draw(&["one"], Some((2, 0))), b"");
    assert_eq!(rig.screen.counters.cells, before);
    assert_eq!(rig.terminal.screen().cursor_position(), (0, 2));
}

#[test]
fn wide_characters_come_and_go_whole() {
    let mut rig = ScreenRig::new(8, 1);
    for row in ["日本語", "a本語", "ab語x", "日b", "abcdef", "x日本", ""] {
        rig.draw(&[row], None);
        assert_eq!(rig.shows().trim_end(), row, "{row}");
    }
}

/// Where ambiguous characters are wide, letters take two cells and lines are drawn with signs that take one everywhere.
#[test]
fn ambiguous_characters_stand_where_a_terminal_that_has_them_wide_puts_them() {
    set_ambiguous_wide(true);
    let mut screen = Screen::new(Vec::new(), 12, 2);
    let mut terminal = Terminal::new(12, 2);
    for rows in [["╭─α“Ж”─╮", "│ x…·é ●│"], ["│ααα→x", "αxα"], ["", "xα漢α"], ["─────────", "жжжжжж"]]
    {
        let mut shown = Buffer::empty(Rect::new(0, 0, 12, 2));
        for (y, row) in (0..).zip(rows) {
            assert!(str_width(row) <= 12, "{row}");
            draw_text(row, 0, y, 12, Style::default(), &mut shown);
        }
        screen
            .draw(|_, buf| {
                buf.merge(&shown);
                Some((11, 1))
            })
            .unwrap();
        terminal.process(&std::mem::take(&mut screen.out));
        terminal.assert_shows(&shown, Some((11, 1)), |_| None);
    }
    set_ambiguous_wide(false);
}

#[test]
fn no_cell_acts_beyond_itself() {
    let mut rig = ScreenRig::new(8, 2);
    let zalgo = format!("z{}x", "\u{301}".repeat(5000));
    let bytes = rig.draw(&["h\u{200d} i", &zalgo], None);
    let sent = String::from_utf8(bytes).unwrap();
    assert!(!sent.contains('\u{200d}') && sent.len() < 200, "{sent:?}");
    assert!(rig.draw(&["h\u{200d} i", &zalgo], None).is_empty());
    let family = "👩\u{200d}👩\u{200d}👧";
    let sent = String::from_utf8(rig.draw(&[family], None)).unwrap();
    assert!(sent.contains(family));
    let paint = |_: Rect, buf: &mut Buffer| {
        buf[(0, 0)].set_symbol("\u{9b}2J");
        buf[(1, 0)].set_symbol("\x1b");
        None
    };
    rig.screen.draw(paint).unwrap();
    let sent = String::from_utf8(std::mem::take(&mut rig.screen.out)).unwrap();
    assert!(!sent.contains('\u{9b}') && !sent.contains("\x1b\x1b"), "{sent:?}");
}

#[test]
fn a_new_size_clears_once() {
    let mut rig = ScreenRig::new(10, 2);
    rig.draw(&["one"], None);
    rig.screen.resize(10, 2);
    assert_eq!(rig.draw(&["one"], None), b"");
    rig.screen.resize(5, 2);
    rig.terminal.screen_mut().set_size(size(2), size(5));
    let clears = |bytes: &[u8]| bytes.windows(4).filter(|part| part == b"\x1b[2J").count();
    assert_eq!(clears(&rig.draw(&["two"], None)), 1);
    assert_eq!(clears(&rig.draw(&["six"], None)), 0);
    assert_eq!(rig.shows(), "six");
}

#[test]
fn a_redraw_writes_everything_again() {
    let mut rig = ScreenRig::new(10, 2);
    rig.draw(&["one"], None);
    rig.terminal.process(b"\x1b[Hgarbage");
    rig.screen.invalidate();
    rig.draw(&["one"], None);
    assert_eq!(rig.shows(), "one");
}

#[test]
fn rows_said_to_be_unchanged_are_not_compared_unless_the_terminal_was_cleared() {
    let mut rig = ScreenRig::new(10, 2);
    rig.draw(&["one", "two"], None);
    let paint = |screen: &mut Screen<Vec<u8>>| {
        screen
            .redraw(|_, buf, is_last_frame| {
                assert!(is_last_frame);
                assert_eq!(buf[(0, 1)].symbol(), "t");
                buf.set_string(0, 0, "six", Style::default());
                Painted { unchanged: (0..8, vec![false, true]), ..Painted::default() }
            })
            .unwrap();
        String::from_utf8(std::mem::take(&mut screen.out)).unwrap()
    };
    let sent = paint(&mut rig.screen);
    assert!(sent.contains("six") && !sent.contains("two"), "{sent:?}");
    rig.screen.invalidate();
    let sent = paint(&mut rig.screen);
    assert!(sent.contains("six") && sent.contains("two"), "{sent:?}");
}

#[test]
fn nothing_is_looked_for_outside_of_what_was_drawn() {
    let mut rig = ScreenRig::new(10, 3);
    rig.draw(&["one", "two", "three"], None);
    let paint = |rig: &mut ScreenRig| {
        let drawn = Some(Rect::new(0, 1, 10, 1));
        let painted = |_, buf: &mut Buffer, _| {
            for y in 0..3 {
                buf.set_string(0, y, "six", Style::default());
            }
            Painted { drawn, ..Painted::default() }
        };
        rig.screen.redraw(painted).unwrap();
        rig.terminal.process(&std::mem::take(&mut rig.screen.out));
    };
    paint(&mut rig);
    assert_eq!(rig.shows(), "one\nsix\nthree");
    rig.screen.invalidate();
    paint(&mut rig);
    assert_eq!(rig.shows(), "six\nsix\nsixee", "on a cleared terminal everything is written");
}

#[test]
fn a_change_of_style_is_a_change() {
    let mut rig = ScreenRig::new(10, 1);
    let mut paint = |style: Style| {
        rig.screen
            .draw(|_, buf| {
                buf.set_string(0, 0, "x", style);
                None
            })
            .unwrap();
    };
    paint(Style::default());
    paint(Style::default().add_modifier(Modifier::BOLD));
    assert_eq!(rig.screen.counters.cells, 2);
}

#[test]
fn no_cells_are_no_panic_and_a_cursor_outside_is_hidden() {
    let mut rig = ScreenRig::new(10, 1);
    rig.draw(&["x"], Some((10, 0)));
    assert!(rig.terminal.screen().hide_cursor());
    rig.screen.resize(0, 0);
    rig.screen.draw(|_, _| Some((0, 0))).unwrap();
}

#[test]
fn a_link_is_written_between_its_marks_and_only_where_it_is_known() {
    let mut rig = ScreenRig::new(20, 2);
    let url: std::rc::Rc<str> = "https://x.y/".into();
    let mut links = ScreenLinks::default();
    links.add(&url);
    let number = links::link_number(&url);
    let style = with_link(Style::default(), number);
    let paint = |links: Option<&ScreenLinks>, screen: &mut Screen<Vec<u8>>| {
        screen
            .draw_linked(|_, buf| {
                buf.set_string(0, 0, "a ", Style::default());
                buf.set_string(2, 0, "link", style);
                Painted { links, ..Painted::default() }
            })
            .unwrap();
        String::from_utf8(std::mem::take(&mut screen.out)).unwrap()
    };
    let sent = paint(Some(&links), &mut rig.screen);
    assert!(sent.contains(&format!("\x1b]8;id={number:x};https://x.y/\x1b\\")), "{sent:?}");
    assert!(sent.contains("link") && sent.contains("\x1b]8;;\x1b\\"), "{sent:?}");
    assert!(!sent.contains("58;2"), "the number is no colour: {sent:?}");
    assert_eq!(paint(Some(&links), &mut rig.screen), "");
    rig.screen.invalidate();
    let sent = paint(None, &mut rig.screen);
    assert!(sent.contains("link") && !sent.contains("]8;"), "{sent:?}");
}

#[test]
fn a_large_frame_is_one_update_and_a_small_one_needs_no_brackets() {
    let mut rig = ScreenRig::new(200, 8);
    let long = "x".repeat(200);
    let bytes = rig.draw(&[long.as_str(); 8], Some((0, 0)));
    assert!(bytes.starts_with(b"\x1b[?2026h") && bytes.ends_with(b"\x1b[?25h\x1b[?2026l"));
    let bytes = rig.draw(&[&long, &long, "y"], Some((0, 0)));
    assert_eq!(String::from_utf8_lossy(&bytes), "\n\ny\x1b[K\r\n\x1b[K\n\x1b[K\n\x1b[K\n\x1b[K\n\x1b[K\x1b[H");
    let bytes = rig.draw(&[&long, &long, "y", "z"], Some((0, 0)));
    assert_eq!(String::from_utf8_lossy(&bytes), "\n\n\nz\x1b[H");
    let bytes = rig.draw(&[&long, &long, "y", "z"], None);
    assert_eq!(String::from_utf8_lossy(&bytes), "\x1b[?25l");
}

/// Rows with a word of their own each, as far as a window over them goes.
fn window(from: usize, rows: usize) -> Vec<String> {
    (from..from + rows).map(|row| format!("row {row} with some words about {}", row * 7919)).collect()
}

fn scrolled(rig: &mut ScreenRig, from: usize, foot: &str) -> usize {
    let mut rows = window(from, 20);
    rows.push(foot.into());
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let bytes = rig.draw(&rows, Some((2, 20))).len();
    assert_eq!(rig.shows().trim_end(), rows.join("\n").trim_end());
    bytes
}

#[test]
fn rows_that_move_are_moved_by_the_terminal_both_ways() {
    let mut rig = ScreenRig::new(60, 21);
    let whole = scrolled(&mut rig, 0, "> ");
    let up = scrolled(&mut rig, 1, "> ");
    assert!(up < 100 && whole > 600, "{up} of {whole} bytes");
    let wheel = scrolled(&mut rig, 4, "> x");
    assert!(wheel < 200, "{wheel} bytes");
    let down = scrolled(&mut rig, 1, "> x");
    assert!(down < 200, "{down} bytes");
    assert_eq!(rig.screen.counters.shifts, 3);
    let page = scrolled(&mut rig, 40, "> x");
    assert!(page < whole, "{page} bytes");
    assert_eq!(rig.screen.counters.shifts, 3, "nothing of it was there");
}

#[test]
fn a_panel_beside_moves_along_only_where_that_is_cheaper() {
    let bytes = |panel: &str| {
        let mut rig = ScreenRig::new(100, 20);
        for from in 0..2 {
            let rows: Vec<String> = window(from, 20).into_iter().map(|row| format!("{row:60}{panel}")).collect();
            rig.draw(&rows.iter().map(String::as_str).collect::<Vec<_>>(), None);
        }
        rig.screen.counters.shifts
    };
    assert_eq!((bytes("│"), bytes("")), (1, 1));
    // A panel whose rows all differ costs more than the rows beside it save.
    let mut rig = ScreenRig::new(100, 20);
    for from in 0..2 {
        let rows: Vec<String> = (0..20)
            .map(|row| format!("{:60}{}", (row + from) * 7919, format!("{}", row * 104_729).repeat(5)))
            .collect();
        rig.draw(&rows.iter().map(String::as_str).collect::<Vec<_>>(), None);
    }
    assert_eq!(rig.screen.counters.shifts, 0);
}

#[test]
fn a_style_is_changed_by_what_changed() {
    let mut rig = ScreenRig::new(30, 1);
    let bold = Style::default().fg(Color::Cyan).add_modifier(Modifier::BOLD);
    let spans = [
        ("a", Style::default().fg(Color::Cyan)),
        ("b", bold),
        ("c", bold.add_modifier(Modifier::DIM)),
        ("d", bold.remove_modifier(Modifier::BOLD).add_modifier(Modifier::DIM)),
        ("e", Style::default()),
        ("f", Style::default().fg(Color::DarkGray).bg(Color::Rgb(1, 20, 255))),
    ];
    let paint = |_: Rect, buf: &mut Buffer| {
        for (x, (text, style)) in (0..).zip(spans) {
            buf.set_string(x, 0, text, style);
        }
        None
    };
    rig.screen.draw(paint).unwrap();
    let sent = String::from_utf8(std::mem::take(&mut rig.screen.out)).unwrap();
    let want = "\x1b[36ma\x1b[1;38;5;6mb\x1b[2mc\x1b[0;2;36md\x1b[me\x1b[90;48;2;1;20;255mf\x1b[m";
    assert_eq!(sent, format!("\x1b[H{want}"));
}

/// What a row of plain text became a row of, in a terminal that counts so.
fn over_plain_text(widths: Widths, row: &str, columns: u16) -> String {
    let mut screen = Screen::new(Vec::new(), columns, 2);
    let mut terminal = Terminal::counting(widths, columns, 2);
    for text in ["xxxxxxxxxxxxxxxxxxxx", row] {
        screen
            .draw(|_, buf| {
                draw_text(text, 0, 0, columns, Style::default(), buf);
                draw_text("plain row under it", 0, 1, columns, Style::default(), buf);
                None
            })
            .unwrap();
        terminal.process(&std::mem::take(&mut screen.out));
        terminal.assert_shows(&screen.front, None, |_| None);
    }
    terminal.row(0)
}

#[test]
fn no_old_letter_stays_behind_a_sign_that_takes_less_room_than_it_was_given() {
    for (widths, row, shown) in [
        (Widths::Joined, "⚠\u{fe0f} two", "⚠\u{fe0f}  two"),
        (Widths::Joined, "1\u{fe0f}\u{20e3}|", "1\u{fe0f}\u{20e3} |"),
        (Widths::Old, "🫩|\u{20c1}|", "  | |"),
        (Widths::Narrow, "🚀|", "🚀 |"),
        (Widths::Clusters, "⚠\u{fe0f} two", "⚠\u{fe0f} two"),
    ] {
        assert_eq!(over_plain_text(widths, row, 20).trim_end(), shown, "{widths:?}");
    }
}

#[test]
fn a_sign_that_takes_more_room_than_it_was_given_leaves_the_next_row_alone() {
    for columns in 2..9 {
        for sign in ["👨\u{200d}👩\u{200d}👧\u{200d}👦", "👍🏽", "\u{1d158}\u{1d165}\u{1d16e}"] {
            for widths in Widths::LOOSE {
                over_plain_text(widths, &format!("{}{sign}", "-".repeat(usize::from(columns) - 2)), columns);
            }
        }
    }
}

#[test]
fn text_that_terminals_agree_about_costs_no_byte_more() {
    let text = "Zażółć gęślą jaźń — «Ω» Жук שלום ไทย 日本語 ｶﾞ ✓ │─┼ √2≤3";
    let mut rig = ScreenRig::new(80, 1);
    let sent = rig.draw(&[text], None);
    // What is put together of several marks is followed by its place.
    let extra = sent.len() - "\x1b[H".len() - text.len();
    assert!(extra <= "\x1b[1;44H".len(), "{}", String::from_utf8_lossy(&sent));
}

/// Compares with a terminal that somebody else wrote, where it knows what we know.
fn assert_alike(terminal: &vt100::Parser, buf: &Buffer) {
    let color = |color: Color| match model::number(color) {
        Color::Indexed(index) => vt100::Color::Idx(index),
        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
        _ => vt100::Color::Default,
    };
    for y in 0..buf.area.height {
        for x in 0..buf.area.width {
            let (cell, shown) = (&buf[(x, y)], terminal.screen().cell(y, x).unwrap());
            if shown.is_wide_continuation() {
                continue;
            }
            let contents = if shown.has_contents() { shown.contents() } else { " " };
            assert_eq!(contents, cell.symbol(), "{x} {y}");
            // It knows one of bold and dim.
            let bold = |bold| bold && !cell.modifier.contains(Modifier::DIM);
            let has = |modifier| cell.modifier.contains(modifier);
            assert_eq!((shown.fgcolor(), shown.bgcolor()), (color(cell.fg), color(cell.bg)), "{x} {y}");
            assert_eq!(
                (bold(shown.bold()), shown.italic(), shown.underline(), shown.inverse()),
                (bold(has(Modifier::BOLD)), has(Modifier::ITALIC), has(Modifier::UNDERLINED), has(Modifier::REVERSED)),
                "{x} {y}"
            );
        }
    }
}

#[test]
fn the_random_frames_have_the_terminal_move_rows() {
    let (mut screen, mut terminal) = (Screen::new(Vec::new(), 50, 20), Terminal::new(50, 20));
    let mut page = RandomFrame::of(&ROW_WORDS);
    for by in [1, 3, -2, -3, 2] {
        page.change(&Change::Scroll(by));
        screen.draw(|area, buf| page.paint(area, buf)).unwrap();
        terminal.process(&std::mem::take(&mut screen.out));
    }
    assert_eq!((screen.counters.shifts, terminal.moved()), (4, 10));
}
