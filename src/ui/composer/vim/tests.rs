use unicode_segmentation::UnicodeSegmentation as _;

use super::*;

/// Reads a text in which `|` is the cursor.
fn text(marked: &str) -> VimText {
    let (before, after) = marked.split_once('|').unwrap_or((marked, ""));
    let units = |text: &str| text.graphemes(true).map(str::to_owned).collect::<Vec<_>>();
    let cursor = units(before).len();
    VimText { units: [units(before), units(after)].concat(), cursor }
}

fn marked(text: &VimText) -> String {
    let (before, after) = text.units.split_at(text.cursor.min(text.units.len()));
    format!("{}|{}", before.concat(), after.concat())
}

/// Types keys; `␛` is Esc and `®` Ctrl+R. In insert mode characters are typed as the composer types them.
fn type_keys(vim: &mut Vim, text: &mut VimText, keys: &str) {
    for key in keys.chars() {
        match (key, vim.mode()) {
            ('␛', _) => _ = vim.key(VimKey::Esc, text),
            ('®', _) => _ = vim.key(VimKey::Redo, text),
            ('⌫', _) => _ = text.cut(text.cursor - 1, text.cursor),
            (c, VimMode::Insert) => {
                text.insert(text.cursor, &[c.to_string()]);
                text.cursor += 1;
            }
            (c, _) => _ = vim.key(VimKey::Char(c), text),
        }
    }
}

fn check(before: &str, keys: &str, after: &str) {
    let mut text = text(before);
    let mut vim = Vim::new(VimMode::Normal, &text);
    type_keys(&mut vim, &mut text, keys);
    assert_eq!(marked(&text), after, "{before:?} {keys}");
}

#[test]
fn motions_lead_where_they_do_in_vim() {
    for (before, keys, after) in [
        ("a|bc", "h", "|abc"),
        ("|abc", "h", "|abc"),
        ("|abc", "2l", "ab|c"),
        ("|abc", "9l", "ab|c"),
        ("|one two, three", "w", "one |two, three"),
        ("|one two, three", "2w", "one two|, three"),
        ("|one two, three", "2W", "one two, |three"),
        ("|one\n\n  two", "w", "one\n|\n  two"),
        ("|one\n\n  two", "ww", "one\n\n  |two"),
        ("one two|, three", "b", "one |two, three"),
        ("one two, |three", "2B", "|one two, three"),
        ("one\n\n|two", "b", "one\n|\ntwo"),
        ("|one two", "e", "on|e two"),
        ("on|e two", "e", "one tw|o"),
        ("|a.b c", "E", "a.|b c"),
        ("  ab|c", "0", "|  abc"),
        ("  ab|c", "^", "  |abc"),
        ("|abc\nd", "$", "ab|c\nd"),
        ("|abc\nde", "2$", "abc\nd|e"),
        ("ab|c\nde\nfgh", "j", "abc\nd|e\nfgh"),
        ("abc\nde\nfg|h", "2k", "ab|c\nde\nfgh"),
        ("a\nb\n|c", "gg", "|a\nb\nc"),
        ("|a\nb\n c", "G", "a\nb\n |c"),
        ("|a\nb\nc", "2G", "a\n|b\nc"),
        ("|a,b,c,d", "f,", "a|,b,c,d"),
        ("|a,b,c,d", "f,;", "a,b|,c,d"),
        ("|a,b,c,d", "2f,,", "a|,b,c,d"),
        ("|a,b,c,d", "t,", "|a,b,c,d"),
        ("|ab,bc,d", "t,;", "ab,b|c,d"),
        ("a,b,c,|d", "F,", "a,b,c|,d"),
        ("a,b,c|,d", "Tb", "a,b|,c,d"),
        ("|abc", "fx", "|abc"),
        ("|añb🙂‍↔️c", "3l", "añb|🙂‍↔️c"),
        ("|", "wbe0$Gggjk", "|"),
    ] {
        check(before, keys, after);
    }
}

#[test]
fn operators_take_motions_counts_and_lines() {
    for (before, keys, after) in [
        ("|one two three", "dw", "|two three"),
        ("|one two three", "d2w", "|three"),
        ("|one two three", "2dw", "|three"),
        ("one |two\nthree", "dw", "one| \nthree"),
        ("one |two three", "db", "|two three"),
        ("|one two", "de", "| two"),
        ("one |two three", "d$", "one| "),
        ("one |two three", "D", "one| "),
        ("one |two", "d0", "|two"),
        ("a\n|b\nc", "dd", "a\n|c"),
        ("a\nb\n|c", "dd", "a\n|b"),
        ("|a\nb\nc", "2dd", "|c"),
        ("|a\nb\nc", "dj", "|c"),
        ("a\nb\n|c", "dgg", "|"),
        ("a|b", "dd", "|"),
        ("|one two", "cwxy␛", "x|y two"),
        ("|a two", "cwxy␛", "x|y two"),
        ("one |two\nthree", "cwx␛", "one |x\nthree"),
        ("on|e\ntwo", "ccx␛", "|x\ntwo"),
        ("one |two", "Cx␛", "one |x"),
        ("|abc", "sx␛", "|xbc"),
        ("a(b|c)d", "dt)", "a(b|)d"),
        ("a|,b,c", "df,", "a|c"),
        ("one t|wo three", "diw", "one | three"),
        ("one t|wo three", "daw", "one |three"),
        ("one t|wo three", "ciwx␛", "one |x three"),
        ("|one two", "d␛w", "one |two"),
        ("|one two", "dq", "|one two"),
    ] {
        check(before, keys, after);
    }
}

#[test]
fn single_changes_do_what_they_say() {
    for (before, keys, after) in [
        ("|abc", "x", "|bc"),
        ("ab|c", "x", "a|b"),
        ("|abc", "5x", "|"),
        ("ab|c", "X", "a|c"),
        ("|abc", "rx", "|xbc"),
        ("|abc", "2rx", "x|xc"),
        ("|abc", "4rx", "|abc"),
        ("|aBc", "~", "A|Bc"),
        ("|aBc", "3~", "Ab|C"),
        ("|a\n  b\nc", "J", "a| b\nc"),
        ("|ab", "ix␛", "|xab"),
        ("|ab", "ax␛", "a|xb"),
        ("  a|b", "Ix␛", "  |xab"),
        ("|ab\nc", "Ax␛", "ab|x\nc"),
        ("|ab\nc", "ox␛", "ab\n|x\nc"),
        ("a|b", "Ox␛", "|x\nab"),
        ("|", "ihello␛", "hell|o"),
        ("|ab", "3ixy␛", "xyxyx|yab"),
    ] {
        check(before, keys, after);
    }
}

#[test]
fn what_was_taken_is_put_back_as_it_was() {
    for (before, keys, after) in [
        ("|ab", "xp", "b|a"),
        ("|ab", "x3p", "baa|a"),
        ("|one two", "ywP", "one| one two"),
        ("|one two", "yw$p", "one twoone| "),
        ("|a\nb", "ddp", "b\n|a"),
        ("a\n|b", "yyP", "a\n|b\nb"),
        ("a\n|b", "Y2p", "a\nb\n|b\nb"),
        ("|a\n\nb", "jyyGp", "a\n\nb\n|"),
        ("a|b", "p", "a|b"),
    ] {
        check(before, keys, after);
    }
}

#[test]
fn changes_are_undone_redone_and_made_again() {
    for (before, keys, after) in [
        ("|one two", "dwu", "|one two"),
        ("|one two", "dwxu", "|two"),
        ("|one two", "dwx2u", "|one two"),
        ("|one two", "dwxuu®", "|two"),
        ("|one", "ihello ␛u", "|one"),
        ("|one two", "cwxy␛u", "|one two"),
        ("|one two three", "dw.", "|three"),
        ("|one two", "cwx␛w.", "x |x"),
        ("|abc", "x2.", "|"),
        ("|a\nb", "A;␛j.", "a;\nb|;"),
        ("|abc", "ix⌫y␛", "|yabc"),
        ("|a", "u®.", "|a"),
    ] {
        check(before, keys, after);
    }
}

#[test]
fn a_selection_is_deleted_yanked_or_changed() {
    for (before, keys, after) in [
        ("|one two", "vd", "|ne two"),
        ("|one two", "ved", "| two"),
        ("one |two", "vbd", "|wo"),
        ("|one two", "veyP", "on|eone two"),
        ("|one two", "vecx␛", "|x two"),
        ("|one two", "v2l~", "|ONE two"),
        ("on|e two", "vlohd", "o|two"),
        ("|one two", "vwv~", "one T|wo"),
        ("|one two", "vw␛~", "one T|wo"),
        ("|one two", "vf d", "|two"),
        ("|a\nb\nc", "vjd", "|\nc"),
        ("|one", "vdu", "|one"),
    ] {
        check(before, keys, after);
    }
}

#[test]
fn esc_goes_to_normal_mode_first_and_what_is_unknown_is_somebody_elses() {
    let mut text = text("|ab");
    let mut vim = Vim::new(VimMode::Insert, &text);
    assert_eq!(vim.key(VimKey::Char('x'), &mut text), VimOutcome::Unknown);
    assert_eq!((vim.key(VimKey::Esc, &mut text), vim.mode()), (VimOutcome::Done, VimMode::Normal));
    vim.key(VimKey::Char('2'), &mut text);
    vim.key(VimKey::Char('d'), &mut text);
    assert_eq!(vim.pending(), "2d");
    assert_eq!((vim.key(VimKey::Esc, &mut text), vim.pending().as_str()), (VimOutcome::Done, ""));
    assert_eq!(vim.key(VimKey::Esc, &mut text), VimOutcome::Unknown);
    assert_eq!(vim.key(VimKey::Char('?'), &mut text), VimOutcome::Unknown);
    assert_eq!(vim.key(VimKey::Char('k'), &mut text), VimOutcome::BeyondStart);
    assert_eq!(vim.key(VimKey::Char('j'), &mut text), VimOutcome::BeyondEnd);
    vim.key(VimKey::Char('v'), &mut text);
    assert_eq!(vim.selection(&text), Some((0, 1)));
}

proptest::proptest! {
    #[test]
    fn no_keys_lead_out_of_the_text(start in "[ab ,\n]{0,12}", keys in "[hjklwbeWBE0^$gGiaIAoOxXdcyspPuvr~.fFtT;,J2␛®]{0,24}") {
        let mut text = text(&start);
        let mut vim = Vim::new(VimMode::Normal, &text);
        for key in keys.chars() {
            type_keys(&mut vim, &mut text, &key.to_string());
            proptest::prop_assert!(text.cursor <= text.units.len());
            if let Some((from, to)) = vim.selection(&text) {
                proptest::prop_assert!(from <= to && to <= text.units.len());
            }
        }
    }
}
