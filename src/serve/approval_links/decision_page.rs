//! The page behind a link: plain HTML with a form and without scripts. Everything from outside is escaped, and hidden
//! characters are spelled out, since somebody decides by what stands here.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::time::Instant;

use super::choices;
use crate::event::{DecidedBy, Decision};
use crate::serve::link_table::{ApprovalLink, LinkState};
use crate::text::html::escape_html;
use crate::text::visible::{visible, visible_line};

/// Nothing from elsewhere, no code, and a form that goes to where the page came from.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                              frame-ancestors 'none'";
/// Characters of the details that are shown.
const MAX_DETAIL_CHARS: usize = 20_000;

pub(super) struct DecisionPage {
    title: &'static str,
    /// HTML.
    body: String,
}

impl DecisionPage {
    /// Shows what is asked, and lets decide.
    pub(super) fn ask(link: &ApprovalLink) -> Self {
        let request = &link.request;
        let row = |name: &str, text: &str| format!("<dt>{name}</dt><dd>{}</dd>", escape_html(&visible_line(text)));
        let mut body = format!(
            "<dl>{}{}{}{}</dl>",
            row("Tool", &request.tool),
            row("Subject", &request.subject),
            row("Folder", &request.folder),
            row("Session", link.session.as_str()),
        );
        if let Some(note) = &request.sandbox {
            let _ = write!(body, "<dl>{}</dl>", row("Sandbox", &note.text));
        }
        if !request.detail.is_empty() {
            let detail: String = request.detail.chars().take(MAX_DETAIL_CHARS).collect();
            // Writing to a string doesn't fail.
            let _ = write!(body, "<pre>{}</pre>", escape_html(&visible(&detail)));
            if detail.len() < request.detail.len() {
                body.push_str(
                    "<p class=\"problem\">There is more than is shown here: decide where all of it can be seen.</p>",
                );
            }
        }
        let left = link.expires_at.saturating_duration_since(Instant::now());
        let _ = write!(body, "<p>This link is good once, for another {}.</p><form method=\"post\">", in_words(left));
        for offered in choices(request) {
            let class = if offered.kind.allows() { "main" } else { "deny" };
            let _ = write!(
                body,
                "<button class=\"{class}\" type=\"submit\" name=\"decision\" value=\"{}\">{}</button> ",
                escape_html(&offered.id),
                escape_html(&visible_line(&offered.label)),
            );
        }
        body.push_str("</form>");
        Self { title: "May this run?", body }
    }

    /// Says what became of a link.
    pub(super) fn over(state: &LinkState) -> Self {
        let text = match state {
            LinkState::Decided(decision, by) => {
                let what = if decision.allows() { "allowed" } else { "denied" };
                let by = match by {
                    DecidedBy::Link => "by a link",
                    DecidedBy::Person => "at the screen",
                    DecidedBy::Remote => "by a client",
                    DecidedBy::Policy => "by a rule",
                    DecidedBy::TimedOut => "since nobody answered in time",
                    DecidedBy::Cancelled => "since the turn was stopped",
                };
                let how = if matches!(decision, Decision::Once) { ", once" } else { "" };
                format!("This was {what}{how}, {by}.")
            }
            LinkState::Expired => "This link is too old. Decide at the screen or with a client.".to_owned(),
            LinkState::Used => "This link was used already.".to_owned(),
            LinkState::Gone | LinkState::Open => "Nobody waits for this decision any more.".to_owned(),
        };
        Self { title: "Decided", body: format!("<p>{text}</p>") }
    }

    pub(super) fn unknown() -> Self {
        Self { title: "Not found", body: "<p>There is no such link, or it was long ago.</p>".to_owned() }
    }

    pub(super) fn too_many() -> Self {
        Self { title: "Too many", body: "<p>Too many wrong links were tried. Try again in a minute.</p>".to_owned() }
    }

    pub(super) fn to_response(&self, status: u16) -> Response<Body> {
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
             <title>{0} · jarvis-tui</title><link rel=\"stylesheet\" href=\"/page/page.css\"></head>\
             <body class=\"decision\"><main><h1>{0}</h1>{1}</main></body></html>",
            self.title, self.body
        );
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if status == 429 {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

fn in_words(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..=90 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::events::shell_approval;

    #[tokio::test]
    async fn what_is_asked_is_text_and_hidden_characters_are_seen() {
        let mut request = shell_approval("echo '<script>' \u{202e}dlrow");
        request.detail = "<img src=x onerror=\"alert(1)\">\nnext".to_owned();
        let link = ApprovalLink {
            session: "s".into(),
            call: "c".into(),
            request,
            expires_at: Instant::now() + Duration::from_mins(5),
            state: LinkState::Open,
        };
        let page = DecisionPage::ask(&link).body;
        assert!(!page.contains("<script>") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("4 min"), "{page}");
        assert!(
            page.contains("value=\"once\"") && page.contains("value=\"deny\"") && !page.contains("session\""),
            "{page}"
        );
    }
}
