//! The terminal in the hands of the person's editor, until the draft comes back.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::process::Child;

use super::ChatLoop;
use crate::app::external_editor::{DraftFile, describe_failure, editor_command};
use crate::app::term::{self, SignalEvent, Signals};
use crate::store::msg::{Msg, Report};

/// What a shell says of a program that Ctrl+C ended: in an editor that is a key of its own.
const INTERRUPT_EXIT_CODE: u8 = 130;
const QUIT_EXIT_CODE: u8 = 131;

impl ChatLoop<'_> {
    /// Lets the person edit the draft. What runs goes on meanwhile, and is shown afterwards.
    pub(super) async fn edit_draft(&mut self, signals: &mut Signals) -> io::Result<()> {
        let editor = editor_command();
        let opened =
            DraftFile::create(&self.host.effects.own_folder(), &self.tabs.active.chat.ui.panes.composer.text());
        let outcome = match opened {
            Ok(file) => {
                self.host.leave_text()?;
                self.host.term.release();
                let ended = match file.open_in(&editor) {
                    Ok(child) => self.wait_for_editor(child, signals).await,
                    Err(error) => Err(error),
                };
                self.host.term.retake()?;
                self.cursor_mode = None;
                #[cfg(feature = "images")]
                self.host.images.sender.forget();
                match describe_failure(&editor, &ended) {
                    Some(why) => Err(why),
                    None => file.read().map_err(|error| format!("{editor}: {error}; the draft is as it was")),
                }
            }
            Err(error) => Err(format!("{editor}: {error}")),
        };
        match outcome {
            Ok(text) => self.tabs.active.chat.ui.panes.composer.set_text(&text),
            Err(why) => self.tabs.active.chat.update(Msg::Report(Report::Failed { what: "not edited".into(), why })),
        }
        let now = Instant::now();
        self.tabs.active.draft.on_edit(now, self.tabs.active.chat.ui.panes.composer.is_empty());
        self.host.pacer.request(now, Duration::ZERO);
        self.run_effects()
    }

    async fn wait_for_editor(&mut self, mut child: Child, signals: &mut Signals) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                biased;
                ended = child.wait() => return ended,
                signal = signals.next() => match signal {
                    SignalEvent::Quit(INTERRUPT_EXIT_CODE | QUIT_EXIT_CODE) => {}
                    SignalEvent::Quit(code) => {
                        self.host.quit = Some(code);
                        // Its end is what is waited for.
                        _ = child.start_kill();
                    }
                    // The editor was stopped with us; the shell continues both.
                    SignalEvent::Suspend => term::stop_self(),
                },
            }
        }
    }
}
