//! How agents tell their plan: as an event with a list, or as a call of a tool that keeps one.
//!
//! | who | how |
//! | --- | --- |
//! | the Agent Client Protocol | `plan`: `entries` of `content` and `status` |
//! | Codex | `turn/plan/updated` and `update_plan`: `plan` of `step` and `status`; an item `todo_list`: `items` of `text` and `completed` |
//! | Claude Code | the tool `TodoWrite`: `todos` of `content` and `status`; `TaskCreate` and `TaskUpdate`, one task each |
//! | opencode | `todo.updated` and the tool `todowrite`, as `TodoWrite` |
//! | Gemini CLI, Qwen Code | the tools `write_todos` and `todo_write`, as `TodoWrite` |
//!
//! All become one annotation with every entry. A plan that says what was told last is not told again; cancelled entries
//! are none.

use crate::event::{Annotation, Json, PlanEntry, PlanState, ReplyEvent, ReplyTarget};

/// Entries of a plan that are followed.
const MAX_PLAN_ENTRIES: usize = 200;
/// Bytes of an entry that are kept.
const MAX_ENTRY_BYTES: usize = 1000;
/// Tools that are called with the whole plan, without `_` and in small letters.
const PLAN_TOOLS: [&str; 4] = ["todowrite", "writetodos", "updateplan", "todolist"];

/// The plan as it was told last.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanTracker {
    told: Vec<PlanEntry>,
    /// Of an agent that tells one task at a time: each with its id, and whether it was deleted.
    tasks: Vec<PlanTask>,
}

#[derive(Clone, Debug)]
struct PlanTask {
    /// What the agent calls it; until that is known, the call that makes it.
    id: String,
    is_named: bool,
    entry: PlanEntry,
}

impl PlanTracker {
    /// Tells a plan, unless that is the one that was told last.
    pub(super) fn tell(&mut self, entries: Vec<PlanEntry>, out: &mut Vec<ReplyEvent>) {
        if entries == self.told {
            return;
        }
        self.told.clone_from(&entries);
        out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Plan(entries) });
    }

    /// Handles a call whose arguments are complete.
    pub(super) fn on_call(&mut self, call: &str, name: &str, args: &str, out: &mut Vec<ReplyEvent>) {
        let is_plan = PLAN_TOOLS.contains(&name.replace('_', "").to_lowercase().as_str());
        if !is_plan && name != "TaskCreate" && name != "TaskUpdate" {
            return;
        }
        let Ok(args) = serde_json::from_str::<Json>(args) else { return };
        match name {
            "TaskCreate" => self.create_task(call, &args, out),
            "TaskUpdate" => self.update_task(&args, out),
            _ => {
                let list = ["todos", "plan", "items"].into_iter().find_map(|key| args.get(key)?.as_array());
                if let Some(list) = list {
                    self.tell(entries(list), out);
                }
            }
        }
    }

    /// Handles the result of a call: that of `TaskCreate` says what the task is called, as `Task #3 created …`.
    pub(super) fn on_result(&mut self, call: &str, text: &str) {
        let Some(task) = self.tasks.iter_mut().find(|task| !task.is_named && task.id == call) else { return };
        let number = text.split_once('#').map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect());
        if let Some(number) = number.filter(|number: &String| !number.is_empty()) {
            (task.id, task.is_named) = (number, true);
        }
    }

    fn create_task(&mut self, call: &str, args: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(entry) = entry(args).filter(|_| self.tasks.len() < MAX_PLAN_ENTRIES) {
            self.tasks.push(PlanTask { id: call.to_owned(), is_named: false, entry });
        }
        self.tell_tasks(out);
    }

    fn update_task(&mut self, args: &Json, out: &mut Vec<ReplyEvent>) {
        let id = match args.get("taskId") {
            Some(Json::String(id)) => id.trim_start_matches('#').to_owned(),
            Some(Json::Number(id)) => id.to_string(),
            _ => return,
        };
        let Some(at) = self.tasks.iter().position(|task| task.is_named && task.id == id) else { return };
        match args.get("status").and_then(Json::as_str) {
            Some("deleted" | "cancelled") => {
                self.tasks.remove(at);
            }
            status => {
                let entry = &mut self.tasks[at].entry;
                if let Some(state) = status.and_then(state) {
                    entry.state = state;
                }
                if let Some(subject) = args.get("subject").and_then(Json::as_str) {
                    entry.text = cut(subject);
                }
            }
        }
        self.tell_tasks(out);
    }

    fn tell_tasks(&mut self, out: &mut Vec<ReplyEvent>) {
        self.tell(self.tasks.iter().map(|task| task.entry.clone()).collect(), out);
    }
}

/// Reads the entries of a plan, whatever they call their parts.
pub(super) fn entries(list: &[Json]) -> Vec<PlanEntry> {
    list.iter().take(MAX_PLAN_ENTRIES).filter_map(entry).collect()
}

/// Reads an entry; none for one that was cancelled or says nothing.
fn entry(entry: &Json) -> Option<PlanEntry> {
    let keys = ["content", "step", "text", "subject", "title", "description"];
    let text =
        keys.into_iter().find_map(|key| entry.get(key)?.as_str()).map(str::trim).filter(|text| !text.is_empty())?;
    let is_completed = entry.get("completed").and_then(Json::as_bool);
    let state = match (entry.get("status").and_then(Json::as_str), is_completed) {
        (Some("cancelled" | "deleted"), _) => return None,
        (Some(status), _) => state(status).unwrap_or(PlanState::Pending),
        (None, Some(true)) => PlanState::Done,
        (None, _) => PlanState::Pending,
    };
    Some(PlanEntry { text: cut(text), state })
}

fn state(status: &str) -> Option<PlanState> {
    Some(match status {
        "pending" => PlanState::Pending,
        "in_progress" | "inProgress" => PlanState::InProgress,
        "completed" | "done" => PlanState::Done,
        _ => return None,
    })
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_ENTRY_BYTES)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Returns the plans that were told, a letter for the state before each text.
    fn told(out: Vec<ReplyEvent>) -> Vec<String> {
        let line = |entry: &PlanEntry| format!("{}{}", &entry.state.label()[..1], entry.text);
        out.into_iter()
            .map(|event| match event {
                ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Plan(entries) } => {
                    entries.iter().map(line).collect::<Vec<_>>().join(" ")
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_tool_that_is_called_with_the_whole_plan_tells_it_once() {
        let list = json!([
            {"content": "a", "status": "completed", "activeForm": "doing a"},
            {"step": "b", "status": "inProgress"},
            {"content": "gone", "status": "cancelled"},
            {"text": "c", "completed": false},
            {"description": "d", "status": "of another kind"},
            {"content": "  "},
            7,
        ]);
        for (name, key) in [
            ("TodoWrite", "todos"),
            ("todowrite", "todos"),
            ("todo_write", "todos"),
            ("write_todos", "todos"),
            ("update_plan", "plan"),
            ("todo_list", "items"),
        ] {
            let (mut plan, mut out) = (PlanTracker::default(), Vec::new());
            let args = json!({key: list}).to_string();
            plan.on_call("c", name, &args, &mut out);
            plan.on_call("c2", name, &args, &mut out);
            assert_eq!(told(out), ["da ib pc pd"], "{name}");
        }
        let mut out = Vec::new();
        for (name, args) in [("shell", r#"{"todos":[{"content":"a"}]}"#), ("TodoWrite", "{"), ("TodoWrite", "[]")] {
            PlanTracker::default().on_call("c", name, args, &mut out);
        }
        assert_eq!(out, []);
    }

    #[test]
    fn tasks_that_are_told_one_by_one_are_one_plan() {
        let (mut plan, mut out) = (PlanTracker::default(), Vec::new());
        for (call, subject) in [("c1", "read"), ("c2", "write")] {
            plan.on_call(call, "TaskCreate", &json!({"subject": subject, "description": "x"}).to_string(), &mut out);
        }
        plan.on_result("c2", "Task #2 created successfully: write");
        plan.on_result("c1", "Task #1 created successfully: read");
        for args in [
            json!({"taskId": "1", "status": "in_progress"}),
            json!({"taskId": "1", "status": "in_progress"}),
            json!({"taskId": 2, "subject": "write it"}),
            json!({"taskId": "9", "status": "completed"}),
            json!({"taskId": "1", "status": "completed"}),
            json!({"taskId": "2", "status": "deleted"}),
        ] {
            plan.on_call("u", "TaskUpdate", &args.to_string(), &mut out);
        }
        assert_eq!(told(out), ["pread", "pread pwrite", "iread pwrite", "iread pwrite it", "dread pwrite it", "dread"]);
    }

    #[test]
    fn an_endless_plan_is_cut() {
        let list: Vec<Json> = (0..1000).map(|_| json!({"content": "é".repeat(2000)})).collect();
        let entries = entries(&list);
        assert_eq!((entries.len(), entries[0].text.len()), (MAX_PLAN_ENTRIES, MAX_ENTRY_BYTES));
    }
}
