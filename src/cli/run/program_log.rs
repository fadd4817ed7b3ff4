//! The program's own log, for developers.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::LogLevel;
use crate::config::Paths;
use crate::private;

/// Opens the log file; it is created with the first line.
pub(super) fn open(paths: &Paths, level: Option<LogLevel>) {
    let own = std::env::var("JARVIS_TUI_LOG").or_else(|_| std::env::var("RUST_LOG")).ok();
    let Some(filter) = filter(level, own).and_then(|filter| filter.parse::<Targets>().ok()) else { return };
    if paths.create_dirs().is_err() {
        return;
    }
    let Ok(file) = private::open_options().create(true).append(true).open(paths.log_file()) else { return };
    let lines = layer().with_ansi(false).with_writer(file);
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// Returns the filter: a flag applies to this program only, a variable says what it applies to.
fn filter(level: Option<LogLevel>, variable: Option<String>) -> Option<String> {
    level.map(|level| format!("jarvis_tui={}", level.name())).or(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_counts_before_a_variable_and_without_both_there_is_no_log() {
        let variable = || Some("hyper=trace".to_owned());
        assert_eq!(filter(Some(LogLevel::Debug), variable()).as_deref(), Some("jarvis_tui=debug"));
        assert_eq!(filter(None, variable()), variable());
        assert_eq!(filter(None, None), None);
    }
}
