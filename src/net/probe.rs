//! Asks several servers at once, under one time limit. What their answers mean is the engines' business.

use std::time::Duration;

use futures_util::future::join_all;

use super::http::HttpClient;
use super::request::HttpRequest;
use crate::event::{Fault, Json};

/// Makes all calls side by side and returns their answers in the same order. What was not answered within `limit`
/// timed out.
pub async fn join_json(http: &HttpClient, calls: &[HttpRequest], limit: Duration) -> Vec<Result<Json, Fault>> {
    join_all(calls.iter().map(|call| http.request_json(call, limit))).await
}
