//! Writes a log anew without the secrets that an earlier version, or a run without redaction, left in it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::bridge::session::Scrubber;
use crate::event::{AgentEvent, Envelope, Json};
use crate::net::redact::{redact_json, redact_text, secret_rules};
use crate::private;
use crate::text::secrets::SecretRules;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubbedLog {
    pub file: PathBuf,
    /// Events that held a secret.
    pub changed: usize,
    pub events: usize,
    /// Outputs beside the log that held one, written anew into a folder beside the file.
    pub outputs: Vec<PathBuf>,
}

/// Returns events without their secrets; with the same numbers and times.
pub(super) fn without_secrets(events: Vec<Envelope>) -> Vec<Envelope> {
    let Some(rules) = secret_rules() else { return events };
    let mut scrubber = Scrubber::new(&rules);
    let mut scrubbed = Vec::with_capacity(events.len());
    for envelope in events {
        scrubbed.extend(scrubber.push(envelope));
    }
    scrubbed.extend(scrubber.finish());
    scrubbed
}

/// Reads a log and writes it without its secrets to another file, which must not be there yet. The log stays as it is.
pub fn scrub_log(log: &Path, to: &Path) -> anyhow::Result<ScrubbedLog> {
    let rules = secret_rules().context("redaction is turned off: set [redact] enabled = true")?;
    let source = File::open(log).with_context(|| format!("can't read {}", log.display()))?;
    let file = private::open_options()
        .write(true)
        .create_new(true)
        .open(to)
        .with_context(|| format!("can't write {}; name another file with -o", to.display()))?;
    let written = write_scrubbed(&rules, log, source, file, to);
    if written.is_err() {
        // Half a log would look like one.
        let _ = std::fs::remove_file(to);
    }
    written
}

fn write_scrubbed(rules: &SecretRules, log: &Path, source: File, file: File, to: &Path) -> anyhow::Result<ScrubbedLog> {
    let mut out = BufWriter::new(file);
    let mut scrubber = Scrubber::new(rules);
    let mut outputs = Vec::new();
    let (mut events, mut other_lines) = (0, 0);
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    loop {
        line.clear();
        if source.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if let Ok(envelope) = serde_json::from_slice::<Envelope>(text) {
            events += 1;
            if let AgentEvent::ToolCallFinished { output, .. } = &envelope.event {
                outputs.extend(output.file.clone());
            }
            for done in scrubber.push(envelope) {
                write_line(&mut out, &done)?;
            }
            continue;
        }
        for done in scrubber.finish() {
            write_line(&mut out, &done)?;
        }
        other_lines += usize::from(write_other(rules, &mut out, text)?);
    }
    for done in scrubber.finish() {
        write_line(&mut out, &done)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    let outputs = scrub_outputs(rules, log, to, &outputs)?;
    Ok(ScrubbedLog { file: to.to_owned(), changed: scrubber.changed() + other_lines, events, outputs })
}

fn write_line(out: &mut impl io::Write, envelope: &Envelope) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, envelope)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Writes the header, or a line that is damaged; returns whether it held a secret.
fn write_other(rules: &SecretRules, out: &mut impl io::Write, line: &[u8]) -> anyhow::Result<bool> {
    let (told, is_changed) = if let Ok(mut json) = serde_json::from_slice::<Json>(line) {
        let is_changed = redact_json(rules, &mut json);
        (if is_changed { serde_json::to_vec(&json)? } else { line.to_owned() }, is_changed)
    } else {
        let mut text = String::from_utf8_lossy(line).into_owned();
        let is_changed = redact_text(rules, &mut text);
        (if is_changed { text.into_bytes() } else { line.to_owned() }, is_changed)
    };
    out.write_all(&told)?;
    out.write_all(b"\n")?;
    Ok(is_changed)
}

/// Writes the outputs beside the log that hold a secret into a folder beside the new file.
fn scrub_outputs(rules: &SecretRules, log: &Path, to: &Path, names: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = to.with_extension("outputs");
    let mut written = Vec::new();
    for name in names {
        // A log may be somebody else's: a name is a name here, never a path.
        let Some(name) = Path::new(name).file_name() else { continue };
        let from = log.with_file_name(name);
        let Ok(bytes) = std::fs::read(&from) else { continue };
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if redact_text(rules, &mut text) {
            private::create_dir(&folder)?;
            let path = folder.join(name);
            private::create_file(&path)?.write_all(text.as_bytes())?;
            written.push(path);
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CallOutcome, CallOutput, Millis, Seq};
    use crate::testkit::events::{opened, user_message};

    #[test]
    fn a_log_is_written_anew_without_secrets_and_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
        let log = folder.path().join("s.jsonl");
        let finished = AgentEvent::ToolCallFinished {
            call: "c".into(),
            outcome: CallOutcome::Ok,
            output: CallOutput { file: Some("s.c.out".into()), ..CallOutput::from_text("x") },
            duration: None,
        };
        let mut text = format!(
            "{{\"format\":1,\"kind\":\"session\",\"session\":\"s\",\"started_at\":0,\"folder\":\"\",\"engine\":\"\",\"model\":\"\",\"version\":\"0.1.0\",\"title\":\"{key}\"}}\n"
        );
        for (nth, event) in [opened(), user_message("m1", &format!("use {key}")), finished].into_iter().enumerate() {
            let envelope = Envelope { seq: Seq(nth as u64 + 1), at: Millis(5), event };
            text += &(serde_json::to_string(&envelope).unwrap() + "\n");
        }
        text += "{\"seq\":4,\"torn ";
        text += &key;
        std::fs::write(&log, &text).unwrap();
        std::fs::write(folder.path().join("s.c.out"), format!("long {key}")).unwrap();
        let to = folder.path().join("new.jsonl");
        let scrubbed = scrub_log(&log, &to).unwrap();
        assert_eq!((scrubbed.changed, scrubbed.events, scrubbed.outputs.len()), (3, 3, 1));
        let told = std::fs::read_to_string(&to).unwrap();
        assert!(!told.contains(&key) && told.lines().count() == 5, "{told}");
        assert_eq!(told.matches("[redacted:github-token:").count(), 3);
        assert!(!std::fs::read_to_string(&scrubbed.outputs[0]).unwrap().contains(&key));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), text, "the log is untouched");
        let shown = crate::runtime::SavedLog::read(&log).unwrap();
        let said: Vec<_> = shown.events.iter().map(|event| String::from_utf8(event.line.to_vec()).unwrap()).collect();
        assert!(!said.concat().contains(&key) && !format!("{:?}", shown.events).contains(&key), "{said:?}");
        assert_eq!((said.len(), said[0].as_str()), (3, text.lines().nth(1).unwrap()), "other lines stay as they are");
        let again = scrub_log(&log, &to).unwrap_err().to_string();
        assert!(again.contains("name another file with -o"), "{again}");
    }
}
