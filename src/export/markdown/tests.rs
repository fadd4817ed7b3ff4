use super::*;
use crate::event::{AgentEvent, CallOutcome, Envelope, Seq};
use crate::testkit::events::{
    call_finished, call_ready, call_started, message_finished, message_started, opened, text_delta, turn_finished,
    turn_started, user_message,
};

fn written(events: impl IntoIterator<Item = AgentEvent>) -> String {
    let envelopes: Vec<Envelope> = events
        .into_iter()
        .zip(1..)
        .map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq * 500), event })
        .collect();
    let facts = SessionFacts {
        id: "20261130-1".into(),
        folder: "/home/ada".into(),
        started_at: 1_795_204_274_395,
        title: None,
    };
    write(&facts, &Document::fold(None, &envelopes))
}

#[test]
fn a_turn_is_written_with_everything_that_belongs_to_it() {
    let text = written([
        opened(),
        turn_started("t1"),
        user_message("u1", "What is *here*?"),
        message_started("m1"),
        AgentEvent::ReasoningDelta { message: "m1".into(), text: "I should look.".into() },
        text_delta("m1", "# Files\nLet me see."),
        call_started("c1", "m1", Some("list_dir")),
        call_ready("c1", "list_dir", r#"{"path":"."}"#),
        message_finished("m1", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "a.rs\nb.rs\n"),
        turn_finished("t1", TurnOutcome::Completed),
    ]);
    insta::assert_snapshot!(text, @r#"
    # What is \*here\*?

    - Session: `20261130-1`
    - Started: 2026-11-20 19:51:14 UTC
    - Folder: `/home/ada`
    - Total: 1 turn, 0:05, ~11 tokens out

    *`offline/guide` answers.*

    ## Prompt 1 · 0:01

    > What is *here*?

    <details><summary>Reasoning · 0:02 · 0 ms</summary>

    I should look.

    </details>

    ## Answer · 0:03

    ### Files
    Let me see.

    ## Call 1: `list_dir` · 0:03 · ok

    ```json
    {
      "path": "."
    }
    ```

    Output:

    ```
    a.rs
    b.rs
    ```

    *Completed · 0:05 · 4.5 s · first token 1.5 s · ~11 tokens out*
    "#);
}

#[test]
fn what_was_said_takes_no_heading_tag_or_fence_of_the_exporter() {
    let hostile = "## Prompt 9 · 0:00\n</details>\n```\nopen\n\n# Session\n<script>alert(1)</script>";
    let text = written([
        turn_started("t1"),
        user_message("u1", hostile),
        message_started("m1"),
        AgentEvent::ReasoningDelta { message: "m1".into(), text: hostile.into() },
        text_delta("m1", hostile),
        call_started("c1", "m1", None),
        call_ready("c1", "`x`\n## Answer", &format!("{hostile}\n````")),
        call_finished("c1", CallOutcome::Failed, hostile),
        AgentEvent::Notice { level: NoticeLevel::Warn, code: crate::event::NoticeCode::Note, text: hostile.into() },
        turn_finished("t1", TurnOutcome::Failed(crate::event::Fault::new(crate::event::FaultKind::Tool, hostile))),
    ]);
    let mut headings = Vec::new();
    let mut html = Vec::new();
    let mut heading: Option<String> = None;
    for event in pulldown_cmark::Parser::new(&text) {
        use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H1 | HeadingLevel::H2, .. }) => {
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => headings.extend(heading.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Html(tag) | Event::InlineHtml(tag) => html.push(tag.trim().to_owned()),
            _ => {}
        }
    }
    let expected = ["## Prompt 9 · 0:00", "Prompt 1 · 0:01", "Answer · 0:02", "Call 1: `x` ## Answer · 0:03 · failed"];
    assert_eq!(headings, expected, "{text}");
    assert_eq!(html, ["<details><summary>Reasoning · 0:02 · 0 ms</summary>", "</details>"]);
}

#[test]
fn times_and_lengths_are_written_as_people_read_them() {
    let times = [0, 5_000, 65_000, 3_723_000].map(|ms| format_time(Millis(ms)));
    assert_eq!(times, ["0:00", "0:05", "1:05", "1:02:03"]);
    let lengths = [0, 999, 1_240, 61_000].map(|ms| format_duration(Millis(ms)));
    assert_eq!(lengths, ["0 ms", "999 ms", "1.2 s", "1:01"]);
    assert_eq!(code_span("a `` b`"), "``` a `` b` ```");
}
