//! Asks several servers at once, under one time limit. What their answers mean is the engines' business.

use std::time::Duration;

use futures_util::future::join_all;

use super::call::HttpCall;
use super::http::Http;
use crate::event::{Fault, Json};

/// Makes all calls side by side and returns their answers in the same order. What was not answered within `limit`
/// timed out.
pub async fn gather(http: &Http, calls: &[HttpCall], limit: Duration) -> Vec<Result<Json, Fault>> {
    join_all(calls.iter().map(|call| http.json(call, limit))).await
}
