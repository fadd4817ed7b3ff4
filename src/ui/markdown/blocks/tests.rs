use super::*;

fn sources<'a>(splitter: &Splitter, text: &'a str) -> Vec<&'a str> {
    splitter.stable().iter().map(|block| block.source(text)).collect()
}

#[test]
fn finished_blocks_leave_the_tail() {
    let text = "# Title\n\nFirst\nparagraph.\n\nSecond";
    let mut splitter = Splitter::default();
    splitter.advance(text);
    assert_eq!(sources(&splitter, text), ["# Title\n", "First\nparagraph.\n"]);
    let text = "# Title\n\nFirst\nparagraph.\n\nSecond\nmore\n\nThird\n";
    splitter.advance(text);
    assert_eq!(sources(&splitter, text), ["# Title\n", "First\nparagraph.\n", "Second\nmore\n"]);
    assert_eq!(splitter.tail(text).unwrap().source(text), "Third\n");
}

#[test]
fn items_are_blocks_that_keep_their_number() {
    let text = "1. one\n1. two\n   - inner\n\n1. three\n";
    let splitter = Splitter::split(text);
    let kinds: Vec<(BlockKind, bool)> = splitter.stable().iter().map(|b| (b.kind, b.gap)).collect();
    let item = |number| BlockKind::Item { number: Some(number) };
    assert_eq!(kinds, [(item(1), false), (item(2), false), (item(3), true)]);
}

#[test]
fn a_long_fence_is_read_once() {
    let mut text = String::from("```rust\n");
    let mut splitter = Splitter::default();
    for line in 0..10_000 {
        text.push_str("let x = ");
        text.push_str(&line.to_string());
        text.push_str(";\n");
        splitter.advance(&text);
    }
    assert!(splitter.bytes_read() < text.len() as u64 * 2, "{} of {}", splitter.bytes_read(), text.len());
    let tail = splitter.tail(&text).unwrap();
    assert!(matches!(tail.kind, BlockKind::Code { first: false, closed: false, .. }));
    assert!(tail.end - tail.start < 2000);
    text.push_str("```\nafter\n");
    splitter.advance(&text);
    assert!(matches!(splitter.stable().last().unwrap().kind, BlockKind::Code { closed: true, .. }));
}

#[test]
fn a_fence_closes_only_with_enough_of_its_own_marks() {
    let text = "````\n```\n~~~~\n    ````\n````  \nafter\n";
    let splitter = Splitter::split(text);
    assert_eq!(sources(&splitter, text), ["````\n```\n~~~~\n    ````\n````  \n", "after\n"]);
}

#[test]
fn a_fence_that_is_open_at_the_end_is_a_block() {
    let text = "a\n\n```\nb\n";
    let mut splitter = Splitter::default();
    splitter.advance(text);
    splitter.finish(text);
    assert_eq!(sources(&splitter, text), ["a\n", "```\nb\n"]);
    assert_eq!(splitter.stable(), Splitter::split(text).stable());
}

#[test]
fn a_growing_table_is_held() {
    let text = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3";
    let mut splitter = Splitter::default();
    splitter.advance(text);
    assert_eq!(splitter.tail(text).unwrap().kind, BlockKind::OpenTable);
    let text = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n";
    splitter.advance(text);
    assert_eq!((splitter.tail(text), splitter.stable().len()), (None, 1));
}

#[test]
fn a_text_of_any_shape_comes_to_an_end() {
    for head in
        ["", "a line\n", "- item\n", "> quote\n", "| a |\n|---|\n| b |\n", "# head\n", "<div>\n", "```\n", "[a]: b\n"]
    {
        for (piece, count) in [("word ", 70_000), ("\n", 300_000), ("  \n", 100_000), ("> \n", 100_000)] {
            let text = head.to_owned() + &piece.repeat(count) + "\nend\n";
            let splitter = Splitter::split(&text);
            assert!(splitter.bytes_read() <= text.len() as u64 * 8, "{head:?} {piece:?} {}", splitter.bytes_read());
            let shown: String = splitter.stable().iter().map(|block| block.source(&text)).collect();
            assert!(shown.ends_with("end\n"), "{head:?} {piece:?}");
        }
    }
}

#[test]
fn endless_lines_and_blank_floods_stay_cheap() {
    for (piece, count) in [("word ", 100_000), ("\n", 300_000), ("> q\n", 100_000), ("```\n", 50_000)] {
        let text = piece.repeat(count);
        let splitter = Splitter::split(&text);
        assert!(splitter.bytes_read() <= text.len() as u64 * 8, "{piece:?} {}", splitter.bytes_read());
        assert!(splitter.stable().iter().all(|block| (block.end - block.start) as usize <= MAX_BLOCK_BYTES));
    }
}

#[test]
fn a_block_around_a_table_of_short_rows_is_cut_before_it_has_too_many_cells() {
    let columns = 100;
    let names = format!("a name long enough {}", "|a name long enough".repeat(columns - 1));
    let rule = "|-".repeat(columns);
    // In a quote, in an item, and below names that are too long to be read for each part.
    for (first, other) in [("> ", "> "), ("x\n- y\n\n  ", "  "), ("", "")] {
        let row = format!("{other}|b|\n");
        let text = format!("{first}{names}\n{other}{rule}\n{}\nAfter.\n", row.repeat(5000));
        let whole = Splitter::split(&text);
        let cut = whole.stable().iter().find(|block| block.source(&text).contains("|b|")).unwrap();
        let rows = cut.source(&text).matches("|b|").count();
        assert!((300..=64 * 1024 / 2 / columns + 1).contains(&rows), "{first:?}: {rows} rows");
        let mut splitter = Splitter::default();
        for at in (0..text.len()).step_by(701) {
            splitter.advance(&text[..at]);
            assert!(whole.stable().starts_with(splitter.stable()), "{first:?} at {at}");
        }
        splitter.finish(&text);
        assert_eq!(splitter.stable(), whole.stable());
    }
}

#[test]
fn a_block_of_tags_that_is_cut_goes_on_as_tags_and_ends_where_it_would() {
    for (open, line, close) in [
        ("<div>\n", "<p>a <b>b</b></p>\n", "\n"),
        ("<!--\n", "a\n\n- b\n", "-->\n"),
        ("  <script>\n", "if (a<b) {}\n\n", "</script>\n"),
        ("<pre>\n", "a\n\n<b>c</b>\n", "</pre>\n"),
        ("<scripts>\n", "<b>c</b>\n", "\n"),
        ("<?", "a <b>\n\n", "?>\n"),
        ("<!A", "<!A", ">\n"),
        ("<![CDATA[", "<![CDATA[", "]]>\n"),
    ] {
        let text = format!("{open}{}{close}After *that*.\n", line.repeat(150_000 / line.len()));
        let whole = Splitter::split(&text);
        let (last, parts) = whole.stable().split_last().unwrap();
        assert_eq!(
            (last.kind, last.source(&text), last.gap),
            (BlockKind::Paragraphs, "After *that*.\n", true),
            "{open}"
        );
        assert_eq!(parts.len(), 3, "{open}");
        let goes_on = |part: &MarkdownBlock| matches!(part.kind, BlockKind::Tags { .. }) && !part.gap;
        assert!(parts[1..].iter().all(goes_on), "{open} {parts:?}");
        let mut splitter = Splitter::default();
        for at in (0..text.len()).step_by(1999) {
            splitter.advance(&text[..at]);
            assert!(whole.stable().starts_with(splitter.stable()), "{open} at {at}");
        }
        splitter.finish(&text);
        assert_eq!(splitter.stable(), whole.stable(), "{open}");
    }
}
