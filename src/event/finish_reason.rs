//! Why a message ended, and the explanation shown when that isn't how an answer should end.

use serde::{Deserialize, Serialize};

use super::NoticeCode;

/// Why a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    End,
    ToolCalls,
    /// The output limit was reached.
    Length,
    /// A filter or the model itself declined.
    Refused,
    Cancelled,
    /// The stream was cut.
    Interrupted,
    Failed,
}

/// The kinds of content a message had when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastContent {
    #[default]
    Nothing,
    Reasoning,
    Text,
    /// Text that explains why there is no answer.
    Refusal,
    Call,
}

impl FinishReason {
    pub const ALL: [Self; 7] =
        [Self::End, Self::ToolCalls, Self::Length, Self::Refused, Self::Cancelled, Self::Interrupted, Self::Failed];

    /// Returns the name it has in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::ToolCalls => "tool_calls",
            Self::Length => "length",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// Returns the code of a notice and an explanation for people, if a message ended but isn't what was asked for. Cancelled,
    /// interrupted and failed turns are explained by their outcome.
    pub fn explanation(self, last: LastContent) -> Option<(NoticeCode, &'static str)> {
        let text = match (self, last) {
            (Self::Length, LastContent::Call) => "a call was cut off: the model reached its output limit",
            (Self::Length, LastContent::Reasoning) => {
                "cut off before the answer: the model reached its output limit while thinking"
            }
            (Self::Length, LastContent::Nothing) => "no answer: the model reached its output limit immediately",
            (Self::Length, LastContent::Text | LastContent::Refusal) => "cut off: the model reached its output limit",
            (Self::Refused, LastContent::Refusal) => "the model declined to answer this",
            (Self::Refused, LastContent::Nothing) => "no answer: the model or a filter declined to give one",
            (Self::Refused, _) => "incomplete: the model or a filter declined to continue",
            _ => return None,
        };
        Some((if self == Self::Length { NoticeCode::OutputLimit } else { NoticeCode::Refused }, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_log() {
        for stop in FinishReason::ALL {
            assert_eq!(serde_json::to_value(stop).unwrap(), stop.name());
        }
    }

    #[test]
    fn what_is_not_the_whole_answer_is_remarked_whatever_came_of_it() {
        for last in
            [LastContent::Nothing, LastContent::Reasoning, LastContent::Text, LastContent::Refusal, LastContent::Call]
        {
            for stop in FinishReason::ALL {
                let code = stop.explanation(last).map(|(code, _)| code);
                let expected = match stop {
                    FinishReason::Length => Some(NoticeCode::OutputLimit),
                    FinishReason::Refused => Some(NoticeCode::Refused),
                    _ => None,
                };
                assert_eq!(code, expected, "{stop:?} {last:?}");
            }
        }
    }
}
