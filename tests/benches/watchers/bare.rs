//! The least that a server of events can do, to measure ours against: axum, a bounded channel for each watcher, and the
//! bytes ready made. No log, no numbers, no status, no checks, no resume.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::routing::get;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::wait_for_go;

/// Events that may wait for a watcher.
const CHANNEL_CAPACITY: usize = 1_024;

type Watchers = Arc<Mutex<Vec<mpsc::Sender<Bytes>>>>;

/// Serves so many events to everybody who came before the start.
pub(super) async fn host(events: u64) {
    let watchers = Watchers::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let watch = {
        let watchers = Arc::clone(&watchers);
        get(async move || {
            let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
            watchers.lock().unwrap().push(sender);
            let frames = stream::unfold(receiver, async |mut receiver| {
                let frame = receiver.recv().await?;
                Some((Ok::<_, Infallible>(frame), receiver))
            });
            let mut response = Response::new(Body::from_stream(frames));
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            response
        })
    };
    let app = Router::new().route("/v1/sessions/{id}/events", watch);
    let feed = async {
        let frames: Vec<Bytes> = (1..=events + 2).map(|seq| frame(seq, seq == events + 2)).collect();
        wait_for_go().await;
        let watchers = watchers.lock().unwrap().clone();
        for frame in frames {
            for watcher in &watchers {
                let _ = watcher.send(frame.clone()).await;
            }
        }
        drop(watchers);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = axum::serve(listener, app) => served.unwrap(),
        () = feed => {}
    }
}

/// As our server writes an event.
fn frame(seq: u64, is_last: bool) -> Bytes {
    let (kind, event) = if is_last {
        ("turn_finished", r#"{"type":"turn_finished","turn":"t1","end":"completed"}"#.to_owned())
    } else {
        let message = if seq.is_multiple_of(2) { "m1" } else { "m2" };
        let event = format!(r#"{{"type":"text_delta","message":"{message}","text":"1790000000000000us"}}"#);
        ("text_delta", event)
    };
    format!("event: {kind}\nid: {seq}\ndata: {{\"seq\":{seq},\"at\":12345,\"event\":{event}}}\n\n").into()
}
