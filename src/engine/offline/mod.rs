//! PURE. The embedded engine: answers without a model, a server or a network.
//!
//! It is not a language model and says so. Plain requests become tool calls by rules, results are reported in
//! Markdown, and questions about this program are answered from its manual. It goes through the same agent loop as
//! any model: everything it knows is in the [`Request`], and the same request always gives the same answer.

mod demo;
mod intent;
mod manual;
mod pace;
mod reply;
mod talk;

use serde_json::Value;

use super::{Beat, Engine, Past, Reply, Request};
use crate::event::{Outcome, ToolSpec, estimate_tokens};
use demo::Show;
use intent::{Plan, Step};
use pace::{Fit, Script};
use reply::Ran;
use talk::Room;

/// The engine's name, and its only model.
pub const NAME: &str = "offline";
pub const MODEL: &str = "guide";

/// Calls that one prompt may lead to.
const MOST_CALLS: usize = 16;

/// The embedded engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offline {
    /// Stretches the pauses between words: 1 is natural, 0 leaves none (tests, output to a pipe).
    pub pace: f32,
}

impl Default for Offline {
    fn default() -> Self {
        Self { pace: 1.0 }
    }
}

impl Engine for Offline {
    fn name(&self) -> &'static str {
        NAME
    }

    fn dialect(&self) -> Option<&'static str> {
        Some("native")
    }

    fn reply(&self, request: &Request) -> Reply {
        Reply::Script(self.script(request))
    }
}

impl Offline {
    fn script(self, request: &Request) -> Vec<Beat> {
        let turn = Turn::of(request);
        let mut script = Script::new(self.pace);
        match demo::wanted(turn.prompt) {
            Some(Show::Stream(words)) => {
                let (thoughts, text) = demo::stream(words);
                script.think(&thoughts, Fit::LargerPieces);
                script.say(&text, Fit::ShorterPauses);
            }
            Some(Show::Guided) => {
                let steps: Vec<Step> = demo::steps().into_iter().filter(|step| turn.room.has(step.tool)).collect();
                if turn.rounds == 0 && !steps.is_empty() {
                    script.think(demo::THOUGHTS, Fit::LargerPieces);
                    script.say("Let me show you. First a few tools that change nothing:", Fit::LargerPieces);
                    call_all(&mut script, &steps);
                } else {
                    script.think(demo::AFTERTHOUGHTS, Fit::LargerPieces);
                    script.say(&demo::answer(&turn.ran), Fit::LargerPieces);
                }
            }
            None => answer(&turn, &mut script),
        }
        script.finish(input_tokens(request))
    }
}

/// Goes on with a plan where it stands: the next round of calls, or the report when there is none.
fn answer(turn: &Turn<'_>, script: &mut Script) {
    let mut plan = intent::parse(turn.prompt);
    let too_many = plan.steps.len().saturating_sub(MOST_CALLS);
    plan.steps.truncate(MOST_CALLS);
    let (steps, missing): (Vec<Step>, Vec<Step>) = plan.steps.into_iter().partition(|step| turn.room.has(step.tool));
    let rounds = Plan::rounds(&steps);
    let stopped = turn.ran.iter().any(|ran| ran.outcome != Outcome::Ok);
    if let Some(round) = rounds.get(turn.rounds).filter(|_| !stopped) {
        if let Some(words) = announced(round) {
            script.say(&words, Fit::LargerPieces);
        }
        return call_all(script, round);
    }
    let mut parts = Vec::new();
    if !turn.ran.is_empty() {
        parts.push(reply::report(&turn.ran));
    }
    let undone: Vec<&Step> = rounds.iter().skip(turn.rounds).flatten().collect();
    if stopped && !undone.is_empty() {
        let list: Vec<String> = undone.iter().map(|step| reply::subject(step.tool, &step.args)).collect();
        parts.push(format!("I stopped there. **Not done:** {}.\n", list.join("; ")));
    }
    let mut named: Vec<&str> = missing.iter().map(|step| step.tool).collect();
    named.sort_unstable();
    named.dedup();
    parts.extend(named.into_iter().map(talk::unavailable));
    if too_many > 0 {
        parts.push(format!("That was more than I do at once; the last {too_many} are left.\n"));
    }
    let alone = parts.is_empty();
    parts.extend(
        plan.rest
            .iter()
            .take(3)
            .map(|rest| if alone { talk::answer(rest, &turn.room) } else { talk::answer_part(rest, &turn.room) }),
    );
    script.say(&parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>().join("\n\n"), Fit::LargerPieces);
}

fn call_all(script: &mut Script, steps: &[Step]) {
    for step in steps {
        script.call(step.tool, &step.args.to_string());
    }
}

/// Returns a word ahead where the person will be asked, or where it may take a while. Looking needs none.
fn announced(steps: &[Step]) -> Option<String> {
    let said: Vec<String> = steps
        .iter()
        .filter_map(|step| {
            let arg = |name: &str| step.args.get(name).and_then(Value::as_str).unwrap_or_default();
            match step.tool {
                "shell" => Some(format!("run {}", reply::code(arg("command")))),
                "write_file" => Some(format!("write {}", reply::code(arg("path")))),
                "edit_file" => Some(format!("change {}", reply::code(arg("path")))),
                "fetch" => Some(format!("fetch {}", reply::code(arg("url")))),
                _ => None,
            }
        })
        .collect();
    let (last, before) = said.split_last()?;
    let list = if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) };
    Some(format!("I'll {list}."))
}

/// The last prompt and what came of it so far. Nothing earlier counts.
struct Turn<'a> {
    prompt: &'a str,
    ran: Vec<Ran>,
    /// How often it has called tools for this prompt.
    rounds: usize,
    room: Room<'a>,
}

impl<'a> Turn<'a> {
    fn of(request: &'a Request) -> Self {
        let last = request.past.iter().rposition(|past| matches!(past, Past::User { .. }));
        let prompt = match last.and_then(|at| request.past.get(at)) {
            Some(Past::User { text }) => text.as_str(),
            _ => "",
        };
        let after = last.map_or(&[][..], |at| request.past.get(at + 1..).unwrap_or_default());
        let (mut rounds, mut calls, mut ran) = (0, Vec::new(), Vec::new());
        for past in after {
            match past {
                Past::Assistant { calls: made, .. } => {
                    rounds += usize::from(!made.is_empty());
                    calls.extend(made);
                }
                Past::Tool { call, name, output, outcome } => {
                    let args = calls.iter().rev().find(|made| made.call == *call).map(|made| made.args.as_str());
                    let args = args.and_then(|args| serde_json::from_str(args).ok()).unwrap_or_default();
                    ran.push(Ran { tool: name.clone(), args, output: output.clone(), outcome: *outcome });
                }
                Past::User { .. } => {}
            }
        }
        let users = request.past.iter().filter(|past| matches!(past, Past::User { .. })).count();
        let tools = request.tools.iter().map(|tool: &ToolSpec| tool.name.as_str()).collect();
        Self { prompt, ran, rounds, room: Room { tools, turn: users.saturating_sub(1) } }
    }
}

/// Estimates what a model would have been sent.
fn input_tokens(request: &Request) -> u64 {
    let past = request.past.iter().map(|past| match past {
        Past::User { text } => estimate_tokens(text),
        Past::Assistant { text, calls, .. } => {
            estimate_tokens(text) + calls.iter().map(|call| estimate_tokens(&call.args) + 4).sum::<u64>()
        }
        Past::Tool { output, .. } => estimate_tokens(output),
    });
    let tools = request.tools.iter().map(|tool| estimate_tokens(&tool.description) + estimate_tokens(&tool.name));
    estimate_tokens(&request.system) + past.sum::<u64>() + tools.sum::<u64>()
}

#[cfg(test)]
mod tests;
