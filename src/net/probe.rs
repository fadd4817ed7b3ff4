//! Asks several servers at once, under one time limit. What their answers mean is the engines' business.

use std::time::Duration;

use futures_util::future::join_all;

use super::call::HttpCall;
use super::http::Http;
use crate::event::Json;

/// Makes all calls side by side and returns their answers in the same order, none for a call that failed or was not
/// answered within `limit`.
pub async fn gather(http: &Http, calls: &[HttpCall], limit: Duration) -> Vec<Option<Json>> {
    join_all(calls.iter().map(|call| async { http.json(call, limit).await.ok() })).await
}
