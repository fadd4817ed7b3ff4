use super::history::MAX_HISTORY_PROMPTS;
use super::*;
use crate::config::keys::Key;

fn typed(text: &str) -> Composer {
    let mut composer = Composer::new();
    write(&mut composer, text);
    composer
}

fn write(composer: &mut Composer, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => composer.newline(),
            c => assert!(composer.type_chord(Chord::plain(Key::Char(c)))),
        }
    }
}

/// Draws at this width and returns the rows and the cursor.
fn shown(composer: &mut Composer, width: u16) -> (Vec<String>, Option<(u16, u16)>) {
    let area = Rect::new(0, 0, width, composer.height(width));
    let mut buf = Buffer::empty(area);
    let cursor = composer.draw_field(&Theme::default(), true, area, &mut buf);
    let row = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    ((0..area.height).map(row).collect(), cursor)
}

#[test]
fn an_empty_composer_says_what_it_is_for() {
    let mut composer = Composer::new();
    composer.set_placeholder("Ask away");
    assert_eq!(shown(&mut composer, 20), (vec!["› Ask away".to_owned()], Some((2, 0))));
    assert!(composer.is_empty());
}

#[test]
fn a_long_line_wraps_and_the_cursor_follows() {
    let mut composer = typed("one two three");
    assert_eq!(composer.height(20), 1);
    assert_eq!(shown(&mut composer, 10), (vec!["› one two".to_owned(), "  three".to_owned()], Some((7, 1))));
}

#[test]
fn height_stays_between_one_and_eight() {
    let mut composer = typed(&"x\n".repeat(40));
    assert_eq!(composer.height(80), 8);
    assert_eq!(Composer::new().height(0), 1);
    for width in 0..6 {
        for height in 0..3 {
            let area = Rect::new(0, 0, width, height);
            composer.draw_field(&Theme::default(), true, area, &mut Buffer::empty(area));
        }
    }
}

#[test]
fn backspace_and_arrows_take_whole_characters() {
    for one in ["👩‍👩‍👧", "e\u{301}", "日", "🇩🇪", "x"] {
        let mut composer = typed(&format!("a{one}b"));
        composer.edit(Edit::Left);
        composer.edit(Edit::Backspace);
        assert_eq!(composer.text(), "ab", "{one}");
        composer.edit(Edit::Undo);
        composer.edit(Edit::LineStart);
        composer.edit(Edit::Right);
        composer.edit(Edit::Delete);
        assert_eq!(composer.text(), "ab", "{one}");
    }
}

#[test]
fn deleting_at_the_edges_joins_lines_or_does_nothing() {
    let mut composer = typed("a\nb");
    composer.edit(Edit::LineStart);
    composer.edit(Edit::Backspace);
    assert_eq!(composer.text(), "ab");
    composer.edit(Edit::LineStart);
    composer.edit(Edit::Backspace);
    composer.edit(Edit::LineEnd);
    composer.edit(Edit::Delete);
    write(&mut composer, "c");
    assert_eq!(composer.text(), "abc");
}

#[test]
fn words_and_line_ends_are_killed_and_come_back() {
    let mut composer = typed("one two");
    composer.edit(Edit::DeleteWordLeft);
    assert_eq!(composer.text(), "one ");
    composer.edit(Edit::Yank);
    assert_eq!(composer.text(), "one two");
    composer.edit(Edit::WordLeft);
    composer.edit(Edit::DeleteToLineEnd);
    assert_eq!(composer.text(), "one ");
    composer.edit(Edit::DeleteToLineStart);
    assert!(composer.is_empty());
    composer.edit(Edit::Yank);
    assert_eq!(composer.text(), "one ");
}

#[test]
fn undo_takes_back_a_word_not_a_letter() {
    let mut composer = typed("hello");
    composer.edit(Edit::Undo);
    assert!(composer.is_empty());
    composer.edit(Edit::Redo);
    assert_eq!(composer.text(), "hello");
}

#[test]
fn a_backslash_before_enter_goes_on_with_the_line() {
    let mut composer = typed("one\\");
    assert!(composer.continue_line());
    assert!(!composer.continue_line());
    assert_eq!(composer.text(), "one\n");
}

#[test]
fn a_chord_with_ctrl_is_no_text() {
    let mut composer = Composer::new();
    assert!(!composer.type_chord(Chord::parse("ctrl+x").unwrap()));
    assert!(!composer.type_chord(Chord::parse("enter").unwrap()));
    assert!(composer.is_empty());
}

#[test]
fn a_paste_is_cleaned_and_keeps_its_lines() {
    let mut composer = Composer::new();
    composer.paste("a\r\nb\rc\u{1b}[31m\u{0}\td\u{202e}");
    assert_eq!(composer.text(), "a\nb\nc\td");
}

#[test]
fn a_big_paste_is_a_chip_that_survives_edits_around_it() {
    let big = "line\n".repeat(34);
    let mut composer = typed("see ");
    composer.paste(&big);
    write(&mut composer, " please");
    assert_eq!(shown(&mut composer, 60).0, ["› see [pasted 34 lines #1] please"]);
    composer.edit(Edit::LineStart);
    write(&mut composer, "do ");
    assert_eq!(composer.text(), format!("do see {big} please"));
}

#[test]
fn the_cursor_crosses_a_chip_and_backspace_deletes_it_whole() {
    let mut composer = Composer::new();
    composer.paste(&"x".repeat(5000));
    assert_eq!(shown(&mut composer, 60).0, ["› [pasted 5.0 kB #1]"]);
    composer.edit(Edit::Left);
    write(&mut composer, "a");
    assert_eq!(composer.text(), format!("a{}", "x".repeat(5000)));
    composer.edit(Edit::LineEnd);
    composer.edit(Edit::Backspace);
    assert_eq!(composer.text(), "a");
    composer.edit(Edit::Undo);
    assert_eq!(composer.text(), format!("a{}", "x".repeat(5000)));
}

#[test]
fn two_chips_with_each_others_label_inside_do_not_mix() {
    let mut composer = Composer::new();
    let first = format!("{}[pasted 20 lines #2]", "a\n".repeat(20));
    composer.paste(&first);
    let second = "b\n".repeat(20);
    composer.paste(&second);
    assert_eq!(composer.text(), format!("{first}{second}"));
    assert_eq!(composer.take(), format!("{first}{second}"));
    assert!(composer.is_empty());
}

#[test]
fn a_megabyte_costs_the_text_area_a_few_bytes() {
    let text = "some words that go on\n".repeat(50_000);
    let mut composer = Composer::new();
    composer.paste(&text);
    write(&mut composer, "x");
    assert!(composer.area.lines().iter().map(String::len).sum::<usize>() < 40);
    assert_eq!(composer.take().len(), text.len() + 1);
}

#[test]
fn history_keeps_the_draft_and_each_prompt_once() {
    let mut composer = Composer::new();
    composer.set_history(vec!["old".into(), "one".into()]);
    for text in ["one", "two", "one", "  "] {
        composer.set_text(text);
        composer.take();
    }
    assert_eq!(composer.history(), ["old", "two", "one"]);
    assert_eq!(composer.take_unsaved_prompts(), ["one", "two", "one"]);
    assert_eq!(composer.take_unsaved_prompts(), [""; 0]);
    write(&mut composer, "draft");
    let mut seen = Vec::new();
    for _ in 0..4 {
        composer.up();
        seen.push(composer.text());
    }
    assert_eq!(seen, ["one", "two", "old", "old"]);
    for _ in 0..4 {
        composer.down();
        seen.push(composer.text());
    }
    assert_eq!(seen[4..], ["two", "one", "draft", "draft"]);
}

#[test]
fn up_moves_in_the_text_before_it_moves_in_history() {
    let mut composer = Composer::new();
    composer.set_history(vec!["a prompt\nof two lines".into(), "short".into()]);
    write(&mut composer, "one\ntwo");
    shown(&mut composer, 40);
    composer.up();
    assert_eq!(composer.text(), "one\ntwo");
    composer.up();
    assert_eq!(composer.text(), "short");
    composer.up();
    assert_eq!(composer.text(), "a prompt\nof two lines");
    write(&mut composer, "!");
    shown(&mut composer, 40);
    composer.up();
    assert_eq!(composer.text(), "a prompt\nof two lines!");
}

#[test]
fn earlier_prompts_may_arrive_late() {
    let mut composer = typed("now");
    composer.take();
    composer.set_history((0..1500).map(|number| format!("p{number}")).collect());
    assert_eq!(composer.history().len(), MAX_HISTORY_PROMPTS);
    assert_eq!(composer.history().last().map(String::as_str), Some("now"));
}

#[test]
fn a_draft_with_a_chip_comes_back_from_history() {
    let mut composer = Composer::new();
    composer.set_history(vec!["before".into()]);
    let big = "line\n".repeat(20);
    composer.paste(&big);
    composer.up();
    assert_eq!(composer.text(), "before");
    composer.down();
    assert_eq!(composer.text(), big);
}

#[test]
fn a_prompt_is_begun_with_so_many_characters_over_all_lines() {
    assert!(!typed("").holds(1));
    let composer = typed("a\né");
    assert!(composer.holds(2) && !composer.holds(3));
}

#[test]
fn a_draft_is_put_away_and_comes_back_into_an_empty_composer() {
    let mut composer = typed("half a\nthought");
    composer.paste(&"line\n".repeat(20));
    let whole = composer.text();
    composer.stash();
    assert!(composer.is_empty() && composer.has_stash());
    write(&mut composer, "quick");
    assert_eq!(composer.unsent(), format!("{whole}\n\nquick"), "it is kept when one quits");
    composer.stash();
    composer.stash();
    assert_eq!(composer.text(), "quick", "the last one comes first");
    composer.take();
    composer.stash();
    assert_eq!((composer.text(), composer.has_stash()), (whole, false));
}

#[test]
fn behind_a_prompt_that_was_recalled_is_the_draft() {
    let mut composer = typed("");
    composer.set_history(vec!["see @one".into(), "two".into()]);
    composer.completion.set_paths(vec!["one".into(), "one.rs".into()]);
    write(&mut composer, "half a");
    composer.recall("see @one");
    assert_eq!(composer.text(), "see @one");
    composer.update_completion(&Store::default());
    assert!(!composer.completion.is_open(), "the arrows walk on");
    composer.down();
    assert_eq!(composer.text(), "two");
    composer.down();
    assert_eq!(composer.text(), "half a");
}

#[test]
fn an_image_is_a_chip_that_stands_for_its_mention() {
    let mut composer = typed("what is");
    composer.insert_image("[image cat.png 2x3, 70 bytes]", "pics/cat.png");
    assert_eq!(shown(&mut composer, 60).0, ["› what is [image cat.png 2x3, 70 bytes]"]);
    assert_eq!(composer.text(), "what is @pics/cat.png ");
    composer.insert_image("[image cat.png 2x3, 70 bytes]", "other/cat.png");
    composer.insert_image("[image cat.png 2x3, 70 bytes]", "pics/cat.png");
    assert_eq!(composer.text(), "what is @pics/cat.png @other/cat.png @pics/cat.png ");
    for _ in 0..2 {
        composer.edit(Edit::Backspace);
    }
    assert_eq!(composer.text(), "what is @pics/cat.png @other/cat.png ", "it goes whole");
    composer.stash();
    composer.stash();
    assert_eq!(composer.text(), "what is @pics/cat.png @other/cat.png ");
    assert_eq!(composer.take(), "what is @pics/cat.png @other/cat.png ");
    let mut composer = typed("see [image and [pasted ");
    assert_eq!(composer.take(), "see [image and [pasted ");
    let mut composer = typed("!file ");
    composer.insert_image("[image cat.png]", "cat.png");
    assert_eq!(composer.text(), "!file cat.png", "a command takes the path as it is");
}
