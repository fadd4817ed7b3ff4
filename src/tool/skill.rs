//! Skills as a tool: its description lists them, a call loads one, or a file that lies beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde_json::json;
use tokio::sync::watch;

use super::args::ToolArgs;
use super::source::{CallDescription, ToolContext, ToolInfo, ToolResult, ToolSource};
use super::spawn_blocking_work;
use crate::event::{Json, Risk, ToolKind, ToolSpec};

const NAME: &str = "skill";
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a file that lies beside a skill.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Files beside a skill that are named with it.
const MAX_NAMED_FILES: usize = 50;
/// Folders below a skill's that are looked into.
const MAX_DEPTH: usize = 3;

/// What the model can load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    pub name: String,
    pub description: String,
    pub folder: PathBuf,
    pub body: String,
}

/// The tool; there is none as long as there are no skills.
#[derive(Clone, Debug)]
pub struct SkillTools {
    skills: Arc<Mutex<Vec<Skill>>>,
    changed: watch::Sender<()>,
}

impl Default for SkillTools {
    fn default() -> Self {
        Self { skills: Arc::default(), changed: watch::Sender::new(()) }
    }
}

impl SkillTools {
    /// Replaces the skills; the tool is listed anew where they are others.
    pub fn set(&self, skills: Vec<Skill>) {
        let mut known = self.skills.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != skills {
            *known = skills;
            self.changed.send_replace(());
        }
    }

    fn spec(skills: &[Skill]) -> ToolSpec {
        let list: Vec<String> =
            skills.iter().map(|skill| format!("\n- {}: {}", skill.name, skill.description)).collect();
        let description = format!(
            "Loads a skill: instructions and files for a certain kind of work. Load one when its description fits what \
             you are asked for, before you begin. Skills:{}",
            list.concat()
        );
        let parameters = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The name of the skill."},
                "file": {"type": "string", "description": "A file beside the skill, in place of the skill itself."}
            },
            "required": ["name"]
        });
        ToolSpec { name: NAME.into(), description, parameters, risk: Risk::ReadOnly }
    }

    fn find(&self, args: &Json) -> Result<(Skill, Option<String>), String> {
        let args = ToolArgs::new(args)?;
        let name = args.string(&["name", "skill"])?;
        let file = args.optional_string(&["file", "path"])?.filter(|file| !file.trim().is_empty());
        let skills = self.skills.lock().unwrap_or_else(PoisonError::into_inner);
        let found = skills.iter().find(|skill| skill.name == name).cloned();
        found.map(|skill| (skill, file)).ok_or_else(|| {
            let known: Vec<&str> = skills.iter().map(|skill| skill.name.as_str()).collect();
            format!("there is no skill `{name}`; there are: {}", known.join(", "))
        })
    }
}

impl ToolSource for SkillTools {
    fn name(&self) -> &'static str {
        "skills"
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        let skills = self.skills.lock().unwrap_or_else(PoisonError::into_inner);
        let info = || ToolInfo { spec: Self::spec(&skills), kind: ToolKind::Other, timeout: LOAD_TIMEOUT };
        ready(Ok((!skills.is_empty()).then(info).into_iter().collect())).boxed()
    }

    fn changes(&self) -> Option<watch::Receiver<()>> {
        Some(self.changed.subscribe())
    }

    fn describe<'a>(
        &'a self,
        _: &'a str,
        args: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        let found = self.find(args).map(|(skill, file)| {
            let subject = file.map_or_else(|| skill.name.clone(), |file| format!("{}/{file}", skill.name));
            CallDescription::new(Risk::ReadOnly, subject)
        });
        ready(found).boxed()
    }

    fn call<'a>(&'a self, _: &'a str, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(async move {
            let (skill, file) = match self.find(args) {
                Ok(found) => found,
                Err(why) => return ToolResult::failed(why),
            };
            let load = move |_: &Json, _: &ToolContext| match file {
                Some(file) => read_beside(&skill.folder, &file),
                None => Ok(whole_skill(&skill)),
            };
            spawn_blocking_work(args, ctx, load).await.map_or_else(ToolResult::failed, ToolResult::ok)
        })
    }
}

fn whole_skill(skill: &Skill) -> String {
    let mut files = Vec::new();
    collect_files(&skill.folder, &skill.folder, MAX_DEPTH, &mut files);
    files.sort();
    let beside = match files.len() {
        0 => String::new(),
        _ => format!("\n\nFiles beside it, for the argument `file`: {}", files.join(", ")),
    };
    format!("The skill `{}`, in {}:\n\n{}{beside}", skill.name, skill.folder.display(), skill.body)
}

fn collect_files(root: &Path, folder: &Path, depth: usize, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if files.len() >= MAX_NAMED_FILES {
            return;
        }
        match kind {
            Ok(kind) if kind.is_dir() && depth > 0 => collect_files(root, &path, depth - 1, files),
            Ok(kind) if kind.is_file() => {
                let below = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                if below != "SKILL.md" {
                    files.push(below);
                }
            }
            _ => {}
        }
    }
}

fn read_beside(folder: &Path, file: &str) -> Result<String, String> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("`{file}`: {error}");
    let root = folder.canonicalize().map_err(failed)?;
    let place = root.join(file).canonicalize().map_err(failed)?;
    if !place.starts_with(&root) {
        return Err(format!("`{file}` is not in the folder of the skill"));
    }
    if !std::fs::metadata(&place).map_err(failed)?.is_file() {
        return Err(format!("`{file}` is not a file"));
    }
    let mut text = String::new();
    let opened = std::fs::File::open(&place).map_err(failed)?;
    opened.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("`{file}` is larger than {} KiB", MAX_FILE_BYTES >> 10));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::checked_path::tests::ctx;
    use super::*;

    #[tokio::test]
    async fn a_skill_is_loaded_on_demand_with_the_files_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("pdf");
        std::fs::create_dir_all(folder.join("scripts")).unwrap();
        std::fs::write(folder.join("SKILL.md"), "x").unwrap();
        std::fs::write(folder.join("scripts/a.py"), "print(1)").unwrap();
        std::fs::write(root.path().join("secret"), "hunter2").unwrap();
        let (tools, ctx) = (SkillTools::default(), ctx(root.path()));
        assert_eq!(tools.list().await, Ok(Vec::new()));
        let changes = tools.changes().unwrap();
        let (name, description) = ("pdf".to_owned(), "Reads PDFs".to_owned());
        let skills = vec![Skill { name, description, folder, body: "Use a.py.".into() }];
        tools.set(skills.clone());
        assert!(changes.has_changed().unwrap());
        let mut changes = tools.changes().unwrap();
        changes.mark_unchanged();
        tools.set(skills);
        assert!(!changes.has_changed().unwrap(), "they are the same");
        assert!(tools.list().await.unwrap()[0].spec.description.ends_with("\n- pdf: Reads PDFs"));
        let call = async |args: Json| tools.call(NAME, &args, &ctx).await.text;
        let loaded = call(json!({"name": "pdf"})).await;
        assert!(loaded.contains("Use a.py.") && loaded.ends_with("scripts/a.py"), "{loaded}");
        assert_eq!(call(json!({"name": "pdf", "file": "scripts/a.py"})).await, "print(1)");
        for file in ["../secret", "/etc/passwd", "scripts", "gone"] {
            let told = call(json!({"name": "pdf", "file": file})).await;
            assert!(told.starts_with(&format!("`{file}`")) && !told.contains("hunter2"), "{told}");
        }
        assert_eq!(call(json!({"name": "doc"})).await, "there is no skill `doc`; there are: pdf");
    }
}
