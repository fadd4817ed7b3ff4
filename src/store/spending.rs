//! What a turn, a session or a day used.

use crate::event::Millis;

/// What was used in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    pub turns: u64,
    pub tokens: u64,
    /// US dollars, as far as prices are known.
    pub cost: f64,
    /// Turns whose price is not known.
    pub unpriced_turns: u64,
    /// How long the turns took.
    pub time: Millis,
}

impl Spending {
    /// Returns what was used with something more.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            turns: self.turns.saturating_add(more.turns),
            tokens: self.tokens.saturating_add(more.tokens),
            cost: self.cost + more.cost,
            unpriced_turns: self.unpriced_turns.saturating_add(more.unpriced_turns),
            time: self.time.plus(more.time),
        }
    }
}
