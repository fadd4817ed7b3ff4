//! What `--explain` says where there is nothing to ask: how a target would be talked to, and why.

use super::aim::Aim;
use super::{House, Wrong, headers};
use crate::cli;
use crate::engine::remote::probe::How;
use crate::text::address::without_credentials;

impl House {
    /// Returns what a target is called in messages: the name of a remote or a file, or the host.
    ///
    /// # Errors
    ///
    /// Fails where what was typed is no target.
    pub fn called(&self, typed: &cli::Attach) -> Result<String, Wrong> {
        Ok(Aim::at(typed, self.config())?.name)
    }

    /// Looks at what answers there and says how it would be talked to, and why. Asks nothing of a model.
    ///
    /// # Errors
    ///
    /// Fails where nothing answers, or nothing that is known.
    pub async fn explain(&self, typed: &cli::Attach) -> anyhow::Result<String> {
        let aim = Aim::at(typed, self.config())?;
        let headers = headers(&aim, typed.token_env.as_deref()).await?;
        let (style, url, found) = self.look(&aim, &headers, true).await?;
        let place = without_credentials(&url).into_owned();
        let Some(found) = found else {
            let why = match (&aim.style, &typed.request, &typed.method) {
                (Some(_), Some(_), _) => "--request says so",
                (Some(_), None, Some(_)) => "--method says so",
                (Some(_), None, None) => "the settings say so",
                (None, ..) => "its path says so",
            };
            return Ok(format!("{} at {place}: asked by {} ({why})", aim.name, style.name()));
        };
        Ok(match &found.how {
            How::Ask { .. } => {
                format!("{} at {} ({}); asked by {} at {place}", found.what, aim.name, found.why, style.name())
            }
            How::Mirror { sessions } => {
                let sessions = match sessions.len() {
                    0 => "no session yet".to_owned(),
                    1 => "1 session, which is joined".to_owned(),
                    many => format!("{many} sessions, of which the newest is joined"),
                };
                format!("{} at {} ({}); {sessions}", found.what, aim.name, found.why)
            }
        })
    }
}
