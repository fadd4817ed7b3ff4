use super::*;
use crate::event::{
    AgentEvent, CallId, CallOutcome, CallOutput, Envelope, FinishReason, Millis, Seq, TextKind, TurnOutcome,
};
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::msg::Msg;
use crate::store::{Store, StoreOptions};
use crate::testkit::events::{message_finished, message_started, turn_finished, turn_started, user_message};

struct SearchRig {
    store: Store,
    seq: Seq,
}

impl SearchRig {
    fn new() -> Self {
        Self { store: Store::new(StoreOptions::default()), seq: Seq(0) }
    }

    fn event(&mut self, event: AgentEvent) {
        self.seq = self.seq.next();
        self.store.update(Msg::Event(Envelope { seq: self.seq, at: Millis(0), event }), &mut Vec::new());
    }

    fn act(&mut self, action: Action) {
        let mut effects: Vec<Effect> = Vec::new();
        self.store.update(Msg::Action(action), &mut effects);
        assert_eq!(effects, []);
    }

    fn prompt(&mut self, text: &str) {
        self.event(user_message("u", text));
    }

    fn say(&mut self, message: &str, text: &str) {
        let kind = TextKind::Text;
        self.event(AgentEvent::TextDelta { message: message.into(), text: text.into(), kind });
    }

    fn answer(&mut self, message: &str, text: &str) {
        self.event(message_started(message));
        self.say(message, text);
        self.end(message);
    }

    fn end(&mut self, message: &str) {
        self.event(message_finished(message, FinishReason::End));
    }

    fn call(&mut self, call: &str, args: &str, output: &str) {
        let id = CallId::from(call);
        self.event(AgentEvent::ToolCallReady {
            call: id.clone(),
            name: "shell".into(),
            args: args.into(),
            provider_metadata: None,
        });
        let (outcome, output) = (CallOutcome::Ok, CallOutput::from_text(output));
        self.event(AgentEvent::ToolCallFinished { call: id, outcome, output, duration: None });
    }

    fn open(&mut self, query: &str) {
        self.act(Action::OpenSearch { from: None, query: None });
        for c in query.chars() {
            self.act(Action::OverlayChar(c));
        }
        self.finish();
    }

    fn finish(&mut self) {
        while self.store.wants_work() {
            self.store.update(Msg::Work, &mut Vec::new());
        }
    }

    fn search(&self) -> &Search {
        self.store.focus.find::<Search>().expect("the search is open")
    }

    /// The number of the shown match, how many there are, and the text where it is.
    fn shows(&self) -> (u64, u64, String) {
        let search = self.search();
        let found = search.current_location(&self.store.transcript, &self.store.tool_calls);
        let text = found.map_or(String::new(), |found| {
            let item = self.store.transcript.item(found.item).unwrap();
            field_text(item, &self.store.tool_calls, found.field)[found.range.start..].chars().take(5).collect()
        });
        (search.number().unwrap_or(0), search.total(), text)
    }
}

#[test]
fn the_newest_match_comes_first_and_older_ones_follow() {
    let mut rig = SearchRig::new();
    rig.prompt("foo one");
    rig.answer("m1", "foo two foo thr");
    rig.prompt("bar");
    rig.open("foo");
    assert_eq!(rig.shows(), (1, 3, "foo t".into()));
    let mut numbers = Vec::new();
    for _ in 0..4 {
        rig.act(Action::SearchOlder);
        numbers.push(rig.shows().0);
    }
    assert_eq!(numbers, [2, 3, 1, 2]);
    rig.act(Action::SearchNewer);
    rig.act(Action::SearchNewer);
    assert_eq!(rig.shows(), (3, 3, "foo o".into()));
}

#[test]
fn a_wrong_expression_stays_to_be_mended() {
    let mut rig = SearchRig::new();
    rig.prompt("a word");
    rig.open("/wo(rd/");
    rig.act(Action::OverlayAccept);
    assert_eq!((rig.search().query.as_str(), rig.search().is_typing), ("/wo(rd/", true));
    assert!(rig.search().error.is_some());
}

#[test]
fn the_search_begins_where_the_reader_is() {
    let mut rig = SearchRig::new();
    for n in 0..9 {
        rig.prompt(&format!("foo {n}"));
    }
    let from = Some(rig.store.transcript.items().get(4).unwrap().id.0);
    rig.act(Action::OpenSearch { from, query: Some("foo".into()) });
    rig.finish();
    assert_eq!(rig.shows(), (5, 9, "foo 4".into()));
}

#[test]
fn what_hides_a_match_is_unfolded_and_folded_again_by_going_back() {
    let mut rig = SearchRig::new();
    rig.call("c1", r#"{"command":"ls"}"#, "needle in the hay");
    rig.event(AgentEvent::ReasoningDelta { message: "m".into(), text: "a needle, I think".into() });
    rig.end("m");
    let folded = |rig: &SearchRig| {
        let items = rig.store.transcript.items().iter();
        items.map(|item| rig.store.is_folded(item)).collect::<Vec<_>>()
    };
    assert_eq!(folded(&rig), [true, true]);
    rig.open("needle");
    assert_eq!(folded(&rig), [true, false]);
    rig.act(Action::SearchOlder);
    assert_eq!(folded(&rig), [false, true]);
    rig.act(Action::CloseOverlay);
    assert_eq!(folded(&rig), [true, true]);
    rig.act(Action::OpenSearch { from: None, query: Some("needle".into()) });
    rig.finish();
    rig.act(Action::SearchAccept);
    assert_eq!(folded(&rig), [true, false], "who stays wants to read it");
    assert!(rig.store.focus.overlays.is_empty());
}

#[test]
fn the_words_of_a_calls_arguments_are_found_but_not_their_names() {
    let mut rig = SearchRig::new();
    rig.call("c1", r#"{"command":"ls \"a b\"","deep":[{"x":"inner"}]}"#, "");
    for (query, total) in [("command", 0), ("ls \"a b\"", 1), ("inner", 1), ("shell", 1)] {
        rig.open(query);
        assert_eq!(rig.search().total(), total, "{query}");
        rig.act(Action::CloseOverlay);
    }
}

#[test]
fn what_streams_in_is_found_as_if_it_had_been_there() {
    let text = "ab abab aab\nb ".repeat(300);
    for size in [1, 7, 100, 1500] {
        let mut rig = SearchRig::new();
        rig.event(turn_started("t"));
        rig.event(message_started("m"));
        rig.open("ab");
        for piece in text.as_bytes().chunks(size) {
            rig.say("m", std::str::from_utf8(piece).unwrap());
            rig.store.update(Msg::Work, &mut Vec::new());
        }
        rig.finish();
        let expected = Matcher::new("ab", false).unwrap().unwrap().matches(&text).len() as u64;
        assert_eq!(rig.search().total(), expected, "{size}");
        rig.end("m");
        rig.event(turn_finished("t", TurnOutcome::Completed));
        rig.prompt("ab");
        rig.finish();
        assert_eq!(rig.search().total(), expected + 1, "{size}");
        let first = Matcher::new("ab", false).unwrap().unwrap().matches(&text[..size]).len().max(1) as u64;
        assert_eq!(rig.shows().0, expected + 2 - first, "the shown one stays, {size}");
    }
}

#[test]
fn a_growing_text_costs_what_it_grew_by() {
    let mut rig = SearchRig::new();
    rig.event(turn_started("t"));
    rig.say("m", &"some words ".repeat(200_000));
    rig.open("zzz");
    let before = rig.search().work_done;
    for _ in 0..100 {
        rig.say("m", "word ");
        rig.finish();
    }
    let after = rig.search().work_done;
    assert!(after.bytes - before.bytes < 200_000, "{} bytes", after.bytes - before.bytes);
    assert!(after.steps - before.steps <= 200, "{} steps", after.steps - before.steps);
}

#[test]
fn a_step_looks_at_no_more_than_its_share_however_long_the_session() {
    let mut rig = SearchRig::new();
    for n in 0..100_000 {
        rig.prompt(&format!("prompt number {n}"));
    }
    rig.answer("m", &"x".repeat(5 << 20));
    rig.act(Action::OpenSearch { from: None, query: Some("number".into()) });
    let mut before = rig.search().work_done;
    assert!(before.bytes <= (MAX_STEP_BYTES * 2) as u64);
    let mut steps = 0;
    while rig.store.wants_work() {
        rig.store.update(Msg::Work, &mut Vec::new());
        let work = rig.search().work_done;
        assert!(work.bytes - before.bytes <= (MAX_STEP_BYTES + matcher::MAX_OVERLAP_BYTES) as u64);
        assert!(work.items - before.items <= MAX_STEP_ITEMS as u64);
        before = work;
        steps += 1;
    }
    assert_eq!(rig.search().total(), 100_000);
    assert!((20..80).contains(&steps), "{steps}");
    for _ in 0..3 {
        rig.act(Action::SearchOlder);
    }
    assert_eq!(rig.search().work_done, before, "moving looks at nothing again");
}

#[test]
fn an_older_match_asked_for_too_early_comes_when_it_is_found() {
    let mut rig = SearchRig::new();
    rig.prompt("needle 1");
    for _ in 0..20_000 {
        rig.prompt("hay");
    }
    rig.prompt("needle 2");
    rig.act(Action::OpenSearch { from: None, query: Some("needle".into()) });
    rig.act(Action::SearchOlder);
    assert_eq!(rig.shows().0, 1);
    rig.finish();
    assert_eq!(rig.shows(), (2, 2, "needl".into()));
}

#[test]
fn a_reset_is_survived() {
    let mut rig = SearchRig::new();
    rig.prompt("foo");
    rig.open("foo");
    rig.store.update(Msg::Reset, &mut Vec::new());
    rig.seq = Seq(0);
    rig.finish();
    assert_eq!(rig.search().total(), 0);
    rig.prompt("foo foo");
    rig.finish();
    assert_eq!(rig.search().total(), 2);
    assert!(rig.store.focus.top_as::<Search>().is_some());
}

#[test]
fn a_wrong_expression_finds_nothing_and_says_why() {
    let mut rig = SearchRig::new();
    rig.prompt("a(b");
    rig.open("a(");
    assert_eq!(rig.search().total(), 1);
    rig.act(Action::SearchRegex);
    rig.finish();
    assert!(rig.search().error.is_some() && rig.search().total() == 0);
}
