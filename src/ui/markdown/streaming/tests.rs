use proptest::prelude::*;

use super::inline::{LOOKED_AT, MAX_HELD_BACK_BYTES};
use super::*;
use crate::ui::markdown::html;

fn shown(source: &str) -> String {
    stabilize(source, BlockKind::Paragraphs).into_owned()
}

#[test]
fn what_is_not_decided_is_held_back() {
    for (source, expected) in [
        ("plain wor", "plain wor"),
        ("#", ""),
        ("text\n---", "text\n"),
        ("- one\n- ", "- one\n"),
        ("- one\n-", "- one\n"),
        ("- [x", ""),
        ("- [x] d", "- [x] d"),
        ("1. one\n12", "1. one\n"),
        ("12 apples", "12 apples"),
        ("> [!NO", ""),
        ("> a\n> ", "> a\n"),
        ("``", ""),
        ("| a | b", ""),
        ("| a | b |\n", ""),
        ("| a | b |\n|:--", ""),
        ("| a | b |\n| c", "| a | b |\n| c"),
        ("text\n\n| a", "text\n\n"),
        ("a [link", "a "),
        ("a [link]", "a "),
        ("a [link] b", "a [link] b"),
        ("a [link](htt", "a link"),
        ("an ![image](htt", "an "),
        ("a [link](x) b", "a [link](x) b"),
        ("[1]: htt", ""),
        ("a <b", "a "),
        ("H<sub>2", "H"),
        ("H<sub>2</sub>", "H<sub>2</sub>"),
        ("a <b>bo", "a "),
        ("a <b>bold</b> c", "a <b>bold</b> c"),
        ("a <b>b <i>c</b> d", "a <b>b <i>c</b> d"),
        ("a **b <u>c **d", "a **b**"),
        ("a <u>c `d", "a "),
        ("a </b> c", "a </b> c"),
        ("a <br> <foo> <a href=x> c", "a <br> <foo> <a href=x> c"),
        ("x <a <b>c</b>", "x <a <b>c</b>"),
        ("a < b and so on", "a < b and so on"),
        ("if a<b and c is more than that", "if a<b and c is more than that"),
        ("x &am", "x "),
        ("so $x^2 + y", "so "),
        ("it costs $5 or", "it costs $5 or"),
        ("so $$\n\\frac{a", "so "),
        ("so \\(x", "so "),
        ("a\\", "a"),
    ] {
        assert_eq!(shown(source), expected, "{source:?}");
    }
}

#[test]
fn what_is_behind_a_tag_is_held_back_until_its_partner_is_too_far() {
    let text = |bytes: usize| format!("x <b>{}", "y".repeat(bytes));
    let most = html::MAX_TAG_DISTANCE_BYTES - "<b>".len();
    assert_eq!(shown(&text(most)), "x ");
    assert_eq!(shown(&text(most + 1)), text(most + 1));
}

#[test]
fn emphasis_that_was_begun_is_shown_as_such() {
    for (source, expected) in [
        ("a **bo", "a **bo**"),
        ("a **", "a "),
        ("a **bold*", "a **bold**"),
        ("a **bold** b", "a **bold** b"),
        ("a ***bo", "a ***bo***"),
        ("a **b *c", "a **b *c***"),
        ("a *it ", "a *it*"),
        ("a ~~st", "a ~~st~~"),
        ("run `car", "run `car`"),
        ("**run `car", "**run `car`**"),
        ("a * b", "a * b"),
        ("2*3 and 4", "2*3 and 4"),
        ("snake_case and", "snake_case and"),
        ("`**` and", "`**` and"),
        ("**one\n\ntwo", "**one\n\ntwo"),
        ("**one\n\n", "**one\n\n"),
        ("- **one", "- **one**"),
    ] {
        assert_eq!(shown(source), expected, "{source:?}");
    }
}

#[test]
fn code_holds_back_its_label_and_what_may_close_it() {
    let first =
        BlockKind::Code { first: true, closed: false, indent: 0, syntax: super::super::syntax::Syntax::default() };
    for (source, expected) in
        [("```py", ""), ("```python\n", "```python\n"), ("```\na\n``", "```\na\n"), ("```\na `", "```\na `")]
    {
        assert_eq!(stabilize(source, first), expected, "{source:?}");
    }
    assert_eq!(shown("- a\n  ```sh\n  # **no"), "- a\n  ```sh\n  # **no");
    assert_eq!(shown("- a\n  ```sh\n  x\n  ``"), "- a\n  ```sh\n  x\n");
    assert_eq!(shown("- a\n  ```sh\n  x\n  ```\n  **b"), "- a\n  ```sh\n  x\n  ```\n  **b**");
}

#[test]
fn a_flood_of_marks_stays_cheap() {
    for piece in [
        "<",
        "<b>",
        "<a ",
        "**<i>",
        "<b>x</b>",
        "[",
        "![",
        "[x](",
        "[x][",
        "*a ",
        "_a *b ~~c ",
        "$x ",
        "$$x ",
        "\\(",
        "\\[",
        "`` ` ",
        "&",
        "**",
        "> ",
        "- ",
    ] {
        let work = |size: usize| {
            let text = piece.repeat(size / piece.len());
            LOOKED_AT.set(0);
            stabilize(&text, BlockKind::Paragraphs);
            LOOKED_AT.get() as f64 / text.len() as f64
        };
        let (small, large) = (work(16 * 1024), work(64 * 1024));
        assert!(large <= small.max(1.0) * 1.1 && large < 100.0, "{piece:?}: {small} and {large} for a byte");
    }
}

proptest! {
    #[test]
    fn little_is_held_back_and_nothing_else_changes(
        text in r"([a-z é]{0,6}|[*_~`\[\]()<>$&#|!\\-]{1,3}|\n|\n\n|- |> |1\. |```\n){0,30}"
    ) {
        for kind in [BlockKind::Paragraphs, BlockKind::Item { number: None }] {
            let shown = stabilize(&text, kind);
            let same = text.bytes().zip(shown.bytes()).take_while(|(a, b)| a == b).count();
            // Behind the first difference there is at most a link's text and what closes emphasis.
            prop_assert!(shown.len() - same <= MAX_HELD_BACK_BYTES * 3, "{text:?} {shown:?}");
        }
    }
}
