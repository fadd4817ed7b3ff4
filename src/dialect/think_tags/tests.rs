use super::*;

fn split(pieces: &[&str]) -> (String, String) {
    let mut think = ThinkTagSplitter::default();
    let mut out = Vec::new();
    for piece in pieces {
        think.push(piece, &mut out);
    }
    think.flush(&mut out);
    let (mut reasoning, mut text) = (String::new(), String::new());
    for (kind, piece) in out {
        match kind {
            SegmentKind::Reasoning => reasoning.push_str(&piece),
            SegmentKind::Text => text.push_str(&piece),
            SegmentKind::LateReasoning => reasoning.push_str(&std::mem::take(&mut text)),
        }
    }
    (reasoning, text)
}

/// Splits a text at every position, which must not matter.
fn split_anywhere(whole: &str) -> (String, String) {
    let at_once = split(&[whole]);
    for (at, _) in whole.char_indices() {
        let (left, right) = whole.split_at(at);
        assert_eq!(split(&[left, right]), at_once, "{whole:?} cut at {at}");
    }
    let letters: Vec<String> = whole.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(split(&letters), at_once, "{whole:?} in letters");
    at_once
}

fn both(reasoning: &str, text: &str) -> (String, String) {
    (reasoning.into(), text.into())
}

#[test]
fn tags_are_found_however_they_are_cut() {
    let whole = "\n<think>\n a < b</thin é</think>\n\nyes </think> no";
    assert_eq!(split_anywhere(whole), both("a < b</thin é", "yes </think> no"));
}

#[test]
fn every_kind_of_tag_is_known() {
    for (open, close) in THINK_TAGS {
        let whole = format!("{open}\nWhy not?{close}\n\nYes.");
        assert_eq!(split_anywhere(&whole), both("Why not?", "Yes."), "{whole}");
    }
    assert_eq!(split_anywhere("<THINK>a</Think>b"), both("a", "b"));
}

#[test]
fn text_without_the_tag_is_untouched() {
    for text in
        ["hello", " <thin", "<thinker>", "say <think>x</think>", "<", "a <b> [c](d) … “e” [THIN", "**\n<i>x</i>"]
    {
        assert_eq!(split_anywhere(text), both("", text));
    }
}

#[test]
fn unclosed_reasoning_is_kept_and_white_space_is_nothing() {
    assert_eq!(split_anywhere("<think>a</th"), both("a</th", ""));
    assert_eq!(split_anywhere(" \n "), both("", ""));
    assert_eq!(split_anywhere("<think></think>\n\nHi"), both("", "Hi"));
}

#[test]
fn an_answer_may_have_several_blocks() {
    assert_eq!(split_anywhere("<think>a</think><think>b</think>c"), both("a\n\nb", "c"));
    assert_eq!(split_anywhere("<think>a</think>One. <think>b</think> Two."), both("a\n\nb", "One. Two."));
    assert_eq!(split_anywhere("<think>a</think>One<think>b</think> two."), both("a\n\nb", "One two."));
    assert_eq!(split_anywhere("One.\n<think>\nb\n</think>\n\nTwo."), both("b\n", "One.\nTwo."));
    assert_eq!(split_anywhere("<thinking>a</thinking>One.\n\n[THINK]b[/THINK]Two."), both("a\n\nb", "One.\n\nTwo."));
}

#[test]
fn a_closing_tag_alone_makes_reasoning_of_what_came_before() {
    assert_eq!(split_anywhere("I should greet.\n</think>\n\nHello!"), both("I should greet.\n", "Hello!"));
    assert_eq!(split_anywhere("I should greet.</think>\n\nHello!"), both("I should greet.", "Hello!"));
    assert_eq!(split_anywhere("I should greet.\n</think>Hello!"), both("I should greet.\n", "Hello!"));
    assert_eq!(split_anywhere("All I did was think.</think>"), both("All I did was think.", ""));
    assert_eq!(split_anywhere("</think>\n\nHello!"), both("", "Hello!"));
    assert_eq!(split_anywhere("Hm.[/THINK]\nHello! <think>More.</think>Yes."), both("Hm.More.", "Hello! Yes."));
}

#[test]
fn tags_that_an_answer_is_about_are_text() {
    for text in [
        "Write `<think>` first.\nThen `</think>`\nand so on.",
        "```xml\n<think>\nx\n</think>\n```\nThat is it.",
        "~~~~\n~~~\n</think>\n~~~~\n",
        "A </think> ends it, as </think>, you see.",
        "  ```\n</think>\n",
        "- `a\n- b`\n> </think> x",
    ] {
        assert_eq!(split_anywhere(text), both("", text));
    }
    assert_eq!(
        split_anywhere("<think>a</think>Use `<think>` and\n```\n<think>\n```"),
        both("a", "Use `<think>` and\n```\n<think>\n```")
    );
}

#[test]
fn a_format_that_marks_everything_leaves_no_marks() {
    let whole =
        "<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>It is 4.<|return|>";
    assert_eq!(split_anywhere(whole), both("Easy.", "It is 4."));
    assert_eq!(split_anywhere("<|channel|>final<|message|>It is 4."), both("", "It is 4."));
    let whole = "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>";
    assert_eq!(split_anywhere(whole), both("Hm.", "Yes."));
}
