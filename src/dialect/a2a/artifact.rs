//! The artifacts of a task, written piece by piece. One that says what a message said before is held back and not told.

use super::super::repeat::Pieces;
use super::super::stop;
use super::super::surrogate::Halves;
use super::super::tree::Tree;
use super::spoken::Spoken;
use super::tell::settled;
use super::wire::{self, Parts, field};
use super::{A2a, MOST_TEXT};
use crate::event::{AgentEvent, Stop};

/// Artifacts that are followed.
const MOST_ARTIFACTS: usize = 1024;
/// Bytes of an artifact that are held back.
const MOST_HELD: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Artifact {
    wire: String,
    /// Its message while it is written.
    open: Option<Spoken>,
    /// All of its text.
    pub(super) text: String,
    /// The text was told, or need not be.
    told: bool,
    halves: Halves,
    pieces: Pieces,
}

impl A2a {
    pub(super) fn artifact(
        &mut self,
        artifact: &Tree<'_>,
        append: bool,
        is_last: bool,
        marked: bool,
        out: &mut Vec<AgentEvent>,
    ) {
        let wire = field(artifact, "artifactId", "artifact_id").and_then(Tree::as_str).unwrap_or_default();
        let Parts { text, thought, others } = wire::parts(artifact);
        let known = self.artifacts.iter().rposition(|known| known.wire == wire);
        if known.is_none() || append {
            self.others(&others, marked, out);
        }
        let at = match known {
            Some(at) => at,
            None if self.artifacts.len() >= MOST_ARTIFACTS => {
                return self.odd.met("more artifacts than are followed", out);
            }
            None => {
                self.artifacts.push(Artifact::new(wire));
                self.artifacts.len() - 1
            }
        };
        if !thought.is_empty() && (known.is_none() || append) {
            let thought = settled(&thought, marked);
            self.speak(at, out, |spoken, _, out| spoken.think(&thought, out));
        }
        if append || known.is_none() {
            let Some(known) = self.artifacts.get_mut(at) else { return };
            let piece = known.pieces.take(known.halves.join(text, marked)).into_owned();
            self.write(at, &piece, out);
        } else {
            self.replace(at, settled(&text, marked), out);
        }
        if is_last {
            self.close_artifact(at, None, out);
        }
    }

    /// Adds a piece to an artifact.
    fn write(&mut self, at: usize, piece: &str, out: &mut Vec<AgentEvent>) {
        let Some(artifact) = self.artifacts.get_mut(at).filter(|_| !piece.is_empty()) else { return };
        self.kept = self.kept.saturating_add(piece.len());
        if !artifact.told && self.kept <= MOST_TEXT {
            artifact.text.push_str(piece);
            return self.tell_unless_repeated(at, out);
        }
        if self.kept <= MOST_TEXT {
            artifact.text.push_str(piece);
        }
        let held = if artifact.told { String::new() } else { artifact.text.clone() };
        artifact.told = true;
        self.spoke = true;
        self.speak(at, out, |spoken, count, out| {
            spoken.say(&held, count, out);
            spoken.say(piece, count, out);
        });
    }

    /// Holds the text back while it may be one that was said.
    fn tell_unless_repeated(&mut self, at: usize, out: &mut Vec<AgentEvent>) {
        let Some(artifact) = self.artifacts.get(at) else { return };
        if artifact.text.len() <= MOST_HELD && self.is_said(&artifact.text, false) {
            return;
        }
        self.tell(at, out);
    }

    fn tell(&mut self, at: usize, out: &mut Vec<AgentEvent>) {
        let Some(artifact) = self.artifacts.get_mut(at) else { return };
        if std::mem::replace(&mut artifact.told, true) || artifact.text.is_empty() {
            return;
        }
        let text = artifact.text.clone();
        self.spoke = true;
        self.speak(at, out, |spoken, count, out| spoken.say(&text, count, out));
    }

    /// The artifact now is this text.
    fn replace(&mut self, at: usize, text: String, out: &mut Vec<AgentEvent>) {
        let Some(artifact) = self.artifacts.get_mut(at).filter(|artifact| artifact.text != text) else { return };
        if artifact.told
            && let Some(more) = text.strip_prefix(artifact.text.as_str())
        {
            let more = more.to_owned();
            return self.write(at, &more, out);
        }
        self.kept = self.kept.saturating_add(text.len());
        (artifact.pieces, artifact.halves) = (Pieces::default(), Halves::default());
        artifact.pieces.more(&text);
        if let Some(spoken) = artifact.open.take() {
            spoken.correct(&text, &mut self.count, out);
            artifact.told = true;
        } else {
            artifact.told = false;
        }
        let told = artifact.told;
        artifact.text = text;
        if !told {
            self.tell_unless_repeated(at, out);
        }
        if self.kept > MOST_TEXT {
            self.tell(at, out);
            if let Some(artifact) = self.artifacts.get_mut(at) {
                artifact.text = String::new();
            }
        }
    }

    /// Has an artifact's message say something; it is begun where it has none.
    fn speak(
        &mut self,
        at: usize,
        out: &mut Vec<AgentEvent>,
        say: impl FnOnce(&mut Spoken, &mut u64, &mut Vec<AgentEvent>),
    ) {
        if self.artifacts.get(at).is_some_and(|artifact| artifact.open.is_none()) {
            self.close_status(None, out);
        }
        let Some(artifact) = self.artifacts.get_mut(at) else { return };
        let spoken = artifact.open.get_or_insert_with(|| Spoken::begin(&mut self.count, out));
        say(spoken, &mut self.count, out);
    }

    pub(super) fn close_artifact(&mut self, at: usize, stop: Option<Stop>, out: &mut Vec<AgentEvent>) {
        let rest = self.artifacts.get_mut(at).map(Artifact::settle);
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            self.write(at, &rest, out);
        }
        let Some(artifact) = self.artifacts.get(at) else { return };
        if !artifact.told && !self.is_said(&artifact.text, true) {
            self.tell(at, out);
        }
        let Some(artifact) = self.artifacts.get_mut(at) else { return };
        artifact.told = true;
        if let Some(spoken) = artifact.open.take() {
            let stop = stop.unwrap_or_else(|| self.verdict.stop_with(false));
            self.is_remarked |= stop::is_told(stop);
            spoken.finish(stop, &mut self.count, out);
        }
    }
}

impl Artifact {
    fn new(wire: &str) -> Self {
        let (wire, text) = (wire.to_owned(), String::new());
        Self { wire, open: None, text, told: false, halves: Halves::default(), pieces: Pieces::default() }
    }

    /// Returns what was held back: no more of it is to come.
    fn settle(&mut self) -> String {
        let mut rest = self.pieces.settle();
        rest.extend(self.halves.rest());
        rest
    }
}
