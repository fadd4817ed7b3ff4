//! `attach`: a session with a remote, on the screen or printed.

use super::chat::{join_words, mention_images};
use super::screen::{self, ScreenOptions};
use super::{RunContext, final_exit_code, is_on_terminal, mentioned_files};
use crate::app;
use crate::cli::AttachArgs;
use crate::event::Seq;
use crate::headless::output::{self, print_error};
use crate::headless::save_errors::SaveErrors;
use crate::headless::stdin::piped_prompt;
use crate::headless::{self, RunOptions};
use crate::runtime::{AttachedSession, Frontend, UsageError};

/// `first` is sent as soon as the screen stands.
pub(super) async fn run(args: &AttachArgs, first: Option<String>, context: RunContext) -> anyhow::Result<u8> {
    let has_screen = is_on_terminal() || (args.uses_stdin() && app::has_terminal());
    let prints = args.printing.is_headless() || !has_screen;
    let unsaved = SaveErrors::default();
    let frontend = if prints { Frontend::Headless } else { Frontend::Tui };
    let settings = Some(context.settings.clone());
    let images = mention_images(&args.attached, &context.folder)?;
    let runtime = context.runtime(frontend, None).with_save_listener(unsaved.listener(false));
    let needs_prompt = prints && runtime.is_request_only(args)? && !args.read_only;
    let prompt = if runtime.is_local(args)? {
        // Standard input is no prompt here.
        args.printing.prompt().map(str::to_owned)
    } else if args.printing.print.is_some() || needs_prompt {
        piped_prompt(args.printing.prompt(), args.printing.print.is_some()).await?
    } else {
        None
    };
    if needs_prompt && prompt.is_none() {
        if args.explain {
            output::print(&format!("{}\n", runtime.explain(args).await?))?;
            return Ok(0);
        }
        let text = format!(
            "no prompt for {}: give one with -p, or watch a stream with --request get",
            runtime.target_name(args)?
        );
        return Err(UsageError(text).into());
    }
    let given = args.printing.prompt().filter(|_| prints).map(str::to_owned);
    let mentioned = mentioned_files(&runtime, given, images.clone().filter(|_| prints)).await?;
    let attached = runtime.attach(args, prompt.is_some()).await?;
    let attachment = screen::attachment(&attached, args, None);
    let AttachedSession { handle: live, history_end, opened_event, models, remarks, shared } = attached;
    if prints {
        for remark in &remarks {
            print_error(remark);
        }
        let run = RunOptions {
            // With a prompt, only its answer is printed; otherwise everything.
            after: if prompt.is_some() { history_end } else { Seq(args.from_seq.unwrap_or(0)) },
            opened_event: opened_event.filter(|_| prompt.is_some()),
            context: mentioned,
            prompt,
            shared,
            timeout: args.printing.timeout,
            explain: args.explain,
            // A session's log in a file is played.
            ..RunOptions::new(args.printing.format(), if live.capabilities.seek { "replay" } else { "remote" })
        };
        let code = headless::run(live, run).await;
        runtime.close().await;
        return Ok(final_exit_code(&unsaved, code?));
    }
    let (prompt, begun) = match prompt.or(first) {
        None => (None, images),
        words => (join_words(words, images.as_deref()), None),
    };
    let options = ScreenOptions {
        // The draft is kept for the next client of the same target.
        draft_claim: args.target.as_ref().filter(|_| live.capabilities.prompt).map(|name| runtime.claim_draft(name)),
        prompt,
        begun,
        settings,
        host: runtime.target_host(args),
        models: Some(models),
        attached: Some((args.clone(), attachment)),
        remarks,
        save_errors: unsaved,
        ..ScreenOptions::default()
    };
    screen::run(runtime, live, options).await
}
