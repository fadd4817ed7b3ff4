//! The raw frames of a stream: shown and saved.

use std::path::PathBuf;

use super::{EffectResult, Effects, failed};
use crate::bridge::traffic::{TrafficBatch, TrafficItem, TrafficItemKind, TrafficReader};
use crate::local_time::local_now;
use crate::store::frames;
use crate::store::msg::Report;

impl Effects<'_> {
    /// Saves the raw frames in a new file: that one, or one with a name of its own in the current folder.
    pub fn save_frames(&mut self, frames: TrafficReader, file: Option<String>) {
        self.spawn(async move {
            let own = || format!("frames-{}.jsonl", local_now().strftime("%Y%m%d-%H%M%S"));
            let path = PathBuf::from(file.unwrap_or_else(own));
            match frames.save(&path).await {
                Ok(()) => {
                    EffectResult::Report(Report::Info(format!("saved: jarvis-tui attach {} plays it", path.display())))
                }
                Err(error) => failed("saving the frames", &path, &error),
            }
        });
    }
}

/// Frames as the store shows them.
pub fn frames_report(look: TrafficBatch) -> Report {
    let row = |cut: TrafficItem| {
        let what = match cut.kind {
            TrafficItemKind::ResponseStarted { request: asked, status, content_type } => {
                frames::FrameKind::Began(format!("{asked} · {status} {content_type}").trim_end().to_owned())
            }
            TrafficItemKind::Frame { name, frame } => frames::FrameKind::Frame { name, id: frame.id, data: frame.data },
            TrafficItemKind::ResponseEnded(why) => frames::FrameKind::Ended(why),
        };
        frames::FrameRow { at: cut.at, since_start: cut.since_response, kind: what }
    };
    Report::Frames { rows: look.items.into_iter().map(row).collect(), dropped_bytes: look.dropped_bytes }
}
