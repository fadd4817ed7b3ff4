//! `models`: lists the models of all reachable engines.

use std::fmt::Write as _;

use serde_json::json;

use super::RunContext;
use crate::headless::output::{print, print_error, print_json};
use crate::runtime::Frontend;
use crate::text::one_line;

pub(super) async fn run(as_json: bool, context: RunContext) -> anyhow::Result<u8> {
    let runtime = context.runtime(Frontend::Headless, None);
    let listed = runtime.engine_resolver().list_all().await;
    for fault in listed.iter().filter_map(|engine| engine.models.as_ref().err()) {
        print_error(&one_line(&fault.message, 300));
    }
    if as_json {
        let rows: Vec<_> = listed
            .iter()
            .flat_map(|engine| {
                engine.models.iter().flatten().map(|model| {
                    json!({
                        "name": format!("{}/{}", engine.engine, model.id),
                        "engine": engine.engine,
                        "model": model.id,
                        "window": model.context_window,
                        "remark": model.remark,
                    })
                })
            })
            .collect();
        print_json(&serde_json::Value::from(rows).to_string())?;
        return Ok(0);
    }
    let mut text = String::new();
    for engine in &listed {
        for model in engine.models.iter().flatten() {
            let name = format!("{}/{}", engine.engine, model.id);
            let _ = writeln!(text, "{:<44} {}", one_line(&name, 120), one_line(&model.remark, 60));
        }
    }
    print(&text)?;
    Ok(0)
}
