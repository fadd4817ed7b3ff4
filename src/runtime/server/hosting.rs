//! Sessions of an agent program in place of our own agent: the program keeps the conversation and acts itself.

use std::path::PathBuf;

use super::model_choices::MAX_NAME_CHARS;
use super::{SessionFactory, internal_error, one_shot_header, write_history};
use crate::bridge::SessionHandle;
use crate::bridge::peer::preamble;
use crate::bridge::session::notice;
use crate::event::{Millis, NoticeCode, NoticeLevel};
use crate::runtime::{HostedAgent, HostedSession, PreparedSession, Runtime};
use crate::serve::error::ApiError;
use crate::serve::factory::{Model, OneShotSession, OpenRequest};
use crate::serve::model_names::{AGENT_MODEL, NamedModel};
use crate::serve::request::OneShotRequest;

impl SessionFactory {
    /// Serves an agent program in place of our agent.
    #[must_use]
    pub fn hosting(mut self, agent: Option<HostedAgent>) -> Self {
        self.hosted = agent;
        self
    }

    pub(super) fn open_hosted_one_shot(
        &self,
        agent: &HostedAgent,
        request: &OneShotRequest,
    ) -> Result<OneShotSession, ApiError> {
        let model = self.hosted_model(agent, request.model.as_deref())?;
        let name = agent.name();
        let Some(_) = request.prompt else {
            let text = format!("{name} keeps the conversation itself and goes on only with a prompt of the user");
            return Err(ApiError::bad_request(text));
        };
        if request.sampling.tool_choice_required {
            let text = format!("{name} uses its own tools and can't be made to call one; leave tool_choice out");
            return Err(ApiError::new(400, "unsupported_parameter", text).with_param("tool_choice"));
        }
        if let Some(wanted) = &request.output_format {
            let text = format!("{name} answers in its own words and takes no format; leave {} out", wanted.param);
            return Err(ApiError::new(400, "unsupported_parameter", text).with_param(wanted.param));
        }
        let runtime = self.runtime()?;
        let policy = runtime.approval_policy().map_err(internal_error)?;
        let mut prepared = runtime.create_log_with(|header| one_shot_header(header, request));
        let (_, ids) = write_history(&mut prepared, &request.history);
        let mut left_out = request.left_out.clone();
        if request.client_tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            left_out.push(format!("tools: {name} uses its own"));
        }
        prepared.notices.extend(left_out.into_iter().map(|text| notice(NoticeLevel::Warn, NoticeCode::LeftOut, text)));
        let handle = start(
            runtime,
            agent,
            HostedSession {
                prepared,
                policy,
                folder: runtime.folder.clone(),
                model,
                approvals: self.approval_settings(Millis(0)),
                is_unattended: !request.asks_client,
                starts_late: false,
                preamble: preamble(request.system_prompt.as_deref(), &request.history),
                past_ids: Some(ids),
            },
        );
        Ok(OneShotSession { handle, turn: None, is_replayed: false })
    }

    pub(super) fn open_hosted(&self, agent: &HostedAgent, opening: &OpenRequest) -> Result<SessionHandle, ApiError> {
        let model = self.hosted_model(agent, opening.model.as_deref())?;
        let runtime = self.runtime()?;
        let folder = self.opening_folder(runtime, opening)?;
        let mut policy = runtime.approval_policy().map_err(internal_error)?;
        policy.mode = opening.mode.unwrap_or(policy.mode);
        let prepared = runtime.create_log_with(|header| header.folder = folder.display().to_string());
        let hosted = HostedSession {
            prepared,
            policy,
            folder,
            model,
            approvals: self.approval_settings(Millis(0)),
            is_unattended: false,
            starts_late: false,
            preamble: None,
            past_ids: None,
        };
        Ok(start(runtime, agent, hosted))
    }

    /// Resumes a session whose log is ready. Who only looks at it starts no program.
    pub(super) fn reopen_hosted(
        &self,
        runtime: &Runtime,
        agent: &HostedAgent,
        prepared: PreparedSession,
        folder: PathBuf,
    ) -> Result<SessionHandle, ApiError> {
        let hosted = HostedSession {
            prepared,
            policy: runtime.approval_policy().map_err(internal_error)?,
            folder,
            model: None,
            approvals: self.approval_settings(Millis(0)),
            is_unattended: false,
            starts_late: true,
            preamble: None,
            past_ids: None,
        };
        Ok(start(runtime, agent, hosted))
    }

    /// Returns the one model that is known before a program runs: its own.
    pub(super) fn hosted_models(agent: &HostedAgent) -> Vec<Model> {
        let engine = agent.name().to_owned();
        vec![Model { id: engine.clone(), engine, remark: "an agent program that acts itself".to_owned() }]
    }

    /// Returns the model that the program is to use for a client's name, if not its own.
    fn hosted_model(&self, agent: &HostedAgent, wanted: Option<&str>) -> Result<Option<String>, ApiError> {
        let wanted = NamedModel::parse(wanted.unwrap_or_default());
        let name = agent.name();
        let own = wanted.model.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        match own {
            Some(model) if !model.is_empty() => Ok(Some(model.to_owned())),
            _ if wanted.model.is_empty() || wanted.model == name => Ok(None),
            _ if self.runtime()?.config().server.any_model => {
                let text = format!("no model is called {:?}; {name} answers for it", wanted.model);
                self.choices.record_absent(wanted.model.chars().take(MAX_NAME_CHARS).collect(), &text);
                Ok(None)
            }
            _ => {
                let text = format!(
                    "unknown model {:?}: {name} answers as {AGENT_MODEL} or {name}, and as {name}/MODEL with one of its \
                     models",
                    wanted.model
                );
                Err(ApiError::new(404, "model_not_found", text).with_param("model"))
            }
        }
    }
}

/// Starts a session; the person's limits hold for it.
fn start(runtime: &Runtime, agent: &HostedAgent, hosted: HostedSession) -> SessionHandle {
    let last = hosted.prepared.resume_point.last_seq;
    let live = runtime.host_session(agent, hosted);
    runtime.watch_spending(&live, last);
    live
}
