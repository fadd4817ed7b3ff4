//! `--explain` without a prompt: how a target would be addressed, and why.

use super::target::AttachTarget;
use super::{Runtime, UsageError, known_agents, resolve_headers};
use crate::cli;
use crate::engine::remote::probe::RemoteAccess;
use crate::text::address::host_and_port;
use crate::text::display_url::redact_credentials;

impl Runtime {
    /// Returns the name of a target for messages: that of the remote or file, or the host.
    ///
    /// # Errors
    ///
    /// Fails if the target is invalid.
    pub fn target_name(&self, typed: &cli::AttachArgs) -> Result<String, UsageError> {
        Ok(AttachTarget::resolve(typed, self.config())?.name)
    }

    /// Returns host and port of the target, if it is at an address.
    pub fn target_host(&self, typed: &cli::AttachArgs) -> Option<String> {
        let url = AttachTarget::resolve(typed, self.config()).ok()?.url;
        Some(host_and_port(&url).to_owned()).filter(|host| url.contains("://") && !host.is_empty())
    }

    /// Returns what may be attached to by name, each with what it is.
    pub fn attach_targets(&self) -> Vec<(String, String)> {
        let remotes = self.config().remotes.iter();
        let remotes = remotes.map(|(name, remote)| (name.clone(), redact_credentials(&remote.url).into_owned()));
        let agents = known_agents::known_names(self.config()).into_iter();
        remotes.chain(agents.map(|name| (format!("acp:{name}"), "an agent program".to_owned()))).collect()
    }

    /// Probes the target and describes how it would be addressed, and why. Sends nothing to a model.
    ///
    /// # Errors
    ///
    /// Fails if nothing answers, or nothing known.
    pub async fn explain(&self, typed: &cli::AttachArgs) -> anyhow::Result<String> {
        let target = AttachTarget::resolve(typed, self.config())?;
        let headers = resolve_headers(&target, typed.token_env.as_deref()).await?;
        let (style, url, found) = self.discover_target(&target, &headers, true).await?;
        let place = redact_credentials(&url).into_owned();
        let Some(found) = found else {
            let why = match (&target.request_kind, &typed.request, &typed.method) {
                (Some(_), Some(_), _) => "from --request",
                (Some(_), None, Some(_)) => "from --method",
                (Some(_), None, None) => "from the settings",
                (None, ..) => "from its path",
            };
            return Ok(format!("{} at {place}: requests by {} ({why})", target.name, style.name));
        };
        Ok(match &found.access {
            RemoteAccess::Request { .. } => {
                format!(
                    "{} at {} ({}); requests by {} at {place}",
                    found.description, target.name, found.evidence, style.name
                )
            }
            RemoteAccess::Mirror { sessions } => {
                let sessions = match sessions.len() {
                    0 => "no sessions yet".to_owned(),
                    1 => "joining its only session".to_owned(),
                    many => format!("joining the newest of {many} sessions"),
                };
                format!("{} at {} ({}); {sessions}", found.description, target.name, found.evidence)
            }
        })
    }
}
