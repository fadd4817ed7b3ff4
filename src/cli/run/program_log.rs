//! The program's own log, for developers.

use std::sync::Mutex;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::LogLevel;
use crate::config::Paths;
use crate::runtime::redaction::RedactedFile;
use crate::text::one_line;

/// Says what is logged. Unlike `RUST_LOG`, which may be meant for other programs, it must be readable.
const LOG_VARIABLE: &str = "JARVIS_TUI_LOG";

/// Opens the log file; it is created with the first line. Returns what is wrong with the variable that says what goes in.
pub(super) fn open(paths: &Paths, level: Option<LogLevel>) -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok();
    let filter = match filter(level, variable(LOG_VARIABLE), variable("RUST_LOG")) {
        Ok(filter) => filter?,
        Err(problem) => return Some(problem),
    };
    if paths.create_dirs().is_err() {
        return None;
    }
    let file = RedactedFile::append_to(&paths.log_file()).ok()?;
    let lines = layer().with_ansi(false).with_writer(Mutex::new(file));
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    None
}

/// Returns the filter, if there is to be a log: a flag applies to this program only, a variable says what it applies to.
fn filter(level: Option<LogLevel>, own: Option<String>, shared: Option<String>) -> Result<Option<Targets>, String> {
    if let Some(level) = level {
        return Ok(format!("jarvis_tui={}", level.name()).parse().ok());
    }
    let Some(own) = own else { return Ok(shared.and_then(|shared| shared.parse().ok())) };
    own.parse().map(Some).map_err(|error| {
        let own = one_line(&own, 100);
        format!(
            "nothing is logged: {LOG_VARIABLE}={own}: {error}; write levels by target: jarvis_tui=debug,hyper_util=info"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_before_a_variable_and_without_both_there_is_no_log() {
        let variable = || Some("hyper=trace".to_owned());
        let shown = |filter: Result<Option<Targets>, String>| filter.unwrap().map(|filter| filter.to_string());
        assert_eq!(shown(filter(Some(LogLevel::Debug), variable(), None)).as_deref(), Some("jarvis_tui=debug"));
        assert_eq!(shown(filter(None, variable(), Some("off".into()))), variable());
        assert_eq!(shown(filter(None, None, variable())), variable());
        assert_eq!(shown(filter(None, None, None)), None);
    }

    #[test]
    fn a_variable_of_ours_that_is_no_filter_is_reported_and_that_of_all_programs_is_not() {
        let wrong = || Some("jarvis_tui=loud\n".to_owned());
        let problem = filter(None, wrong(), None).unwrap_err();
        assert!(
            problem.contains("JARVIS_TUI_LOG=jarvis_tui=loud") && problem.contains("jarvis_tui=debug"),
            "{problem}"
        );
        assert_eq!(problem.lines().count(), 1, "{problem}");
        assert_eq!(
            filter(Some(LogLevel::Debug), wrong(), None).unwrap().map(|filter| filter.to_string()).as_deref(),
            Some("jarvis_tui=debug")
        );
        assert_eq!(filter(None, None, wrong()).unwrap().map(|filter| filter.to_string()), None);
    }
}
