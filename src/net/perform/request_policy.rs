//! How long a call waits, and how often it is made.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait for what, and how often to try. A time of zero is no limit.
#[derive(Clone, Copy, Debug)]
pub struct RequestPolicy {
    /// From the request to the first byte. The server loads a model and reads the prompt in silence.
    pub first_byte_timeout: Duration,
    /// Without any byte after that.
    pub idle_timeout: Duration,
    /// Without anything usable.
    pub no_output_timeout: Duration,
    /// Tries after the first.
    pub max_retries: u32,
    /// Whether a request that may have reached the server is sent again.
    pub may_resend: bool,
    /// The session's start; times of [`crate::event::LinkState`] count from it.
    pub epoch: Instant,
}

impl RequestPolicy {
    pub fn new(epoch: Instant) -> Self {
        Self {
            first_byte_timeout: Duration::from_mins(5),
            idle_timeout: Duration::from_secs(90),
            no_output_timeout: Duration::from_mins(15),
            max_retries: 3,
            may_resend: true,
            epoch,
        }
    }
}
