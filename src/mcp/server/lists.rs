//! What a server offers besides its tools, asked of it.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{GetPromptRequestParams, JsonObject, ReadResourceRequestParams};
use rmcp::service::ServiceError;

use super::super::connection::failure;
use super::super::offers::{McpOffers, part_of, prompt_parts};
use super::McpServer;
use crate::event::PromptContext;
use crate::text::one_line;

/// Of each kind.
const MAX_LISTED: usize = 1000;
const MAX_REASON_CELLS: usize = 300;
/// How long a list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

impl McpServer {
    /// Returns what it offers, as it was listed last.
    pub fn known_offers(&self) -> Option<Arc<McpOffers>> {
        self.shared.offers.borrow().clone()
    }

    /// Lists what it offers, starting it if need be.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it can't be started or lists nothing.
    pub async fn list_offers(&self) -> Result<Arc<McpOffers>, String> {
        let connection = self.connection().await?;
        if let Some(known) = self.known_offers() {
            return Ok(known);
        }
        let seen = self.shared.offers.subscribe();
        let peer = connection.service.peer_info();
        let has = |what: fn(&rmcp::model::ServerCapabilities) -> bool| {
            peer.as_ref().is_some_and(|peer| what(&peer.capabilities))
        };
        let mut offers = McpOffers::default();
        let listing = async {
            if has(|all| all.prompts.is_some()) {
                offers.prompts = connection.service.list_all_prompts().await?;
            }
            if has(|all| all.resources.is_some()) {
                offers.resources = connection.service.list_all_resources().await?;
                // Many servers have resources and know no templates.
                offers.templates = connection.service.list_all_resource_templates().await.unwrap_or_default();
            }
            Ok(())
        };
        let listed: Result<Result<(), ServiceError>, _> = tokio::time::timeout(LIST_TIMEOUT, Box::pin(listing)).await;
        listed
            .map_err(|_| "it did not list what it offers".to_owned())?
            .map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?;
        offers.prompts.truncate(MAX_LISTED);
        offers.resources.truncate(MAX_LISTED);
        offers.templates.truncate(MAX_LISTED);
        let offers = Arc::new(offers);
        // What changed meanwhile may not be in it.
        if matches!(seen.has_changed(), Ok(false)) {
            self.shared.offers.send_replace(Some(Arc::clone(&offers)));
        }
        Ok(offers)
    }

    /// Reads a resource, as parts of a prompt under that name.
    ///
    /// # Errors
    ///
    /// Fails with the reason, for the person.
    pub async fn read_resource(&self, uri: &str, name: &str) -> Result<Vec<PromptContext>, String> {
        let connection = self.connection().await?;
        let reading = connection.service.read_resource(ReadResourceRequestParams::new(uri));
        let read = tokio::time::timeout(self.spec().call_timeout, Box::pin(reading)).await;
        let read = read
            .map_err(|_| "the server did not answer".to_owned())?
            .map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?;
        if read.contents.is_empty() {
            return Err("there is nothing in it".to_owned());
        }
        read.contents.iter().map(|part| part_of(part, name)).collect()
    }

    /// Has a prompt written: its text, and what goes with it.
    ///
    /// # Errors
    ///
    /// Fails with the reason, for the person.
    pub async fn write_prompt(
        &self,
        prompt: &str,
        arguments: JsonObject,
    ) -> Result<(String, Vec<PromptContext>), String> {
        let connection = self.connection().await?;
        let mut params = GetPromptRequestParams::new(prompt);
        params.arguments = Some(arguments).filter(|arguments| !arguments.is_empty());
        let asking = connection.service.get_prompt(params);
        let written = tokio::time::timeout(self.spec().call_timeout, Box::pin(asking)).await;
        let written = written
            .map_err(|_| "the server did not answer".to_owned())?
            .map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?;
        prompt_parts(written, self.name())
    }
}
