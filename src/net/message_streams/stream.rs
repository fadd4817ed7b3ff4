//! One event stream of a conversation: opened, and read to its end.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::MAX_MESSAGE_BYTES;
use super::cookies::CookieJar;
use crate::dialect::SseFrame;
use crate::net::failure::RequestFailure;
use crate::net::http::{HttpClient, HttpResponse};
use crate::net::request::{Framing, HttpRequest};
use crate::net::sse::FrameSplitter;
use crate::net::sse_lines::FramingError;
use crate::text::display_url::origin;

/// What came of a stream.
pub(super) struct StreamItem {
    /// The session whose stream it is; none for that of the connection.
    pub(super) session: Option<String>,
    pub(super) event: StreamEvent,
}

pub(super) enum StreamEvent {
    Opened(CookieJar),
    Messages(Vec<String>),
    /// There is no such stream.
    Refused(RequestFailure),
    Ended(Option<RequestFailure>),
}

enum StreamState {
    Unopened,
    Open { body: BoxStream<'static, Result<Bytes, RequestFailure>>, frames: Box<FrameSplitter> },
    Over,
}

/// Opens a stream once it is polled; its last item is how it ended.
pub(super) fn event_stream(
    http: HttpClient,
    call: HttpRequest,
    session: Option<String>,
) -> BoxStream<'static, StreamItem> {
    stream::unfold(StreamState::Unopened, move |state| {
        let (http, call, session) = (http.clone(), call.clone(), session.clone());
        async move {
            let (event, state) = match state {
                StreamState::Unopened => open(&http, &call).await,
                StreamState::Open { body, frames } => read(body, frames, &call).await,
                StreamState::Over => return None,
            };
            Some((StreamItem { session, event }, state))
        }
    })
    .boxed()
}

async fn open(http: &HttpClient, call: &HttpRequest) -> (StreamEvent, StreamState) {
    match http.open_stream(call).await {
        Ok(HttpResponse { head, .. }) if head.content_type() == "text/html" => {
            let fault = FramingError::WebPage.fault(&origin(&call.url));
            (StreamEvent::Refused(fault.into()), StreamState::Over)
        }
        Ok(HttpResponse { head, cookies, body }) => {
            let frames = FrameSplitter::with_max_bytes(Framing::Sse, head.content_type(), MAX_MESSAGE_BYTES);
            (StreamEvent::Opened(CookieJar::of(&cookies)), StreamState::Open { body, frames: Box::new(frames) })
        }
        Err(failure) => (StreamEvent::Refused(failure), StreamState::Over),
    }
}

async fn read(
    mut body: BoxStream<'static, Result<Bytes, RequestFailure>>,
    mut frames: Box<FrameSplitter>,
    call: &HttpRequest,
) -> (StreamEvent, StreamState) {
    let mut batch = Vec::new();
    loop {
        let broken = match body.next().await {
            Some(Ok(bytes)) => frames.push(&bytes, &mut batch).err(),
            Some(Err(failure)) => return (StreamEvent::Ended(Some(failure)), StreamState::Over),
            None => return (StreamEvent::Ended(None), StreamState::Over),
        };
        if let Some(broken) = broken {
            let fault = broken.fault(&origin(&call.url));
            return (StreamEvent::Ended(Some(fault.into())), StreamState::Over);
        }
        let messages = messages(&mut batch);
        if !messages.is_empty() {
            return (StreamEvent::Messages(messages), StreamState::Open { body, frames });
        }
    }
}

/// An event without data is none.
fn messages(batch: &mut Vec<SseFrame>) -> Vec<String> {
    batch.drain(..).map(|frame| frame.data).filter(|data| !data.is_empty()).collect()
}
