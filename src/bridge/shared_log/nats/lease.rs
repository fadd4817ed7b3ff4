//! This server's sign of life, and whether others may believe in it still.

use std::time::Duration;

use async_nats::jetstream::Context;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::text::store_address::StoreAddress;

/// How soon renewing is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is renewed while it holds.
const RENEWALS_PER_LEASE: u32 = 6;

/// A lease that is renewed in the background.
pub(super) struct Lease {
    /// Counts how often it ran out, and says whether it has now.
    state: watch::Receiver<LeaseState>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeaseState {
    has_run_out: bool,
    losses: u64,
}

impl Lease {
    pub(super) async fn start(
        context: Context,
        subject: String,
        address: &StoreAddress,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, String> {
        let begun = Instant::now();
        renew(&context, &subject).await?;
        let (told, state) = watch::channel(LeaseState::default());
        let (pause, holds) = (address.lease / RENEWALS_PER_LEASE, address.holding_time());
        tasks.spawn(async move {
            let mut renewed_at = begun;
            loop {
                sleep(pause).await;
                loop {
                    // It counts from before it was asked for.
                    let asked_at = Instant::now();
                    let until = if told.borrow().has_run_out { asked_at + holds } else { renewed_at + holds };
                    match timeout_at(until, renew(&context, &subject)).await {
                        Ok(Ok(())) => {
                            renewed_at = asked_at;
                            told.send_if_modified(|state| std::mem::take(&mut state.has_run_out));
                            break;
                        }
                        Ok(Err(error)) => tracing::warn!("the lease is not renewed: {error}"),
                        Err(_) => {}
                    }
                    if renewed_at.elapsed() >= holds {
                        told.send_if_modified(|state| {
                            let is_new = !std::mem::replace(&mut state.has_run_out, true);
                            state.losses += u64::from(is_new);
                            is_new
                        });
                    }
                    sleep(RETRY_INTERVAL).await;
                }
            }
        });
        Ok(Self { state })
    }

    /// Returns why nothing may be owned now.
    pub(super) fn lost_reason(&self) -> Option<&'static str> {
        self.state.borrow().has_run_out.then_some("the lease of this server has run out")
    }

    /// Resolves once the lease runs out.
    pub(super) fn lost(&self) -> BoxFuture<'static, String> {
        let mut state = self.state.clone();
        let losses = state.borrow().losses;
        Box::pin(async move {
            match state.wait_for(|state| state.losses != losses || state.has_run_out).await {
                Ok(_) => "the lease of this server has run out".to_owned(),
                Err(_) => "the server is closing".to_owned(),
            }
        })
    }
}

async fn renew(context: &Context, subject: &str) -> Result<(), String> {
    let renewed = async { context.publish(subject.to_owned(), Bytes::new()).await?.await };
    renewed.await.map(drop).map_err(|error| error.to_string())
}
