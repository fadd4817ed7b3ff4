//! Finds skills: folders with a `SKILL.md`, whose front matter says when it is of use (agentskills.io).
//!
//! Those of a project count only where it is trusted; what another user owns, or a link leads to from outside, never does.

use std::fs;
use std::path::{Path, PathBuf};

use super::instructions::{ReadText, read_own};
use super::load::ProjectFolder;
use super::paths::Paths;
use crate::text::front_matter::split_front_matter;
use crate::text::{clean, one_line};

/// Where a project keeps its own.
const PROJECT_FOLDERS: [&str; 3] = [".jarvis/skills", ".claude/skills", ".agents/skills"];
const FILE: &str = "SKILL.md";
const MAX_SKILLS: usize = 100;
/// Bytes of a skill's file.
const MAX_SKILL_BYTES: usize = 64 * 1024;
/// Lengths of the specification.
const MAX_NAME_CHARS: usize = 64;
const MAX_DESCRIPTION_CELLS: usize = 1024;

/// A skill of the person or of a trusted project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSkill {
    pub name: String,
    pub description: String,
    pub folder: PathBuf,
    /// What follows the front matter.
    pub body: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundSkills {
    /// The nearest first. A name that stands twice is the nearest.
    pub skills: Vec<FoundSkill>,
    /// Folders that are none, and why.
    pub problems: Vec<(String, String)>,
}

/// Reads the skills of these folders and the person's own.
pub fn find_skills(paths: &Paths, project: &[ProjectFolder]) -> FoundSkills {
    let mut found = FoundSkills::default();
    let root = project.last().map(|folder| folder.path.as_path());
    for folder in project.iter().filter(|folder| folder.is_trusted) {
        for place in PROJECT_FOLDERS {
            found.add_all(&folder.path.join(place), root);
        }
    }
    found.add_all(&paths.config.join("skills"), None);
    found
}

impl FoundSkills {
    fn add_all(&mut self, place: &Path, root: Option<&Path>) {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).take(MAX_SKILLS * 4).collect();
        folders.sort();
        for folder in folders.into_iter().filter(|folder| folder.join(FILE).exists()) {
            if self.skills.len() >= MAX_SKILLS {
                return;
            }
            match FoundSkill::read(&folder, root) {
                Ok(skill) if self.skills.iter().any(|known| known.name == skill.name) => {}
                Ok(skill) => self.skills.push(skill),
                Err(why) => self.problems.push((folder.display().to_string(), why)),
            }
        }
    }
}

impl FoundSkill {
    fn read(folder: &Path, root: Option<&Path>) -> Result<Self, String> {
        let ReadText { text, is_cut, .. } = read_own(&folder.join(FILE), root, MAX_SKILL_BYTES)?;
        if is_cut {
            return Err(format!("{FILE} is larger than {} KiB", MAX_SKILL_BYTES >> 10));
        }
        let text = clean(&text).replace("\r\n", "\n");
        let (facts, body) = split_front_matter(&text);
        let fact = |key: &str| facts.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned());
        let folder_name = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = fact("name").or_else(folder_name).unwrap_or_default();
        let is_name = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(is_name) {
            return Err(format!("its name needs letters, digits and - only, {MAX_NAME_CHARS} at most"));
        }
        let description = fact("description").filter(|text| !matches!(text.as_str(), ">" | "|" | ">-" | "|-"));
        let description = description.or_else(|| folded(&text)).unwrap_or_default();
        if description.trim().is_empty() {
            return Err("its front matter has no description".into());
        }
        let description = one_line(&description, MAX_DESCRIPTION_CELLS);
        Ok(Self { name, description, folder: folder.to_owned(), body: body.trim().to_owned() })
    }
}

/// Returns a description that is written over several lines, as YAML's `>` and `|` have it.
fn folded(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("description:"));
    lines.next()?;
    let indented = lines.take_while(|line| line.starts_with([' ', '\t']) || line.is_empty());
    Some(indented.map(str::trim).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_named_by_their_front_matter_and_those_without_trust_are_not_read() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        write("repo/.claude/skills/a/SKILL.md", "---\nname: pdf\ndescription: Reads PDFs\n---\n\nUse x.\n");
        write("repo/.agents/skills/b/SKILL.md", "---\nname: pdf\ndescription: Another\n---\n");
        write("repo/.jarvis/skills/c/SKILL.md", "---\nname: two\ndescription: >-\n  Over\n  lines\nlicense: x\n---\nB");
        write("repo/.jarvis/skills/d/SKILL.md", "no front matter");
        write("c/skills/own/SKILL.md", "---\r\ndescription: Mine\r\n---\r\nText");
        let paths = Paths { config: at("c"), data: at("d"), state: at("s") };
        let found = |is_trusted| find_skills(&paths, &[ProjectFolder { path: at("repo"), is_trusted }]);
        let names = |found: &FoundSkills| -> Vec<(String, String)> {
            found.skills.iter().map(|skill| (skill.name.clone(), skill.description.clone())).collect()
        };
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let all = found(true);
        assert_eq!(names(&all), [pair("two", "Over lines"), pair("pdf", "Reads PDFs"), pair("own", "Mine")]);
        assert_eq!((all.skills[1].body.as_str(), all.problems.len()), ("Use x.", 1));
        assert_eq!(names(&found(false)), [pair("own", "Mine")]);
    }
}
