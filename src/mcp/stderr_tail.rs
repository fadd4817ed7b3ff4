//! The end of what a program wrote to standard error: what explains why it doesn't work.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

/// So much of it is kept.
const MAX_TAIL_BYTES: usize = 8 * 1024;

/// Reads all of it, so that the program never waits, and keeps its end in `tail`.
pub(super) async fn keep_tail(mut stderr: impl AsyncRead + Unpin, tail: &watch::Sender<String>) {
    let mut buffer = vec![0; 4096];
    // Bytes that may be the beginning of a character.
    let mut pending = 0;
    while let Ok(count @ 1..) = stderr.read(&mut buffer[pending..]).await {
        let bytes = &buffer[..pending + count];
        let whole = bytes.len() - incomplete_bytes(bytes);
        let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
        let end = bytes.len();
        buffer.copy_within(whole..end, 0);
        pending = end - whole;
        tracing::debug!(target: "jarvis_tui::mcp", "stderr: {}", text.trim_end());
        tail.send_modify(|tail| push_bounded(tail, &text));
    }
}

fn push_bounded(tail: &mut String, text: &str) {
    tail.push_str(text);
    if tail.len() > MAX_TAIL_BYTES {
        let cut = tail.ceil_char_boundary(tail.len() - MAX_TAIL_BYTES);
        tail.drain(..cut);
    }
}

/// Returns how many bytes at the end begin a character that is not whole.
fn incomplete_bytes(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last().map(|chunk| chunk.invalid()) {
        Some(cut) if !cut.is_empty() && std::str::from_utf8(cut).is_err_and(|error| error.error_len().is_none()) => {
            cut.len()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_kept_and_characters_stay_whole() {
        let (tail, kept) = watch::channel(String::new());
        let text = format!("{}é→{}", "x".repeat(9000), "y".repeat(4093));
        keep_tail(text.as_bytes(), &tail).await;
        let kept = kept.borrow();
        assert!(kept.len() <= MAX_TAIL_BYTES && text.ends_with(kept.as_str()) && kept.contains("é→"));
    }
}
