use std::fs;

use serde_json::json;

use super::*;
use crate::event::{CallOutcome, HunkNote};
use crate::tool::Tool as _;
use crate::tool::checked_path::tests::ctx;
use crate::tool::edit_file::EditFile;
use crate::tool::write_file::WriteFile;

/// Forty lines, of which the second, the twentieth and the last may say something else.
fn lines(second: &str, middle: &str, last: &str) -> String {
    (1..=40)
        .map(|number| match number {
            2 => format!("{second}\n"),
            20 => format!("{middle}\n"),
            40 => last.to_owned(),
            _ => format!("line {number}\n"),
        })
        .collect()
}

fn taken(hunks: &[u32], notes: &[(u32, &str)]) -> HunkDecision {
    let note = |(hunk, text): &(u32, &str)| HunkNote { hunk: *hunk, text: (*text).into() };
    HunkDecision { taken: hunks.to_vec(), notes: notes.iter().map(note).collect() }
}

#[test]
fn any_choice_of_hunks_changes_just_those() {
    let (before, after) = (lines("a", "b", "c"), lines("A", "B\nB2", "C\n"));
    let diff = FileDiff::new("x", &before, &after);
    assert_eq!(diff.text().1, 3);
    for choice in 0..8u32 {
        let hunks: Vec<u32> = (1..=3).filter(|hunk| choice & 1 << (hunk - 1) != 0).collect();
        let pick =
            |hunk: u32, old: &str, new: &str| if hunks.contains(&hunk) { new.to_owned() } else { old.to_owned() };
        let expected = lines(&pick(1, "a", "A"), &pick(2, "b", "B\nB2"), &pick(3, "c", "C\n"));
        assert_eq!(diff.with_hunks(&hunks), expected, "{hunks:?}");
    }
}

#[test]
fn a_single_hunk_and_a_diff_that_is_cut_are_decided_as_a_whole() {
    assert_eq!(FileDiff::new("x", "a\n", "b\n").text().1, 0);
    let (before, mut after) = (lines("a", "b", "c"), lines("A", &"B\n".repeat(200_000), "C"));
    after.push('\n');
    let (text, hunks) = FileDiff::new("x", &before, &after).text();
    assert!(text.len() < 300_000 && hunks == 0);
}

#[tokio::test]
async fn a_tool_writes_what_was_taken_and_tells_what_was_not_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let (before, after) = (lines("a", "b", "c\n"), lines("A", "B", "C\n"));
    fs::write(&path, &before).unwrap();
    let mut ctx = ctx(folder.path());
    let args = json!({"path": "x", "content": after});
    let shown = WriteFile.describe(&args, &ctx).await.unwrap();
    assert_eq!(shown.hunks, 3);
    let decision = taken(&[1, 3], &[(2, "leave the middle"), (3, "good")]);
    ctx.approved_hunks = Some(ApprovedHunks { diff: shown.detail, decision }.into());
    let result = WriteFile.run(&args, &ctx).await;
    assert_eq!(result.outcome, CallOutcome::Ok);
    assert_eq!(fs::read_to_string(&path).unwrap(), lines("A", "b", "C\n"));
    let text = result.text;
    let begin = "applied hunks 1 and 3 of 3 to `x`; the user left out hunk 2, which was not applied\n\
                 notes of the user:\non hunk 2 (@@ -17,7 +17,7 @@): leave the middle\non hunk 3 (@@ -37,4 +37,4 @@): good\n\
                 applied:\n--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n line 1\n-a\n+A\n";
    assert!(text.starts_with(begin), "{text}");
    let (applied, not_applied) = text.split_once("\nnot applied:\n").unwrap();
    assert!(applied.contains("+C") && !applied.contains("+B"), "{text}");
    assert!(not_applied.starts_with("@@ -17,7 +17,7 @@\n") && not_applied.contains("\n+B\n"), "{text}");
    assert!(!not_applied.contains("+C"), "{text}");
}

#[tokio::test]
async fn an_edit_of_several_places_is_taken_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, lines("old", "old", "end\n")).unwrap();
    let mut ctx = ctx(folder.path());
    let args = json!({"path": "x", "old": "old", "new": "new", "all": true});
    let shown = EditFile.describe(&args, &ctx).await.unwrap();
    assert_eq!(shown.hunks, 2);
    ctx.approved_hunks = Some(ApprovedHunks { diff: shown.detail, decision: taken(&[2], &[]) }.into());
    assert_eq!(EditFile.run(&args, &ctx).await.outcome, CallOutcome::Ok);
    assert_eq!(fs::read_to_string(&path).unwrap(), lines("old", "new", "end\n"));
}

#[tokio::test]
async fn nothing_is_written_where_the_file_is_another_than_was_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, lines("a", "b", "c\n")).unwrap();
    let mut ctx = ctx(folder.path());
    let args = json!({"path": "x", "content": lines("A", "B", "C\n")});
    let shown = WriteFile.describe(&args, &ctx).await.unwrap();
    let changed = lines("a", "somebody else", "c\n");
    fs::write(&path, &changed).unwrap();
    for decision in [taken(&[1], &[]), taken(&[1, 9], &[])] {
        ctx.approved_hunks = Some(ApprovedHunks { diff: shown.detail.clone(), decision }.into());
        let result = WriteFile.run(&args, &ctx).await;
        assert_eq!(result.outcome, CallOutcome::Failed);
        assert!(result.text.contains("changed after its hunks were decided"), "{}", result.text);
        assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    }
}
