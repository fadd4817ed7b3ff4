//! What servers tell beside their words: what a remote agent is doing just now, what its answer rests on, and the files
//! that came with it.
//!
//! Annotations of calls are the tool board's. Bounded: a server may cite without end.

use std::fmt::Write as _;

use crate::event::{AgentEvent, Annotation, AnnotationTarget, Json, StepState};
use crate::text::human::binary_size;

/// Sources, and files, that are named of one turn.
const MAX_SOURCES: usize = 50;
/// Characters of a word that is kept.
const MAX_LABEL_CHARS: usize = 200;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentStatus {
    /// What the remote agent says it is doing.
    activity: Option<String>,
    /// Steps of its plan that have begun and not ended.
    steps: Vec<String>,
    /// What the answer of this turn rests on, each once.
    sources: Vec<String>,
    more_sources: usize,
    /// Files that came with it: pictures, mostly.
    files: Vec<String>,
    more_files: usize,
}

impl AgentStatus {
    /// Returns what the remote agent is doing just now, in its own words.
    pub fn current_activity(&self) -> Option<&str> {
        self.activity.as_deref().or_else(|| self.steps.last().map(String::as_str))
    }

    /// Folds one fact; returns what is to be said of the sources when a turn ends.
    pub(super) fn on_event(&mut self, event: &AgentEvent) -> Option<String> {
        match event {
            AgentEvent::Annotation { on: AnnotationTarget::Turn(_) | AnnotationTarget::Message(_), annotation } => {
                self.on_annotation(annotation);
                None
            }
            AgentEvent::TextDelta { .. } | AgentEvent::ReasoningDelta { .. } => {
                self.activity = None;
                None
            }
            AgentEvent::TurnFinished { .. } => {
                let told = std::mem::take(self);
                told.summary()
            }
            _ => None,
        }
    }

    fn on_annotation(&mut self, annotation: &Annotation) {
        match annotation {
            Annotation::Progress(data) => self.activity = first_string(data, &["label", "step"]),
            Annotation::Activity(data) => self.activity = activity(data),
            Annotation::Step { name, state } => {
                let Some(name) = Some(shorten(name.trim())).filter(|name| !name.is_empty()) else { return };
                self.steps.retain(|step| *step != name);
                if *state == StepState::Started && self.steps.len() < MAX_SOURCES {
                    self.steps.push(name);
                }
            }
            Annotation::Part(data) => self.add_file(data),
            Annotation::Citation(data) => self.add_source(data),
            Annotation::Sources(data) => {
                data.as_array().into_iter().flatten().for_each(|source| self.add_source(source));
            }
            _ => {}
        }
    }

    fn add_source(&mut self, data: &Json) {
        let Some(source) = source_label(data).filter(|source| !self.sources.contains(source)) else { return };
        if self.sources.len() < MAX_SOURCES {
            self.sources.push(source);
        } else {
            self.more_sources += 1;
        }
    }

    fn add_file(&mut self, data: &Json) {
        let Some(file) = file_label(data) else { return };
        if self.files.len() < MAX_SOURCES {
            self.files.push(file);
        } else {
            self.more_files += 1;
        }
    }

    fn summary(self) -> Option<String> {
        let lists = [("source", self.sources, self.more_sources), ("file", self.files, self.more_files)];
        let lists: Vec<String> = lists.into_iter().filter_map(|(what, all, more)| list(what, &all, more)).collect();
        (!lists.is_empty()).then(|| lists.join("\n"))
    }
}

fn list(what: &str, all: &[String], more: usize) -> Option<String> {
    let mut text = match all.len() {
        0 => return None,
        1 => format!("{what}:"),
        _ => format!("{what}s:"),
    };
    for (at, one) in all.iter().enumerate() {
        let _ = write!(text, "\n{}. {one}", at + 1);
    }
    if more > 0 {
        let _ = write!(text, "\nand {more} more");
    }
    Some(text)
}

/// Names a file by what is known of it.
fn file_label(data: &Json) -> Option<String> {
    if data.get("kind").and_then(Json::as_str) != Some("file") {
        return None;
    }
    let size = data.get("bytes").and_then(Json::as_u64).map(binary_size);
    let known =
        [first_string(data, &["name"]), first_string(data, &["media_type"]), size, first_string(data, &["url"])];
    let known: Vec<String> = known.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// Names a source: title and address, whatever the server calls them.
pub(super) fn source_label(data: &Json) -> Option<String> {
    let title = first_string(data, &["title", "document_title", "file_name", "filename", "name"]);
    let place = first_string(data, &["url", "uri", "source", "path", "ref", "file_id"]);
    match (title, place) {
        (Some(title), Some(place)) if title != place => Some(format!("{title} — {place}")),
        (Some(one), _) | (None, Some(one)) => Some(one),
        (None, None) => data.as_str().map(shorten).or_else(|| first_string(data, &["cited_text", "text"])),
    }
}

fn activity(data: &Json) -> Option<String> {
    let content = data.get("content");
    let words = content.and_then(|content| {
        let text = content.as_str().map(shorten);
        text.or_else(|| first_string(content, &["title", "label", "text", "message", "status"]))
    });
    match (first_string(data, &["type"]), words) {
        (Some(kind), Some(words)) => Some(format!("{}: {words}", kind.to_lowercase().replace('_', " "))),
        (kind, words) => words.or(kind.map(|kind| kind.to_lowercase().replace('_', " "))),
    }
}

fn first_string(data: &Json, keys: &[&str]) -> Option<String> {
    let text = |key: &&str| data.get(*key).and_then(Json::as_str).map(str::trim).filter(|text| !text.is_empty());
    keys.iter().find_map(text).map(shorten)
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_LABEL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TurnOutcome;
    use crate::testkit::events::{text_delta, turn_finished};
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value)] // Values written in place read best.
    fn note(kind: &str, data: Json) -> AgentEvent {
        let annotation = serde_json::from_value(json!({"kind": kind, "data": data})).unwrap();
        AgentEvent::Annotation { on: AnnotationTarget::Turn("t".into()), annotation }
    }

    #[test]
    fn what_an_agent_does_is_known_until_it_speaks() {
        let mut notes = AgentStatus::default();
        notes.on_event(&note("step", json!({"name": "plan", "state": "started"})));
        assert_eq!(notes.current_activity(), Some("plan"));
        notes.on_event(&note("progress", json!({"step": "inference_start", "label": "thinking"})));
        assert_eq!(notes.current_activity(), Some("thinking"));
        notes.on_event(&text_delta("m", "x"));
        assert_eq!(notes.current_activity(), Some("plan"));
        notes.on_event(&note("step", json!({"name": "plan", "state": "finished"})));
        assert_eq!(notes.current_activity(), None);
        notes.on_event(&note("activity", json!({"type": "WEB_SEARCH", "content": {"title": "owls"}})));
        assert_eq!(notes.current_activity(), Some("web search: owls"));
    }

    #[test]
    fn each_source_is_named_once_when_the_turn_ends() {
        let mut notes = AgentStatus::default();
        notes.on_event(&note("citation", json!({"type": "url_citation", "title": "Owls", "url": "http://o"})));
        notes.on_event(&note("sources", json!([{"title": "Owls", "url": "http://o"}, {"ref": 2, "url": "http://p"}])));
        let end = turn_finished("t", TurnOutcome::Completed);
        assert_eq!(notes.on_event(&end).as_deref(), Some("sources:\n1. Owls — http://o\n2. http://p"));
        assert_eq!(notes.on_event(&end), None);
    }

    #[test]
    fn files_that_came_are_named() {
        let mut notes = AgentStatus::default();
        notes.on_event(&note("citation", json!({"title": "Owls"})));
        notes.on_event(&note(
            "part",
            json!({"kind": "file", "name": "a.png", "media_type": "image/png", "bytes": 20_000}),
        ));
        notes.on_event(&note("part", json!({"kind": "file", "url": "https://x.y/b", "bytes": 7})));
        notes.on_event(&note("part", json!({"kind": "data", "data": {}})));
        let end = turn_finished("t", TurnOutcome::Completed);
        let expected = "source:\n1. Owls\nfiles:\n1. a.png, image/png, 20 KB\n2. 7 bytes, https://x.y/b";
        assert_eq!(notes.on_event(&end).as_deref(), Some(expected));
    }

    #[test]
    fn endless_citations_are_counted() {
        let mut notes = AgentStatus::default();
        for number in 0..1000 {
            notes.on_event(&note("citation", json!({"title": format!("{number}")})));
        }
        let end = turn_finished("t", TurnOutcome::Completed);
        assert!(notes.on_event(&end).is_some_and(|text| text.ends_with("and 950 more")));
    }
}
