//! Images: which way they are drawn here, where they are read, and what the terminal has of them.
//!
//! ```text
//! on the screen, not known → measured → room is kept → decoded → drawn         (`load.rs`, beside the loop)
//! drawn by the terminal    → sent in pieces between two frames, once            (`kitty.rs`)
//! ```
//!
//! Not for where they stand (`ui`). Invariants: nothing is asked of another machine; files outside of the working folder
//! are not opened; one image is decoded at a time.

pub mod kitty;
pub mod load;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::config::environment::without_keys;
use crate::config::{ImageChoice, ThemeChoice, UiConfig};
use crate::store::Store;
use crate::store::image_source::{ImageInfo, ImageLocation, ImageSource};
use crate::store::images::{DecodeResult, GraphicsMode};
use crate::store::msg::Report;
use crate::store::transcript::{ItemId, ItemKind};

use self::kitty::KittySender;

/// tmux answers at once or not at all.
const TMUX_TIMEOUT: Duration = Duration::from_secs(2);

/// What the surroundings say about drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GraphicsGuess {
    Sure(GraphicsMode),
    /// Only tmux knows what it runs in; otherwise this way.
    AskTmux(GraphicsMode),
}

/// All about images that is not in the store.
pub struct ImageLoader {
    folder: PathBuf,
    guess: GraphicsGuess,
    /// Tells our images from those of other programs.
    program_byte: u8,
    decode_permit: Arc<Semaphore>,
    /// The text that was read last, as it was then.
    last_text: Option<(ItemId, u32, Weak<str>)>,
    pub sender: KittySender,
}

impl ImageLoader {
    /// Takes the folder that images may be read from.
    pub fn new(ui: &UiConfig, folder: PathBuf) -> Self {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let own = (std::process::id() % 127 + 1) as u8;
        Self {
            folder,
            guess: guess_mode(ui, own, &env),
            program_byte: own,
            decode_permit: Arc::new(Semaphore::new(1)),
            last_text: None,
            sender: KittySender::new(env("TMUX").is_some()),
        }
    }

    /// Another session is shown, whose items have the same numbers.
    pub fn forget_text(&mut self) {
        self.last_text = None;
    }

    /// Finds out which way images are drawn.
    pub fn detect_mode(&self) -> impl Future<Output = Report> + Send + 'static {
        let (guess, own) = (self.guess, self.program_byte);
        async move {
            match guess {
                GraphicsGuess::Sure(mode) => Report::GraphicsMode(mode),
                GraphicsGuess::AskTmux(otherwise) => {
                    let kitty = ask_tmux().await.is_some_and(|told| tmux_passes_graphics(&told));
                    Report::GraphicsMode(if kitty { GraphicsMode::Kitty(own) } else { otherwise })
                }
            }
        }
    }

    /// Reads an image as far as its size.
    pub fn measure(&mut self, source: ImageSource, store: &Store) -> impl Future<Output = Report> + Send + 'static {
        self.on_worker(source, store, |bytes| load::measure(bytes).map(DecodeResult::Measured))
    }

    /// Makes of an image what can be drawn.
    pub fn decode(
        &mut self,
        source: ImageSource,
        info: ImageInfo,
        store: &Store,
    ) -> impl Future<Output = Report> + Send + 'static {
        let mode = store.images.mode();
        self.on_worker(source, store, move |bytes| load::decode(bytes, info, mode).map(DecodeResult::Ready))
    }

    /// Reads an image and works on it on another thread, one at a time.
    fn on_worker(
        &mut self,
        source: ImageSource,
        store: &Store,
        work: impl FnOnce(&[u8]) -> Result<DecodeResult, String> + Send + 'static,
    ) -> impl Future<Output = Report> + Send + 'static {
        let (gate, folder, place) = (Arc::clone(&self.decode_permit), self.folder.clone(), source.location.clone());
        let text = self.item_text(&source, store);
        let work = move || {
            let bytes = match &place {
                ImageLocation::Data { base64_chars: letters, hash } => {
                    load::decode_data(text.as_deref().unwrap_or(""), *letters, *hash)?
                }
                ImageLocation::File(path) => load::read_file(&folder, path)?,
            };
            work(&bytes)
        };
        async move {
            let _turn = gate.acquire_owned().await;
            let told = match tokio::task::spawn_blocking(work).await {
                Ok(told) => told.unwrap_or_else(DecodeResult::Failed),
                Err(_) => DecodeResult::Failed("the decoder failed".into()),
            };
            Report::Image(source, told)
        }
    }

    /// Returns the text that holds an image: one copy for all of its images that are being read.
    fn item_text(&mut self, source: &ImageSource, store: &Store) -> Option<Arc<str>> {
        let item = store.transcript.item(source.item)?;
        let (ImageLocation::Data { .. }, ItemKind::Answer { text, .. }) = (&source.location, item.kind) else {
            return None;
        };
        if let Some((id, rev, text)) = &self.last_text
            && (*id, *rev) == (item.id, item.rev)
            && let Some(text) = text.upgrade()
        {
            return Some(text);
        }
        let text: Arc<str> = text.into();
        self.last_text = Some((item.id, item.rev, Arc::downgrade(&text)));
        Some(text)
    }
}

fn guess_mode(ui: &UiConfig, own: u8, env: &dyn Fn(&str) -> Option<String>) -> GraphicsGuess {
    let is = |name: &str, values: &[&str]| env(name).is_some_and(|value| values.contains(&value.as_str()));
    let colours = is("COLORTERM", &["truecolor", "24bit"]) && ui.theme != ThemeChoice::Mono;
    let cells = if colours { GraphicsMode::HalfBlocks } else { GraphicsMode::NameOnly };
    match ui.images {
        ImageChoice::Off => GraphicsGuess::Sure(GraphicsMode::NameOnly),
        ImageChoice::Blocks => GraphicsGuess::Sure(GraphicsMode::HalfBlocks),
        ImageChoice::Kitty => GraphicsGuess::Sure(GraphicsMode::Kitty(own)),
        ImageChoice::Auto if env("TMUX").is_some() => GraphicsGuess::AskTmux(cells),
        // These show text of their own; what is around them doesn't matter.
        ImageChoice::Auto if ["STY", "ZELLIJ", "VIM", "NVIM"].iter().any(|name| env(name).is_some()) => {
            GraphicsGuess::Sure(cells)
        }
        ImageChoice::Auto => {
            let named = is("TERM", &PLACEHOLDER_TERMS) || is("TERM_PROGRAM", &["ghostty", "kitty"]);
            let kitty = named || (env("KITTY_WINDOW_ID").is_some() && env("TERM_PROGRAM").is_none());
            GraphicsGuess::Sure(if kitty { GraphicsMode::Kitty(own) } else { cells })
        }
    }
}

/// Terminals that draw images where placeholders stand.
const PLACEHOLDER_TERMS: [&str; 2] = ["xterm-kitty", "xterm-ghostty"];

async fn ask_tmux() -> Option<String> {
    let mut command = Command::new("tmux");
    without_keys(command.as_std_mut());
    let asked = command
        .args(["display-message", "-p", "#{client_termname} #{allow-passthrough}"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TMUX_TIMEOUT, asked).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok()
}

/// Returns whether tmux runs in a terminal that draws images, and hands on what is for it.
fn tmux_passes_graphics(told: &str) -> bool {
    let mut words = told.split_whitespace();
    words.next().is_some_and(|term| PLACEHOLDER_TERMS.contains(&term))
        && matches!(words.next(), Some("on" | "all" | "1" | "2"))
}

#[cfg(test)]
mod tests;
