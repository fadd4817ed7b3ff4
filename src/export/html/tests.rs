use super::*;
use crate::event::{
    AgentEvent, CallOutcome, Envelope, Millis, NoticeCode, NoticeLevel, PromptContext, PromptImage, Seq,
};
use crate::event::{TurnOutcome, user_message};
use crate::testkit::events::{
    call_finished, call_ready, call_started, message_started, text_delta, turn_finished, turn_started,
};
use crate::testkit::images::PNG_2X3;

fn page(events: impl IntoIterator<Item = AgentEvent>) -> String {
    let envelopes: Vec<Envelope> = events
        .into_iter()
        .zip(1..)
        .map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq * 500), event })
        .collect();
    let facts = SessionFacts { id: "s".into(), folder: "/home/<ada>".into(), started_at: 0, title: None };
    write(&facts, &Document::fold(None, &envelopes))
}

fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    page.split_once(start).unwrap().1.split_once(end).unwrap().0
}

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{script}{items}]]><!--";

#[test]
fn the_policy_names_the_style_and_the_script_that_are_there() {
    let page = page([]);
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
    assert!(policy.contains(&format!("style-src '{}'", hash(between(&page, "<style>", "</style>")))));
    assert!(
        policy.contains(&format!("script-src '{}'", hash(between(&page, "<script type=\"module\">", "</script>"))))
    );
    assert!(policy.starts_with("default-src 'none';"));
    for unsafe_word in ["unsafe", "http", "*", "connect-src"] {
        assert!(!policy.contains(unsafe_word), "{policy}");
    }
}

#[test]
fn what_was_said_is_text_wherever_it_stands() {
    let page = page([
        turn_started("t1"),
        AgentEvent::UserMessage { message: "u1".into(), text: HOSTILE.into() },
        message_started("m1"),
        AgentEvent::ReasoningDelta { message: "m1".into(), text: HOSTILE.into() },
        text_delta("m1", HOSTILE),
        call_started("c1", "m1", Some(HOSTILE)),
        call_ready("c1", HOSTILE, HOSTILE),
        call_finished("c1", CallOutcome::Failed, HOSTILE),
        AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Other(HOSTILE.into()), text: HOSTILE.into() },
        turn_finished("t1", TurnOutcome::Failed(crate::event::Fault::new(crate::event::FaultKind::Tool, HOSTILE))),
    ]);
    assert_eq!(page.matches("<script").count(), 2, "the times and the player");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<ada>"));
    assert!(page.matches("{script}{items}").count() > 5, "no text of others is a template");
}

#[test]
fn every_item_has_its_times() {
    let page = page([
        turn_started("t1"),
        AgentEvent::UserMessage { message: "u1".into(), text: "hi".into() },
        message_started("m1"),
        text_delta("m1", "one "),
        text_delta("m1", "two"),
        call_started("c1", "m1", Some("shell")),
        call_finished("c1", CallOutcome::Failed, "x"),
        turn_finished("t1", TurnOutcome::Completed),
    ]);
    let times = between(&page, "type=\"application/json\">", "</script>");
    let times: serde_json::Value = serde_json::from_str(times).unwrap();
    let expected = serde_json::json!([
        [1000, 1000, "prompt", []],
        [2000, 2500, "", [0, 4, 500, 3]],
        [3000, 3500, "call error", []],
        [4000, 4000, "", []]
    ]);
    assert_eq!(times, expected);
    assert_eq!(page.matches("<article ").count(), 4);
}

#[test]
fn images_of_a_prompt_are_in_the_page_and_what_is_none_is_not() {
    let image = PromptImage::new(PNG_2X3).unwrap();
    let mut lie = image.clone();
    lie.width = Some(99);
    let context = vec![
        PromptContext::from_image("a\"b.png".into(), image.clone()),
        PromptContext::from_image("lie.png".into(), lie),
    ];
    let page = page(user_message("u1".into(), "look", context));
    assert_eq!(page.matches("<img ").count(), 1);
    assert!(page.contains(&format!("src=\"{}\" alt=\"a&quot;b.png\"", image.data_url())));
}

#[test]
fn the_script_makes_no_markup_of_text_and_asks_nobody() {
    let script = join_scripts();
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "srcdoc",
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "</script",
        "import ",
        "http:",
        "https:",
    ] {
        assert!(!script.contains(way), "{way}");
    }
    assert!(!PAGE.contains(" style=") && !PAGE.contains("javascript:"));
}
