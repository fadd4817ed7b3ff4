//! The chat: on the screen, or one answer on standard output.

use super::screen::{self, ScreenOptions};
use super::{EXIT_USAGE, RunContext, final_exit_code, is_on_terminal};
use crate::cli::ChatArgs;
use crate::headless::output::print_error;
use crate::headless::save_errors::SaveErrors;
use crate::headless::stdin::piped_prompt;
use crate::headless::{self, RunOptions};
use crate::runtime::{Frontend, NameClaim, StartMode, StartedSession};

pub(super) async fn run(chat: ChatArgs, context: RunContext) -> anyhow::Result<u8> {
    let start = match (&chat.resume, chat.continue_newest) {
        (Some(wanted), _) => StartMode::Resume(wanted.clone()),
        (None, true) => StartMode::Continue,
        (None, false) => StartMode::New,
    };
    if chat.printing.is_headless() || !is_on_terminal() {
        print_answer(chat, start, context).await
    } else {
        open_screen(chat, start, context).await
    }
}

async fn print_answer(chat: ChatArgs, start: StartMode, context: RunContext) -> anyhow::Result<u8> {
    let Some(prompt) = piped_prompt(chat.prompt_text().as_deref(), chat.printing.print.is_some()).await? else {
        print_error("no terminal and no prompt; pipe a prompt in, or give it with -p (see --help)");
        return Ok(EXIT_USAGE);
    };
    let format = chat.printing.format();
    let unsaved = SaveErrors::default();
    let runtime = context.runtime(Frontend::Headless, chat.system).with_save_listener(unsaved.listener(false));
    let StartedSession { handle: live, restored } = runtime.open(&start)?;
    for notice in restored {
        print_error(&notice);
    }
    let run = RunOptions {
        prompt: Some(prompt),
        after: live.hub.last_seq(),
        timeout: chat.printing.timeout,
        ..RunOptions::new(format, "agent")
    };
    let code = headless::run(live, run).await;
    runtime.close().await;
    Ok(final_exit_code(&unsaved, code?))
}

async fn open_screen(chat: ChatArgs, start: StartMode, context: RunContext) -> anyhow::Result<u8> {
    let prompt = chat.prompt_text();
    let unsaved = SaveErrors::default();
    let runtime = context.runtime(Frontend::Tui, chat.system).with_save_listener(unsaved.listener(false));
    // Without a name the person chooses; until then there is an empty session.
    let chooses_session = start == StartMode::Resume(None);
    let start = if chooses_session { StartMode::New } else { start };
    let StartedSession { handle: live, restored } = runtime.open(&start)?;
    let options = ScreenOptions {
        draft_claim: Some(NameClaim::exclusive(live.session.clone())),
        prompt,
        can_start_session: true,
        chooses_session,
        restored,
        save_errors: unsaved,
        ..ScreenOptions::default()
    };
    screen::run(runtime, live, options).await
}
