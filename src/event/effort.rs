//! How much a model is to think before it answers.

use serde::{Deserialize, Serialize};

/// A level, from the least on. Vendors name the same ones, and each model takes some of them: OpenAI's `reasoning_effort`,
/// Anthropic's `output_config.effort`, Ollama's `think`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    None,
    /// It thinks, as much as it likes: for a model that knows only this and none.
    On,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 8] =
        [Self::None, Self::On, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::On => "on",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_rise() {
        assert!(Effort::ALL.into_iter().all(|effort| Effort::parse(effort.name()) == Some(effort)));
        assert!(Effort::ALL.is_sorted());
        assert_eq!(serde_json::to_string(&Effort::Xhigh).unwrap(), "\"xhigh\"");
    }
}
