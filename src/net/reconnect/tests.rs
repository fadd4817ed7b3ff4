use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::*;
use crate::dialect::chat::ChatDecoder;
use crate::net::request::HttpMethod;

/// One connection of a scripted server: the id it must be asked for, and what it does.
struct ScriptedConnection {
    after: Option<&'static str>,
    answer: Result<(u16, Vec<&'static str>), RequestFailure>,
}

struct ScriptedResumingDial(VecDeque<ScriptedConnection>);

impl Dial for ScriptedResumingDial {
    async fn dial(&mut self, after: Option<&str>) -> Result<HttpResponse, RequestFailure> {
        let next = self.0.pop_front().expect("one try too many");
        assert_eq!(after, next.after, "the id to go on after");
        let (status, pieces) = next.answer?;
        let pieces: Vec<_> = pieces
            .into_iter()
            .map(|piece| match piece {
                "BREAK" => Err(RequestFailure::transient(FaultKind::Network, "the connection broke")),
                text => Ok(Bytes::from_static(text.as_bytes())),
            })
            .collect();
        Ok(HttpResponse {
            head: ResponseHead::new(status, [("content-type", "text/event-stream".to_owned())]),
            cookies: Vec::new(),
            body: stream::iter(pieces).boxed(),
        })
    }
}

fn open(after: Option<&'static str>, pieces: &[&'static str]) -> ScriptedConnection {
    ScriptedConnection { after, answer: Ok((200, pieces.to_vec())) }
}

/// Watches the tries and returns all that is heard as short words.
async fn heard(tries: Vec<ScriptedConnection>) -> Vec<String> {
    heard_with(&|| Box::new(ChatDecoder::new()), tries).await
}

async fn heard_with(decoders: DecoderFactory<'_>, tries: Vec<ScriptedConnection>) -> Vec<String> {
    let (sender, mut receiver) = mpsc::channel(1);
    let patience = RequestPolicy { max_retries: 3, idle_timeout: Duration::ZERO, ..RequestPolicy::new(Instant::now()) };
    let call = HttpRequest {
        method: HttpMethod::Get,
        url: "http://h/stream".into(),
        headers: Vec::new(),
        body: None,
        framing: Framing::Any,
    };
    let run = async move {
        run(ScriptedResumingDial(tries.into()), &call, decoders, &patience, &sender).await;
    };
    let listen = async {
        let mut words = Vec::new();
        while let Some(heard) = receiver.recv().await {
            words.extend(word(heard));
        }
        words
    };
    tokio::join!(run, listen).1
}

/// Somebody who can't wait ends the pause before the next try, and no later one.
#[tokio::test(start_paused = true)]
async fn the_next_try_comes_at_once_when_it_is_asked_for() {
    let down = || ScriptedConnection {
        after: None,
        answer: Err(RequestFailure::transient(FaultKind::Network, "connection refused")),
    };
    let retry_now = std::sync::Arc::new(tokio::sync::Notify::new());
    let patience =
        RequestPolicy { max_retries: 3, retry_now: Some(retry_now.clone()), ..RequestPolicy::new(Instant::now()) };
    let call = HttpRequest {
        method: HttpMethod::Get,
        url: "http://h/stream".into(),
        headers: Vec::new(),
        body: None,
        framing: Framing::Any,
    };
    let (sender, mut receiver) = mpsc::channel(64);
    let begun = Instant::now();
    let asked = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        retry_now.notify_waiters();
    };
    let script = [down(), open(None, &["data: [DONE]\n\n"])];
    let dial = ScriptedResumingDial(script.into());
    let decoders: DecoderFactory<'_> = &|| Box::new(ChatDecoder::new());
    tokio::join!(run(dial, &call, decoders, &patience, &sender), asked);
    assert_eq!(begun.elapsed(), Duration::from_millis(1));
    drop(sender);
    let mut words = Vec::new();
    while let Some(heard) = receiver.recv().await {
        words.extend(word(heard));
    }
    assert!(words.contains(&"try 1".to_owned()), "{words:?}");
}

fn word(heard: RequestEvent) -> Option<String> {
    Some(match heard {
        RequestEvent::Event(ReplyEvent::TextDelta { text, .. }) => text,
        RequestEvent::Event(ReplyEvent::Notice { code, .. }) => format!("({code})"),
        RequestEvent::Event(ReplyEvent::End { outcome: end }) => match end {
            TurnOutcome::Failed(fault) => format!("failed: {}", fault.kind.name()),
            end => format!("{end:?}").to_lowercase(),
        },
        RequestEvent::Link(LinkState::Retrying { attempt, .. }) => format!("try {attempt}"),
        RequestEvent::Link(LinkState::Lost(_)) => "lost".to_owned(),
        RequestEvent::Event(_) | RequestEvent::Link(_) => return None,
    })
}

const A: &str = "id: 0\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const B: &str = "id: 1\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n";
const C: &str = "id: 2\ndata: {\"choices\":[{\"delta\":{\"content\":\"c\"},\"finish_reason\":\"stop\"}]}\n\n";
const E: &str = "id: 4\ndata: {\"choices\":[{\"delta\":{\"content\":\"e\"},\"finish_reason\":\"stop\"}]}\n\n";
const PLAIN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"p\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"!\"},\"finish_reason\":\"stop\"}]}\n\n";
const OTHER: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"o\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test(start_paused = true)]
async fn a_broken_stream_goes_on_after_its_last_id() {
    let tries = vec![open(None, &[A, B, "BREAK"]), open(Some("1"), &[C, DONE])];
    assert_eq!(heard(tries).await, ["a", "b", "try 1", "(retry)", "(resumed)", "c", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_tells_all_again_is_not_heard_twice() {
    let tries = vec![open(None, &[A, B]), open(Some("1"), &[A, B, C])];
    assert_eq!(heard(tries).await, ["a", "b", "try 1", "(retry)", "(resumed)", "c", "completed"]);
    let tries = vec![open(None, &[PLAIN]), open(None, &[PLAIN, END])];
    assert_eq!(heard(tries).await, ["p", "try 1", "(retry)", "(resumed)", "!", "completed"]);
}

/// Two messages of a durable stream and where it goes on; one more without that; that one again with the end; its closing.
const LISTED: &str = "event: data\ndata: [{\"choices\":[{\"delta\":{\"content\":\"a\"}}]},{\"choices\":[{\"delta\":\
                      {\"content\":\"b\"}}]}]\n\nevent: control\ndata: {\"streamNextOffset\":\"5\",\"upToDate\":true}\n\n";
const UNTOLD: &str = "event: data\ndata: [{\"choices\":[{\"delta\":{\"content\":\"c\"}}]}]\n\n";
const LISTED_AGAIN: &str = "event: data\ndata: [{\"choices\":[{\"delta\":{\"content\":\"c\"}}]},{\"choices\":[{\"delta\":\
                            {\"content\":\"!\"},\"finish_reason\":\"stop\"}]}]\n\n";
const CLOSED: &str = "event: control\ndata: {\"streamNextOffset\":\"9\",\"streamClosed\":true}\n\n";

#[tokio::test(start_paused = true)]
async fn a_durable_stream_goes_on_behind_its_offset_until_it_is_closed() {
    let tries = vec![open(None, &[LISTED, UNTOLD, "BREAK"]), open(Some("5#0"), &[LISTED_AGAIN, CLOSED])];
    assert_eq!(heard(tries).await, ["a", "b", "c", "try 1", "(retry)", "(resumed)", "!", "completed"]);
    let tries = vec![open(None, &[LISTED]), open(Some("#1"), &[CLOSED])];
    assert_eq!(heard(tries).await, ["a", "b", "try 1", "(retry)", "interrupted"]);
}

#[tokio::test(start_paused = true)]
async fn missing_frames_are_a_gap() {
    let tries = vec![open(None, &[A, B, "BREAK"]), open(Some("1"), &[E, DONE])];
    assert_eq!(heard(tries).await, ["a", "b", "try 1", "(retry)", "(gap)", "e", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn another_answer_ends_the_first_one() {
    let tries = vec![open(None, &[PLAIN, "BREAK"]), open(None, &[OTHER, END])];
    assert_eq!(heard(tries).await, ["p", "try 1", "(retry)", "interrupted", "(gap)", "o", "!", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn no_content_means_stop() {
    let tries = vec![open(None, &[A, "BREAK"]), ScriptedConnection { after: Some("0"), answer: Ok((204, vec![])) }];
    assert_eq!(heard(tries).await, ["a", "try 1", "(retry)", "(no_more)", "interrupted"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_gets_nowhere_is_given_up_with_its_text() {
    let tries = vec![
        open(None, &[PLAIN]),
        open(None, &[PLAIN]),
        ScriptedConnection {
            after: None,
            answer: Err(RequestFailure::permanent(FaultKind::Network, "nothing answers")),
        },
        open(None, &["BREAK"]),
    ];
    let words = ["p", "try 1", "(retry)", "try 2", "(retry)", "try 3", "(retry)", "lost", "(cut)", "interrupted"];
    assert_eq!(heard(tries).await, words);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_told_once() {
    let tries =
        vec![ScriptedConnection { after: None, answer: Err(RequestFailure::permanent(FaultKind::Auth, "401")) }];
    assert_eq!(heard(tries).await, ["lost", "failed: auth"]);
    let tries = vec![open(None, &["<html>"])];
    assert_eq!(heard(tries).await, ["failed: protocol"]);
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_wait() {
    let began = Instant::now();
    let tries = vec![open(None, &["retry: 9000\n", A]), open(Some("0"), &[B, C])];
    heard(tries).await;
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(9) && waited < Duration::from_secs(10), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_begins_anew_each_time_is_given_up() {
    const OTHERS: [&str; 4] = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"1\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"2\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"3\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"4\"}}]}\n\n",
    ];
    let words = heard(OTHERS.iter().map(|text| open(None, std::slice::from_ref(text))).collect()).await;
    assert_eq!(words.last().map(String::as_str), Some("interrupted"));
    assert!(words.contains(&"lost".to_owned()), "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn one_piece_of_json_is_no_stream() {
    assert_eq!(
        heard(vec![open(None, &["{\"object\":\"list\",\"data\":[]}"])]).await.last().unwrap(),
        "failed: protocol"
    );
}

const ONE: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"1\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const TWO: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"2\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

#[tokio::test(start_paused = true)]
async fn a_stream_holds_as_many_answers_as_its_server_gives() {
    assert_eq!(heard(vec![open(None, &[ONE, ": still here\n\n", TWO])]).await, ["1", "completed", "2", "completed"]);
    let tries = vec![open(None, &[ONE, PLAIN]), open(None, &[ONE, PLAIN, END])];
    assert_eq!(heard(tries).await, ["1", "completed", "p", "try 1", "(retry)", "(resumed)", "!", "completed"]);
    assert_eq!(heard(vec![open(None, &[ONE, ": bye\n\n"])]).await, ["1", "completed"]);
    // An answer that is over is not missing anything, however the connection ends.
    assert_eq!(heard(vec![open(None, &[ONE, "BREAK"])]).await, ["1", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_ids_goes_on_between_two_answers() {
    let tries = vec![open(None, &[A, C, DONE, "BREAK"]), open(Some("2"), &[E, DONE])];
    assert_eq!(
        heard(tries).await,
        ["a", "c", "completed", "try 1", "(retry)", "(gap)", "e", "completed"],
        "frame 3 is missing"
    );
    let over = ScriptedConnection { after: Some("2"), answer: Ok((204, vec![])) };
    assert_eq!(heard(vec![open(None, &[C, DONE, "BREAK"]), over]).await, ["c", "completed", "try 1", "(retry)"]);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_after_an_answer_is_told_beside_it() {
    let wide = Box::leak(format!("data: {}", "x".repeat(9 * 1024 * 1024)).into_boxed_str());
    assert_eq!(heard(vec![open(None, &[ONE, wide])]).await, ["1", "completed", "(stream)"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_that_the_server_asks_for_is_waited_for() {
    let began = Instant::now();
    let fault = Fault { retry_after: Some(Millis(600_000)), ..Fault::new(FaultKind::RateLimited, "429") };
    let busy = ScriptedConnection { after: None, answer: Err(RequestFailure { is_retryable: true, ..fault.into() }) };
    assert_eq!(heard(vec![busy, open(None, &[ONE])]).await, ["try 1", "(retry)", "1", "completed"]);
    assert_eq!(began.elapsed().as_secs(), 600);
}

/// Repeats the head of its response for each frame, and is done.
#[derive(Default)]
struct HeadDecoder(String);

impl Decode for HeadDecoder {
    fn begin_response(&mut self, head: &ResponseHead) {
        self.0 = format!("{:?} {}", head.status(), head.content_type());
    }

    fn decode_frame(&mut self, _: &SseFrame, out: &mut Vec<ReplyEvent>) {
        out.push(ReplyEvent::Notice {
            level: NoticeLevel::Info,
            code: NoticeCode::Other(self.0.clone()),
            text: String::new(),
        });
    }

    fn finish(&mut self, _: &mut Vec<ReplyEvent>) {}

    fn is_done(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn the_decoder_of_each_answer_in_a_stream_is_given_its_head() {
    let words = heard_with(&|| Box::<HeadDecoder>::default(), vec![open(None, &[A, B])]).await;
    assert_eq!(words, ["(Some(200) text/event-stream)"; 2]);
}
