//! How a call ends, or is tried again, and what is said of it.

use std::time::Duration;

use tokio::time::Instant;

use super::Line;
use super::aside::Aside;
use super::watch::{limit, spoken};
use crate::event::{AgentEvent, Fault, FaultKind, Level, LinkState, TurnEnd};
use crate::net::status::Failure;

/// How soon and how late a server that loads its model is asked again.
const LOADING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

impl Line<'_> {
    pub(super) async fn announce_retry(&mut self, fault: &Fault, failed: u32, pause: Duration) {
        let (attempt, at) = (failed + 1, self.vigil.watch.clock(Instant::now() + pause));
        self.vigil.tell_link(LinkState::Retrying { attempt, at }).await;
        let seconds = pause.as_secs_f64();
        let of = self.vigil.patience.retries.saturating_add(1);
        let text = format!("{fault}; trying again in {seconds:.1} s (try {attempt} of {of})");
        self.events.push(AgentEvent::Noticed { level: Level::Info, code: "retry".into(), text });
        self.tell_events().await;
    }

    /// Waits before a server that loads its model is asked again. Returns a fault once that took too long.
    pub(super) async fn wait_for_model(&mut self, failure: Failure, since: Instant, is_first: bool) -> Option<Fault> {
        let most = self.vigil.patience.first_byte;
        let place = self.vigil.place.clone();
        if is_first {
            let text = format!("{place} is loading its model; the prompt waits for it (Esc stops the wait)");
            self.events.push(AgentEvent::Noticed { level: Level::Info, code: "loading".into(), text });
            self.tell_events().await;
        }
        let waited = since.elapsed();
        if limit(most).is_some_and(|most| waited >= most) {
            let text = format!(
                "{place} is still loading its model after {}; send it again, or raise first_byte_timeout",
                spoken(most)
            );
            return Some(Fault { message: text, kind: FaultKind::TimedOut, ..failure.fault });
        }
        let since = self.vigil.watch.clock(since);
        self.vigil.tell_link(LinkState::Loading { since, limit: limit(most).map(Into::into) }).await;
        // The longer it takes, the less a second counts.
        let pause = (waited / 8).clamp(LOADING.0, LOADING.1);
        let pause = limit(most).map_or(pause, |most| pause.min(most.saturating_sub(waited)));
        tokio::select! {
            biased;
            () = self.vigil.out.closed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        None
    }

    /// Ends a call that got no answer.
    pub(super) async fn give_up(&mut self, fault: Fault) {
        self.last_words(TurnEnd::Failed(fault)).await;
    }

    /// The connection broke in mid-answer: the text stays.
    pub(super) async fn close_cut(&mut self, fault: Fault, aside: &mut Option<Aside<'_>>) {
        if !self.decode.is_settled() {
            self.say_cut(fault).await;
        }
        self.close(None, aside).await;
    }

    /// The server ended its answer in order. Where the decoder misses the end of it, that was a cut as well.
    pub(super) async fn close_ended(&mut self, aside: &mut Option<Aside<'_>>) {
        let end = self.verdict(aside).await;
        if end == TurnEnd::Interrupted {
            let text = format!("{} closed the connection before the answer was whole", self.vigil.place);
            self.say_cut(Fault::new(FaultKind::Network, text)).await;
        }
        self.last_words(end).await;
    }

    async fn say_cut(&mut self, fault: Fault) {
        let text = format!("{}; what came until then is kept", fault.message);
        self.events.push(AgentEvent::Noticed { level: Level::Warn, code: "cut".into(), text });
        self.vigil.tell_link(LinkState::Lost(Some(fault))).await;
    }

    /// Lets the decoder close what is open. A fault of ours outranks its verdict.
    pub(super) async fn close(&mut self, fault: Option<Fault>, aside: &mut Option<Aside<'_>>) {
        let told = self.verdict(aside).await;
        self.last_words(fault.map_or(told, TurnEnd::Failed)).await;
    }

    /// Lets the decoder close what is open, and returns how it takes the answer to have ended.
    async fn verdict(&mut self, aside: &mut Option<Aside<'_>>) -> TurnEnd {
        if let Some(aside) = aside {
            aside.settle(&mut *self.decode, &mut self.events).await;
        }
        self.decode.finish(&mut self.events);
        match self.events.pop() {
            Some(AgentEvent::TurnFinished { end, .. }) => end,
            other => {
                self.events.extend(other);
                TurnEnd::Interrupted
            }
        }
    }

    async fn last_words(&mut self, end: TurnEnd) {
        if !self.tell_events().await {
            return;
        }
        let link = match &end {
            TurnEnd::Failed(fault) if matches!(fault.kind, FaultKind::Network | FaultKind::TimedOut) => {
                LinkState::Lost(Some(fault.clone()))
            }
            // Told when the connection broke.
            TurnEnd::Interrupted if matches!(self.vigil.told, LinkState::Lost(_)) => self.vigil.told.clone(),
            _ => LinkState::Idle,
        };
        self.vigil.tell_link(link).await;
        self.events.push(AgentEvent::TurnFinished { turn: "t".into(), end });
        self.tell_events().await;
    }
}
