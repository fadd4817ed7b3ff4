//! What sub-agents did, put between the call that started them and its result, by the times of the lines.

use std::collections::{HashMap, HashSet, VecDeque};

use super::super::files::wall_time;
use super::super::{is_true, named};
use crate::dialect::program_reply::word;
use crate::event::Json;

/// Calls that start a sub-agent, now and in older versions.
const AGENT_TOOLS: [&str; 2] = ["Agent", "Task"];
/// Sub-agents that work at a time.
const MAX_OPEN_THREADS: usize = 256;

#[derive(Default)]
pub(super) struct SubAgents {
    agents: Vec<SubAgent>,
    /// Which of them a call started.
    of_call: HashMap<String, usize>,
}

struct SubAgent {
    id: String,
    lines: Vec<Json>,
    is_linked: bool,
}

impl SubAgents {
    /// Takes those out of the lines of a session that an older version put there.
    pub(super) fn split(lines: Vec<Json>) -> (Vec<Json>, Self) {
        let (inside, own): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| is_true(line, "isSidechain"));
        let (mut agents, mut agent_of) = (Self::default(), HashMap::new());
        for line in inside {
            let uuid = named(&line, "uuid").map(str::to_owned);
            let known = named(&line, "parentUuid").and_then(|parent| agent_of.get(parent).copied());
            let at = known.unwrap_or(agents.agents.len());
            match agents.agents.get_mut(at) {
                Some(agent) => agent.lines.push(line),
                None => agents.add("", vec![line]),
            }
            agent_of.extend(uuid.map(|uuid| (uuid, at)));
        }
        (own, agents)
    }

    pub(super) fn add(&mut self, id: &str, lines: Vec<Json>) {
        self.agents.push(SubAgent { id: id.to_owned(), lines, is_linked: false });
    }

    pub(super) fn unlinked(&self) -> u64 {
        self.agents.iter().filter(|agent| !agent.is_linked).count() as u64
    }

    /// Finds the call that started each: its result names the sub-agent, else it has the same prompt.
    pub(super) fn link(&mut self, lines: &[Json]) {
        if self.agents.is_empty() {
            return;
        }
        let all = || self.agents.iter().flat_map(|agent| &agent.lines).chain(lines);
        let named_by_result: Vec<(String, String)> = all()
            .filter_map(|line| {
                let agent = line.pointer("/toolUseResult/agentId")?.as_str()?;
                let block = line.pointer("/message/content/0")?;
                Some((named(block, "tool_use_id")?.to_owned(), agent.to_owned()))
            })
            .collect();
        let calls: Vec<(String, String)> = all().flat_map(agent_calls).collect();
        for (call, agent) in named_by_result {
            let found = self.agents.iter().position(|known| known.id == agent && !known.is_linked);
            self.set_link(call, found);
        }
        for (call, prompt) in calls {
            if !self.of_call.contains_key(&call) {
                let found =
                    self.agents.iter().position(|known| !known.is_linked && first_prompt(known) == Some(&prompt));
                self.set_link(call, found);
            }
        }
    }

    fn set_link(&mut self, call: String, agent: Option<usize>) {
        if let Some((at, agent)) = agent.and_then(|at| Some((at, self.agents.get_mut(at)?))) {
            agent.is_linked = true;
            self.of_call.insert(call, at);
        }
    }

    fn lines_of(&self, call: &str) -> Option<&[Json]> {
        Some(&self.agents.get(*self.of_call.get(call)?)?.lines)
    }
}

/// Returns the calls of a line that start sub-agents, each with its prompt.
fn agent_calls(line: &Json) -> Vec<(String, String)> {
    let blocks = line.pointer("/message/content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let calls = blocks.iter().filter(|block| AGENT_TOOLS.contains(&word(block, "name")));
    let prompted = calls.filter_map(|block| {
        Some((named(block, "id")?.to_owned(), block.pointer("/input/prompt")?.as_str()?.to_owned()))
    });
    prompted.collect()
}

fn first_prompt(agent: &SubAgent) -> Option<&str> {
    let first = agent.lines.iter().find(|line| word(line, "type") == "user")?;
    let content = first.pointer("/message/content")?;
    content.as_str().or_else(|| content.get(0)?.get("text")?.as_str())
}

/// The lines of a turn in the order in which they are told, each with the thread that it is of.
pub(super) struct Threads<'a> {
    agents: &'a SubAgents,
    lines: VecDeque<&'a Json>,
    open: Vec<OpenThread<'a>>,
    /// Calls whose sub-agents were told: each is once.
    started: HashSet<&'a str>,
}

struct OpenThread<'a> {
    /// The call that started it.
    call: &'a str,
    lines: VecDeque<&'a Json>,
}

impl<'a> Threads<'a> {
    pub(super) fn new(agents: &'a SubAgents) -> Self {
        Self { agents, lines: VecDeque::new(), open: Vec::new(), started: HashSet::new() }
    }

    pub(super) fn begin_turn(&mut self, lines: &[&'a Json]) {
        self.lines.extend(lines);
    }

    /// Returns the next line of the turn and the call whose sub-agent it is of, empty for the session itself.
    pub(super) fn next(&mut self) -> Option<(&'a str, &'a Json)> {
        if let Some(next) = self.next_inside(self.lines.front().copied()) {
            return Some(next);
        }
        let line = self.lines.pop_front()?;
        self.start_threads(line);
        Some(("", line))
    }

    /// Returns the next line of a sub-agent that comes before this one of the session.
    fn next_inside(&mut self, own: Option<&'a Json>) -> Option<(&'a str, &'a Json)> {
        self.open.retain(|thread| !thread.lines.is_empty());
        let time = |line: Option<&&Json>| line.and_then(|line| wall_time(line.get("timestamp"))).unwrap_or_default();
        let at = (0..self.open.len()).min_by_key(|at| self.open.get(*at).map(|thread| time(thread.lines.front())))?;
        let is_earlier =
            |own: &Json| self.open.get(at).is_some_and(|thread| time(thread.lines.front()) < time(Some(&own)));
        // The result of a call comes when its sub-agent has ended.
        let ends_one = |own| result_of(own).is_some_and(|call| self.open.iter().any(|thread| thread.call == call));
        if own.is_some_and(|own| !is_earlier(own) && !ends_one(own)) {
            return None;
        }
        let thread = self.open.get_mut(at)?;
        let (call, line) = (thread.call, thread.lines.pop_front()?);
        self.start_threads(line);
        Some((call, line))
    }

    fn start_threads(&mut self, line: &'a Json) {
        let blocks = line.pointer("/message/content").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for block in blocks.iter().filter(|block| AGENT_TOOLS.contains(&word(block, "name"))) {
            let Some(call) = named(block, "id") else { continue };
            let Some(lines) = self.agents.lines_of(call).filter(|_| self.open.len() < MAX_OPEN_THREADS) else {
                continue;
            };
            if self.started.insert(call) {
                self.open.push(OpenThread { call, lines: lines.iter().collect() });
            }
        }
    }
}

/// Returns the call whose result a line has.
fn result_of(line: &Json) -> Option<&str> {
    let blocks = line.pointer("/message/content").and_then(Json::as_array)?;
    blocks.iter().find_map(|block| named(block, "tool_use_id"))
}
