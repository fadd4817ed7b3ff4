//! What requests for replies consist of.

use jarvis_tui::event::{Risk, SamplingParams, ToolSpec};

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
