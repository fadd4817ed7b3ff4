//! Pictures: which way they are drawn here, where they are read, and what the terminal has of them.
//!
//! ```text
//! on the screen, not known → measured → room is kept → decoded → drawn         (`load.rs`, beside the loop)
//! drawn by the terminal    → sent in pieces between two frames, once            (`kitty.rs`)
//! ```
//!
//! Not for where they stand (`ui`). Invariants: nothing is asked of another machine; files outside of the working folder
//! are not opened; one picture is decoded at a time.

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
use crate::store::images::{Facts, Place, Source, Told, Way};
use crate::store::msg::Report;
use crate::store::transcript::{ItemId, Kind};

use self::kitty::Sender;

/// tmux answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the surroundings say about drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Sure(Way),
    /// Only tmux knows what it runs in; otherwise this way.
    AskTmux(Way),
}

/// All about pictures that is not in the store.
pub struct Pictures {
    folder: PathBuf,
    guess: Guess,
    /// Tells our pictures from those of other programs.
    own: u8,
    gate: Arc<Semaphore>,
    /// The text that was read last, as it was then.
    text: Option<(ItemId, u32, Weak<str>)>,
    pub sender: Sender,
}

impl Pictures {
    /// Takes the folder that pictures may be read from.
    pub fn new(ui: &UiConfig, folder: PathBuf) -> Self {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let own = (std::process::id() % 127 + 1) as u8;
        Self {
            folder,
            guess: guess(ui, own, &env),
            own,
            gate: Arc::new(Semaphore::new(1)),
            text: None,
            sender: Sender::new(env("TMUX").is_some()),
        }
    }

    /// Finds out which way pictures are drawn.
    pub fn find_way(&self) -> impl Future<Output = Report> + Send + 'static {
        let (guess, own) = (self.guess, self.own);
        async move {
            match guess {
                Guess::Sure(way) => Report::ImageWay(way),
                Guess::AskTmux(otherwise) => {
                    let kitty = ask_tmux().await.is_some_and(|told| passes(&told));
                    Report::ImageWay(if kitty { Way::Kitty(own) } else { otherwise })
                }
            }
        }
    }

    /// Reads a picture as far as its size.
    pub fn measure(&mut self, source: Source, store: &Store) -> impl Future<Output = Report> + Send + 'static {
        self.beside(source, store, |bytes| load::measure(bytes).map(Told::Measured))
    }

    /// Makes of a picture what can be drawn.
    pub fn decode(
        &mut self,
        source: Source,
        facts: Facts,
        store: &Store,
    ) -> impl Future<Output = Report> + Send + 'static {
        let way = store.images.way();
        self.beside(source, store, move |bytes| load::decode(bytes, facts, way).map(Told::Ready))
    }

    /// Reads a picture and works on it on another thread, one at a time.
    fn beside(
        &mut self,
        source: Source,
        store: &Store,
        work: impl FnOnce(&[u8]) -> Result<Told, String> + Send + 'static,
    ) -> impl Future<Output = Report> + Send + 'static {
        let (gate, folder, place) = (Arc::clone(&self.gate), self.folder.clone(), source.place.clone());
        let text = self.text(&source, store);
        let work = move || {
            let bytes = match &place {
                Place::Data { letters, hash } => load::data(text.as_deref().unwrap_or(""), *letters, *hash)?,
                Place::File(path) => load::file(&folder, path)?,
            };
            work(&bytes)
        };
        async move {
            let _turn = gate.acquire_owned().await;
            let told = match tokio::task::spawn_blocking(work).await {
                Ok(told) => told.unwrap_or_else(Told::Failed),
                Err(_) => Told::Failed("the decoder failed".into()),
            };
            Report::Image(source, told)
        }
    }

    /// Returns the text that holds a picture: one copy for all of its pictures that are being read.
    fn text(&mut self, source: &Source, store: &Store) -> Option<Arc<str>> {
        let item = store.transcript.item(source.item)?;
        let (Place::Data { .. }, Kind::Answer { text, .. }) = (&source.place, &item.kind) else { return None };
        if let Some((id, rev, text)) = &self.text
            && (*id, *rev) == (item.id, item.rev)
            && let Some(text) = text.upgrade()
        {
            return Some(text);
        }
        let text: Arc<str> = text.as_str().into();
        self.text = Some((item.id, item.rev, Arc::downgrade(&text)));
        Some(text)
    }
}

fn guess(ui: &UiConfig, own: u8, env: &dyn Fn(&str) -> Option<String>) -> Guess {
    let is = |name: &str, values: &[&str]| env(name).is_some_and(|value| values.contains(&value.as_str()));
    let colours = is("COLORTERM", &["truecolor", "24bit"]) && ui.theme != ThemeChoice::Mono;
    let cells = if colours { Way::Blocks } else { Way::Named };
    match ui.images {
        ImageChoice::Off => Guess::Sure(Way::Named),
        ImageChoice::Blocks => Guess::Sure(Way::Blocks),
        ImageChoice::Kitty => Guess::Sure(Way::Kitty(own)),
        ImageChoice::Auto if env("TMUX").is_some() => Guess::AskTmux(cells),
        // These show text of their own; what is around them doesn't matter.
        ImageChoice::Auto if ["STY", "ZELLIJ", "VIM", "NVIM"].iter().any(|name| env(name).is_some()) => {
            Guess::Sure(cells)
        }
        ImageChoice::Auto => {
            let named = is("TERM", &KNOWN) || is("TERM_PROGRAM", &["ghostty", "kitty"]);
            let kitty = named || (env("KITTY_WINDOW_ID").is_some() && env("TERM_PROGRAM").is_none());
            Guess::Sure(if kitty { Way::Kitty(own) } else { cells })
        }
    }
}

/// Terminals that draw pictures where placeholders stand.
const KNOWN: [&str; 2] = ["xterm-kitty", "xterm-ghostty"];

async fn ask_tmux() -> Option<String> {
    let mut command = Command::new("tmux");
    without_keys(command.as_std_mut());
    let asked = command
        .args(["display-message", "-p", "#{client_termname} #{allow-passthrough}"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok()
}

/// Returns whether tmux runs in a terminal that draws pictures, and hands on what is for it.
fn passes(told: &str) -> bool {
    let mut words = told.split_whitespace();
    words.next().is_some_and(|term| KNOWN.contains(&term)) && matches!(words.next(), Some("on" | "all" | "1" | "2"))
}

#[cfg(test)]
mod tests;
