//! Times on the wire.

/// Returns a time, in milliseconds since 1970, as RFC 3339 has it.
pub fn rfc3339(wall_ms: u64) -> String {
    let wall_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(wall_ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}
