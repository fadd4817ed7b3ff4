//! What a person names in a prompt with `@`: the paths to choose from, and the text of those that were chosen.
//!
//! Nobody but the person asks for these, so a path may lead out of the working folder. All of it blocks, and all of it
//! is bounded.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::checked_path::{CheckedPath, expand_home};
use super::file::open_regular;
use super::list_dir::{list_entries, walker};
use super::read_file::binary_kind;
use super::truncate::size;
use crate::event::{
    ImageType, MAX_IMAGE_BYTES, MAX_PROMPT_CONTEXT_BYTES, PromptContext, PromptContextKind, PromptImage, check_images,
    too_large,
};
use crate::text::clean;
use crate::text::mention::{FileMention, file_mentions};

/// Paths offered; who wants another types more of it.
const MAX_OFFERED_PATHS: usize = 20_000;
const MAX_WALK_TIME: Duration = Duration::from_secs(2);
/// How far a file is read for lines in it.
const MAX_SCANNED_BYTES: u64 = 64 << 20;
/// Mentions that are read of one prompt.
const MAX_MENTIONS: usize = 50;

/// What came of the mentions of a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MentionedFiles {
    pub context: Vec<PromptContext>,
    /// What could not be read and why, for the person.
    pub problems: Vec<String>,
}

/// Where a mention may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MentionScope {
    /// The person sees what goes along, or named the file itself.
    Anywhere,
    /// The text may have been put together by a program: it gets no further than a tool that asks nobody.
    WorkingFolder,
}

impl MentionedFiles {
    /// Adds others, as far as they fit.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.context.extend(others.context);
        self.problems.extend(others.problems);
        self.leave_out_excess();
        self
    }

    fn leave_out_excess(&mut self) {
        while PromptContext::total_bytes(&self.context) > MAX_PROMPT_CONTEXT_BYTES {
            let Some(left_out) = self.pop_last(|part| part.image().is_none()) else { break };
            let most = size(MAX_PROMPT_CONTEXT_BYTES as u64);
            self.problems.push(format!("@{left_out}: too much with the others, at most {most} go with a prompt"));
        }
        while let Err(why) = check_images(&self.context) {
            let Some(left_out) = self.pop_last(|part| part.image().is_some()) else { break };
            self.problems.push(format!("@{left_out}: {why}"));
        }
    }

    fn pop_last(&mut self, is_meant: impl Fn(&PromptContext) -> bool) -> Option<String> {
        let at = self.context.iter().rposition(is_meant)?;
        Some(self.context.remove(at).name)
    }
}

/// Returns the files and folders that a mention may name, folders with a slash at their end, the nearest first.
///
/// `typed` is its beginning: one that leads out of the working folder lists the folder that it leads to.
pub fn list_paths(folder: &Path, typed: &str) -> Vec<String> {
    let is_outside = typed.starts_with(['/', '~']) || typed.starts_with("..");
    let prefix = if is_outside { &typed[..typed.rfind('/').map_or(0, |slash| slash + 1)] } else { "" };
    if is_outside && prefix.is_empty() {
        return Vec::new();
    }
    let root = folder.join(expand_home(prefix));
    let deadline = Instant::now() + MAX_WALK_TIME;
    let mut walk = walker(&root, false);
    walk.max_depth(is_outside.then_some(1));
    let mut paths = Vec::new();
    for entry in walk.build().filter_map(Result::ok).filter(|entry| entry.depth() > 0) {
        if paths.len() >= MAX_OFFERED_PATHS || Instant::now() >= deadline {
            break;
        }
        // A name that is no text, or that a terminal would obey, can't be typed.
        let Some(path) = entry.path().strip_prefix(&root).ok().and_then(Path::to_str) else { continue };
        if path.contains(|c: char| c.is_control() || c == '"') {
            continue;
        }
        let slash = if entry.file_type().is_some_and(|kind| kind.is_dir()) { "/" } else { "" };
        paths.push((entry.depth(), format!("{prefix}{path}{slash}")));
    }
    paths.sort();
    paths.into_iter().map(|(_, path)| path).collect()
}

/// Reads what a prompt mentions, but for the resources of these servers. A bare word that names nothing is no mention.
pub fn read_mentions(folder: &Path, prompt: &str, scope: MentionScope, servers: &[&str]) -> MentionedFiles {
    let mut read = MentionedFiles::default();
    let mut seen = HashSet::new();
    for mention in file_mentions(prompt).into_iter().take(MAX_MENTIONS) {
        if !seen.insert((mention.path.clone(), mention.lines)) {
            continue;
        }
        if mention.resource().is_some_and(|(server, _)| servers.contains(&server)) {
            if scope == MentionScope::WorkingFolder {
                read.problems.push(format!("@{}: resources of servers are read in the chat only", mention.path));
            }
            continue;
        }
        match read_mention(folder, &mention, scope) {
            Ok(context) => read.context.push(context),
            Err(MentionError::Missing) if !mention.is_certain() => {}
            Err(MentionError::Missing) => read.problems.push(format!("@{}: no such file or folder", mention.path)),
            Err(MentionError::Unusable(why)) => read.problems.push(format!("@{}: {why}", mention.path)),
        }
    }
    read.leave_out_excess();
    read
}

/// Reads a file that is to go with a prompt, if it is an image; the error says why it can't. Of any other file only
/// whether it is there is looked at.
pub fn read_attachment(folder: &Path, path: &str) -> Result<Option<PromptContext>, String> {
    let path = fs::canonicalize(folder.join(expand_home(path))).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if path.is_dir() {
        return Ok(None);
    }
    let place = CheckedPath { display_path: path.to_string_lossy().into_owned(), path };
    let image = read_image(&place)?;
    Ok(image.map(|image| PromptContext::from_image(place.display_path, image)))
}

enum MentionError {
    Missing,
    Unusable(String),
}

fn read_mention(folder: &Path, mention: &FileMention, scope: MentionScope) -> Result<PromptContext, MentionError> {
    let path = fs::canonicalize(folder.join(expand_home(&mention.path))).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => MentionError::Missing,
        _ => MentionError::Unusable(error.to_string()),
    })?;
    let relative = fs::canonicalize(folder).ok().and_then(|folder| Some(path.strip_prefix(folder).ok()?.to_owned()));
    if relative.is_none() && scope == MentionScope::WorkingFolder {
        return Err(MentionError::Unusable("outside the working folder: name it with --file".to_owned()));
    }
    let shown = relative.as_deref().unwrap_or(&path).to_string_lossy().into_owned();
    let display_path = if shown.is_empty() { ".".to_owned() } else { shown };
    let is_folder = path.is_dir();
    let place = CheckedPath { path, display_path };
    if !is_folder && let Some(image) = read_image(&place).map_err(MentionError::Unusable)? {
        return Ok(PromptContext::from_image(place.display_path, image));
    }
    let (kind, text) = if is_folder {
        (PromptContextKind::Folder, list_entries(&place, 1, false, &CancellationToken::new()))
    } else {
        (PromptContextKind::File, read_text(&place, mention.lines))
    };
    let text = text.map_err(MentionError::Unusable)?;
    let name = match mention.lines {
        Some((first, last)) if !is_folder && first == last => format!("{}, line {first}", place.display_path),
        Some((first, last)) if !is_folder => format!("{}, lines {first} to {last}", place.display_path),
        _ => place.display_path,
    };
    Ok(PromptContext { kind, name, text: clean(&text).into_owned() })
}

/// Reads a file that is an image by its first bytes; its size is looked at before it is read.
fn read_image(place: &CheckedPath) -> Result<Option<PromptImage>, String> {
    let (file, bytes) = open_regular(place).map_err(without_path)?;
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let start = reader.fill_buf().map_err(|error| error.to_string())?;
    if ImageType::detect(start).is_none() {
        return Ok(None);
    }
    if bytes > MAX_IMAGE_BYTES {
        return Err(too_large(bytes));
    }
    let mut content = Vec::new();
    reader.take(MAX_IMAGE_BYTES + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    PromptImage::new(&content).map(Some)
}

fn read_text(place: &CheckedPath, lines: Option<(usize, usize)>) -> Result<String, String> {
    let (file, bytes) = open_regular(place).map_err(without_path)?;
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let start = reader.fill_buf().map_err(|error| error.to_string())?;
    if let Some(kind) = binary_kind(start) {
        return Err(format!("not a text file but {kind} of {}", size(bytes)));
    }
    let content = match lines {
        None => read_all(reader, bytes)?,
        Some((first, last)) => read_lines(reader, first, last)?,
    };
    String::from_utf8(content).map_err(|_| "not a text file: it is not UTF-8".to_owned())
}

fn read_all(reader: impl Read, bytes: u64) -> Result<Vec<u8>, String> {
    let most = MAX_PROMPT_CONTEXT_BYTES as u64;
    let mut content = Vec::new();
    reader.take(most + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    if content.len() as u64 > most {
        let bytes = size(bytes.max(content.len() as u64));
        return Err(format!("too large, {bytes} of at most {}; name lines, as in @path:1-200", size(most)));
    }
    Ok(content)
}

fn read_lines(reader: impl BufRead, first: usize, last: usize) -> Result<Vec<u8>, String> {
    let mut reader = reader.take(MAX_SCANNED_BYTES);
    let (mut content, mut line, mut number) = (Vec::new(), Vec::new(), 0);
    while number < last {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())? == 0 {
            break;
        }
        number += 1;
        if number >= first {
            content.extend_from_slice(&line);
        }
        if content.len() > MAX_PROMPT_CONTEXT_BYTES {
            return Err(format!("these lines have more than {}", size(MAX_PROMPT_CONTEXT_BYTES as u64)));
        }
    }
    if number < first {
        return Err(format!("it has {number} lines"));
    }
    Ok(content)
}

/// The person sees the path already.
fn without_path(error: String) -> String {
    match error.split_once("`: ") {
        Some((_, why)) => why.to_owned(),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::images::PNG_2X3;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("src/deep")).unwrap();
        fs::create_dir_all(at("target")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::write(at(".gitignore"), "target\n").unwrap();
        fs::write(at("target/x"), "x").unwrap();
        fs::write(at("README.md"), "one\ntwo\x1b[31m\nthree\n").unwrap();
        fs::write(at("src/a.rs"), "fn a() {}\n").unwrap();
        folder
    }

    #[test]
    fn what_is_ignored_is_not_offered_and_the_nearest_come_first() {
        let folder = folder();
        assert_eq!(
            list_paths(folder.path(), "x"),
            [".gitignore", "README.md", "src/", "src/a.rs", "src/deep/"].map(str::to_owned)
        );
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("b"), "").unwrap();
        let typed = format!("{}/", other.path().display());
        assert_eq!(list_paths(folder.path(), &format!("{typed}zz")), [format!("{typed}b")]);
        assert_eq!(list_paths(folder.path(), "~"), [""; 0]);
    }

    fn read(folder: &tempfile::TempDir, prompt: &str) -> (Vec<(String, String)>, Vec<String>) {
        let MentionedFiles { context, problems } = read_mentions(folder.path(), prompt, MentionScope::Anywhere, &[]);
        (context.into_iter().map(|part| (part.name, part.text)).collect(), problems)
    }

    #[test]
    fn mentioned_files_lines_and_folders_are_read_once_and_cleaned() {
        let folder = folder();
        let (context, problems) =
            read(&folder, "@README.md @README.md:2-3 and @src/a.rs, @src/a.rs; @src @Override thanks @ann");
        let part = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            context,
            [
                part("README.md", "one\ntwo\nthree\n"),
                part("README.md, lines 2 to 3", "two\nthree\n"),
                part("src/a.rs", "fn a() {}\n"),
                part("src", "deep/\na.rs  10 bytes\n"),
            ]
        );
    }

    #[test]
    fn words_of_unknown_origin_lead_to_nothing_outside_the_folder() {
        let (folder, other) = (folder(), folder());
        let outside = other.path().join("README.md");
        let prompt = format!("@README.md @{}", outside.display());
        let names = |read: &MentionedFiles| read.context.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
        let read = read_mentions(folder.path(), &prompt, MentionScope::WorkingFolder, &[]);
        assert_eq!(names(&read), ["README.md"]);
        assert!(read.problems[0].ends_with("outside the working folder: name it with --file"), "{:?}", read.problems);
        let named = read_mentions(folder.path(), &format!("@{}", outside.display()), MentionScope::Anywhere, &[]);
        let all = read.and(named);
        assert_eq!((names(&all).len(), all.problems.len()), (2, 1));
    }

    #[test]
    fn an_image_goes_along_as_one_whatever_its_name_says() {
        let folder = folder();
        fs::write(folder.path().join("cat.txt"), PNG_2X3).unwrap();
        fs::write(folder.path().join("text.png"), "no image").unwrap();
        let MentionedFiles { context, problems } =
            read_mentions(folder.path(), "@cat.txt and @text.png", MentionScope::WorkingFolder, &[]);
        assert_eq!(problems, [""; 0]);
        let image = PromptImage::new(PNG_2X3).unwrap();
        assert_eq!(context[0], PromptContext::from_image("cat.txt".into(), image));
        assert_eq!((context[1].kind.clone(), &*context[1].text), (PromptContextKind::File, "no image"));
    }

    #[test]
    fn more_images_than_go_with_a_prompt_are_left_out() {
        let folder = folder();
        let large = [PNG_2X3, &vec![0; 4_000_000]].concat();
        for name in ["1.png", "2.png", "3.png"] {
            fs::write(folder.path().join(name), &large).unwrap();
        }
        let MentionedFiles { context, problems } =
            read_mentions(folder.path(), "@1.png @2.png @3.png @README.md", MentionScope::Anywhere, &[]);
        assert_eq!(context.iter().map(|part| &*part.name).collect::<Vec<_>>(), ["1.png", "2.png", "README.md"]);
        assert_eq!(problems, ["@3.png: 12.1 MB of images, at most 10 MB go with a prompt"]);
    }

    #[test]
    fn what_cannot_go_with_a_prompt_is_told() {
        let folder = folder();
        fs::write(folder.path().join("x.bmp"), b"BM\0\0\0\0\0\0\0\0").unwrap();
        fs::write(folder.path().join("large.png"), [PNG_2X3, &vec![0; 5_999_000]].concat()).unwrap();
        fs::write(folder.path().join("latin"), b"caf\xe9").unwrap();
        fs::write(folder.path().join("big"), "x\n".repeat(MAX_PROMPT_CONTEXT_BYTES)).unwrap();
        for (prompt, why) in [
            ("@gone.rs", "@gone.rs: no such file or folder"),
            ("@README.md/x", "@README.md/x: no such file or folder"),
            ("@x.bmp", "@x.bmp: not a text file but binary data of 10 bytes"),
            ("@large.png", "@large.png: 6 MB is too large, an image may have 5 MB"),
            ("@latin", "@latin: not a text file: it is not UTF-8"),
            ("@big", "@big: too large, 512.0 kB of at most 256.0 kB; name lines, as in @path:1-200"),
            ("@big:1-900000", "@big: these lines have more than 256.0 kB"),
            ("@README.md:9", "@README.md: it has 3 lines"),
        ] {
            let (context, problems) = read(&folder, prompt);
            assert_eq!((context.len(), problems), (0, vec![why.to_owned()]));
        }
        assert_eq!(read(&folder, "@big:1-2").0[0].1, "x\nx\n");
        fs::write(folder.path().join("half"), "x".repeat(MAX_PROMPT_CONTEXT_BYTES * 2 / 3)).unwrap();
        fs::write(folder.path().join("other"), "x".repeat(MAX_PROMPT_CONTEXT_BYTES * 2 / 3)).unwrap();
        let (context, problems) = read(&folder, "@half @other");
        assert_eq!((context.len(), problems.len()), (1, 1));
        assert!(problems[0].starts_with("@other: too much with the others"), "{problems:?}");
    }
}
