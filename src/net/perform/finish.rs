//! How a call ends, or is tried again, and what is said of it.

use std::time::Duration;

use tokio::time::Instant;

use super::RequestDriver;
use super::side_channel::SideChannelReader;
use crate::event::{Fault, FaultKind, LinkState, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};
use crate::net::failure::RequestFailure;
use crate::net::timeouts::finite_timeout;
use crate::text::human::{self, time_limit};

/// How soon and how late a server that loads its model is asked again.
const LOADING_POLL_INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

impl RequestDriver<'_> {
    pub(super) async fn announce_retry(&mut self, fault: &Fault, failed: u32, pause: Duration) {
        let (attempt, at) = (failed + 1, self.watchdog.timers.session_time(Instant::now() + pause));
        self.watchdog.send_link_state(LinkState::Retrying { attempt, at }).await;
        let of = self.watchdog.policy.max_retries.saturating_add(1);
        let text = format!("{fault}; retrying in {} (attempt {attempt} of {of})", human::pause(pause));
        self.events.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Retry, text });
        self.send_events().await;
    }

    /// Waits before a server that loads its model is asked again. Returns a fault once that took too long.
    pub(super) async fn wait_for_model(
        &mut self,
        failure: RequestFailure,
        since: Instant,
        is_first: bool,
    ) -> Option<Fault> {
        let most = self.watchdog.policy.first_byte_timeout;
        let place = self.watchdog.origin.clone();
        if is_first {
            let text = format!("{place} is loading its model; the prompt waits for it (Esc interrupts)");
            self.events.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Loading, text });
            self.send_events().await;
        }
        let waited = since.elapsed();
        if finite_timeout(most).is_some_and(|most| waited >= most) {
            let text = format!(
                "{place} is still loading its model after {}; retry, or raise first_byte_timeout",
                time_limit(most)
            );
            return Some(Fault { message: text, kind: FaultKind::TimedOut, ..failure.fault });
        }
        let since = self.watchdog.timers.session_time(since);
        self.watchdog.send_link_state(LinkState::Loading { since, limit: finite_timeout(most).map(Into::into) }).await;
        // The longer it takes, the less a second counts.
        let pause = (waited / 8).clamp(LOADING_POLL_INTERVALS.0, LOADING_POLL_INTERVALS.1);
        let pause = finite_timeout(most).map_or(pause, |most| pause.min(most.saturating_sub(waited)));
        // That nobody listens any more is for the caller to notice.
        let _ = self.watchdog.pause(pause).await;
        None
    }

    /// Ends a call that got no answer.
    pub(super) async fn fail(&mut self, fault: Fault) {
        self.send_turn_finished(TurnOutcome::Failed(fault)).await;
    }

    /// The connection broke in mid-answer: the text stays.
    pub(super) async fn close_broken(&mut self, fault: Fault, aside: &mut Option<SideChannelReader<'_>>) {
        if !self.decode.is_complete() {
            self.report_broken(fault).await;
        }
        self.close(None, aside).await;
    }

    /// The server ended its answer in order. Where the decoder misses the end of it, that was a cut as well.
    pub(super) async fn close_ended(&mut self, aside: &mut Option<SideChannelReader<'_>>) {
        let end = self.finish_decoding(aside).await;
        if end == TurnOutcome::Interrupted {
            let text = format!("{} closed the connection before the response was complete", self.watchdog.origin);
            self.report_broken(Fault::new(FaultKind::Network, text)).await;
        }
        self.send_turn_finished(end).await;
    }

    async fn report_broken(&mut self, fault: Fault) {
        let text = format!("{}; the partial response is kept", fault.message);
        self.events.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Cut, text });
        self.watchdog.send_link_state(LinkState::Lost(Some(fault))).await;
    }

    /// Lets the decoder close what is open. A fault of ours outranks its verdict.
    pub(super) async fn close(&mut self, fault: Option<Fault>, aside: &mut Option<SideChannelReader<'_>>) {
        let told = self.finish_decoding(aside).await;
        self.send_turn_finished(fault.map_or(told, TurnOutcome::Failed)).await;
    }

    /// Lets the decoder close what is open, and returns how it takes the answer to have ended.
    async fn finish_decoding(&mut self, aside: &mut Option<SideChannelReader<'_>>) -> TurnOutcome {
        if let Some(aside) = aside {
            aside.finish(&mut *self.decode, &mut self.events).await;
        }
        self.decode.finish(&mut self.events);
        match self.events.pop() {
            Some(ReplyEvent::End { outcome: end }) => end,
            other => {
                self.events.extend(other);
                TurnOutcome::Interrupted
            }
        }
    }

    async fn send_turn_finished(&mut self, end: TurnOutcome) {
        if !self.send_events().await {
            return;
        }
        let link = match &end {
            TurnOutcome::Failed(fault) if matches!(fault.kind, FaultKind::Network | FaultKind::TimedOut) => {
                LinkState::Lost(Some(fault.clone()))
            }
            // Told when the connection broke.
            TurnOutcome::Interrupted if matches!(self.watchdog.last_link_state, LinkState::Lost(_)) => {
                self.watchdog.last_link_state.clone()
            }
            _ => LinkState::Idle,
        };
        self.watchdog.send_link_state(link).await;
        self.events.push(ReplyEvent::End { outcome: end });
        self.send_events().await;
    }
}
