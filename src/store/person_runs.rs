//! Commands that the person runs with `!`: shown as calls, kept in the log once they ended, and offered as context.
//!
//! Not here: running them. Invariants: one runs at a time; what a run printed goes to a model only with a prompt that the
//! person sends after it.

use std::collections::VecDeque;

use super::Store;
use super::effect::Effect;
use crate::event::{
    AgentEvent, CallId, CallOutcome, CallOutput, Command, ExecutedBy, Millis, NoticeLevel, OutputStream, PersonRun,
    PromptContext, PromptContextKind,
};
use crate::text::one_line;

/// What the runs are called among the calls.
const RUN_NAME: &str = "! shell";
/// Cells of a command in a message.
const MAX_SHOWN_CELLS: usize = 40;
/// Outputs that go with the next prompt.
const MAX_OFFERED_OUTPUTS: usize = 4;

/// The runs of this screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersonRuns {
    running: Option<RunningCommand>,
    count: u64,
    /// What goes with the next prompt, the newest last.
    offered: VecDeque<PromptContext>,
}

#[derive(Clone, Debug, PartialEq)]
struct RunningCommand {
    call: CallId,
    command: String,
    began: Millis,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    pub outcome: CallOutcome,
    /// Head and tail of a long one; without secrets.
    pub output: String,
}

impl PersonRuns {
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns the command that runs and since when.
    pub fn running(&self) -> Option<(&str, Millis)> {
        self.running.as_ref().map(|run| (run.command.as_str(), run.began))
    }

    /// Returns how many outputs go with the next prompt.
    pub fn offered(&self) -> usize {
        self.offered.len()
    }

    /// Takes what goes with a prompt.
    pub(super) fn take_offered(&mut self) -> Vec<PromptContext> {
        self.offered.drain(..).collect()
    }

    /// A prompt came back: what went with it goes with the next one.
    pub(super) fn offer_again(&mut self, outputs: Vec<PromptContext>) {
        for output in outputs.into_iter().rev() {
            self.offered.push_front(output);
        }
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        let over = self.offered.len().saturating_sub(MAX_OFFERED_OUTPUTS);
        self.offered.drain(..over);
    }

    /// The person wants none of it to go along.
    pub(super) fn drop_offered(&mut self) {
        self.offered.clear();
    }
}

impl Store {
    /// Runs a command of the person, unless one runs; false if not.
    pub(super) fn run_for_person(&mut self, command: &str, fx: &mut Vec<Effect>) -> bool {
        if self.person_runs.is_running() {
            self.toast = Some((NoticeLevel::Warn, "a command of yours is still running; Esc stops it".into()));
            return false;
        }
        // They take the place of what is shown.
        if self.history_progress.is_some() {
            self.toast = Some((NoticeLevel::Info, "earlier turns are still being read: try again in a moment".into()));
            return false;
        }
        self.person_runs.count += 1;
        let call = CallId::of_person_run(self.last_seq.0, self.person_runs.count);
        let began = self.session.now;
        self.show_run_start(began, &call, command);
        self.person_runs.running = Some(RunningCommand { call, command: command.to_owned(), began });
        fx.push(Effect::RunCommand(command.to_owned()));
        true
    }

    pub(super) fn on_run_output(&mut self, stream: OutputStream, text: String) {
        let Some(call) = self.person_runs.running.as_ref().map(|run| run.call.clone()) else { return };
        self.fold_items(self.session.now, &AgentEvent::ToolOutput { call, stream, text });
    }

    /// The log gets a run once it is over: what is written there can't change.
    pub(super) fn on_run_end(&mut self, result: RunResult, fx: &mut Vec<Effect>) {
        let Some(RunningCommand { call, command, began }) = self.person_runs.running.take() else { return };
        let now = self.session.now;
        let RunResult { outcome, output } = result;
        let run = PersonRun { command, outcome, output, duration: now.since(began) };
        self.show_run_end(now, &call, &run);
        let shown = one_line(&run.command, MAX_SHOWN_CELLS);
        self.toast =
            Some((NoticeLevel::Info, format!("the output of {shown} goes with your next prompt; Esc drops it")));
        self.person_runs.offered.push_back(PromptContext {
            kind: PromptContextKind::Command,
            name: run.command.clone(),
            text: run.output.clone(),
        });
        self.person_runs.drop_oldest();
        fx.push(Effect::Send(Command::KeepRun { call, run }));
    }

    /// A run that the log tells of; those of this screen are shown already.
    pub(super) fn show_logged_run(&mut self, at: Millis, call: &CallId, run: &PersonRun) {
        if self.tool_calls.get(call).is_none() {
            self.show_run_start(at, call, &run.command);
            self.show_run_end(at, call, run);
        }
    }

    fn show_run_start(&mut self, at: Millis, call: &CallId, command: &str) {
        self.fold_items(
            at,
            &AgentEvent::ToolCallStarted {
                call: call.clone(),
                message: call.as_str().into(),
                name: Some(RUN_NAME.into()),
                parent: None,
                executed_by: ExecutedBy::Client,
            },
        );
        let args = serde_json::json!({ "command": command }).to_string();
        let ready =
            AgentEvent::ToolCallReady { call: call.clone(), name: RUN_NAME.into(), args, provider_metadata: None };
        self.fold_items(at, &ready);
    }

    fn show_run_end(&mut self, at: Millis, call: &CallId, run: &PersonRun) {
        let finished = AgentEvent::ToolCallFinished {
            call: call.clone(),
            outcome: run.outcome,
            output: CallOutput::from_text(run.output.as_str()),
            duration: Some(run.duration),
        };
        self.fold_items(at, &finished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{
        Annotation, AnnotationTarget, Capabilities, Envelope, QueuedPrompt, Seq, SessionStatus, TurnOutcome,
        UndeliveredCommand,
    };
    use crate::store::action::Action;
    use crate::store::effect::ComposerEdit;
    use crate::store::msg::{Msg, Report};
    use crate::store::tool_calls::CallState;
    use crate::testkit::events::{Opened, turn_finished, turn_started, user_message};

    fn act(store: &mut Store, msg: Msg) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(msg, &mut fx);
        fx
    }

    fn submit(store: &mut Store, text: &str) -> Vec<Effect> {
        act(store, Msg::Action(Action::Submit(text.into())))
    }

    fn live(capabilities: Capabilities) -> Store {
        let mut store = Store::default();
        event(&mut store, 1, Opened { capabilities, ..Opened::default() }.event());
        store
    }

    fn event(store: &mut Store, seq: u64, event: AgentEvent) -> Vec<Effect> {
        act(store, Msg::Event(Envelope { seq: Seq(seq), at: Millis(seq), event }))
    }

    fn agent() -> Store {
        live(Capabilities { prompt: true, decide: true, cancel: true, ..Capabilities::default() })
    }

    fn ended(output: &str) -> Msg {
        Msg::Report(Report::CommandEnded(RunResult { outcome: CallOutcome::Failed, output: output.into() }))
    }

    fn card(store: &Store) -> (CallState, String) {
        let call = store.tool_calls.calls().iter().last().unwrap();
        (call.state, call.output.clone())
    }

    #[test]
    fn a_command_is_shown_as_it_runs_and_its_output_goes_with_the_next_prompt_only() {
        let mut store = agent();
        assert_eq!(submit(&mut store, "!cargo test "), [Effect::RunCommand("cargo test".into())]);
        event(&mut store, 2, turn_started("t1"));
        act(&mut store, Msg::Report(Report::CommandOutput(OutputStream::Stdout, "half".into())));
        event(&mut store, 3, turn_finished("t1", TurnOutcome::Completed));
        assert_eq!(card(&store), (CallState::Running, "half".into()), "the end of a turn is not its own");
        assert_eq!(submit(&mut store, "!ls"), [Effect::Composer(ComposerEdit::Restore("!ls".into()))]);

        let fx = act(&mut store, ended("half a line\n[exit status 1]"));
        let [Effect::Send(Command::KeepRun { call, run })] = fx.as_slice() else { panic!("{fx:?}") };
        assert!(call.is_person_run() && run.command == "cargo test");
        assert_eq!(card(&store), (CallState::Done(CallOutcome::Failed), "half a line\n[exit status 1]".into()));

        let fx = submit(&mut store, "why?");
        let [Effect::Send(Command::Prompt { text, context, .. })] = fx.as_slice() else { panic!("{fx:?}") };
        assert_eq!((text.as_str(), context.len(), context[0].name.as_str()), ("why?", 1, "cargo test"));
        assert_eq!(submit(&mut store, "and now?"), [Effect::Send(Command::prompt("and now?"))]);
    }

    #[test]
    fn a_prompt_that_comes_back_brings_the_output_back_that_went_with_it() {
        let queued = |store: &mut Store| {
            submit(store, "!ls");
            act(store, ended("a"));
            submit(store, "why?");
            assert_eq!(store.person_runs.offered(), 0);
        };
        let mut store = agent();
        queued(&mut store);
        let queue = vec![QueuedPrompt::new(1, "why?")];
        act(&mut store, Msg::Status(SessionStatus { queue, ..SessionStatus::default() }));
        act(&mut store, Msg::Action(Action::DequeuePrompt(None)));
        assert_eq!(store.person_runs.offered(), 1, "taken back");

        let mut store = agent();
        queued(&mut store);
        let undelivered =
            Some(UndeliveredCommand { reason: "no way".into(), prompt: Some("why?".into()), ..Default::default() });
        act(&mut store, Msg::Status(SessionStatus { undelivered, ..SessionStatus::default() }));
        assert_eq!(store.person_runs.offered(), 1, "not delivered");

        let mut store = agent();
        queued(&mut store);
        event(&mut store, 2, turn_started("t1"));
        event(&mut store, 3, user_message("u1", "why?"));
        event(&mut store, 4, turn_finished("t1", TurnOutcome::Interrupted));
        assert_eq!(store.person_runs.offered(), 1, "nothing came of it");
    }

    #[test]
    fn what_is_dropped_goes_with_nothing() {
        let mut store = agent();
        submit(&mut store, "!ls");
        assert_eq!(act(&mut store, Msg::Action(Action::StopRun)), [Effect::StopCommand]);
        act(&mut store, ended(""));
        assert_eq!(store.person_runs.offered(), 1);
        act(&mut store, Msg::Action(Action::DropContext));
        assert_eq!(submit(&mut store, "hi"), [Effect::Send(Command::prompt("hi"))]);
    }

    #[test]
    fn in_a_replay_nothing_runs_but_a_run_of_the_log_is_shown() {
        let mut store = live(Capabilities { seek: true, ..Capabilities::default() });
        assert_eq!(submit(&mut store, "!ls"), [Effect::Composer(ComposerEdit::Restore("!ls".into()))]);
        let run =
            PersonRun { command: "ls".into(), outcome: CallOutcome::Ok, output: "a\n".into(), duration: Millis(7) };
        let on = AnnotationTarget::Call(CallId::of_person_run(1, 1));
        event(&mut store, 2, AgentEvent::Annotation { on, annotation: Annotation::PersonRun(run) });
        assert_eq!(card(&store), (CallState::Done(CallOutcome::Ok), "a\n".into()));
    }
}
