//! What is only watched: a stream that can be had by GET, the bytes of one in a file, or a session's log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use super::aim::Aim;
use super::{Attached, Models};
use crate::assemble::{Audience, Begun, House, replay, wall_clock};
use crate::bridge::{remote, session};
use crate::cli;
use crate::dialect::{Context, Decode};
use crate::engine::remote::{Named, Target};
use crate::event::{AgentEvent, Caps, Mode, Seq};
use crate::journal::Reader;
use crate::net::call::{Framing, HttpCall, Method};
use crate::net::{Http, Patience};
use crate::text::address::path_and_query;

/// How often a stream that is watched is opened again without getting on.
const RETRIES: u32 = 6;

impl House {
    pub(super) fn watch(&mut self, http: Http, target: &Target, aim: &Aim, notices: Vec<AgentEvent>) -> Attached {
        let call = HttpCall {
            method: aim.method.unwrap_or(Method::Get),
            url: target.url.clone(),
            headers: target.headers.clone(),
            body: None,
            framing: Framing::Any,
        };
        let epoch = Instant::now();
        let patience = Patience {
            first_byte: aim.idle,
            idle: aim.idle,
            no_output: Duration::ZERO,
            retries: RETRIES,
            resend: true,
            epoch,
        };
        let from = remote::From::Stream { http, call, patience };
        self.follow(from, aim, path_and_query(&target.url).0.to_owned(), target.explain, notices, epoch)
    }

    /// Plays a file: the bytes of a stream through a decoder, and a session's log, sound or damaged, as a replay.
    pub(super) fn play_file(&mut self, path: PathBuf, aim: &Aim, typed: &cli::Attach) -> anyhow::Result<Attached> {
        if aim.dialect.is_none()
            && let Ok(log) = Reader::open(&path)
        {
            return self.play_log(log, &path);
        }
        let paced = self.audience == Audience::Screen;
        let from = remote::From::File { path, paced, reel: self.reel.clone() };
        Ok(self.follow(from, aim, String::new(), typed.explain, Vec::new(), Instant::now()))
    }

    fn play_log(&mut self, log: Reader, path: &Path) -> anyhow::Result<Attached> {
        let on_screen = self.audience == Audience::Screen;
        let live = if on_screen {
            replay::start(log, replay::Options::default(), &mut self.tasks)?
        } else {
            replay::at_once(log)?
        };
        let models = Models { http: self.http.clone(), target: None, known: Vec::new(), server: None };
        let told = || {
            let played = format!("{} is a session's log; it is played as `jarvis-tui replay` plays it", path.display());
            let damage = self.damage_of(path).into_iter().map(|(_, text)| text);
            damage.chain(std::iter::once(played)).collect::<Vec<_>>().join("; ")
        };
        Ok(Attached {
            live,
            past: Seq(0),
            opened: None,
            models,
            remarks: on_screen.then(told).into_iter().collect(),
            shared: false,
        })
    }

    fn follow(
        &mut self,
        from: remote::From,
        aim: &Aim,
        path: String,
        explain: bool,
        notices: Vec<AgentEvent>,
        epoch: Instant,
    ) -> Attached {
        let mut begun = self.begin();
        begun.notices.extend(notices);
        let Begun {
            session,
            hub,
            writer,
            not_saved,
            standing,
            past: _,
            sealed,
            notices,
            wall: _,
            waiting: _,
            grants: _,
        } = begun;
        let told = Arc::new(AtomicBool::new(false));
        let dialect = aim.dialect.clone();
        let decoders: remote::Decoders = Arc::new(move || {
            let context = Context { prompt: None, path: path.clone(), content_type: String::new() };
            Box::new(Named::new(dialect.as_deref(), context, told.clone(), explain)) as Box<dyn Decode>
        });
        let opened = AgentEvent::SessionOpened {
            wall: wall_clock(),
            engine: aim.name.clone(),
            model: String::new(),
            why: "watched".to_owned(),
            mode: Mode::default(),
            folder: self.folder.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            caps: Caps { cancel: true, ..Caps::default() },
            window: None,
            price: None,
        };
        let lingers = self.audience == Audience::Screen;
        let feed = remote::start(remote::Watched { from, decoders, opened, lingers }, &mut self.tasks);
        let setup = session::Setup {
            session,
            hub,
            writer,
            not_saved,
            standing,
            state: None,
            waiting: Vec::new(),
            granted: Vec::new(),
            trouble: self.trouble.clone(),
            past: Box::pin(async move { sealed.await.unwrap_or_default() }),
            notices,
            epoch,
        };
        let live = session::start(setup, feed, &mut self.tasks);
        let models = Models { http: self.http.clone(), target: None, known: Vec::new(), server: None };
        Attached { live, past: Seq(0), opened: None, models, remarks: Vec::new(), shared: false }
    }
}
