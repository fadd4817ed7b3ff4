//! `sessions handoff`: a session for another agent, on standard output or in a file; what to do with it on standard error.

use std::path::Path;

use crate::headless::output::{print, print_progress};
use crate::runtime::SavedSessions;

pub(super) fn run(saved: &SavedSessions, id: &str, format: &str, output: Option<&Path>) -> anyhow::Result<u8> {
    let handoff = saved.hand_off(id, format)?;
    match output.filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            let written = saved.write_handoff(&handoff, file)?;
            print_progress(&format!("wrote {}", written.display()));
        }
        None => print(&handoff.text)?,
    }
    print_progress(&handoff.remark());
    Ok(0)
}
