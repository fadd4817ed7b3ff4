//! `replay`: a saved session, on the screen with its timing or printed at once.

use super::screen::{self, ScreenOptions};
use super::{RunContext, is_on_terminal};
use crate::cli::ReplayArgs;
use crate::event::Millis;
use crate::headless::{self, RunOptions};
use crate::runtime::{Frontend, replay};

pub(super) async fn run(args: &ReplayArgs, context: RunContext) -> anyhow::Result<u8> {
    let settings = Some(context.settings.clone());
    let runtime = context.runtime(Frontend::Tui, None);
    let file = runtime.session_path(&args.file)?;
    if args.headless || !is_on_terminal() {
        let live = runtime.open_whole_log(&file)?;
        runtime.choose_branch(&file, args.branch, &live)?;
        return Ok(headless::run(live, RunOptions::new(args.format(), "replay")).await?);
    }
    let options = replay::ReplayOptions {
        speed: args.speed as f32,
        from: args.from.map(Millis::from).unwrap_or_default(),
        max_idle: args.max_idle.map(Millis::from),
        paused: false,
    };
    let live = runtime.open_replay(&file, options)?;
    runtime.choose_branch(&file, args.branch, &live)?;
    // During playback, this is reported at the end.
    let remarks = runtime.find_log_damage(&file).into_iter().map(|(_, text)| text).collect();
    screen::run(runtime, live, ScreenOptions { settings, remarks, ..ScreenOptions::default() }).await
}
