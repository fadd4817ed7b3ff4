//! Where models are: files by their path, and where Ollama, LM Studio and llama.cpp keep them.

use std::path::{Path, PathBuf};

use super::file::{GgufFile, HeaderDepth};
use super::shape::{Architecture, DEFAULT_CONTEXT, ModelShape};
use crate::engine::discover::ModelInfo;
use crate::engine::model_details::ModelDetails;
use crate::engine::spec::Env;
use crate::event::{Fault, FaultKind, Json};
use crate::text::human;

/// Files that are looked at in all.
const MAX_FILES: usize = 200;
const MAX_ENTRIES: usize = 5000;
const MAX_DEPTH: usize = 5;
const MAX_MANIFEST_BYTES: u64 = 64 * 1024;

/// Returns the file that a name stands for: a path, or a name as Ollama has it.
pub(super) fn resolve(model: &str, env: Env<'_>) -> Result<PathBuf, Fault> {
    let path = match (model.strip_prefix("~/"), env("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(model),
    };
    if path.is_file() {
        return Ok(path);
    }
    let known = ollama_models(env).into_iter().find(|(name, _)| name == model || name.split(':').next() == Some(model));
    known.map(|(_, path)| path).ok_or_else(|| {
        let reason = if path.exists() { "this is not a file" } else { "there is no such file" };
        file_fault(&path, reason)
    })
}

pub(super) fn file_fault(path: &Path, reason: &str) -> Fault {
    let text = format!("{}: {reason}; `jarvis-tui models` lists the files that were found", path.display());
    Fault::new(FaultKind::BadRequest, text)
}

/// Reads what must be known before a conversation begins.
pub(super) fn describe(model: &str, env: Env<'_>) -> Result<ModelDetails, Fault> {
    let path = resolve(model, env)?;
    let file = GgufFile::open(&path, HeaderDepth::Summary).map_err(|reason| file_fault(&path, &reason))?;
    let shape = ModelShape::read(&file).map_err(|reason| file_fault(&path, &reason))?;
    let template = file.text("tokenizer.chat_template").unwrap_or_default();
    Ok(ModelDetails {
        context_window: Some(shape.context.min(DEFAULT_CONTEXT) as u64),
        supports_tools: Some(true),
        takes_images: Some(false),
        supports_thinking: Some(template.contains("enable_thinking")),
    })
}

/// Lists the models that were found and can be run.
pub(super) fn list(env: Env<'_>) -> Vec<ModelInfo> {
    let mut found = ollama_models(env);
    for folder in folders(env) {
        let mut left = MAX_ENTRIES;
        let mut files = Vec::new();
        collect(&folder, MAX_DEPTH, &mut left, &mut files);
        files.sort();
        found.extend(files.into_iter().map(|path| (path.to_string_lossy().into_owned(), path)));
    }
    found.truncate(MAX_FILES);
    found.into_iter().filter_map(|(name, path)| Some(ModelInfo { id: name, ..summary(&path)? })).collect()
}

fn summary(path: &Path) -> Option<ModelInfo> {
    let file = GgufFile::open(path, HeaderDepth::Summary).ok()?;
    let shape = ModelShape::read(&file).ok()?;
    let parameters = match file.parameters() {
        many @ 1_000_000_000.. => format!("{:.1}B", many as f64 / 1e9),
        few => format!("{}M", few / 1_000_000),
    };
    let kind = file.main_kind().map(|kind| format!("{kind:?}")).unwrap_or_default();
    let size = path.metadata().map(|data| human::size(data.len())).unwrap_or_default();
    let name = Architecture::of(&file).ok()?.name();
    Some(ModelInfo {
        id: String::new(),
        remark: format!("{name}, {parameters}, {kind}, {size}"),
        context_window: Some(shape.context.min(DEFAULT_CONTEXT) as u64),
    })
}

fn folders(env: Env<'_>) -> Vec<PathBuf> {
    let home = env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let under_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let llama_cache = env("LLAMA_CACHE").map(PathBuf::from);
    let xdg_cache = env("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("llama.cpp"));
    let places = [
        llama_cache,
        xdg_cache,
        under_home(".cache/llama.cpp"),
        under_home("Library/Caches/llama.cpp"),
        under_home(".lmstudio/models"),
        under_home(".cache/lm-studio/models"),
        under_home("models"),
    ];
    let mut out: Vec<PathBuf> = Vec::new();
    for place in places.into_iter().flatten().filter(|place| place.is_dir()) {
        if !out.contains(&place) {
            out.push(place);
        }
    }
    out
}

fn collect(folder: &Path, depth: usize, left: &mut usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy().to_lowercase();
        if path.is_dir() {
            if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                collect(&path, depth - 1, left, out);
            }
        } else if name.ends_with(".gguf") && !name.starts_with("mmproj") {
            out.push(path);
        }
    }
}

/// Returns the names and files of what Ollama has installed here.
fn ollama_models(env: Env<'_>) -> Vec<(String, PathBuf)> {
    let home = env("HOME").map(|home| PathBuf::from(home).join(".ollama/models"));
    let places = [env("OLLAMA_MODELS").map(PathBuf::from), home, Some("/usr/share/ollama/.ollama/models".into())];
    let mut out: Vec<(String, PathBuf)> = Vec::new();
    for place in places.into_iter().flatten() {
        let manifests = place.join("manifests");
        let (mut left, mut files) = (MAX_ENTRIES, Vec::new());
        collect_all(&manifests, MAX_DEPTH, &mut left, &mut files);
        files.sort();
        for manifest in files {
            let blob = model_blob(&manifest).map(|digest| place.join("blobs").join(digest));
            let name = manifest.strip_prefix(&manifests).ok().and_then(ollama_name);
            if let (Some(blob), Some(name)) = (blob.filter(|blob| blob.is_file()), name)
                && !out.iter().any(|(known, _)| *known == name)
            {
                out.push((name, blob));
            }
        }
    }
    out
}

fn collect_all(folder: &Path, depth: usize, left: &mut usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => collect_all(&entry.path(), depth - 1, left, out),
            Ok(kind) if kind.is_file() => out.push(entry.path()),
            _ => {}
        }
    }
}

/// Reads the name of the file with the model out of a manifest.
fn model_blob(manifest: &Path) -> Option<String> {
    if manifest.metadata().ok()?.len() > MAX_MANIFEST_BYTES {
        return None;
    }
    let manifest: Json = serde_json::from_slice(&std::fs::read(manifest).ok()?).ok()?;
    let layers = manifest.get("layers")?.as_array()?;
    let is_model =
        |layer: &&Json| layer.get("mediaType").and_then(Json::as_str) == Some("application/vnd.ollama.image.model");
    let digest = layers.iter().find(is_model)?.get("digest")?.as_str()?.strip_prefix("sha256:")?;
    let is_plain = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_plain.then(|| format!("sha256-{digest}"))
}

/// `registry.ollama.ai/library/qwen3/8b` is `qwen3:8b`.
fn ollama_name(manifest: &Path) -> Option<String> {
    let parts: Vec<_> = manifest.iter().map(|part| part.to_string_lossy()).collect();
    let (tag, path) = parts.split_last()?;
    let path = match path {
        [host, library, rest @ ..] if host == "registry.ollama.ai" && library == "library" => rest,
        [host, rest @ ..] if host == "registry.ollama.ai" => rest,
        path => path,
    };
    Some(format!("{}:{tag}", path.join("/"))).filter(|name| !name.starts_with(':'))
}
