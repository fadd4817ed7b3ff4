use ratatui::layout::Rect;

use super::*;
use crate::ui::theme::Role;

#[test]
fn an_indent_hangs_below_its_marker() {
    let mut page = LayoutBuilder::new(14);
    assert!(page.indent("› ", Role::User.into()));
    page.add_wrapped(&StyledText::of("one two three", Role::Text.into()));
    page.gap();
    page.add_wrapped(&StyledText::of("four", Role::Text.into()));
    page.outdent();
    assert_eq!(page.finish().to_strings(), ["› one two", "  three", "", "  four"]);
}

#[test]
fn without_room_there_is_no_indent() {
    let mut page = LayoutBuilder::new(5);
    assert!(!page.indent("10. ", Role::Text.into()));
    page.add_wrapped(&StyledText::of("abcdef", Role::Text.into()));
    page.outdent();
    assert_eq!(page.finish().to_strings(), ["abcde", "f"]);
}

#[test]
fn a_marker_without_text_is_still_shown() {
    let mut page = LayoutBuilder::new(20);
    page.indent("• ", Role::Text.into());
    page.outdent();
    assert_eq!(page.finish().to_strings(), ["• "]);
}

#[test]
fn faces_follow_the_text_over_rows() {
    let mut flow = StyledText::default();
    flow.push("plain ", Role::Text.into());
    flow.push("code here", Role::Code.into());
    let laid = lay_out(&flow, 10);
    let rows: Vec<Vec<(&str, Role)>> =
        (0..laid.rows()).map(|row| laid.row(row).map(|(text, face)| (text, face.role)).collect()).collect();
    assert_eq!(rows, [vec![("plain ", Role::Text), ("code", Role::Code)], vec![("here", Role::Code)]]);
}

#[test]
fn links_of_rows_that_are_not_shown_are_not_looked_at() {
    let mut flow = StyledText::default();
    let urls: Vec<String> = (0..100).map(|nth| format!("http://a.b/{nth}")).collect();
    for url in &urls {
        let start = flow.text.len();
        flow.push("x", Role::Text.into());
        flow.link_from(start, url);
        flow.push("\n", Role::Text.into());
    }
    let mut links = ScreenLinks::default();
    lay_out(&flow, 10).note_links(10..12, &mut links);
    let noted: Vec<&String> = urls.iter().filter(|url| links.get(link_number(url)).is_some()).collect();
    assert_eq!(noted, [&urls[10], &urls[11]]);
}

#[test]
fn a_link_in_the_middle_changes_no_other_face() {
    let mut flow = StyledText::default();
    for (text, role) in [("one ", Role::Text), ("two ", Role::Code), ("three", Role::Text)] {
        flow.push(text, role.into());
    }
    flow.link(2..6, "http://a.b");
    let laid = lay_out(&flow, 20);
    let faces: Vec<(&str, bool)> = laid.row(0).map(|(text, face)| (text, face.link().is_some())).collect();
    assert_eq!(faces, [("on", false), ("e ", true), ("tw", true), ("o ", false), ("three", false)]);
}

#[test]
fn drawing_stops_at_the_edge() {
    let laid = lay_out_plain("ab漢字", Role::Text, 10);
    let mut buf = Buffer::empty(Rect::new(0, 0, 6, 1));
    assert_eq!(laid.draw_row(0, 1, 0, 4, Theme::default(), &mut buf), 5);
    let row: String = (0..6).map(|x| buf[(x, 0)].symbol().to_owned()).collect();
    assert_eq!(row, " ab漢  ");
    laid.draw_row(0, 0, 9, 4, Theme::default(), &mut buf);
}
