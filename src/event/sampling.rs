//! How a client wants an answer to be written.

/// What is said here is passed on to the model's server; of the rest that server decides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingParams {
    /// Tokens that one reply may have.
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// The first reply must call a tool.
    pub tool_choice_required: bool,
}
