//! A session written to a file in another form.

use futures_util::future::BoxFuture;

use super::{EffectResult, Effects};
use crate::bridge::SessionHandle;
use crate::event::ExportRequest;
use crate::store::msg::Report;

/// Exports a session for a screen of so many columns and rows; returns the file's path, or why there is none.
pub type ExportSession<'a> =
    Box<dyn FnMut(SessionHandle, ExportRequest, (u16, u16)) -> BoxFuture<'static, Result<String, String>> + 'a>;

impl<'a> Effects<'a> {
    /// Lets sessions be exported.
    #[must_use]
    pub fn with_export(self, export: Option<ExportSession<'a>>) -> Self {
        Self { export_session: export, ..self }
    }

    /// Exports a session; where that is not possible, the report says so.
    pub fn export(&mut self, session: SessionHandle, request: ExportRequest, size: (u16, u16)) -> Option<Report> {
        let Some(export) = &mut self.export_session else {
            return Some(Report::Info("nothing can be exported here".into()));
        };
        let written = export(session, request, size);
        self.spawn(async move {
            EffectResult::Report(match written.await {
                Ok(path) => Report::Info(format!("exported to {path}")),
                Err(why) => Report::Failed { what: "not exported".into(), why },
            })
        });
        None
    }
}
