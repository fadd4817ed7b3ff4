//! The program's own log, for developers.

use tracing_subscriber::EnvFilter;

use crate::cli::LogLevel;
use crate::config::Paths;
use crate::private;

/// Opens the log file; it is created with the first line.
pub(super) fn open(paths: &Paths, level: Option<LogLevel>) {
    let own = std::env::var("JARVIS_TUI_LOG").or_else(|_| std::env::var("RUST_LOG")).ok();
    let Some(filter) = filter(level, own).and_then(|filter| EnvFilter::try_new(filter).ok()) else { return };
    if paths.create_dirs().is_err() {
        return;
    }
    let Ok(file) = private::open_options().create(true).append(true).open(paths.log_file()) else { return };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).try_init();
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
