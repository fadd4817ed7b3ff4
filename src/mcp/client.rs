//! What a server may ask of us or tell us outside of its answers: the folder, the progress of calls, changed lists.

#![expect(deprecated, reason = "revisions before 2026-07-28 know the folder by the roots of a client")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationCapability, ErrorData,
    FormElicitationCapability, Implementation, ListRootsResult, ProgressNotificationParam, ProgressToken, Root,
    UrlElicitationCapability,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use tokio::sync::{mpsc, watch};

use super::CLIENT_NAME;
use super::elicit::answer_elicitation;
use super::offers::McpOffers;
use crate::text::one_line;
use crate::tool::{AskPerson, ToolContext, ToolProgress};

/// Reports of one call that are shown; a server could send any number.
const MAX_REPORTS: usize = 500;
const MAX_REPORT_CELLS: usize = 200;

/// Our side of a connection.
pub(super) struct Client {
    /// Of the server.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Calls that run, by the token of their progress.
    pub(super) calls: Mutex<HashMap<ProgressToken, RunningCall>>,
    /// Marked as changed when the list of tools is another one.
    pub(super) changes: watch::Sender<()>,
    /// Counts these.
    pub(super) changed: Arc<AtomicU64>,
    /// Emptied when another list is another one.
    pub(super) offers: watch::Sender<Option<Arc<McpOffers>>>,
}

/// A call that runs.
pub(super) struct RunningCall {
    pub(super) progress: mpsc::Sender<ToolProgress>,
    ask: Option<AskPerson>,
    /// Later ones have larger numbers.
    number: u64,
    reports: usize,
    last: String,
}

impl RunningCall {
    pub(super) fn new(ctx: &ToolContext, number: u64) -> Self {
        Self { progress: ctx.progress.clone(), ask: ctx.ask.clone(), number, reports: 0, last: String::new() }
    }
}

impl RunningCall {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Client {
    pub(super) fn calls(&self) -> MutexGuard<'_, HashMap<ProgressToken, RunningCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder()
            .enable_roots()
            .enable_elicitation_with(
                ElicitationCapability::new()
                    .with_form(FormElicitationCapability::default())
                    .with_url(UrlElicitationCapability::default()),
            )
            .build();
        ClientConfig::new(capabilities, Implementation::new(CLIENT_NAME, env!("CARGO_PKG_VERSION")))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(roots(&self.folder))
    }

    /// A server doesn't say for which call it asks: it is taken for the one that began last.
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ask = self.calls().values().max_by_key(|call| call.number).and_then(|call| call.ask.clone());
        Ok(answer_elicitation(&request, &self.name, ask.as_ref()).await)
    }

    async fn on_progress(&self, report: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let mut calls = self.calls();
        let Some(call) = calls.get_mut(&report.progress_token) else { return };
        let line = progress_line(&report);
        if call.reports < MAX_REPORTS && call.last != line {
            call.reports += 1;
            // A report that finds no room is of no use later.
            let _ = call.progress.try_send(ToolProgress::Note(format!("{line}\n")));
            call.last = line;
        }
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.fetch_add(1, Ordering::AcqRel);
        self.changes.send_replace(());
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.offers.send_replace(None);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.offers.send_replace(None);
    }
}

/// Returns the folder as servers are told it.
pub(super) fn roots(folder: &Path) -> ListRootsResult {
    let address = url::Url::from_directory_path(folder).map(String::from).unwrap_or_default();
    ListRootsResult::new(vec![Root::new(address)])
}

fn progress_line(report: &ProgressNotificationParam) -> String {
    let message = one_line(report.message.as_deref().unwrap_or_default(), MAX_REPORT_CELLS);
    let count = match report.total {
        Some(total) if total > 0.0 => format!("{}/{total}", report.progress),
        _ => report.progress.to_string(),
    };
    if message.is_empty() { count } else { format!("{count} {message}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_one_line_of_clean_text() {
        let line = |report| progress_line(&serde_json::from_value(report).unwrap());
        assert_eq!(line(json!({"progressToken": 1, "progress": 3, "total": 10})), "3/10");
        assert_eq!(line(json!({"progressToken": 1, "progress": 0.5, "message": "a\u{1b}[31m\nb"})), "0.5 a b");
    }

    #[test]
    fn the_folder_is_told_as_an_address() {
        assert_eq!(roots(Path::new("/a b")).roots[0].uri, "file:///a%20b/");
    }
}
