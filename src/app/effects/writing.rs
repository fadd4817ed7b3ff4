//! What is kept for the next run, written one after another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::draft::DraftSave;
use super::super::{action_uses, prompt_history};
use super::{EffectResult, failed};
use crate::runtime::redaction::redacted;
use crate::store::msg::Report;

/// Something to keep for the next run.
pub(super) enum Write {
    Draft(DraftSave),
    Prompts(PathBuf, Vec<String>),
    ActionUses(PathBuf, BTreeMap<String, u32>),
}

impl Write {
    /// Whether nothing of this is left once the other is written.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Draft(old), Self::Draft(new)) => old.is_of_same(new),
            (Self::ActionUses(..), Self::ActionUses(..)) => true,
            _ => false,
        }
    }

    pub(super) fn run(self) -> EffectResult {
        match self {
            Self::Draft(save) => match save.write() {
                Ok(()) => EffectResult::Nothing,
                Err(why) => EffectResult::Report(Report::Failed { what: "keeping the draft".into(), why }),
            },
            Self::ActionUses(path, uses) => match action_uses::save(&path, &uses) {
                Ok(()) => EffectResult::Nothing,
                Err(error) => failed("keeping what was used", &path, &error),
            },
            Self::Prompts(path, prompts) => {
                let prompts: Vec<String> = prompts.into_iter().map(redacted).collect();
                match prompt_history::append(&path, &prompts) {
                    Ok(()) => EffectResult::Nothing,
                    Err(error) => failed("keeping the prompt", &path, &error),
                }
            }
        }
    }
}
