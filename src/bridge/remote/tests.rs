use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::dialect::chat::ChatDecoder;
use crate::dialect::claude_code::ClaudeCodeDecoder;
use crate::event::{CallOutcome, NoticeCode, grammar};
use crate::net::traffic::TrafficTap;
use crate::testkit::events::Opened;

const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\",\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"clock\",\"arguments\":\"{}\"}}]}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

fn opened() -> AgentEvent {
    Opened { capabilities: Capabilities { cancel: true, ..Capabilities::default() }, ..Opened::default() }.event()
}

fn watched(path: &Path, paced: bool) -> WatchedStream {
    WatchedStream {
        source: StreamSource::File { path: path.to_owned(), paced, ring: TrafficRing::default() },
        decoder_factory: Arc::new(|| Box::new(ChatDecoder::new())),
        opened: opened(),
        stays_open: false,
    }
}

async fn played(contents: &[u8], paced: bool) -> Vec<AgentEvent> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(contents).unwrap();
    let mut tasks = JoinSet::new();
    let mut feed = start(watched(file.path(), paced), &mut tasks);
    let mut events = Vec::new();
    while let Some(event) = feed.events.recv().await {
        events.push(event);
    }
    assert_eq!(grammar::check(&events), [], "{events:?}");
    events
}

fn ends(events: &[AgentEvent]) -> Vec<TurnOutcome> {
    events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::TurnFinished { outcome: end, .. } => Some(end.clone()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_saved_stream_holds_as_many_answers_as_it_held() {
    let events = played(STREAM.repeat(3).as_bytes(), false).await;
    assert_eq!(ends(&events), [TurnOutcome::Completed, TurnOutcome::Completed, TurnOutcome::Completed]);
}

#[tokio::test]
async fn counts_behind_the_end_are_no_other_answer() {
    let counts = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";
    let events = played(format!("{STREAM}{counts}").as_bytes(), false).await;
    assert_eq!(ends(&events), [TurnOutcome::Completed]);
}

#[tokio::test]
async fn a_saved_stream_is_told_at_once_and_its_calls_stay_requests() {
    let events = played(STREAM.as_bytes(), false).await;
    assert_eq!(ends(&events), [TurnOutcome::Completed]);
    let outcome = events.iter().find_map(|event| match event {
        AgentEvent::ToolCallFinished { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(outcome, Some(CallOutcome::Requested));
}

#[tokio::test]
async fn a_stream_cut_anywhere_is_interrupted_and_legal() {
    for at in (0..STREAM.len()).step_by(7) {
        let events = played(&STREAM.as_bytes()[..at], false).await;
        let end = ends(&events);
        assert_eq!(end.len(), 1, "at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_played_in_its_time_answer_by_answer() {
    let answer = |at| {
        format!(
            "{{\"kind\":\"recording\",\"format\":1,\"at\":{at},\"method\":\"POST\",\"url\":\"http://h/\",\"status\":200,\"content_type\":\"text/event-stream\"}}\n"
        )
    };
    let (left, right) = STREAM.split_at(60);
    let piece = |at: u64, text: &str| format!("{}\n", serde_json::json!({ "at": at, "bytes": text }));
    let text = [
        answer(0),
        piece(1_000, left),
        piece(60_000, right),
        answer(61_000),
        "not a line\n".into(),
        piece(90_000, STREAM),
    ]
    .concat();
    let began = tokio::time::Instant::now();
    let events = played(text.as_bytes(), true).await;
    assert_eq!(ends(&events), [TurnOutcome::Completed, TurnOutcome::Completed]);
    assert_eq!(began.elapsed().as_secs(), 90);
    assert!(events.iter().any(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::Recording, .. })));
}

/// Follows a pipe; what is written to the other end arrives there.
fn follow_pipe(idle_timeout: Duration, tasks: &mut JoinSet<()>) -> (tokio::io::DuplexStream, SourceHandle) {
    let (writer, reader) = tokio::io::duplex(64);
    let source = StreamSource::Pipe(PipeSource {
        input: Box::new(reader),
        name: "standard input".into(),
        tap: TrafficTap::to_ring(TrafficRing::default()),
        idle_timeout,
    });
    let decoder_factory: SharedDecoderFactory = Arc::new(|| Box::new(ClaudeCodeDecoder::default()));
    (writer, start(WatchedStream { source, decoder_factory, opened: opened(), stays_open: false }, tasks))
}

async fn next_end(feed: &mut SourceHandle) -> Option<TurnOutcome> {
    loop {
        if let AgentEvent::TurnFinished { outcome, .. } = feed.events.recv().await? {
            return Some(outcome);
        }
    }
}

const RESULT: &str = "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"session_id\":\"s\"}\n";
const ANSWER: &str =
    "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]},\"session_id\":\"s\"}\n";

#[tokio::test]
async fn an_answer_in_a_pipe_ends_with_its_last_line_and_what_follows_may_be_another() {
    use tokio::io::AsyncWriteExt as _;
    let mut tasks = JoinSet::new();
    let (mut writer, mut feed) = follow_pipe(Duration::ZERO, &mut tasks);
    writer.write_all(format!("{ANSWER}{RESULT}").as_bytes()).await.unwrap();
    assert_eq!(next_end(&mut feed).await, Some(TurnOutcome::Completed));
    let after = "{\"type\":\"system\",\"subtype\":\"hook_response\",\"session_id\":\"s\"}\nBye!\n";
    writer.write_all(format!("{after}{ANSWER}").as_bytes()).await.unwrap();
    drop(writer);
    assert_eq!(next_end(&mut feed).await, Some(TurnOutcome::Interrupted));
    assert_eq!(next_end(&mut feed).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_pipe_is_given_up_where_there_is_a_limit() {
    let mut tasks = JoinSet::new();
    let (_writer, mut feed) = follow_pipe(Duration::from_secs(90), &mut tasks);
    let end = next_end(&mut feed).await;
    assert!(matches!(&end, Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::TimedOut), "{end:?}");
}

#[tokio::test]
async fn a_file_without_a_byte_says_that_it_is_empty() {
    let end = ends(&played(b"", false).await);
    assert!(matches!(&end[..], [TurnOutcome::Failed(fault)] if fault.message.ends_with(" is empty")), "{end:?}");
}

#[tokio::test]
async fn a_file_that_is_not_there_fails_with_its_name() {
    let mut tasks = JoinSet::new();
    let mut feed = start(watched(Path::new("/nowhere/at all"), false), &mut tasks);
    let mut last = None;
    while let Some(event) = feed.events.recv().await {
        last = Some(event);
    }
    assert!(
        matches!(last, Some(AgentEvent::TurnFinished { outcome: TurnOutcome::Failed(fault), .. }) if fault.message.contains("/nowhere"))
    );
}
