//! The person's limits on a server: a request past one is refused, a turn that begins past one is stopped at once, and one
//! that passes one is stopped then.

use tokio::sync::mpsc::WeakSender;
use tokio::time::Instant;

use super::super::day_usage::file_beside;
use super::super::{Runtime, SpendGuard};
use super::{SessionFactory, internal_error};
use crate::bridge::hub::Subscription;
use crate::bridge::{HubItem, SessionHandle};
use crate::event::{AgentEvent, Command, Fault, Seq};
use crate::serve::error::ApiError;
use crate::store::limits::SpendLimits;

/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 512;

impl SessionFactory {
    /// Refuses a request once a limit of the day is reached.
    pub(super) async fn check_limits(&self) -> Result<(), ApiError> {
        let runtime = self.runtime()?;
        if !runtime.config().limits.spending().has_day_limit() {
            return Ok(());
        }
        let (limits, file) = (runtime.config().limits.spending(), file_beside(&runtime.paths.history_file()));
        let read = tokio::task::spawn_blocking(move || SpendGuard::new(limits, file, warn).refusal());
        match read.await.map_err(|error| internal_error(error.into()))? {
            Some(fault) => Err(ApiError::new(403, "limit_reached", fault.message)),
            None => Ok(()),
        }
    }
}

impl Runtime {
    /// Watches what a session uses after `last`, where there is a limit.
    pub(super) fn watch_spending(&self, live: &SessionHandle, last: Seq) {
        let limits = self.config().limits.spending();
        if limits == SpendLimits::default() {
            return;
        }
        let file = file_beside(&self.paths.history_file());
        // A session ends when nobody holds its sender any more.
        let (subscription, commands) = (live.hub.subscribe(Seq(0)), live.commands.downgrade());
        self.running().tasks.spawn(async move {
            let guard = tokio::task::spawn_blocking(move || SpendGuard::new(limits, file, warn)).await;
            if let Ok(guard) = guard {
                watch(guard, subscription, commands, last).await;
            }
        });
    }
}

fn warn(text: &str) {
    tracing::warn!("{text}");
}

/// Follows a session to its end.
async fn watch(mut guard: SpendGuard, mut subscription: Subscription, commands: WeakSender<Command>, last: Seq) {
    let mut batch = Vec::new();
    // When the running turn passes a limit of time.
    let mut time_over: Option<(Instant, Fault)> = None;
    loop {
        let is_open = tokio::select! {
            biased;
            () = tokio::time::sleep_until(time_over.as_ref().map_or_else(Instant::now, |(at, _)| *at)),
                if time_over.is_some() =>
            {
                if let Some((_, fault)) = time_over.take() {
                    stop(&commands, &fault).await;
                }
                continue;
            }
            is_open = subscription.next_batch(MAX_BATCH_EVENTS, &mut batch) => is_open,
        };
        for item in batch.drain(..) {
            let HubItem::Event(event) = item else { continue };
            let envelope = &event.envelope;
            if envelope.seq <= last {
                guard.observe_past(envelope);
                continue;
            }
            match envelope.event {
                AgentEvent::TurnStarted { .. } => match guard.refusal() {
                    Some(fault) => stop(&commands, &fault).await,
                    None => time_over = guard.time_left().map(|(left, fault)| (Instant::now() + left, fault)),
                },
                AgentEvent::TurnFinished { .. } => time_over = None,
                _ => {}
            }
            if let Some(fault) = guard.observe(envelope) {
                stop(&commands, &fault).await;
            }
        }
        if !is_open {
            return;
        }
    }
}

/// Stops the running turn and says why; nothing where the session is ending.
async fn stop(commands: &WeakSender<Command>, fault: &Fault) {
    let Some(commands) = commands.upgrade() else { return };
    for command in [Command::Note { text: format!("stopped: {}", fault.message) }, Command::Cancel] {
        if commands.send(command).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    use super::*;
    use crate::bridge::LoggedEvent;
    use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
    use crate::event::{Envelope, Millis, TurnOutcome};
    use crate::store::limits::SpendLimit;
    use crate::testkit::events::{opened, turn_finished, turn_started};

    #[tokio::test(start_paused = true)]
    async fn turns_past_a_limit_are_stopped_with_a_word_and_those_of_earlier_runs_count() {
        let session = SpendLimit { turns: 2, time: Millis(60_000), ..SpendLimit::default() };
        let guard = SpendGuard::new(SpendLimits { session, ..SpendLimits::default() }, "no-file".into(), |_| {});
        let hub = Hub::new(Backlog::Memory, DEFAULT_RING_BYTES);
        let (sender, mut commands) = mpsc::channel(8);
        let publish = |event| {
            let seq = hub.last_seq().next();
            let envelope = Envelope { seq, at: Millis(seq.0), event };
            hub.publish_one(LoggedEvent { envelope, line: Bytes::new() });
        };
        publish(opened());
        publish(turn_started("t1"));
        publish(turn_finished("t1", TurnOutcome::Completed));
        let mut watching = JoinSet::new();
        watching.spawn(watch(guard, hub.subscribe(Seq(0)), sender.downgrade(), hub.last_seq()));
        publish(turn_started("t2"));
        let note = |what: &str| {
            let text = format!("stopped: the limit for the {what} is reached (see [limits] in the settings)");
            Some(Command::Note { text })
        };
        let begun = Instant::now();
        assert_eq!(commands.recv().await, note("working time of this session"));
        assert_eq!((commands.recv().await, begun.elapsed().as_millis()), (Some(Command::Cancel), 59_999));
        publish(turn_finished("t2", TurnOutcome::Cancelled));
        publish(turn_started("t3"));
        assert_eq!(commands.recv().await, note("turns of this session"));
        assert_eq!(commands.recv().await, Some(Command::Cancel));
        hub.close();
        watching.join_next().await.unwrap().unwrap();
    }
}
