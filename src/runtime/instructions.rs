//! What the own agent is told besides its system prompt, as it is now in the folder of a session: instructions and skills.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Runtime;
use crate::agent::{AgentSetup, Instructions};
use crate::config::Paths;
use crate::config::instructions::{FoundInstructions, NOT_TRUSTED, read_instructions};
use crate::config::load::{ProjectFolder, project_folders, trust};
use crate::config::skills::{FoundSkill, FoundSkills, find_skills};
use crate::net::redact_registered;
use crate::store::overlay::memory::MemoryReport;
use crate::tool::{Skill, SkillTools};

const HEADING: &str = "\n\n# Instructions\n\nThese files hold instructions for you. Where two disagree, the one that \
                       stands first counts; what the person says in the conversation counts more than any of them.";

/// Reads the instructions of a folder. What was told of them is known to all its clones.
#[derive(Clone, Debug, Default)]
pub struct InstructionReader {
    places: Option<Arc<ReaderPlaces>>,
    /// What the model was told last.
    told: Arc<Mutex<Option<FoundInstructions>>>,
    skills: SkillTools,
}

#[derive(Debug)]
struct ReaderPlaces {
    paths: Paths,
    folder: PathBuf,
    max_bytes: usize,
}

impl InstructionReader {
    fn new(runtime: &Runtime, folder: &Path) -> Self {
        let max_bytes = runtime.config().limits.max_instruction_bytes;
        let places = ReaderPlaces { paths: runtime.paths.clone(), folder: folder.to_owned(), max_bytes };
        Self { places: Some(Arc::new(places)), ..Self::default() }
    }

    fn find(&self) -> Option<(FoundInstructions, FoundSkills, Vec<ProjectFolder>)> {
        let places = self.places.as_deref()?;
        let project = project_folders(&places.paths, &places.folder);
        let found = read_instructions(&places.paths, &project, places.max_bytes);
        Some((found, find_skills(&places.paths, &project), project))
    }

    /// Reads what the model is to be told now. Blocks.
    fn read(&self) -> Instructions {
        let Some((found, skills, _)) = self.find() else { return Instructions::default() };
        self.skills.set(skills.skills.into_iter().map(skill).collect());
        let mut text = if found.text.is_empty() { String::new() } else { format!("{HEADING}{}", found.text) };
        redact_registered(&mut text);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).replace(found.clone());
        let notice = match told {
            None => untrusted_notice(&found),
            Some(told) if told.text != found.text => {
                let read = found.files.iter().filter(|file| !file.note.starts_with("not read"));
                let names: Vec<&str> = read.map(|file| file.path.as_str()).collect();
                Some(match names.as_slice() {
                    [] => "the instructions are gone, and the model is told none any more".into(),
                    names => format!("the instructions have changed and were read again: {}", names.join(", ")),
                })
            }
            Some(_) => None,
        };
        Instructions { text, notice }
    }

    /// Tells what there is and what is read of it. Blocks.
    pub fn report(&self) -> MemoryReport {
        let Some((found, skills, project)) = self.find() else { return MemoryReport::default() };
        let needs_trust = project.iter().any(|folder| !folder.is_trusted);
        let known = skills.skills.into_iter().map(|skill| (skill.name, skill.description));
        let problems = skills.problems.into_iter().map(|(folder, why)| (folder, format!("not read: {why}")));
        MemoryReport {
            needs_trust: needs_trust && found.files.iter().any(|file| file.note == NOT_TRUSTED),
            files: found.files,
            skills: known.chain(problems).collect(),
        }
    }

    /// Trusts the project of the folder as it is now. Blocks.
    pub fn trust(&self) -> Result<String, String> {
        let places = self.places.as_deref().ok_or("there is no project here")?;
        let project = trust(&places.paths, &places.folder).map_err(|error| error.to_string())?;
        Ok(format!("{} is trusted; its settings count from the next start", project.folder.display()))
    }
}

fn skill(FoundSkill { name, description, folder, body }: FoundSkill) -> Skill {
    Skill { name, description, folder, body }
}

/// Tells that instructions are there and not read.
fn untrusted_notice(found: &FoundInstructions) -> Option<String> {
    let files: Vec<&str> =
        found.files.iter().filter(|file| file.note == NOT_TRUSTED).map(|file| file.path.as_str()).collect();
    let (verb, names) = (if files.len() == 1 { "is" } else { "are" }, files.join(" and "));
    (!files.is_empty()).then(|| {
        format!(
            "{names} {verb} not read: this project is not trusted; /memory trust or `jarvis-tui config trust` trusts it"
        )
    })
}

impl Runtime {
    /// Has the agent told the instructions of its folder, and gives it the skills.
    pub(super) fn add_instructions(&self, setup: &mut AgentSetup) {
        let reader = InstructionReader::new(self, &setup.folder);
        setup.tools.add_source(Arc::new(reader.skills.clone()));
        setup.instructions = Some(Arc::new(move || reader.read()));
    }

    pub(super) fn instruction_reader(&self) -> InstructionReader {
        InstructionReader::new(self, &self.folder)
    }
}
