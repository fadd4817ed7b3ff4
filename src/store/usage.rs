//! Turn and session meters: tokens, cost, context fill, time to first token, decode rate.
//!
//! What a server said wins over what can be guessed from text lengths, and every sum with a guess in it says so.
//! Not for limits: whoever enforces one counts for itself.

use super::spending::Spending;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Json, Millis, Role, Timing, TurnId, Usage, UsageScope};

/// Spans shorter than this say nothing about a rate: the text came in one piece.
const MIN_RATE_DURATION: Millis = Millis(100);

/// All meters of the session. The turn is the running one, or the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageStats {
    context_window: Option<u64>,
    price: Option<(f64, f64)>,
    turn: TurnUsage,
    /// Turns before that one, added up.
    past: Usage,
    past_cost: f64,
    has_unpriced_past: bool,
    /// How long those turns took.
    past_time: Millis,
    /// When the last event came.
    now: Millis,
    turns: u32,
    context: Option<Usage>,
    /// The compactions that count, each with the tokens that it freed.
    compacted: Vec<(TurnId, u64)>,
    saved_cost: Option<f64>,
}

/// What the meters say at a place of a branch.
#[derive(Clone, Debug, PartialEq)]
pub struct PathMeters {
    context: Option<Usage>,
    context_window: Option<u64>,
    price: Option<(f64, f64)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct TurnUsage {
    started: Option<Millis>,
    ended: Option<Millis>,
    first_token: Option<Millis>,
    /// What a source said the first token took; it knows better when the request began.
    reported_first_token: Option<Millis>,
    reported_rate: Option<f64>,
    requests: Vec<RequestUsage>,
    messages: u32,
    reported_total: Option<Usage>,
    /// Of the summary of earlier turns.
    compaction: Option<Usage>,
    sub_agents: Option<Usage>,
    /// What a source says that the turn cost; it knows its prices.
    reported_cost: Option<f64>,
    price: Option<(f64, f64)>,
    /// What the last request had is not what the next has.
    is_context_stale: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RequestUsage {
    number: u32,
    reported: Option<Usage>,
    /// The answer has several messages, so what was reported may be of several requests.
    is_sum: bool,
    text_bytes: u64,
    reasoning_bytes: u64,
    first: Option<Millis>,
    last: Option<Millis>,
    price: Option<(f64, f64)>,
}

impl UsageStats {
    /// Returns the tokens of the running or last turn.
    pub fn turn(&self) -> Usage {
        self.turn.usage()
    }

    /// Returns the tokens of all turns.
    pub fn session(&self) -> Usage {
        self.past.plus(self.turn())
    }

    /// Returns the cost of the running or last turn, or none where a price is not known.
    pub fn turn_cost(&self) -> Option<f64> {
        self.turn.cost()
    }

    /// Returns the cost so far in US dollars, or none where a price is not known.
    pub fn cost(&self) -> Option<f64> {
        let is_priced = self.price.is_some() || self.turn.reported_cost.is_some();
        if self.has_unpriced_past || (!is_priced && self.session().total() == 0) {
            return None;
        }
        Some(self.past_cost + self.turn.cost()?)
    }

    /// Returns how many tokens the model has before it: the last request's, in and out.
    pub fn context(&self) -> Option<u64> {
        self.context_usage().map(|usage| usage.total())
    }

    /// Returns whether the fill is a guess.
    pub fn is_context_estimated(&self) -> bool {
        self.context_usage().is_some_and(|usage| usage.estimated)
    }

    fn context_usage(&self) -> Option<Usage> {
        self.turn.context().or(self.context)
    }

    /// Returns what all tokens of the server would have cost in dollars with the dearest service it compares itself
    /// with, where it does.
    pub fn saved_cost(&self) -> Option<f64> {
        self.saved_cost
    }

    pub fn context_window(&self) -> Option<u64> {
        self.context_window
    }

    pub fn first_token(&self) -> Option<Millis> {
        self.turn.reported_first_token.or(self.turn.first_token)
    }

    /// Returns tokens per second while decoding: time in tools and before the first token does not count.
    pub fn rate(&self) -> Option<f64> {
        self.turn.reported_rate.or_else(|| self.turn.rate())
    }

    /// Returns how long the running turn runs, or the last one took.
    pub fn elapsed(&self, now: Millis) -> Option<Millis> {
        Some(self.turn.ended.unwrap_or(now).since(self.turn.started?))
    }

    /// Returns how long the turns took, the running one as far as it has come.
    fn working_time(&self) -> Millis {
        self.past_time.plus(self.elapsed(self.now).unwrap_or_default())
    }

    /// Returns what all turns used.
    pub fn spending(&self) -> Spending {
        Spending {
            turns: u64::from(self.turns),
            tokens: self.session().total(),
            cost: self.cost().unwrap_or_default(),
            unpriced_turns: u64::from(self.cost().is_none() && self.turns > 0),
            time: self.working_time(),
        }
    }

    /// Returns what the running or last turn used.
    pub fn turn_spending(&self) -> Spending {
        let cost = self.turn_cost();
        Spending {
            turns: 1,
            tokens: self.turn().total(),
            cost: cost.unwrap_or_default(),
            unpriced_turns: u64::from(cost.is_none()),
            time: self.elapsed(self.now).unwrap_or_default(),
        }
    }

    pub fn turns(&self) -> u32 {
        self.turns
    }

    pub fn on_event(&mut self, at: Millis, event: &AgentEvent) {
        self.now = at;
        match event {
            AgentEvent::SessionOpened { context_window: window, price, .. } => {
                self.context_window = *window;
                self.price = *price;
            }
            AgentEvent::TurnStarted { .. } => self.start_turn(at),
            AgentEvent::MessageStarted { role, parent, .. } => {
                if *role == Role::Assistant && parent.is_none() {
                    self.turn.messages += 1;
                    self.request();
                }
            }
            AgentEvent::TextDelta { text, .. } => self.on_streamed(at, text.len(), 0),
            AgentEvent::ReasoningDelta { text, .. } => self.on_streamed(at, 0, text.len()),
            AgentEvent::ToolCallStarted { name, .. } => self.on_streamed(at, name.as_ref().map_or(0, String::len), 0),
            AgentEvent::ToolArgsDelta { json, .. } => self.on_streamed(at, json.len(), 0),
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage } => self.turn.reported_total = Some(*usage),
            AgentEvent::UsageReported { scope: UsageScope::Request(n), usage } => {
                self.turn.report(*n, *usage, self.price);
                self.turn.is_context_stale = false;
            }
            AgentEvent::UsageReported { scope: UsageScope::Compaction, usage } => self.turn.compaction = Some(*usage),
            AgentEvent::UsageReported { scope: UsageScope::SubAgents, usage } => self.turn.sub_agents = Some(*usage),
            AgentEvent::Compacted(compaction) => {
                let freed = compaction.tokens_before.saturating_sub(compaction.tokens_after);
                self.compacted.push((compaction.through.clone(), freed));
                let least = compaction.tokens_after;
                self.guess_context(|before| before.saturating_sub(freed).max(least));
            }
            AgentEvent::CompactionUndone { through } => {
                if let Some(first) = self.compacted.iter().position(|(known, _)| known == through) {
                    let freed: u64 = self.compacted.drain(first..).map(|(_, freed)| freed).sum();
                    self.guess_context(|before| before.saturating_add(freed));
                }
            }
            AgentEvent::Annotation { on, annotation } => self.on_annotation(on, annotation),
            AgentEvent::TurnFinished { .. } => self.turn.ended = Some(at),
            AgentEvent::UserMessage { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::ToolCallReady { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    /// Returns what holds at this place of the session, whatever is used on another branch.
    pub(super) fn path_meters(&self) -> PathMeters {
        PathMeters { context: self.context_usage(), context_window: self.context_window, price: self.price }
    }

    /// The session goes on after that place; what was used meanwhile stays used.
    pub(super) fn return_to(&mut self, place: &PathMeters) {
        if self.turn.started.is_some() {
            self.add_turn_to_past();
        }
        self.turn = TurnUsage { price: place.price, ..TurnUsage::default() };
        (self.context, self.context_window, self.price) = (place.context, place.context_window, place.price);
    }

    /// What the next request will have is not what the last one had.
    fn guess_context(&mut self, change: impl FnOnce(u64) -> u64) {
        let input_tokens = change(self.context().unwrap_or_default());
        self.context = Some(Usage { input_tokens, estimated: true, ..Usage::default() });
        self.turn.is_context_stale = true;
    }

    fn start_turn(&mut self, at: Millis) {
        self.context = self.context_usage();
        self.add_turn_to_past();
        self.turn = TurnUsage { started: Some(at), price: self.price, ..TurnUsage::default() };
        self.turns = self.turns.saturating_add(1);
    }

    fn add_turn_to_past(&mut self) {
        self.past_time = self.working_time();
        self.past = self.session();
        match self.turn.cost() {
            Some(cost) => self.past_cost += cost,
            None => self.has_unpriced_past = true,
        }
    }

    /// Returns the request whose answer streams now.
    fn request(&mut self) -> &mut RequestUsage {
        let (n, price) = (self.turn.messages.max(1), self.price);
        self.turn.request(n, price)
    }

    fn on_streamed(&mut self, at: Millis, text: usize, reasoning: usize) {
        if self.turn.ended.is_some() || text + reasoning == 0 {
            return;
        }
        if let Some(started) = self.turn.started {
            self.turn.first_token.get_or_insert(at.since(started));
        }
        let request = self.request();
        request.text_bytes = request.text_bytes.saturating_add(text as u64);
        request.reasoning_bytes = request.reasoning_bytes.saturating_add(reasoning as u64);
        request.first.get_or_insert(at);
        request.last = Some(at);
    }

    fn on_annotation(&mut self, on: &AnnotationTarget, annotation: &Annotation) {
        match (annotation, on) {
            (Annotation::Totals(data), _) => {
                self.saved_cost = data.get("saved_usd").and_then(Json::as_f64).filter(|saved| *saved > 0.0);
            }
            (_, AnnotationTarget::Call(_)) => {}
            (Annotation::Cost { usd }, _) if usd.is_finite() && *usd >= 0.0 => self.turn.reported_cost = Some(*usd),
            (Annotation::FirstToken { ms: ms @ Millis(1..) }, _) => {
                self.turn.reported_first_token.get_or_insert(*ms);
            }
            (Annotation::Timing(Timing { tokens_per_second: Some(rate), .. }), _)
                if rate.is_finite() && *rate > 0.0 =>
            {
                self.turn.reported_rate = Some(*rate);
            }
            _ => {}
        }
    }
}

impl TurnUsage {
    fn request(&mut self, n: u32, price: Option<(f64, f64)>) -> &mut RequestUsage {
        let index = match self.requests.binary_search_by_key(&n, |request| request.number) {
            Ok(index) => index,
            Err(index) => {
                self.requests.insert(index, RequestUsage { number: n, price, ..RequestUsage::default() });
                index
            }
        };
        &mut self.requests[index]
    }

    /// Takes the usage of a request. Messages that were begun since it was made are its answer too: an agent elsewhere
    /// makes several requests of its own for one of ours.
    fn report(&mut self, n: u32, usage: Usage, price: Option<(f64, f64)>) {
        let known = self.requests.partition_point(|request| request.number <= n);
        let later: Vec<RequestUsage> = self.requests.drain(known..).collect();
        let request = self.request(n, price);
        request.reported = Some(usage);
        request.is_sum |= !later.is_empty();
        for part in later {
            request.text_bytes = request.text_bytes.saturating_add(part.text_bytes);
            request.reasoning_bytes = request.reasoning_bytes.saturating_add(part.reasoning_bytes);
            request.first = request.first.or(part.first);
            request.last = part.last.or(request.last);
        }
        self.messages = self.messages.min(n);
    }

    fn usage(&self) -> Usage {
        self.reported_total.unwrap_or_else(|| {
            let of_others = self.compaction.unwrap_or_default().plus(self.sub_agents.unwrap_or_default());
            self.requests.iter().fold(of_others, |sum, request| sum.plus(request.usage(self.ended.is_none())))
        })
    }

    fn cost(&self) -> Option<f64> {
        if self.reported_cost.is_some() {
            return self.reported_cost;
        }
        if let Some(whole) = self.reported_total {
            return cost(whole, self.price);
        }
        let live = self.ended.is_none();
        let of_other = |usage: Option<Usage>| usage.map_or(Some(0.0), |usage| cost(usage, self.price));
        let of_requests: Option<f64> =
            self.requests.iter().map(|request| cost(request.usage(live), request.price)).sum();
        Some(of_requests? + of_other(self.compaction)? + of_other(self.sub_agents)?)
    }

    fn context(&self) -> Option<Usage> {
        if self.is_context_stale {
            return None;
        }
        let live = self.ended.is_none();
        if let Some(request) = self.requests.iter().rev().find(|request| request.reported.is_some()) {
            return Some(request.usage(live)).filter(|_| !request.is_sum);
        }
        // A sum over several requests says nothing about the last one.
        self.reported_total.filter(|_| self.messages <= 1)
    }

    fn rate(&self) -> Option<f64> {
        let (mut tokens, mut span) = (0, Millis(0));
        for request in &self.requests {
            let (Some(first), Some(last)) = (request.first, request.last) else { continue };
            if last.since(first) >= MIN_RATE_DURATION {
                tokens += request.decoded_tokens();
                span = span.plus(last.since(first));
            }
        }
        (span > Millis(0) && tokens > 0).then(|| tokens as f64 / span.as_secs_f64())
    }
}

impl RequestUsage {
    fn estimate(&self) -> u64 {
        self.text_bytes.saturating_add(self.reasoning_bytes).div_ceil(4)
    }

    /// While a request streams, a first report (of its input, say) may lag behind what has come already.
    fn usage(&self, live: bool) -> Usage {
        let guess = Usage { output_tokens: self.estimate(), estimated: self.estimate() > 0, ..Usage::default() };
        match self.reported {
            None => guess,
            Some(said) if live && said.output_tokens < guess.output_tokens / 2 => {
                Usage { output_tokens: guess.output_tokens, estimated: true, ..said }
            }
            Some(said) => said,
        }
    }

    /// Returns the tokens that came in its span; hidden reasoning was decoded before it.
    fn decoded_tokens(&self) -> u64 {
        match self.reported {
            Some(said) if said.output_tokens >= self.estimate() / 2 && said.output_tokens > 0 => {
                let hidden = if self.reasoning_bytes == 0 { said.reasoning_tokens } else { 0 };
                said.output_tokens.saturating_sub(hidden)
            }
            _ => self.estimate(),
        }
    }
}

fn cost(usage: Usage, price: Option<(f64, f64)>) -> Option<f64> {
    if usage.total() == 0 {
        return Some(0.0);
    }
    let (input, output) = price?;
    Some((usage.input_tokens as f64 * input + usage.output_tokens as f64 * output) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Compaction, CompactionTrigger};
    use crate::testkit::events::{Opened, message_started as message, text_delta, turn_finished, turn_started as turn};

    fn opened(window: Option<u64>, price: Option<(f64, f64)>) -> AgentEvent {
        Opened { context_window: window, price, ..Opened::default() }.event()
    }

    fn meters(events: &[(u64, AgentEvent)]) -> UsageStats {
        let mut meters = UsageStats::default();
        for (at, event) in events {
            meters.on_event(Millis(*at), event);
        }
        meters
    }

    fn finished(name: &str) -> AgentEvent {
        turn_finished(name, crate::event::TurnOutcome::Completed)
    }

    fn text(text: &str) -> AgentEvent {
        text_delta("m", text)
    }

    fn said(scope: UsageScope, input: u64, output: u64) -> AgentEvent {
        let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        AgentEvent::UsageReported { scope, usage }
    }

    #[test]
    fn repeated_reports_of_a_request_are_harmless_and_requests_add_up() {
        let meters = meters(&[
            (0, opened(Some(1000), Some((1.0, 2.0)))),
            (0, turn("t1")),
            (0, said(UsageScope::Request(1), 100, 10)),
            (0, said(UsageScope::Request(1), 100, 20)),
            (0, said(UsageScope::Request(2), 150, 30)),
            (0, finished("t1")),
        ]);
        let sum = Usage { input_tokens: 250, output_tokens: 50, ..Usage::default() };
        assert_eq!((meters.turn(), meters.session()), (sum, sum));
        assert_eq!((meters.context(), meters.context_window()), (Some(180), Some(1000)));
        assert_eq!(meters.cost(), Some(350.0 / 1e6));
    }

    #[test]
    fn a_compaction_costs_what_its_request_did_and_the_context_is_what_it_leaves() {
        let compacted = AgentEvent::Compacted(Box::new(Compaction {
            through: "t1".into(),
            turns: 1,
            unread_turns: 0,
            summary: None,
            cut_reason: None,
            tokens_before: 700,
            tokens_after: 100,
            trigger: CompactionTrigger::Person,
        }));
        let mut events = vec![
            (0, opened(Some(1000), Some((1.0, 1.0)))),
            (0, turn("t1")),
            (0, said(UsageScope::Request(1), 800, 100)),
            (0, finished("t1")),
            (0, turn("t2")),
            (0, said(UsageScope::Compaction, 700, 50)),
            (0, compacted),
            (0, finished("t2")),
        ];
        let told = |events: &[(u64, AgentEvent)]| {
            let meters = meters(events);
            (meters.session().total(), meters.cost(), meters.context(), meters.is_context_estimated())
        };
        assert_eq!(told(&events), (1650, Some(1650.0 / 1e6), Some(300), true));
        events.push((0, AgentEvent::CompactionUndone { through: "t1".into() }));
        assert_eq!(told(&events).2, Some(900));
        events.extend([(0, turn("t3")), (0, said(UsageScope::Request(1), 950, 10))]);
        assert_eq!((told(&events).2, told(&events).3), (Some(960), false));
    }

    #[test]
    fn all_messages_of_an_answer_are_in_its_usage() {
        let events = [
            (0, turn("t1")),
            (0, message("a")),
            (0, text("Let me look.")),
            (0, message("b")),
            (0, text("It is 12.")),
            (0, said(UsageScope::Request(1), 22, 14)),
            (0, finished("t1")),
        ];
        let sum = Usage { input_tokens: 22, output_tokens: 14, ..Usage::default() };
        assert_eq!((meters(&events).turn(), meters(&events).context()), (sum, None));
        // Another round of our own.
        let next = [(0, message("c")), (0, text("Done.")), (0, said(UsageScope::Request(2), 30, 2))];
        let both: Vec<_> = events.iter().take(6).chain(&next).cloned().collect();
        assert_eq!((meters(&both).turn().total(), meters(&both).context()), (68, Some(32)));
    }

    #[test]
    fn before_usage_is_known_it_is_a_marked_guess() {
        let live = [(0, turn("t1")), (0, message("m")), (200, text("12345678"))];
        assert_eq!(meters(&live).turn(), Usage { output_tokens: 2, estimated: true, ..Usage::default() });
    }

    #[test]
    fn the_first_token_is_measured_unless_the_source_says_it() {
        let mut events = vec![(1000, turn("t1")), (1000, message("m")), (1250, text("a")), (1300, text("b"))];
        assert_eq!(meters(&events).first_token(), Some(Millis(250)));
        let on = AnnotationTarget::Turn("t1".into());
        events.push((1310, AgentEvent::Annotation { on, annotation: Annotation::FirstToken { ms: Millis(180) } }));
        assert_eq!(meters(&events).first_token(), Some(Millis(180)));
    }

    #[test]
    fn tool_time_does_not_slow_the_rate() {
        let meters = meters(&[
            (0, turn("t1")),
            (0, message("m")),
            (1000, text("a")),
            (2000, text("b")),
            (2000, said(UsageScope::Request(1), 1, 50)),
            (9000, message("m")),
            (10_000, text("a")),
            (11_000, text("b")),
            (11_000, said(UsageScope::Request(2), 1, 70)),
            (11_500, finished("t1")),
        ]);
        assert_eq!(meters.rate(), Some(60.0));
        assert_eq!(meters.elapsed(Millis(99_999)), Some(Millis(11_500)));
    }

    #[test]
    fn the_servers_own_rate_wins() {
        let timing = Timing { tokens_per_second: Some(42.5), ..Timing::default() };
        let on = AnnotationTarget::Message("m".into());
        let meters = meters(&[
            (0, turn("t1")),
            (0, message("m")),
            (0, text("a")),
            (1000, text("bcde")),
            (1000, AgentEvent::Annotation { on, annotation: Annotation::Timing(timing) }),
        ]);
        assert_eq!(meters.rate(), Some(42.5));
    }

    #[test]
    fn what_the_source_says_that_a_turn_cost_needs_no_price() {
        let on = AnnotationTarget::Turn("t1".into());
        let meters = meters(&[
            (0, opened(None, None)),
            (0, turn("t1")),
            (0, said(UsageScope::Turn, 10, 10)),
            (0, AgentEvent::Annotation { on, annotation: Annotation::Cost { usd: 0.25 } }),
            (0, finished("t1")),
        ]);
        assert_eq!((meters.cost(), meters.turn_cost()), (Some(0.25), Some(0.25)));
    }

    #[test]
    fn a_turn_without_a_price_makes_the_cost_unknown_for_good() {
        let meters = meters(&[
            (0, opened(None, None)),
            (0, turn("t1")),
            (0, said(UsageScope::Turn, 10, 10)),
            (0, finished("t1")),
            (0, opened(None, Some((1.0, 1.0)))),
            (0, turn("t2")),
            (0, said(UsageScope::Turn, 10, 10)),
            (0, finished("t2")),
        ]);
        assert_eq!(meters.cost(), None);
        assert_eq!((meters.session().total(), meters.turns()), (40, 2));
    }

    #[test]
    fn a_new_turn_keeps_the_context_until_it_knows_better() {
        let meters =
            meters(&[(0, turn("t1")), (0, said(UsageScope::Turn, 10, 10)), (0, finished("t1")), (5, turn("t2"))]);
        assert_eq!(meters.context(), Some(20));
    }
}
