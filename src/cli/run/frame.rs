//! `frame`: prints one screen of a saved session.

use super::RunContext;
use crate::cli::FrameArgs;
use crate::event::Seq;
use crate::headless::output::{self, print_error};
use crate::headless::screen_dump::dump_screen;
use crate::runtime::Frontend;

pub(super) async fn run(args: &FrameArgs, context: RunContext) -> anyhow::Result<u8> {
    let runtime = context.runtime(Frontend::Headless, None);
    let size = (args.size.width, args.size.height);
    let path = runtime.session_path(&args.file)?;
    // The screen shows it only at the end.
    for (_, text) in runtime.find_log_damage(&path) {
        print_error(&text);
    }
    output::print_raw(&dump_screen(&runtime, &path, args.seq.map(Seq), size, args.format).await?)?;
    Ok(0)
}
