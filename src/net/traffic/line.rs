//! PURE. One line of a recording.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::Millis;
use crate::net::redact::Redactor;
use crate::text::address::path_and_query;
use crate::text::display_url::origin;

/// What the first field of a recording's first line says.
pub const RECORDING_KIND: &str = "recording";
/// What stands for the content type of a feed of messages; each is a line.
pub const WEBSOCKET_CONTENT_TYPE: &str = "websocket";
/// The format this program writes.
pub const RECORDING_FORMAT: u32 = 1;

/// One line of a recording. Times count from the first request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordLine {
    Response {
        kind: String,
        format: u32,
        at: Millis,
        method: String,
        url: String,
        status: u16,
        content_type: String,
    },
    Chunk {
        at: Millis,
        bytes: String,
        /// `base64`, where the bytes are no text by themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoding: Option<String>,
    },
    End {
        at: Millis,
        /// `eof`, or why the connection broke.
        end: String,
    },
}

impl RecordLine {
    pub(in crate::net) fn from_bytes_redacted(at: Millis, bytes: Vec<u8>, secrets: &Redactor) -> Self {
        let mut piece = Self::from_bytes(at, bytes);
        if let Self::Chunk { bytes, encoding: None, .. } = &mut piece {
            secrets.redact(bytes);
        }
        piece
    }

    /// A piece of what no secret was sent for.
    pub fn from_bytes(at: Millis, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(bytes) => Self::Chunk { at, bytes, encoding: None },
            Err(other) => {
                let bytes = STANDARD.encode(other.as_bytes());
                Self::Chunk { at, bytes, encoding: Some("base64".to_owned()) }
            }
        }
    }

    /// Returns the bytes of a piece; none if they can't be read.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Chunk { bytes, encoding: None, .. } => Some(Bytes::from(bytes.clone())),
            Self::Chunk { bytes, encoding: Some(name), .. } if name == "base64" => {
                STANDARD.decode(bytes).ok().map(Bytes::from)
            }
            _ => None,
        }
    }

    /// Returns it as it stands in a file.
    pub(super) fn to_jsonl(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Counts its time from another moment.
    pub(super) fn relative_to(mut self, began: Millis) -> Self {
        let (Self::Response { at, .. } | Self::Chunk { at, .. } | Self::End { at, .. }) = &mut self;
        *at = at.since(began);
        self
    }

    pub fn at(&self) -> Millis {
        match self {
            Self::Response { at, .. } | Self::Chunk { at, .. } | Self::End { at, .. } => *at,
        }
    }
}

/// Returns an address without password and without the values of its query, which may be keys.
pub fn redact_url(url: &str) -> String {
    let (whole, _) = url.split_once('#').unwrap_or((url, ""));
    let (path, query) = match whole.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (whole, None),
    };
    let names: Vec<&str> = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .collect();
    let query = if names.is_empty() { String::new() } else { format!("?{}", names.join("&")) };
    format!("{}{}{query}", origin(path), path_and_query(path).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::request::{Framing, HttpMethod, HttpRequest};

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        assert_eq!(redact_url("https://me:pw@h:1/a/b?api_key=s3&stream=true#x"), "https://h:1/a/b?api_key&stream");
        assert_eq!(redact_url("http://h"), "http://h");
    }

    #[test]
    fn any_bytes_come_back_as_they_were() {
        let none = Redactor::for_request(&HttpRequest {
            method: HttpMethod::Get,
            url: String::new(),
            headers: Vec::new(),
            body: None,
            framing: Framing::Any,
        });
        for bytes in [&b"data: \xf0\x9f\x98\x80\n\n"[..], b"\xf0\x9f", b"\xff\xfe\0", b"", b"\"\\\n"] {
            let line = RecordLine::from_bytes_redacted(Millis(7), bytes.to_vec(), &none);
            let again: RecordLine = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
            assert_eq!(again, line);
            assert_eq!(again.bytes().unwrap(), bytes);
        }
        let text = r#"{"at":3,"bytes":"!","encoding":"base64"}"#;
        assert_eq!(serde_json::from_str::<RecordLine>(text).unwrap().bytes(), None);
    }
}
