//! Parses the command line, runs its command, returns the exit code. Everything else is in the library.

use std::process::ExitCode;

use jarvis_tui::cli::{Cli, run};
use jarvis_tui::headless::output::{print_error, print_usage_error};
use jarvis_tui::sandbox::run_as_supervisor;

fn main() -> ExitCode {
    // Before anything is read: it runs once for each command.
    if let Some(code) = run_as_supervisor() {
        return code;
    }
    let cli = match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(print_usage_error(&error)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&format!("can't start: {error}"));
            return ExitCode::from(run::EXIT_FAILED);
        }
    };
    let code = runtime.block_on(run::run(cli));
    // A thread that still waits for standard input must not delay the exit.
    runtime.shutdown_background();
    ExitCode::from(code)
}
