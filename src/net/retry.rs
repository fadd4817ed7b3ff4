//! The tries of a connection: how many failed in a row, and when the next is due.
//!
//! Not for the waiting itself, during which each caller listens to others. How long a delay is says `backoff`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::failure::RequestFailure;
use super::timeouts::RequestPolicy;
use crate::event::Millis;

#[derive(Debug)]
pub struct RetryCounter {
    url: String,
    epoch: Instant,
    failed: u32,
}

impl RetryCounter {
    pub fn new(url: &str, epoch: Instant) -> Self {
        Self { url: url.to_owned(), epoch, failed: 0 }
    }

    /// Tries in a row that failed.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// A try brought something: what fails from now on is counted anew.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Counts a failure of a request that a person waits for. Returns the delay before it is made again; none if it is
    /// not to be.
    pub fn next_request_delay(&mut self, failure: &RequestFailure, policy: &RequestPolicy) -> Option<Duration> {
        self.failed = self.failed.saturating_add(1);
        let may_send = failure.is_retryable && (policy.may_resend || failure.is_unsent);
        if !may_send || self.failed > policy.max_retries {
            return None;
        }
        backoff::retry_delay(self.failed, failure.fault.retry_after, self.jitter_seed())
    }

    /// The same for a stream that is only watched, and may be opened as often as need be. `stream_delay` is what the
    /// stream itself asked for, where the refusal asks for nothing.
    pub fn next_watch_delay(
        &mut self,
        failure: &RequestFailure,
        stream_delay: Option<Millis>,
        max_retries: u32,
    ) -> Option<Duration> {
        self.failed = self.failed.saturating_add(1);
        let asked = failure.fault.retry_after.or(stream_delay);
        (failure.is_retryable && self.failed <= max_retries)
            .then(|| backoff::watch_delay(self.failed, asked, self.jitter_seed()))
    }

    /// A number that differs between clients and tries of a URL.
    fn jitter_seed(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.url.hash(&mut hasher);
        self.failed.hash(&mut hasher);
        self.epoch.elapsed().as_nanos().hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FaultKind;

    fn broken() -> RequestFailure {
        RequestFailure::transient(FaultKind::Network, "the connection broke")
    }

    fn counter() -> RetryCounter {
        RetryCounter::new("http://h/", Instant::now())
    }

    #[test]
    fn tries_are_counted_up_to_the_most_and_anew_after_a_good_one() {
        let mut retries = counter();
        assert!(retries.next_watch_delay(&broken(), None, 2).is_some());
        assert!(retries.next_watch_delay(&broken(), None, 2).is_some());
        assert_eq!((retries.next_watch_delay(&broken(), None, 2), retries.failed()), (None, 3));
        retries.reset();
        assert!(retries.next_watch_delay(&broken(), None, 2).is_some());
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        let refusal = RequestFailure::permanent(FaultKind::BadRequest, "no such path");
        assert_eq!(counter().next_watch_delay(&refusal, None, 9), None);
        assert_eq!(counter().next_request_delay(&refusal, &RequestPolicy::new(Instant::now())), None);
    }

    #[test]
    fn a_request_that_may_have_arrived_is_made_again_only_if_it_may_be() {
        let policy = RequestPolicy { may_resend: false, ..RequestPolicy::new(Instant::now()) };
        assert_eq!(counter().next_request_delay(&broken(), &policy), None);
        let unsent = RequestFailure { is_unsent: true, ..broken() };
        assert!(counter().next_request_delay(&unsent, &policy).is_some());
    }

    #[test]
    fn a_refusal_outranks_what_the_stream_asked_for() {
        let mut refusal = broken();
        refusal.fault.retry_after = Some(Millis(20_000));
        let delay = counter().next_watch_delay(&refusal, Some(Millis(5_000)), 9).unwrap();
        assert!(delay >= Duration::from_secs(20), "{delay:?}");
        let delay = counter().next_watch_delay(&broken(), Some(Millis(5_000)), 9).unwrap();
        assert!(delay >= Duration::from_secs(5) && delay < Duration::from_secs(20), "{delay:?}");
    }
}
