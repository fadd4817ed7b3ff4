//! The chat: on the screen, or one answer on standard output.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::screen::{self, ScreenOptions};
use super::{EXIT_USAGE, RunContext, final_exit_code, is_on_terminal, mentioned_files};
use crate::bridge::SessionHandle;
use crate::cli::{ChatArgs, ImageArgs};
use crate::event::{Command, ImageType, Seq};
use crate::headless::output::print_error;
use crate::headless::save_errors::SaveErrors;

use crate::headless::stdin::piped_prompt;
use crate::headless::{self, RunOptions};
use crate::runtime::day_usage::file_beside;
use crate::runtime::{Frontend, ListScope, NameClaim, Runtime, SpendGuard, StartMode, StartedSession, UsageError};
use crate::text::mention::write_mention;
use crate::text::one_line;

/// So many bytes of an image tell its kind.
const IMAGE_MAGIC_BYTES: u64 = 12;

pub(super) async fn run(chat: ChatArgs, context: RunContext) -> anyhow::Result<u8> {
    let start = match (&chat.resume, chat.continue_newest) {
        (Some(wanted), _) => StartMode::Resume(wanted.clone()),
        (None, true) => StartMode::Continue,
        (None, false) => StartMode::New,
    };
    let shows_place = matches!(start, StartMode::Resume(Some(_)) | StartMode::Continue);
    if chat.seq.is_some() && !(shows_place && is_on_terminal() && !chat.printing.is_headless()) {
        let text = "--seq shows a place of a session on the screen: give it with --resume ID, or with --continue";
        return Err(UsageError(text.into()).into());
    }
    if chat.printing.is_headless() || !is_on_terminal() {
        print_answer(chat, start, context).await
    } else {
        open_screen(chat, start, context).await
    }
}

async fn print_answer(chat: ChatArgs, start: StartMode, context: RunContext) -> anyhow::Result<u8> {
    let (words, files) = (chat.prompt_text(), mention_files("--file", &chat.files, &context.folder)?);
    let images = mention_images(&chat.attached, &context.folder)?;
    let given = join_words(words.clone(), files.as_deref());
    let Some(prompt) = piped_prompt(given.as_deref(), chat.printing.print.is_some()).await? else {
        print_error("no terminal and no prompt; pipe a prompt in, or give it with -p (see --help)");
        return Ok(EXIT_USAGE);
    };
    let format = chat.printing.format();
    let unsaved = SaveErrors::default();
    let runtime = context.runtime(Frontend::Headless, chat.system).with_save_listener(unsaved.listener(false));
    let limits = runtime.config().limits.spending();
    let (start, title) = named_start(&runtime, start, chat.session)?;
    let mentioned = mentioned_files(&runtime, words, join_words(files, images.as_deref())).await?;
    let StartedSession { handle: live, restored } = runtime.open(&start)?;
    set_title(&live, title);
    for notice in restored {
        print_error(&notice);
    }
    let run = RunOptions {
        prompt: Some(prompt),
        context: mentioned,
        after: live.hub.last_seq(),
        timeout: chat.printing.timeout,
        spending: Some(SpendGuard::new(limits, file_beside(&runtime.paths.history_file()), print_error)),
        ..RunOptions::new(format, "agent")
    };
    let code = headless::run(live, run).await;
    runtime.close().await;
    Ok(final_exit_code(&unsaved, code?))
}

async fn open_screen(chat: ChatArgs, start: StartMode, context: RunContext) -> anyhow::Result<u8> {
    let files = mention_files("--file", &chat.files, &context.folder)?;
    let files = join_words(files, mention_images(&chat.attached, &context.folder)?.as_deref());
    // Files alone are the beginning of a prompt.
    let (prompt, begun) = match chat.prompt_text() {
        None => (None, files),
        words => (join_words(words, files.as_deref()), None),
    };
    let unsaved = SaveErrors::default();
    let settings = Some(context.settings.clone());
    let runtime = context.runtime(Frontend::Tui, chat.system).with_save_listener(unsaved.listener(false));
    // Without a name the person chooses; until then there is an empty session.
    let chooses_session = start == StartMode::Resume(None);
    let start = if chooses_session { StartMode::New } else { start };
    let (start, title) = named_start(&runtime, start, chat.session)?;
    let StartedSession { handle: live, restored } = runtime.open(&start)?;
    set_title(&live, title);
    let last = live.hub.last_seq();
    if let Some(seq) = chat.seq.filter(|seq| *seq > last.0) {
        return Err(UsageError(format!("--seq {seq}: the session has {} events", last.0)).into());
    }
    let options = ScreenOptions {
        place: chat.seq.map(Seq),
        draft_claim: Some(NameClaim::exclusive(live.session.clone())),
        prompt,
        begun,
        settings,
        can_start_session: true,
        chooses_session,
        restored,
        save_errors: unsaved,
        ..ScreenOptions::default()
    };
    screen::run(runtime, live, options).await
}

/// Returns how to start if a session is wanted by its title: the newest of this folder that has it, else a new one that is
/// to get it.
fn named_start(
    runtime: &Runtime,
    start: StartMode,
    title: Option<String>,
) -> anyhow::Result<(StartMode, Option<String>)> {
    let Some(title) = title else { return Ok((start, None)) };
    if title.trim().is_empty() {
        return Err(UsageError("--session needs a title".into()).into());
    }
    let saved = runtime.saved_sessions().list(ListScope::default())?.sessions;
    let named = saved.iter().filter(|session| session.title.as_deref() == Some(title.trim()));
    Ok(match named.max_by_key(|session| session.modified) {
        Some(found) => (StartMode::Resume(Some(found.id.to_string())), None),
        None => (StartMode::New, Some(title)),
    })
}

fn set_title(live: &SessionHandle, title: Option<String>) {
    if let Some(title) = title {
        // The first command of a session that has just begun finds room.
        let _ = live.commands.try_send(Command::SetTitle { title });
    }
}

/// Writes what `--image` names as mentions, if all of it is images; none where it names nothing.
pub(super) fn mention_images(given: &ImageArgs, folder: &Path) -> Result<Option<String>, UsageError> {
    for image in &given.images {
        let shown = one_line(&image.display().to_string(), 200);
        check_image(&folder.join(image)).map_err(|why| UsageError(format!("--image {shown}: {why}")))?;
    }
    mention_files("--image", &given.images, folder)
}

/// Looks at the first bytes of a file; the rest is read with the prompt.
fn check_image(path: &Path) -> Result<(), String> {
    // A pipe would never end.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("not a file".into());
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(IMAGE_MAGIC_BYTES).read_to_end(&mut start).map_err(|error| error.to_string())?;
    ImageType::detect(&start).map(drop).ok_or_else(|| "not a PNG, JPEG, GIF or WebP image".to_owned())
}

/// Writes what a flag names as mentions; none where it names nothing.
fn mention_files(flag: &str, files: &[PathBuf], folder: &Path) -> Result<Option<String>, UsageError> {
    let mentions = files.iter().map(|file| {
        let shown = one_line(&file.display().to_string(), 200);
        let path = file.to_str().filter(|path| !path.contains(|c: char| c.is_control() || c == '"'));
        let path = path.ok_or_else(|| UsageError(format!("{flag} {shown}: this name can't be written in a prompt")))?;
        match folder.join(file).metadata() {
            Ok(_) => Ok(write_mention(path)),
            Err(error) => Err(UsageError(format!("{flag} {shown}: {error}"))),
        }
    });
    let mentions = mentions.collect::<Result<Vec<_>, _>>()?.join(" ");
    Ok(Some(mentions).filter(|mentions| !mentions.is_empty()))
}

/// Returns both, a blank line between.
pub(super) fn join_words(words: Option<String>, files: Option<&str>) -> Option<String> {
    match (words, files) {
        (Some(words), Some(files)) => Some(format!("{words}\n\n{files}")),
        (words, files) => words.or_else(|| files.map(str::to_owned)),
    }
}
