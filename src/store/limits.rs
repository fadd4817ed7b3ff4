//! What the person wants to be asked about: turns, tokens, money and working time of a session and of a day.
//!
//! Nothing is stopped in the middle: near a limit there is a word, and past it a prompt has to be sent twice. Not for the
//! limits of a turn, which the agent keeps.

use super::Store;
use super::effect::{ComposerEdit, Effect};
use super::spending::Spending;
use super::usage::UsageStats;
use crate::event::{Millis, NoticeLevel};

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
    /// Of turns, from their start to their end.
    pub time: Millis,
}

/// What a limit is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitUnit {
    Number,
    Dollars,
    Milliseconds,
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
    pub unit: LimitUnit,
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
        let session = usage.spending();
        let rows = |limit: SpendLimit, used: Spending, what: [&'static str; 4]| {
            let [turns, tokens, cost, time] = what;
            [
                (turns, limit.turns as f64, used.turns as f64, LimitUnit::Number),
                (tokens, limit.tokens as f64, used.tokens as f64, LimitUnit::Number),
                (cost, limit.cost, used.cost, LimitUnit::Dollars),
                (time, limit.time.0 as f64, used.time.0 as f64, LimitUnit::Milliseconds),
            ]
            .map(|(what, limit, used_amount, unit)| LimitUse {
                what,
                used: used_amount,
                limit,
                unit,
                grows_in_turn: !what.starts_with("turns"),
                is_partly_unknown: unit == LimitUnit::Dollars && used.unpriced_turns > 0,
            })
        };
        let of_session =
            ["turns of this session", "tokens of this session", "cost of this session", "working time of this session"];
        let of_day = ["turns of today", "tokens of today", "cost of today", "working time of today"];
        let all = rows(limits.session, session, of_session).into_iter().chain(rows(limits.day, today, of_day));
        all.filter(|limit| limit.limit > 0.0).collect()
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
    use crate::event::{Command, Envelope, Seq, TurnOutcome};
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
    fn working_time_is_that_of_turns_and_not_what_lies_between_them() {
        let mut store = store(SpendLimit { time: Millis(5), ..SpendLimit::default() }, SpendLimit::default());
        let turns = [(90, turn_started("t2")), (92, turn_finished("t2", TurnOutcome::Completed))];
        let mut reached = Vec::new();
        for (seq, (at, event)) in (4..).zip(turns.into_iter().chain([(100, turn_started("t3"))])) {
            store.update(Msg::Event(Envelope { seq: Seq(seq), at: Millis(at), event }), &mut Vec::new());
            reached.push(limit_uses(&store)[0].used);
        }
        assert_eq!(reached, [1.0, 3.0, 3.0]);
        let event = turn_finished("t3", TurnOutcome::Completed);
        store.update(Msg::Event(Envelope { seq: Seq(7), at: Millis(102), event }), &mut Vec::new());
        assert_eq!(submit(&mut store), [Effect::Composer(ComposerEdit::Restore("go".into()))]);
        assert!(store.toast.as_ref().unwrap().1.contains("working time of this session"));
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
        let today = Spending { turns: 9, tokens: 850, cost: 0.1, ..Spending::default() };
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
