//! Follows the bytes of a pipe as they come.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::response_feeder::{ResponseFeeder, SourceWords};
use super::{READ_BUFFER_BYTES, silence_fault};
use crate::dialect::ResponseHead;
use crate::event::{Fault, FaultKind, TurnOutcome};
use crate::net::RequestEvent;
use crate::net::reconnect::DecoderFactory;
use crate::net::traffic::TrafficTap;

/// A pipe that is read to its end.
pub struct PipeSource {
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    /// What the person knows it as.
    pub name: String,
    pub tap: TrafficTap,
    /// Longest time without a byte; zero means no limit.
    pub idle_timeout: Duration,
}

/// Follows a pipe. Each reply in it ends with one `End`, as soon as its end mark came.
pub(super) async fn follow(pipe: PipeSource, decoders: DecoderFactory<'_>, out: &mpsc::Sender<RequestEvent>) {
    let PipeSource { mut input, name, tap, idle_timeout } = pipe;
    let words = SourceWords { place: name.clone(), empty: format!("{name} ended without a byte") };
    let mut feeder = ResponseFeeder::new(decoders, out, words).live();
    let mut heard = tap.begin_local("PIPE", &name).await;
    feeder.begin_response(ResponseHead::default()).await;
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    loop {
        let read = input.read(&mut buffer);
        let read = if idle_timeout.is_zero() { Ok(read.await) } else { timeout(idle_timeout, read).await };
        match read {
            Ok(Ok(0)) => break,
            Ok(Ok(count)) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                heard.push(bytes).await;
                if !feeder.feed(bytes).await {
                    return;
                }
            }
            Ok(Err(error)) => {
                heard.end(&error.to_string()).await;
                let fault = Fault::new(FaultKind::Internal, format!("can't read {name}: {error}"));
                return feeder.fail(TurnOutcome::Failed(fault)).await;
            }
            Err(_) => {
                heard.end("silent").await;
                return feeder.fail(TurnOutcome::Failed(silence_fault(&name, idle_timeout))).await;
            }
        }
    }
    heard.end("eof").await;
    feeder.finish_response().await;
}
