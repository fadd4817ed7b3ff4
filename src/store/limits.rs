//! What the person wants to be asked about: turns, tokens and money of a session and of a day.
//!
//! Nothing is stopped in the middle: near a limit there is a word, and past it a prompt has to be sent twice. Not for the
//! limits of a turn, which the agent keeps.

use super::Store;
use super::effect::{ComposerEdit, Effect};
use super::usage::UsageStats;
use crate::event::NoticeLevel;

/// From this share of a limit on there is a word about it, in percent.
const WARN_PERCENT: f64 = 80.0;

/// Where to warn and ask; zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpendLimits {
    pub session: SpendLimit,
    pub day: SpendLimit,
}

impl SpendLimits {
    /// Returns whether what other sessions use matters.
    pub fn has_day_limit(&self) -> bool {
        self.day != SpendLimit::default()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpendLimit {
    pub turns: u64,
    pub tokens: u64,
    /// US dollars.
    pub cost: f64,
}

/// What was used in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    pub turns: u64,
    pub tokens: u64,
    /// US dollars, as far as prices are known.
    pub cost: f64,
    /// Turns whose price is not known.
    pub unpriced_turns: u64,
}

/// What the store remembers about its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LimitState {
    pub limits: SpendLimits,
    /// Of all sessions today.
    pub today: Spending,
    /// The person was asked, and sent the prompt again.
    is_confirmed: bool,
    is_asked: bool,
    is_warned: bool,
}

impl LimitState {
    pub fn new(limits: SpendLimits) -> Self {
        Self { limits, ..Self::default() }
    }
}

/// A limit and how much of it was used.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUse {
    /// As in `turns of this session`.
    pub what: &'static str,
    pub used: f64,
    pub limit: f64,
    pub is_money: bool,
    /// It grows while a turn runs.
    pub grows_in_turn: bool,
    /// Not all of it is known, so it may be more.
    pub is_partly_unknown: bool,
}

impl LimitUse {
    /// Returns whether nothing of it is left.
    pub fn is_reached(&self) -> bool {
        self.percent() >= 100.0
    }

    fn percent(&self) -> f64 {
        self.used / self.limit * 100.0
    }
}

/// Returns the limits that are set, each with how much of it was used.
pub fn limit_uses(store: &Store) -> Vec<LimitUse> {
    store.limits.limits.uses(&store.usage, store.limits.today)
}

impl SpendLimits {
    /// Returns the limits that are set, each with how much of it was used. `today` is what all sessions used.
    pub fn uses(self, usage: &UsageStats, today: Spending) -> Vec<LimitUse> {
        let limits = self;
        let session = Spending {
            turns: u64::from(usage.turns()),
            tokens: usage.session().total(),
            cost: usage.cost().unwrap_or_default(),
            unpriced_turns: u64::from(usage.cost().is_none() && usage.turns() > 0),
        };
        let all = [
            ("turns of this session", limits.session.turns as f64, session.turns as f64, false),
            ("tokens of this session", limits.session.tokens as f64, session.tokens as f64, false),
            ("cost of this session", limits.session.cost, session.cost, true),
            ("turns of today", limits.day.turns as f64, today.turns as f64, false),
            ("tokens of today", limits.day.tokens as f64, today.tokens as f64, false),
            ("cost of today", limits.day.cost, today.cost, true),
        ];
        let unpriced = |what: &str| if what.ends_with("today") { today.unpriced_turns } else { session.unpriced_turns };
        let uses =
            all.into_iter().filter(|(_, limit, ..)| *limit > 0.0).map(|(what, limit, used, is_money)| LimitUse {
                what,
                used,
                limit,
                is_money,
                grows_in_turn: !what.starts_with("turns"),
                is_partly_unknown: is_money && unpriced(what) > 0,
            });
        uses.collect()
    }
}

/// Takes a prompt back for a word about a limit that was reached; false lets it go.
pub(super) fn ask_about_limit(store: &mut Store, text: &str, fx: &mut Vec<Effect>) -> bool {
    if store.limits.is_confirmed {
        return false;
    }
    let reached = limit_uses(store).into_iter().find(LimitUse::is_reached);
    let Some(reached) = reached else { return false };
    if std::mem::replace(&mut store.limits.is_asked, true) {
        store.limits.is_confirmed = true;
        return false;
    }
    let said = format!("the limit for the {} is reached; send it again to go on without it", reached.what);
    store.toast = Some((NoticeLevel::Warn, said));
    fx.push(Effect::Composer(ComposerEdit::Restore(text.to_owned())));
    true
}

/// Takes what was used today, and says once that a limit is near.
pub(super) fn set_today(store: &mut Store, today: Spending) {
    store.limits.today = today;
    if store.limits.is_warned {
        return;
    }
    let near = limit_uses(store).into_iter().find(|limit| limit.percent() >= WARN_PERCENT || limit.is_partly_unknown);
    let Some(near) = near else { return };
    store.limits.is_warned = true;
    let said = if near.percent() >= WARN_PERCENT {
        format!("{:.0}% of the limit for the {} are used", near.percent().floor(), near.what)
    } else {
        format!("the limit for the {} can't be watched: a price is unknown (set it under [prices])", near.what)
    };
    store.toast = Some((NoticeLevel::Warn, said));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Command, Envelope, Millis, Seq, TurnOutcome};
    use crate::store::StoreOptions;
    use crate::store::action::Action;
    use crate::store::msg::{Msg, Report};
    use crate::testkit::events::{LIVE, Opened, turn_finished, turn_started};

    fn store(session: SpendLimit, day: SpendLimit) -> Store {
        let limits = SpendLimits { session, day };
        let mut store = Store::new(StoreOptions { limits, ..StoreOptions::default() });
        let live = Opened { capabilities: LIVE, ..Opened::default() }.event();
        let events = [live, turn_started("t1"), turn_finished("t1", TurnOutcome::Completed)];
        for (seq, event) in (1..).zip(events) {
            store.update(Msg::Event(Envelope { seq: Seq(seq), at: Millis(seq), event }), &mut Vec::new());
        }
        store
    }

    fn submit(store: &mut Store) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(Action::Submit("go".into())), &mut fx);
        fx
    }

    #[test]
    fn past_a_limit_a_prompt_has_to_be_sent_twice_and_then_no_more() {
        let mut store = store(SpendLimit { turns: 1, ..SpendLimit::default() }, SpendLimit::default());
        assert_eq!(submit(&mut store), [Effect::Composer(ComposerEdit::Restore("go".into()))]);
        assert!(store.toast.as_ref().unwrap().1.contains("turns of this session"));
        let sent = [Effect::Send(Command::prompt("go"))];
        assert_eq!(submit(&mut store), sent);
        assert_eq!(submit(&mut store), sent);
    }

    #[test]
    fn without_limits_and_below_them_a_prompt_is_sent() {
        for turns in [0, 2] {
            let mut store = store(SpendLimit { turns, ..SpendLimit::default() }, SpendLimit::default());
            assert_eq!(submit(&mut store), [Effect::Send(Command::prompt("go"))]);
        }
    }

    #[test]
    fn a_day_counts_all_sessions_and_an_unknown_price_is_told() {
        let day = SpendLimit { tokens: 1000, cost: 2.0, ..SpendLimit::default() };
        let mut store = store(SpendLimit::default(), day);
        let today = Spending { turns: 9, tokens: 850, cost: 0.1, unpriced_turns: 0 };
        store.update(Msg::Report(Report::DayUsage(today)), &mut Vec::new());
        assert_eq!(store.toast.take().unwrap().1, "85% of the limit for the tokens of today are used");
        store.update(Msg::Report(Report::DayUsage(Spending { cost: 2.5, ..today })), &mut Vec::new());
        assert_eq!(store.toast, None, "that is said once");
        assert!(matches!(submit(&mut store)[..], [Effect::Composer(_)]));
        let mut store = self::store(SpendLimit::default(), SpendLimit { cost: 2.0, ..SpendLimit::default() });
        store.update(Msg::Report(Report::DayUsage(Spending { unpriced_turns: 1, ..today })), &mut Vec::new());
        assert!(store.toast.unwrap().1.contains("a price is unknown"));
    }
}
