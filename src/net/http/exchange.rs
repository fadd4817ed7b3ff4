//! One request whose answer is looked at whatever its status, for protocols in which a refusal is part of the talk.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderMap;

use super::super::failure::RequestFailure;
use super::super::request::HttpRequest;
use super::errors::broken_connection_failure;
use super::{HttpClient, display_origin};

/// An answer that has begun.
pub struct HttpExchange {
    pub status: u16,
    headers: HeaderMap,
    pub body: BoxStream<'static, Result<Bytes, RequestFailure>>,
}

impl HttpClient {
    /// Sends a request and returns once its answer begins. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// Fails if there is no answer.
    pub async fn ask(&self, call: &HttpRequest) -> Result<HttpExchange, RequestFailure> {
        let (_, response, _) = self.send_any(call, &[]).await?;
        let place = display_origin(response.url());
        Ok(HttpExchange {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response
                .bytes_stream()
                .map(move |chunk| chunk.map_err(|error| broken_connection_failure(&place, error)))
                .boxed(),
        })
    }
}

impl HttpExchange {
    /// Returns a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns whether the body is of this type.
    pub fn is_type(&self, media_type: &str) -> bool {
        let kind = self.header("content-type").and_then(|kind| kind.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media_type))
    }

    /// Reads the body; `None` if it is longer than that.
    ///
    /// # Errors
    ///
    /// Fails if the connection does.
    pub async fn read(mut self, max_bytes: usize) -> Result<Option<Vec<u8>>, RequestFailure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk?;
            if body.len() + chunk.len() > max_bytes {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }
}
