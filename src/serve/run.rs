//! Accepts connections until it is told to stop, and then ends in order: what is nearly done is finished, the rest is
//! cancelled, every client gets the end of its stream.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::refuse::Refused;
use super::routes;
use super::shape_of;
use super::state::{State, quiet};
use crate::event::Command;

/// How long a client may take to send the head of its next request.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// The longest head of a request, and what of an answer waits for a slow client.
const HEAD: usize = 64 << 10;
/// Connections that are told that there are too many.
const REFUSALS: usize = 64;
/// What a turn gets to finish by itself.
const FINISH: Duration = Duration::from_millis(1_500);
/// What a cancelled turn gets to end.
const CANCELLED: Duration = Duration::from_secs(1);
/// What clients get to take the end of their streams.
const TAKEN: Duration = Duration::from_millis(500);

/// Serves until `stop` is there; then closes every session and returns. Done within 10 s of it.
pub async fn run(listener: TcpListener, state: State, stop: impl Future<Output = ()>) {
    let app = routes(state.clone());
    let full = Router::new().fallback(too_many);
    let clients = Arc::new(Semaphore::new(state.settings().limits.clients));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut connections = JoinSet::new();
    let closing = CancellationToken::new();
    let mut stop = pin!(stop);
    loop {
        // The wish to stop first: a flood of clients can't hold it up.
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    let (permit, app) = if let Ok(permit) = Arc::clone(&clients).try_acquire_owned() {
                        (permit, app.clone())
                    } else if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        (permit, full.clone())
                    } else {
                        continue;
                    };
                    let closing = closing.clone();
                    connections.spawn(async move {
                        serve(socket, app, closing).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Most likely too many files are open; some will close.
                    tracing::warn!("a connection could not be accepted: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    state.stop().cancel();
    closing.cancel();
    // Streams end with their sessions; who sends nothing is let go by then.
    wind_down(&state).await;
    let _ = timeout(TAKEN, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn wind_down(state: &State) {
    let rooms = state.all();
    let begun = Instant::now();
    if !quiet(&rooms, begun + FINISH).await {
        for after in [CANCELLED, CANCELLED] {
            for room in rooms.iter().filter(|room| room.is_busy()) {
                // The second wish does not wait for tools that linger.
                let _ = room.live.commands.try_send(Command::Cancel);
            }
            if quiet(&rooms, Instant::now() + after).await {
                break;
            }
        }
    }
    drop(rooms);
    state.close().await;
}

async fn serve(socket: TcpStream, app: Router, closing: CancellationToken) {
    let _ = socket.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

async fn too_many(request: Request) -> axum::http::Response<axum::body::Body> {
    let refused = Refused::busy("too many clients are connected", 5);
    let mut response = refused.response(shape_of(request.uri().path()));
    response.headers_mut().insert(axum::http::header::CONNECTION, axum::http::HeaderValue::from_static("close"));
    response
}
