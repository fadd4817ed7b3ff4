//! How long a call waits, and how often it is made.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait for what, and how often to try. A time of zero is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the request to the first byte. The server loads a model and reads the prompt in silence.
    pub first_byte: Duration,
    /// Without any byte after that.
    pub idle: Duration,
    /// Without anything usable.
    pub no_output: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Whether a request that may have reached the server is sent again.
    pub resend: bool,
    /// The session's start; times of [`crate::event::LinkState`] count from it.
    pub epoch: Instant,
}

impl Patience {
    pub fn new(epoch: Instant) -> Self {
        Self {
            first_byte: Duration::from_mins(5),
            idle: Duration::from_secs(90),
            no_output: Duration::from_mins(15),
            retries: 3,
            resend: true,
            epoch,
        }
    }
}
