//! Reads the prompt from a pipe.

#[cfg(not(unix))]
use std::io::IsTerminal as _;
use std::io::Read as _;
use std::time::Duration;

use anyhow::Context as _;

use super::output::print_error;

/// Joins the prompt with piped input. `None` if there is neither.
///
/// # Errors
///
/// Fails if standard input can't be read.
pub async fn piped_prompt(given: Option<&str>, print: bool) -> anyhow::Result<Option<String>> {
    let given = given.filter(|text| !text.trim().is_empty());
    let wants_stdin = given == Some("-");
    let given = given.filter(|text| *text != "-");
    if !wants_stdin && !stdin_has_data() {
        return Ok(given.map(str::to_owned));
    }
    // An unused pipe must not block a prompt that is complete without it.
    let timeout = given.is_some().then_some(Duration::from_secs(3));
    let piped = read_stdin(timeout, print).await?;
    let piped = piped.trim_end().to_owned();
    Ok(match (given, piped.is_empty()) {
        (Some(given), true) => Some(given.to_owned()),
        (Some(given), false) => Some(format!("{given}\n\n{piped}")),
        (None, true) => None,
        (None, false) => Some(piped),
    })
}

/// Returns whether standard input is a pipe or a file rather than a terminal, a device or nothing.
fn stdin_has_data() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        std::fs::metadata("/dev/stdin").is_ok_and(|meta| {
            let kind = meta.file_type();
            kind.is_fifo() || kind.is_file() || kind.is_socket()
        })
    }
    #[cfg(not(unix))]
    {
        !std::io::stdin().is_terminal()
    }
}

async fn read_stdin(timeout: Option<Duration>, print: bool) -> anyhow::Result<String> {
    let (first, began) = tokio::sync::oneshot::channel();
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; 1];
        let mut stdin = std::io::stdin().lock();
        let got = stdin.read(&mut bytes)?;
        // Without a timeout, nobody waits for the first byte.
        let _ = first.send(());
        if got == 0 {
            return Ok(Vec::new());
        }
        stdin.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    if let Some(timeout) = timeout
        && tokio::time::timeout(timeout, began).await.is_err()
    {
        if print {
            print_error("no standard input for 3 s, continuing without it");
        }
        return Ok(String::new());
    }
    let bytes = reading.await.context("reading standard input")?.context("reading standard input")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
