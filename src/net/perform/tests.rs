use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::stream;

use tokio::time::Instant;

use super::*;
use crate::dialect::ResponseHead;
use crate::dialect::chat::ChatDecoder;
use crate::event::Millis;
use crate::event::{Annotation, FinishReason, LinkState, TurnOutcome};
use crate::net::request::{Framing, HttpMethod};

/// One thing a server does.
#[derive(Clone)]
enum DialAct {
    Send(&'static str),
    Wait(u64),
    Break,
    /// Never says anything more.
    Hang,
}

use DialAct::{Break, Hang, Send, Wait};

/// Tries, each answered by a script or refused. Paused time passes at once.
struct ScriptedDial(VecDeque<Result<Vec<DialAct>, RequestFailure>>);

impl Dial for ScriptedDial {
    async fn dial(&mut self) -> Result<HttpResponse, RequestFailure> {
        let acts: VecDeque<DialAct> = self.0.pop_front().expect("one try too many")?.into();
        let body = stream::unfold(acts, |mut acts| async move {
            loop {
                match acts.pop_front()? {
                    Send(text) => return Some((Ok(Bytes::from_static(text.as_bytes())), acts)),
                    Wait(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    Break => {
                        return Some((
                            Err(RequestFailure::transient(FaultKind::Network, "the connection to http://h broke")),
                            acts,
                        ));
                    }
                    Hang => std::future::pending().await,
                }
            }
        });
        Ok(HttpResponse {
            head: ResponseHead::from_content_type("text/event-stream"),
            cookies: Vec::new(),
            body: body.boxed(),
        })
    }
}

const HI: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn call() -> HttpRequest {
    let url = "http://me:secret@h/v1/chat/completions?key=secret".to_owned();
    HttpRequest { method: HttpMethod::Post, url, headers: Vec::new(), body: None, framing: Framing::Sse }
}

/// Runs the tries and returns all that is heard, as short words.
async fn heard(tries: Vec<Result<Vec<DialAct>, RequestFailure>>) -> Vec<String> {
    let (sender, mut receiver) = mpsc::channel(1);
    let patience = RequestPolicy::new(Instant::now());
    let run = async move {
        let call = call();
        run(
            ScriptedDial(tries.into()),
            RequestDriver::new(&call, Box::new(ChatDecoder::new()), &patience, &sender),
            &|_| None,
        )
        .await;
    };
    let listen = async {
        let mut words = Vec::new();
        while let Some(heard) = receiver.recv().await {
            words.push(word(heard));
        }
        words
    };
    tokio::join!(run, listen).1
}

fn word(heard: RequestEvent) -> String {
    match heard {
        RequestEvent::Link(link) => match link {
            LinkState::Waiting { since, limit } => format!("waiting since {} of {}", since.0, limit.unwrap().0),
            LinkState::Loading { since, limit } => format!("loading since {} of {}", since.0, limit.unwrap().0),
            LinkState::Silent { since, limit } => format!("silent since {} of {}", since.0, limit.unwrap().0),
            LinkState::Unproductive { since, limit } => {
                format!("unproductive since {} of {}", since.0, limit.unwrap().0)
            }
            LinkState::Retrying { attempt, at } => format!("retrying {attempt} at {}", at.0),
            LinkState::Lost(_) => "lost".into(),
            other => format!("{other:?}").to_lowercase(),
        },
        RequestEvent::Event(event) => match event {
            ReplyEvent::TextDelta { text, .. } => text,
            ReplyEvent::MessageStarted { .. } => "(".into(),
            ReplyEvent::MessageFinished { finish_reason: FinishReason::End, .. } => ")".into(),
            ReplyEvent::MessageFinished { finish_reason: stop, .. } => format!(") {stop:?}"),
            ReplyEvent::Annotation { annotation: Annotation::FirstToken { ms }, .. } => format!("first token {}", ms.0),
            ReplyEvent::Notice { code, text, .. } => format!("{code}: {text}"),
            ReplyEvent::End { outcome: TurnOutcome::Failed(fault) } => {
                format!("failed {:?}: {fault}", fault.kind)
            }
            ReplyEvent::End { outcome: end } => format!("{end:?}").to_lowercase(),
            other => format!("{other:?}"),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_is_told_in_order() {
    assert_eq!(
        heard(vec![Ok(vec![Wait(1), Send(HI), Send(STOP), Send(DONE)])]).await,
        ["connecting", "live", "(", "first token 1000", "hi", ")", "idle", "completed"]
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_that_came_together_are_one_event() {
    let told = |heard: Vec<String>| heard.into_iter().filter(|word| word.starts_with("hi")).collect::<Vec<_>>();
    let burst = [HI, HI, HI, STOP, DONE].map(Send).to_vec();
    assert_eq!(told(heard(vec![Ok(burst)]).await), ["hihihi"]);
    let paced = vec![Send(HI), Wait(1), Send(HI), Send(STOP), Send(DONE)];
    assert_eq!(told(heard(vec![Ok(paced)]).await), ["hi", "hi"]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_and_in_the_end_cut() {
    assert_eq!(
        heard(vec![Ok(vec![Send(HI), Hang])]).await,
        [
            "connecting",
            "live",
            "(",
            "first token 0",
            "hi",
            "silent since 0 of 90000",
            ") Interrupted",
            "lost",
            "failed TimedOut: http://h sent nothing for 90 s during its response; retry, or raise idle_timeout"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_may_take_longer_and_is_not_asked_for_twice() {
    assert_eq!(
        heard(vec![Ok(vec![Hang])]).await,
        [
            "connecting",
            "live",
            "waiting since 0 of 300000",
            "lost",
            "failed TimedOut: http://h did not start its response within 5 min; it may be loading a model: retry, or raise first_byte_timeout"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn keep_alives_calm_the_first_watchdog_and_not_the_second() {
    let mut acts = Vec::new();
    for _ in 0..200 {
        acts.extend([Wait(15), Send(": keep-alive\n\n")]);
    }
    let words = heard(vec![Ok(acts)]).await;
    assert_eq!(words[..4], ["connecting", "live", "waiting since 0 of 300000", "unproductive since 0 of 900000"]);
    assert_eq!(
        words[4..],
        [
            "lost",
            "failed TimedOut: http://h sends keep-alives but no content for 15 min; retry, or raise no_output_timeout"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_usable_event_makes_the_line_live_again() {
    let words = heard(vec![Ok(vec![Wait(4), Send(HI), Wait(4), Send(HI), Send(DONE)])]).await;
    assert_eq!(
        words,
        [
            "connecting",
            "live",
            "waiting since 0 of 300000",
            "live",
            "(",
            "first token 4000",
            "hi",
            "silent since 4000 of 90000",
            "live",
            "hi",
            ")",
            "idle",
            "completed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_break_in_mid_answer_keeps_the_text_and_is_not_tried_again() {
    assert_eq!(
        heard(vec![Ok(vec![Send(HI), Break])]).await[2..],
        [
            "(",
            "first token 0",
            "hi",
            "lost",
            "cut: the connection to http://h broke; the partial response is kept",
            ") Interrupted",
            "interrupted"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_its_end_was_cut_even_if_the_connection_was_closed_in_order() {
    let text = "cut: http://h closed the connection before the response was complete; the partial response is kept";
    assert_eq!(heard(vec![Ok(vec![Send(HI)])]).await[4..], ["hi", "lost", ") Interrupted", text, "interrupted"]);
}

#[tokio::test(start_paused = true)]
async fn a_break_or_silence_after_the_finish_reason_is_no_loss() {
    for last in [Break, Hang] {
        let words = heard(vec![Ok(vec![Send(HI), Send(STOP), last])]).await;
        assert_eq!(words.last().unwrap(), "completed");
        assert!(!words.iter().any(|word| word.starts_with("cut")), "{words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_the_first_byte_is_tried_again() {
    let busy = RequestFailure::transient(FaultKind::Upstream, "http://h returned 503");
    let words = heard(vec![Err(busy), Ok(vec![Wait(2), Break]), Ok(vec![Send(HI), Send(DONE)])]).await;
    let starts = [
        "connecting",
        "retrying 2 at ",
        "retry: http://h returned 503; retrying in 0.",
        "connecting",
        "live",
        "retrying 3 at ",
        "retry: the connection to http://h broke; retrying in 0.",
        "connecting",
        "live",
        "(",
        "first token",
        "hi",
        ")",
        "idle",
        "completed",
    ];
    assert_eq!(words.len(), starts.len(), "{words:?}");
    for (word, start) in words.iter().zip(starts) {
        assert!(word.starts_with(start), "{word:?} {start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tries_are_counted_and_the_last_fault_is_told() {
    let busy = |n| Err(RequestFailure::transient(FaultKind::Upstream, format!("busy {n}")));
    let words = heard((1..=4).map(busy).collect()).await;
    assert_eq!(words.iter().filter(|word| word.starts_with("retry: ")).count(), 3);
    assert_eq!(words.last().unwrap(), "failed Upstream: busy 4");
}

#[tokio::test(start_paused = true)]
async fn the_server_says_when_to_come_back_within_reason() {
    let limited = |seconds: u64| {
        let mut failure = RequestFailure::transient(FaultKind::RateLimited, "slow down");
        failure.fault.retry_after = Some(Millis(seconds * 1000));
        Err(failure)
    };
    let words = heard(vec![limited(7), Ok(vec![Send(HI), Send(DONE)])]).await;
    assert!(words[1].starts_with("retrying 2 at 7"), "{words:?}");
    assert_eq!(heard(vec![limited(3600)]).await, ["connecting", "idle", "failed RateLimited: slow down"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_is_not_tried_again() {
    let refused = RequestFailure::permanent(FaultKind::Auth, "no key");
    assert_eq!(heard(vec![Err(refused)]).await, ["connecting", "idle", "failed Auth: no key"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_and_nothing_at_all_are_named() {
    let page = heard(vec![Ok(vec![Send("<!doctype html><p>")])]).await;
    let text = "failed Protocol: http://h returned a web page instead of a stream; check the URL";
    assert_eq!(page.last().unwrap(), text);
    let words = heard(vec![Ok(vec![Send("upstream is down")])]).await;
    let text = "failed Protocol: http://h did not return a stream: upstream is down; check the URL";
    assert_eq!(words.last().unwrap(), text);
    let nothing = heard(vec![Ok(vec![])]).await;
    let text = "failed Protocol: http://h sent an empty response, as some servers do when the conversation is too long for the model; retry, start a new session, or check the server's log";
    assert_eq!(nothing.last().unwrap(), text);
}

#[tokio::test(start_paused = true)]
async fn json_in_place_of_a_stream_is_an_answer_or_an_error() {
    let whole = heard(vec![Ok(vec![
        Send("{\"choices\":[{\"message\":{\"content\":\"hi\"},"),
        Send("\"finish_reason\":\"stop\"}]}"),
    ])])
    .await;
    assert_eq!(whole.last().unwrap(), "completed");
    let error = heard(vec![Ok(vec![Send("{\"error\":\"no such model\"}")])]).await;
    assert_eq!(error.last().unwrap(), "failed Upstream: the server reported an error in its response: no such model");
    let other = heard(vec![Ok(vec![Send("{\"status\":\"ok\"}")])]).await;
    let text = "failed Protocol: http://h returned JSON that is not a response: {\"status\":\"ok\"}; check the URL";
    assert_eq!(other.last().unwrap(), text);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_leads_to_another_request_is_no_end() {
    let (sender, mut receiver) = mpsc::channel(8);
    let patience = RequestPolicy::new(Instant::now());
    let refusal = Some("a field is missing".to_owned());
    let refused = RequestFailure { refusal, ..RequestFailure::permanent(FaultKind::BadRequest, "refused") };
    for (takes_it, end) in [(true, None), (false, Some("failed"))] {
        let call = call();
        let driver = RequestDriver::new(&call, Box::new(ChatDecoder::new()), &patience, &sender);
        let replan = |words: &str| takes_it.then(|| format!("once more, for {words}"));
        let replanned = run(ScriptedDial(VecDeque::from([Err(refused.clone())])), driver, &replan).await;
        assert_eq!(replanned.as_deref(), takes_it.then_some("once more, for a field is missing"));
        let mut words = Vec::new();
        while let Ok(heard) = receiver.try_recv() {
            words.push(word(heard));
        }
        assert_eq!(
            words.iter().find_map(|word| word.split_whitespace().find(|word| *word == "failed")),
            end,
            "{words:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deaf_listener_ends_the_call() {
    let (sender, receiver) = mpsc::channel(8);
    drop(receiver);
    let patience = RequestPolicy::new(Instant::now());
    run(
        ScriptedDial(VecDeque::from([Ok(vec![Hang])])),
        RequestDriver::new(&call(), Box::new(ChatDecoder::new()), &patience, &sender),
        &|_| None,
    )
    .await;
    assert_eq!(patience.epoch.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_keep_alive_before_silence_is_still_silence() {
    let words =
        heard(vec![Ok(vec![Send(HI), Wait(1), Send(": keep-alive\n\n"), Wait(40), Send(HI), Send(DONE)])]).await;
    let links: Vec<_> = words.iter().filter(|word| word.starts_with("silent") || word.starts_with("unp")).collect();
    assert_eq!(links, ["silent since 1000 of 90000"]);
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_no_limit() {
    for (idle, no_output) in [(Duration::ZERO, Duration::ZERO), (Duration::MAX, Duration::MAX)] {
        let patience =
            RequestPolicy { idle_timeout: idle, no_output_timeout: no_output, ..RequestPolicy::new(Instant::now()) };
        let (sender, mut receiver) = mpsc::channel(64);
        let script = vec![Send(HI), Wait(1_000_000), Send(HI), Send(DONE)];
        run(
            ScriptedDial(VecDeque::from([Ok(script)])),
            RequestDriver::new(&call(), Box::new(ChatDecoder::new()), &patience, &sender),
            &|_| None,
        )
        .await;
        drop(sender);
        let mut last = String::new();
        while let Some(heard) = receiver.recv().await {
            last = word(heard_limit(heard));
        }
        assert_eq!(last, "completed");
    }
}

/// Gives a silence without limit one, so that it has a word.
fn heard_limit(heard: RequestEvent) -> RequestEvent {
    match heard {
        RequestEvent::Link(LinkState::Silent { since, limit }) => {
            assert_eq!(limit, None);
            RequestEvent::Link(LinkState::Silent { since, limit: Some(Millis(0)) })
        }
        other => other,
    }
}

#[test]
fn a_call_can_run_in_a_task() {
    fn sendable(_: impl std::marker::Send) {}
    let (sender, _) = mpsc::channel(1);
    let patience = RequestPolicy::new(Instant::now());
    sendable(perform(&HttpClient::default(), &call(), Box::new(ChatDecoder::new()), &patience, &sender));
}

fn loading() -> RequestFailure {
    let fault = Fault::new(FaultKind::Upstream, "http://h returned 503 service unavailable: Loading model");
    RequestFailure { is_retryable: true, is_loading: true, ..fault.into() }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_loads_its_model_is_waited_for_however_often_it_says_so() {
    let mut tries: Vec<_> = (0..40).map(|_| Err(loading())).collect();
    tries.push(Ok(vec![Send(HI), Send(STOP), Send(DONE)]));
    let heard = heard(tries).await;
    assert_eq!(
        heard[..4],
        [
            "connecting",
            "loading: http://h is loading its model; the prompt waits for it (Esc interrupts)",
            "loading since 0 of 300000",
            "live"
        ]
    );
    assert_eq!(heard[6..], ["hi", ")", "idle", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_loads_for_longer_than_the_first_byte_may_take_is_given_up() {
    let heard = heard((0..400).map(|_| Err(loading())).collect()).await;
    assert_eq!(
        heard.last().unwrap(),
        "failed TimedOut: http://h is still loading its model after 5 min; retry, or raise first_byte_timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_model_that_nobody_wants_any_more() {
    let (sender, mut receiver) = mpsc::channel(4);
    let patience = RequestPolicy::new(Instant::now());
    let run = async {
        let tries = (0..400).map(|_| Err(loading())).collect();
        run(
            ScriptedDial(tries),
            RequestDriver::new(&call(), Box::new(ChatDecoder::new()), &patience, &sender),
            &|_| None,
        )
        .await;
        patience.epoch.elapsed()
    };
    let leave = async {
        while !matches!(receiver.recv().await, Some(RequestEvent::Link(LinkState::Loading { .. }))) {}
        drop(receiver);
    };
    assert!(tokio::join!(run, leave).0 < Duration::from_secs(5));
}
