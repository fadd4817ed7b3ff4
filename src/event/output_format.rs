//! The format that a client wants an answer in.

use super::Json;

/// A format that the model's server makes sure of.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    /// Any JSON object.
    Json,
    Schema(OutputSchema),
}

/// JSON of a schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputSchema {
    pub name: Option<String>,
    pub description: Option<String>,
    pub schema: Json,
    /// Whether the answer must fit exactly; the server decides where it isn't said.
    pub strict: Option<bool>,
}

impl OutputSchema {
    /// Returns a schema without a name.
    pub fn new(schema: Json) -> Self {
        Self { schema, ..Self::default() }
    }

    /// Returns its name; one that servers accept where it has none.
    pub fn name_or_default(&self) -> &str {
        self.name.as_deref().unwrap_or("answer")
    }
}
