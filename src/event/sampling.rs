//! Sampling parameters that a client sets for an answer.

use super::Effort;

/// Parameters that are set are passed on to the model's server, which decides the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// The limit on tokens of one response.
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// How much the model is to think.
    pub effort: Option<Effort>,
    /// The first response must call a tool.
    pub tool_choice_required: bool,
}
