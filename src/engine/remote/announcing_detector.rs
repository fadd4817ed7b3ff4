//! A decoder that detects its dialect and emits it as an event: for JSON output, logs and people.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dialect::detect::Detector;
use crate::dialect::{Decode, DecodeContext, Dialect, ResponseHead, SseFrame};
use crate::event::{Annotation, NoticeCode, ReplyEvent, ReplyTarget};

/// Detects, decodes, and announces the dialect as an annotation before the first events.
pub struct AnnouncingDetector {
    inner: Detector,
    is_pinned: bool,
    /// The announced dialect; chat completions may turn out to be OpenJarvis's.
    announced_dialect: &'static str,
    /// Whether an earlier answer explained the dialect.
    has_explained: Arc<AtomicBool>,
    explains_every_turn: bool,
}

impl AnnouncingDetector {
    /// Decodes `dialect`, where it names a known one, or detects it.
    pub fn new(dialect: Option<&str>, context: DecodeContext, has_explained: Arc<AtomicBool>, explain: bool) -> Self {
        let pinned = dialect.and_then(|name| Detector::with_dialect(name, context.clone()));
        let is_pinned = pinned.is_some();
        let inner = pinned.unwrap_or_else(|| Detector::new(context));
        Self { inner, is_pinned, announced_dialect: "", has_explained, explains_every_turn: explain }
    }

    /// Says which session the request belongs to, before the first frame.
    pub fn set_session(&mut self, session: &str) {
        self.inner.set_session(session);
    }

    /// Decides for a dialect that something besides the stream shows, unless the stream itself has decided.
    pub fn assume(&mut self, dialect: &'static Dialect, why: &str, out: &mut Vec<ReplyEvent>) {
        let from = out.len();
        self.inner.assume(dialect, why, out);
        self.announce(from, out);
    }

    /// Has the decoder act, where it is one of this type.
    pub fn with_decoder<D: Decode, R>(
        &mut self,
        out: &mut Vec<ReplyEvent>,
        act: impl FnOnce(&mut D, &mut Vec<ReplyEvent>) -> R,
    ) -> Option<R> {
        self.inner.decoder_mut().map(|decoder| act(decoder, out))
    }

    /// Adds the annotation once the dialect is known. The detector's notice for people is shown once per session.
    fn announce(&mut self, from: usize, out: &mut Vec<ReplyEvent>) {
        let name = self.inner.name();
        if name.is_empty() || name == self.announced_dialect {
            return;
        }
        self.announced_dialect = name;
        let is_dialect_notice =
            |event: &ReplyEvent| matches!(event, ReplyEvent::Notice { code: NoticeCode::Dialect, .. });
        let at = out.iter().skip(from).position(is_dialect_notice).map(|at| from + at);
        let because = match at.and_then(|at| out.get(at)) {
            Some(ReplyEvent::Notice { text, .. }) => {
                text.split_once(" because ").map_or(text.as_str(), |(_, why)| why).to_owned()
            }
            _ if self.is_pinned => "it was named with --dialect".to_owned(),
            _ => String::new(),
        };
        if let Some(at) = at
            && self.has_explained.swap(true, Ordering::Relaxed)
            && !self.explains_every_turn
        {
            out.remove(at);
        }
        let annotation = Annotation::Dialect { name: name.to_owned(), because };
        let note = ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation };
        out.insert(from.min(out.len()), note);
    }
}

impl Decode for AnnouncingDetector {
    fn begin_response(&mut self, head: &ResponseHead) {
        self.inner.begin_response(head);
    }

    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let from = out.len();
        self.inner.decode_frame(frame, out);
        self.announce(from, out);
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let from = out.len();
        self.inner.finish(out);
        self.announce(from, out);
    }

    fn has_failed(&self) -> bool {
        self.inner.has_failed()
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }

    fn begins_next(&self, frame: &SseFrame) -> bool {
        self.inner.begins_next(frame)
    }
}
