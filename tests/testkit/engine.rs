//! What requests for replies consist of.

use std::sync::Arc;

use jarvis_tui::engine::ModelRequest;
use jarvis_tui::event::{OutputFormat, OutputSchema, Risk, SamplingParams, ToolSpec};

/// A tool without side effects.
pub(crate) fn clock() -> ToolSpec {
    ToolSpec {
        name: "clock".into(),
        description: "Tells the time".into(),
        parameters: serde_json::json!({"type": "object"}),
        risk: Risk::ReadOnly,
    }
}

/// Every parameter, each with a value of its own.
pub(crate) fn sampling() -> SamplingParams {
    SamplingParams {
        max_output_tokens: Some(100),
        temperature: Some(0.5),
        top_p: Some(0.25),
        effort: None,
        tool_choice_required: true,
    }
}

/// A request for JSON of a schema, and one for any JSON.
pub(crate) fn formatted_requests() -> [ModelRequest; 2] {
    let schema = OutputSchema {
        name: Some("n".into()),
        strict: Some(true),
        ..OutputSchema::new(serde_json::json!({"type": "object"}))
    };
    [OutputFormat::Schema(schema), OutputFormat::Json]
        .map(|format| ModelRequest { output_format: Some(Arc::new(format)), ..ModelRequest::default() })
}
