use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use crate::event::{Capabilities, MessageId, Millis, QueuedPrompt};
use crate::store::limits::{SpendLimit, SpendLimits};
use crate::testkit::events::{turn_finished, turn_started, user_message};

/// A remote session controlled by the test.
struct There {
    hub: Hub,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<SessionStatus>,
    last: Seq,
}

impl There {
    fn new() -> (Self, SessionHandle) {
        let hub = Hub::new(Backlog::Memory, DEFAULT_RING_BYTES);
        let (commands, command_receiver) = mpsc::channel(64);
        let (status, watch) = watch::channel(SessionStatus::default());
        let capabilities = Capabilities { prompt: true, decide: true, cancel: true, ..Capabilities::default() };
        let live = SessionHandle { session: "s".into(), capabilities, hub: hub.clone(), commands, status: watch };
        (Self { hub, commands: command_receiver, status, last: Seq(0) }, live)
    }

    fn publish(&mut self, event: AgentEvent) {
        self.last = self.last.next();
        let envelope = Envelope { seq: self.last, at: Millis(self.last.0), event };
        let line = Bytes::from(serde_json::to_vec(&envelope).unwrap());
        self.hub.publish_one(LoggedEvent { envelope, line });
    }

    fn turn(&mut self, prompt: &str) {
        self.publish(turn_started("t"));
        self.publish(user_message("u", prompt));
    }

    fn end(&mut self, end: TurnOutcome) {
        self.publish(turn_finished("t", end));
    }

    fn queue(&self, texts: &[&str]) {
        let queue = (1..).zip(texts).map(|(id, text)| QueuedPrompt::new(id, *text)).collect();
        self.status.send_modify(|status| status.queue = queue);
    }
}

/// Options for a prompt in a shared session with a timeout of a second.
fn asking(format: OutputFormat) -> RunOptions {
    RunOptions {
        prompt: Some("ours".into()),
        shared: true,
        timeout: Some(Duration::from_secs(1)),
        ..RunOptions::new(format, "remote")
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_gives_up_behind_somebody_elses_turn_takes_its_prompt_back_and_cancels_nothing() {
    let (mut there, live) = There::new();
    there.turn("theirs");
    let host = async {
        assert_eq!(there.commands.recv().await, Some(Command::prompt("ours")));
        there.queue(&["ours"]);
        assert_eq!(there.commands.recv().await, Some(Command::DequeuePrompt { id: 1 }));
        there.queue(&[]);
        assert_eq!(there.commands.recv().await, None, "nothing else is wished for");
    };
    let (code, ()) = tokio::join!(run(live, asking(OutputFormat::Text)), host);
    assert_eq!(code.ok(), Some(exit_code(&Fault::new(FaultKind::LimitReached, ""))));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_gives_up_cancels_its_own_turn() {
    let (mut there, live) = There::new();
    let host = async {
        there.commands.recv().await;
        there.turn("ours");
        assert_eq!(there.commands.recv().await, Some(Command::Cancel));
        there.end(TurnOutcome::Cancelled);
        assert_eq!(there.commands.recv().await, None);
    };
    let (code, ()) = tokio::join!(run(live, asking(OutputFormat::Text)), host);
    assert_eq!(code.ok(), Some(exit_code(&Fault::new(FaultKind::LimitReached, ""))));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_passes_a_limit_of_time_is_stopped_also_when_nothing_comes() {
    let (mut there, live) = There::new();
    let session = SpendLimit { time: Millis(60_000), ..SpendLimit::default() };
    let limits = SpendLimits { session, ..SpendLimits::default() };
    let spending = Some(SpendGuard::new(limits, "no-file".into(), |_| {}));
    let run_options = RunOptions { timeout: None, spending, ..asking(OutputFormat::Text) };
    let begun = Instant::now();
    let host = async {
        there.commands.recv().await;
        there.turn("ours");
        assert_eq!(there.commands.recv().await, Some(Command::Cancel));
        assert_eq!(begun.elapsed().as_secs(), 60);
        there.end(TurnOutcome::Cancelled);
        assert_eq!(there.commands.recv().await, None);
    };
    let (code, ()) = tokio::join!(run(live, run_options), host);
    assert_eq!(code.ok(), Some(exit_code(&Fault::new(FaultKind::LimitReached, ""))));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_of_which_nothing_is_heard_ends_the_run_all_the_same() {
    let (mut there, live) = There::new();
    there.turn("theirs");
    let host = async {
        there.commands.recv().await;
        assert_eq!(there.commands.recv().await, None);
    };
    let (code, ()) = tokio::join!(run(live, asking(OutputFormat::Text)), host);
    assert_eq!(code.ok(), Some(exit_code(&Fault::new(FaultKind::LimitReached, ""))));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_somebody_elses_turn_is_not_the_end_of_ours() {
    let (mut there, live) = There::new();
    let host = async {
        there.commands.recv().await;
        there.turn("theirs");
        let fault = Fault::new(FaultKind::Auth, "theirs failed");
        there.end(TurnOutcome::Failed(fault));
        there.turn("ours");
        let message: MessageId = "m".into();
        there.publish(AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None });
        there.end(TurnOutcome::Completed);
        there.turn("theirs again");
    };
    let (code, ()) = tokio::join!(run(live, asking(OutputFormat::Text)), host);
    assert_eq!(code.ok(), Some(0));
}
