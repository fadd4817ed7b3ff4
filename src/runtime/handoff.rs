//! Handoffs: a saved session in the form that another agent takes, as a text or a file that the person places.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::SavedSessions;
use crate::dialect::saved::describe_left_out;
use crate::dialect::saved::handoff::{
    Conversation, HANDOFF_FORMATS, HandoffFormat, HandoffPlace, find_handoff_format, stable_uuid,
};
use crate::journal::{self, Reader};
use crate::private;
use crate::text::one_line;

/// A session as another agent takes it.
#[derive(Debug)]
pub struct Handoff {
    pub text: String,
    /// How the other agent gets it, for people.
    pub how: String,
    /// What is not handed over, by what it is, and how often.
    pub left_out: BTreeMap<&'static str, u64>,
    /// A name for its file.
    pub file_name: String,
}

impl Handoff {
    /// Returns what a person has to know of it, in one line.
    pub fn remark(&self) -> String {
        if self.left_out.is_empty() {
            return self.how.clone();
        }
        format!("{}; not handed over: {}", self.how, describe_left_out(&self.left_out))
    }
}

impl SavedSessions {
    /// Returns a session in one of [`HANDOFF_FORMATS`].
    pub fn hand_off(&self, wanted: &str, format: &str) -> anyhow::Result<Handoff> {
        let format = find_handoff_format(format).ok_or_else(|| unknown_format(format))?;
        let session = journal::find(&self.logs, wanted)?;
        let reader = Reader::open(&session.path)?;
        let mut events = Vec::new();
        reader.for_each_event(|envelope| events.push(envelope.clone()))?;
        let mut conversation = Conversation::new(session.started_at, &events);
        if conversation.is_empty() {
            return Err(anyhow!("there is nothing to hand over in session {}", session.id));
        }
        conversation.title = conversation.title.or(session.title).map(|title| one_line(&title, 200));
        let id = stable_uuid(session.id.as_str());
        let place = HandoffPlace { id, folder: self.folder.clone() };
        Ok(Handoff {
            text: (format.write)(&conversation, &place),
            how: (format.how)(&place),
            left_out: conversation.left_out,
            file_name: format!("{}.{}.{}", session.id, format.name, format.extension),
        })
    }

    /// Writes a handoff into a new file. Never below a folder of another program: the person puts it there.
    pub fn write_handoff(&self, handoff: &Handoff, file: &Path) -> anyhow::Result<PathBuf> {
        let file = Path::new(&self.folder).join(file);
        let folder = file.parent().unwrap_or(Path::new("/"));
        let folder = folder.canonicalize().with_context(|| format!("can't write into {}", folder.display()))?;
        let places = self.import_places().into_iter().filter_map(|place| place.canonicalize().ok());
        if let Some(place) = places.into_iter().find(|place| folder.starts_with(place)) {
            return Err(anyhow!("{} is another program's; write the file elsewhere and put it there", place.display()));
        }
        let mut options = private::open_options();
        let opened = options.write(true).create_new(true).open(&file);
        let written = opened.and_then(|mut opened| opened.write_all(handoff.text.as_bytes()));
        written.with_context(|| format!("can't write {}", file.display()))?;
        Ok(file)
    }
}

fn unknown_format(format: &str) -> anyhow::Error {
    let names: Vec<&str> = HANDOFF_FORMATS.iter().map(|format: &HandoffFormat| format.name).collect();
    anyhow!("unknown format {:?}; there are {}", one_line(format, 40), names.join(", "))
}
