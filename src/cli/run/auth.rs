//! `auth`: where keys and tokens are looked for, and whether they are there.

use std::fmt::Write as _;

use serde_json::json;

use super::RunContext;
use crate::config::environment;
use crate::config::key_status::key_statuses;
use crate::headless::output::{print, print_json};

pub(super) fn run(as_json: bool, context: &RunContext) -> anyhow::Result<u8> {
    let statuses = key_statuses(&context.loaded.config, &environment::variable);
    if as_json {
        let rows = statuses
            .iter()
            .map(|status| json!({ "setting": status.setting, "source": status.source, "state": status.state.name() }));
        print_json(&rows.collect::<serde_json::Value>().to_string())?;
        return Ok(0);
    }
    let width = statuses.iter().map(|status| status.setting.len()).max().unwrap_or_default();
    let source_width = statuses.iter().map(|status| status.source.len()).max().unwrap_or_default();
    let mut text = String::new();
    for status in &statuses {
        let (setting, source) = (&status.setting, &status.source);
        let _ = writeln!(text, "{setting:<width$}  {source:<source_width$}  {}", status.state.name());
    }
    print(&text)?;
    Ok(0)
}
