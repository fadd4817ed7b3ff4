//! Accepts connections until told to stop, and then shuts down in order: turns that are nearly done finish, the others
//! are cancelled, and every client gets the end of its stream.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connection_slots::{AnswerGuard, ConnectionSlot, ConnectionSlots, SlotGuard, SlotHold};
use super::error::ApiError;
use super::error_format_for;
use super::listener::{ClientStream, ServerListener};
use super::metrics::count_requests;
use super::routes;
use super::state::{ServerState, wait_until_idle};
use crate::event::Command;

/// Time limit from the connection to the end of its first request's head.
const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for the next head on the same connection, idle time included.
const NEXT_HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Limit of a request's head, and of buffered response data for a slow client.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Connections that may wait for an error response because there are too many.
const MAX_REFUSED_CONNECTIONS: usize = 64;
/// How long turns may take to finish by themselves.
const TURN_FINISH_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long cancelled turns may take to end.
const TURN_CANCEL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long clients may take to receive the end of their streams.
const STREAM_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves until `stop` completes; then closes every session and returns, within 10 s.
pub async fn run(listener: impl Into<ServerListener>, state: ServerState, stop: impl Future<Output = ()>) {
    let listener = listener.into();
    let app = routes(state.clone());
    let full = Router::new()
        .fallback(too_many_clients)
        .layer(axum::middleware::from_fn_with_state(state.clone(), count_requests));
    let slots = ConnectionSlots::new(state.settings().limits.max_clients);
    let refused = ConnectionSlots::new(MAX_REFUSED_CONNECTIONS);
    let mut connections = JoinSet::new();
    let closing = CancellationToken::new();
    let mut stop = pin!(stop);
    loop {
        // Stop comes first: a flood of clients can't delay it.
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let (held, app) = if let Some(held) = slots.acquire(peer) {
                        (held, app.clone())
                    } else if let Some(held) = refused.acquire(peer) {
                        (held, full.clone())
                    } else {
                        continue;
                    };
                    match socket {
                        ClientStream::Tcp(socket) => {
                            connections.spawn(serve_connection(socket, held, app, closing.clone()))
                        }
                        ClientStream::Unix(socket) => {
                            connections.spawn(serve_connection(socket, held, app, closing.clone()))
                        }
                    };
                }
                Err(error) => {
                    // Most likely too many files are open; some will close.
                    tracing::warn!("can't accept a connection: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    state.shutdown().cancel();
    closing.cancel();
    // Streams end with their sessions; idle clients are disconnected by then.
    close_sessions(&state).await;
    let _ = timeout(STREAM_DRAIN_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// Lets what runs end for a moment, then cancels it, and closes every session.
pub(super) async fn close_sessions(state: &ServerState) {
    let sessions = state.running_sessions();
    let begun = Instant::now();
    if !wait_until_idle(&sessions, begun + TURN_FINISH_TIMEOUT).await {
        for after in [TURN_CANCEL_TIMEOUT, TURN_CANCEL_TIMEOUT] {
            for session in sessions.iter().filter(|session| session.is_busy()) {
                // A second cancel does not wait for tools that are still stopping.
                let _ = session.handle.commands.try_send(Command::Cancel);
            }
            if wait_until_idle(&sessions, Instant::now() + after).await {
                break;
            }
        }
    }
    drop(sessions);
    state.close().await;
}

async fn serve_connection(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    held: SlotGuard,
    app: Router,
    closing: CancellationToken,
) {
    let slot = Arc::clone(&held.slot);
    let held = SlotHold(Arc::new(held));
    let service = ConnectionService { app: TowerToHyperService::new(app), slot: Arc::clone(&slot), held };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        // Even if a request is arriving: the slot belongs to another client.
        () = slot.evicted.cancelled() => return,
        ended = connection.as_mut() => ended,
        () = first_head_timeout(&slot) => return,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Waits for the time limit of the first head; forever once that has come.
async fn first_head_timeout(slot: &ConnectionSlot) {
    sleep(FIRST_HEAD_TIMEOUT).await;
    if !slot.has_no_request() {
        std::future::pending::<()>().await;
    }
}

/// The application, for one connection.
struct ConnectionService {
    app: TowerToHyperService<Router>,
    slot: Arc<ConnectionSlot>,
    held: SlotHold,
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.slot));
        request.extensions_mut().insert(self.held.clone());
        let answered = AnswerGuard::start(Arc::clone(&self.slot));
        let answer = self.app.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| answered.guard_body(body))) })
    }
}

async fn too_many_clients(request: axum::extract::Request) -> Response<Body> {
    let refused = ApiError::too_many("too many clients are connected", 5);
    let mut response = refused.to_response(error_format_for(request.uri().path()));
    response.headers_mut().insert(axum::http::header::CONNECTION, axum::http::HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::serve::Settings;
    use crate::serve::factory::OpenRequest;
    use crate::testkit::events::{opened, turn_started};
    use crate::testkit::factory::TestFactory;

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_no_cancel_ends_holds_up_the_stop_by_seconds_only() {
        let factory = Arc::new(TestFactory::default());
        let state = ServerState::new(factory.clone(), Settings::default());
        state.open_shared(OpenRequest::default()).await.unwrap();
        let mut source = factory.source();
        source.send([opened(), turn_started("t1")]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let begun = Instant::now();
        run(listener, state, async {}).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let asked: Vec<_> = std::iter::from_fn(|| source.commands.try_recv().ok()).collect();
        assert_eq!(asked, [Command::Cancel, Command::Cancel], "the second forces");
    }
}
