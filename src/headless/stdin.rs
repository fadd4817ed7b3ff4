//! Reads the prompt from a pipe.

#[cfg(not(unix))]
use std::io::IsTerminal as _;
use std::io::{self, Read as _};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;

use super::output::print_error;

/// How long a prompt that is complete by itself waits for standard input to begin.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(3);

/// Joins the prompt with piped input. `None` if there is neither.
///
/// # Errors
///
/// Fails if standard input can't be read.
pub async fn piped_prompt(given: Option<&str>, print: bool) -> anyhow::Result<Option<String>> {
    let given = given.filter(|text| !text.trim().is_empty());
    if given != Some("-") && !stdin_has_data() {
        return Ok(given.map(str::to_owned));
    }
    let given = given.filter(|text| *text != "-");
    let (first, began) = oneshot::channel();
    let reading = tokio::task::spawn_blocking(move || read_stdin(first));
    let reading = async { reading.await.context("reading standard input")?.context("reading standard input") };
    let joined = join_input(given, began, reading).await?;
    if joined.timed_out && print {
        print_error("no standard input for 3 s, continuing without it");
    }
    Ok(joined.prompt)
}

/// A prompt with what came by a pipe.
#[derive(Debug, PartialEq, Eq)]
struct JoinedPrompt {
    prompt: Option<String>,
    /// The pipe was not waited for.
    timed_out: bool,
}

/// Waits for the input, unless the prompt is complete without it: an unused pipe must not block one. `began` resolves
/// with the first byte or the end.
async fn join_input(
    given: Option<&str>,
    began: impl Future,
    input: impl Future<Output = anyhow::Result<Vec<u8>>>,
) -> anyhow::Result<JoinedPrompt> {
    if let Some(given) = given
        && tokio::time::timeout(FIRST_BYTE_TIMEOUT, began).await.is_err()
    {
        return Ok(JoinedPrompt { prompt: Some(given.to_owned()), timed_out: true });
    }
    let input = input.await?;
    let input = String::from_utf8_lossy(&input);
    let prompt = match (given, input.trim_end()) {
        (given, "") => given.map(str::to_owned),
        (Some(given), input) => Some(format!("{given}\n\n{input}")),
        (None, input) => Some(input.to_owned()),
    };
    Ok(JoinedPrompt { prompt, timed_out: false })
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

fn read_stdin(first: oneshot::Sender<()>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1];
    let mut stdin = io::stdin().lock();
    let got = stdin.read(&mut bytes)?;
    // Nobody waits for the first byte if the prompt needs the input.
    let _ = first.send(());
    if got == 0 {
        return Ok(Vec::new());
    }
    stdin.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn joined(prompt: &str) -> JoinedPrompt {
        JoinedPrompt { prompt: Some(prompt.to_owned()), timed_out: false }
    }

    async fn join_text(given: Option<&str>, input: &str) -> JoinedPrompt {
        join_input(given, ready(()), ready(Ok(input.into()))).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_complete_prompt_does_not_wait_for_an_input_that_never_begins() {
        let start = tokio::time::Instant::now();
        let joining = join_input(Some("hi"), pending::<()>(), pending());
        let joined = tokio::time::timeout(FIRST_BYTE_TIMEOUT * 2, joining).await.expect("it goes on").unwrap();
        assert_eq!(joined, JoinedPrompt { prompt: Some("hi".into()), timed_out: true });
        assert_eq!(start.elapsed(), FIRST_BYTE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_that_began_is_read_to_its_end_however_long_that_takes() {
        let slow = async {
            tokio::time::sleep(Duration::from_hours(1)).await;
            Ok(b"text\n".to_vec())
        };
        assert_eq!(join_input(Some("hi"), ready(()), slow).await.unwrap(), joined("hi\n\ntext"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_prompt_the_input_is_waited_for() {
        let waiting = join_input(None, pending::<()>(), pending());
        assert!(tokio::time::timeout(Duration::from_hours(1), waiting).await.is_err());
        let late = async {
            tokio::time::sleep(FIRST_BYTE_TIMEOUT * 2).await;
            Ok(b"text".to_vec())
        };
        assert_eq!(join_input(None, pending::<()>(), late).await.unwrap(), joined("text"));
    }

    #[tokio::test]
    async fn an_empty_input_adds_nothing() {
        assert_eq!(join_text(Some("hi"), "\n").await, joined("hi"));
        assert_eq!(join_text(None, "").await, JoinedPrompt { prompt: None, timed_out: false });
    }

    #[tokio::test]
    async fn an_input_that_can_not_be_read_is_an_error() {
        let failed = join_input(Some("hi"), ready(()), ready(Err(anyhow::anyhow!("no access")))).await;
        assert_eq!(failed.unwrap_err().to_string(), "no access");
    }
}
