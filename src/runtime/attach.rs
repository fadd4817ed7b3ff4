//! Attaches: from the command line to a session with a remote agent, a watched stream, or a file of bytes.
//!
//! A bare origin is probed; a full URL is used as it is. The session reports what was found, and why.

mod explain;
mod hosted;
mod known_agents;
mod peer;
mod target;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Frontend, PreparedSession, Runtime};
use crate::agent::{EngineChoice, SwitchModel};
use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use crate::bridge::mirror::{self, Mirror};
use crate::bridge::session::notice;
use crate::bridge::{HubItem, SessionHandle};
use crate::cli;
use crate::config::{environment, secret};
use crate::dialect::DIALECTS;
use crate::engine::discover::{self, ModelInfo};
use crate::engine::remote::probe::{self, ProbedServer, RemoteAccess};
use crate::engine::remote::{CHAT, GET, RemoteEngine, RemoteTarget, RequestKind, card_url, read_card};
use crate::event::{AgentEvent, Envelope, Fault, FaultKind, Json, LinkState, NoticeCode, NoticeLevel, Seq};
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};
use crate::net::traffic::{ATTACHED_RING_BYTES, TrafficTap};
use crate::net::{HttpClient, probe as net_probe};
use crate::store::models::ModelChoice;
use crate::text::address::is_cleartext_remote;
use crate::text::display_url::{has_login, origin, redact_credentials};
use crate::tool::Registry;
pub use hosted::HostedAgent;
pub(super) use hosted::HostedSession;
use target::{AttachTarget, LocalTarget};

/// Time limit of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for opening a session there: the server may look for a model first.
const OPEN_SESSION_TIMEOUT: Duration = Duration::from_secs(20);

/// The command line can't be valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A session with a remote.
pub struct AttachedSession {
    pub handle: SessionHandle,
    /// The end of the history; a run with a prompt begins after it.
    pub history_end: Seq,
    /// The opening event, if it is in the history.
    pub opened_event: Option<Envelope>,
    pub models: RemoteModels,
    /// Remarks about the connection, for the person.
    pub remarks: Vec<String>,
    /// Whether other clients may send prompts in the same session.
    pub shared: bool,
}

/// Lists the models that `/model` can offer.
#[derive(Clone)]
pub struct RemoteModels {
    http: HttpClient,
    target: Option<RemoteTarget>,
    listed: Vec<ModelInfo>,
    /// The address where another `jarvis-tui` lists its models, and the headers for it.
    jarvis_server: Option<(String, Vec<(String, HttpHeaderValue)>)>,
}

impl RemoteModels {
    pub async fn model_choices(self) -> Vec<ModelChoice> {
        if let Some((url, headers)) = &self.jarvis_server {
            let listed = self.http.get_json(url, headers, PROBE_TIMEOUT).await.ok();
            let models = listed.as_ref().and_then(discover::openai_models).unwrap_or_default();
            return models.into_iter().map(|model| ModelChoice::new(model.id, model.remark)).collect();
        }
        let Some(target) = &self.target else { return Vec::new() };
        let listed = if self.listed.is_empty() { list_models(&self.http, target).await } else { self.listed.clone() };
        let choice = |model: ModelInfo| ModelChoice::new(format!("{}/{}", target.name, model.id), model.remark);
        listed.into_iter().map(choice).collect()
    }
}

impl Runtime {
    /// Returns whether the target can only be watched: it is a file, a pipe or a program that takes no prompts.
    pub fn is_local(&self, typed: &cli::AttachArgs) -> Result<bool, UsageError> {
        Ok(AttachTarget::resolve(typed, self.config())?.is_watched_here())
    }

    /// Returns whether the target can only be sent prompts, never just watched.
    pub fn is_request_only(&self, typed: &cli::AttachArgs) -> Result<bool, UsageError> {
        let target = AttachTarget::resolve(typed, self.config())?;
        if let Some(local) = &target.local {
            return Ok(!local.is_watched());
        }
        let style = target.request_kind.or_else(|| RequestKind::from_url(&target.url));
        Ok(style.map_or_else(|| probe::is_origin(&target.url), |style| *style != GET))
    }

    /// Attaches. `prompted` says that there is a prompt; without one, a stream that can be watched is watched.
    pub async fn attach(&self, typed: &cli::AttachArgs, prompted: bool) -> anyhow::Result<AttachedSession> {
        let target = AttachTarget::resolve(typed, self.config())?;
        if let Some(name) = target.dialect.as_deref().filter(|name| DIALECTS.iter().all(|known| known.name != *name)) {
            let known: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
            return Err(UsageError(format!("unknown dialect {name:?}; use one of {}", known.join(", "))).into());
        }
        if prompted && (target.is_watched_here() || target.request_kind == Some(&GET)) {
            return Err(
                UsageError(format!("{} is read-only: it is only watched and takes no prompts", target.name)).into()
            );
        }
        self.traffic.set_capacity(ATTACHED_RING_BYTES);
        let tap = match &typed.record {
            Some(path) => {
                let (tap, writing) = TrafficTap::to_file(path)
                    .await
                    .map_err(|error| anyhow::anyhow!("can't record to {}: {error}", path.display()))?;
                self.running().tasks.spawn(writing);
                Some(tap.with_ring(self.traffic.clone()))
            }
            None => None,
        };
        if target.is_watched_here() && (typed.from_seq.is_some() || typed.session.is_some()) {
            let text = "a file is one session and plays from its start: remove --from-seq and --session";
            return Err(UsageError(text.to_owned()).into());
        }
        if typed.from_seq.is_some() && self.frontend == Frontend::Tui {
            let text = "--from-seq needs -p or --json: a screen shows a session from its start";
            return Err(UsageError(text.to_owned()).into());
        }
        if let Some(local) = &target.local {
            let tap = tap.unwrap_or_else(|| TrafficTap::to_ring(self.traffic.clone()));
            return match local {
                LocalTarget::Peer(command) => self.attach_peer(command, tap, &target, typed),
                _ => self.watch_local(local, tap, &target, typed),
            };
        }
        let headers = resolve_headers(&target, typed.token_env.as_deref()).await?;
        let exposed = cleartext_warning(&target, &headers);
        let mut attached = self.attach_url(tap, target, headers, typed, prompted).await?;
        attached.remarks.extend(exposed);
        Ok(attached)
    }

    /// Attaches to an address.
    async fn attach_url(
        &self,
        tap: Option<TrafficTap>,
        aim: AttachTarget,
        headers: Vec<(String, HttpHeaderValue)>,
        typed: &cli::AttachArgs,
        prompted: bool,
    ) -> anyhow::Result<AttachedSession> {
        if let Some(kind) = aim.conversation() {
            return self.attach_remote_peer((kind, &aim.url), &headers, tap, &aim, typed);
        }
        let http = tap.clone().map_or_else(|| self.http.clone(), |tap| self.http.with_tap(tap)).for_attached_remote();
        if let Some(address) = probe::session_url(&aim.url) {
            return self.attach_mirror(http, address, headers, &aim, typed, "from its path").await;
        }
        let (style, url, found) = self.discover_target(&aim, &headers, prompted).await?;
        if style.is_conversation {
            let why = found.map(|found| format!("{}: {}", found.description, found.evidence));
            let mut attached = self.attach_remote_peer((style, &url), &headers, tap, &aim, typed)?;
            attached.remarks.extend(why.filter(|_| typed.explain));
            return Ok(attached);
        }
        if let Some(found) = &found
            && let RemoteAccess::Mirror { sessions } = &found.access
        {
            let all = format!("{}/v1/sessions", aim.url.trim_end_matches('/'));
            let session = match (typed.session.as_deref(), sessions.first()) {
                (Some("new"), _) | (None, None) if !typed.read_only => {
                    create_remote_session(&http, &all, &headers).await?
                }
                (Some(session), _) => session.to_owned(),
                (None, Some(newest)) => newest.clone(),
                (None, None) => return Err(UsageError(format!("{} has no sessions yet", aim.name)).into()),
            };
            let address = format!("{all}/{session}");
            return self.attach_mirror(http, address, headers, &aim, typed, &found.evidence).await;
        }
        if typed.session.is_some() || typed.from_seq.is_some() {
            let text = format!("{} is not a jarvis-tui server; --session and --from-seq do not apply", aim.name);
            return Err(UsageError(text).into());
        }
        let mut notices = Vec::new();
        if let Some(found) = &found {
            let text =
                format!("{} at {} ({}); requests by {}", found.description, aim.name, found.evidence, style.name);
            notices.push(notice(NoticeLevel::Info, NoticeCode::Found, text));
        }
        let target = RemoteTarget {
            name: aim.name.clone(),
            url,
            request_kind: style,
            headers,
            dialect: aim.dialect.clone(),
            thread_id: crate::bridge::new_uuid().to_string(),
            explains_every_turn: typed.explain,
            extras: found.as_ref().and_then(|found| found.extras),
            keeps_request_kind: aim.request_kind.is_some(),
        };
        if *style == GET {
            return Ok(self.watch_stream(http, &target, &aim, notices));
        }
        if typed.read_only {
            return Err(UsageError(format!(
                "{} is request/response only (--request {}); there is no stream to watch; remove --read-only",
                aim.name, style.name
            ))
            .into());
        }
        self.attach_engine(http, target, &aim, found, notices)
    }

    /// Determines the request format and the address.
    async fn discover_target(
        &self,
        target: &AttachTarget,
        headers: &[(String, HttpHeaderValue)],
        prompted: bool,
    ) -> anyhow::Result<(&'static RequestKind, String, Option<ProbedServer>)> {
        let origin = probe::is_origin(&target.url);
        if let Some(style) = target.request_kind {
            let url = if origin {
                format!("{}{}", target.url.trim_end_matches('/'), style.default_path)
            } else {
                target.url.clone()
            };
            return Ok((style, url, None));
        }
        if let Some(address) = card_url(&target.url) {
            let call = probe::get_request(address.clone(), headers);
            let answers = net_probe::join_json(&self.http.for_attached_remote(), &[call], PROBE_TIMEOUT).await;
            let card = answers.into_iter().next().and_then(Result::ok).unwrap_or_default();
            let Some((style, url, _)) = read_card(&address, &card) else {
                return Err(UsageError(format!("{} is not the card of an A2A agent", target.name)).into());
            };
            return Ok((style, url, None));
        }
        if !origin {
            let fallback = if prompted { &CHAT } else { &GET };
            return Ok((RequestKind::from_url(&target.url).unwrap_or(fallback), target.url.clone(), None));
        }
        let answers = net_probe::join_json(
            &self.http.for_attached_remote(),
            &probe::probe_requests(&target.url, headers),
            PROBE_TIMEOUT,
        )
        .await;
        let mut found = probe::identify(&target.url, &answers)?;
        if let Some(check) = found.follow_up.take() {
            let call = probe::get_request(format!("{}{}", target.url.trim_end_matches('/'), check.path), headers);
            let answers = net_probe::join_json(&self.http.for_attached_remote(), &[call], PROBE_TIMEOUT).await;
            (check.conclude)(&mut found, answers.first().and_then(|answer| answer.as_ref().ok()));
        }
        match &found.access {
            RemoteAccess::Request { kind: style, url } => Ok((*style, url.clone(), Some(found))),
            RemoteAccess::Mirror { .. } => Ok((&GET, target.url.clone(), Some(found))),
        }
    }

    fn attach_engine(
        &self,
        http: HttpClient,
        target: RemoteTarget,
        aim: &AttachTarget,
        found: Option<ProbedServer>,
        notices: Vec<AgentEvent>,
    ) -> anyhow::Result<AttachedSession> {
        let local_tools = aim.local_tools && target.request_kind.supports_tools;
        if aim.local_tools && !local_tools {
            let text = format!("--request {} has no client tools; remove --local-tools", target.request_kind.name);
            return Err(UsageError(text).into());
        }
        let known = found.as_ref().map(|found| found.models.clone()).unwrap_or_default();
        let named = aim.model.clone().or_else(|| found.as_ref()?.model.clone());
        let why = found.map_or_else(|| "the URL given".to_owned(), |found| found.evidence);
        let models = RemoteModels {
            http: http.clone(),
            target: Some(target.clone()),
            listed: known.clone(),
            jarvis_server: None,
        };
        let idle = aim.idle_timeout;
        let engine = Arc::new(RemoteEngine::new(target.clone()));
        let choice = {
            let (http, engine) = (http.clone(), engine.clone());
            Box::pin(async move {
                let model = match named {
                    Some(model) => model,
                    None if !target.request_kind.needs_model => String::new(),
                    None if known.is_empty() => first_model(list_models(&http, &target).await),
                    None => first_model(known),
                };
                Ok::<_, Fault>(engine_choice(engine, model, why, idle))
            })
        };
        let switch: SwitchModel = {
            let (engine, name) = (engine.clone(), aim.name.clone());
            Arc::new(move |wanted: String| {
                let own = wanted.strip_prefix(&format!("{name}/")).map(str::to_owned);
                let choice =
                    engine_choice(engine.clone(), own.unwrap_or(wanted), "chosen with /model".to_owned(), idle);
                Box::pin(async { Ok(choice) })
            })
        };
        // An invalid setting is reported before a log is created.
        let policy = self.approval_policy()?;
        let mut prepared = self.create_log();
        prepared.notices.extend(notices);
        let live = self.start_session(policy, prepared, |setup| {
            setup.engine_choice = choice;
            setup.switch_model = switch;
            setup.http = http;
            (setup.runs_tools, setup.is_told_instructions) = (local_tools, false);
            if !local_tools {
                setup.tools = Registry::default();
                setup.system_prompt.clear();
            }
        });
        Ok(AttachedSession {
            handle: live,
            history_end: Seq(0),
            opened_event: None,
            models,
            remarks: Vec::new(),
            shared: false,
        })
    }

    /// Mirrors a session of another `jarvis-tui`. Returns once its history has arrived, or an error.
    async fn attach_mirror(
        &self,
        http: HttpClient,
        address: String,
        headers: Vec<(String, HttpHeaderValue)>,
        target: &AttachTarget,
        typed: &cli::AttachArgs,
        why: &str,
    ) -> anyhow::Result<AttachedSession> {
        let mut headers = headers;
        let is_word = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        // The others in the session see who watches and who typed.
        let name = environment::variable("USER").filter(is_word);
        headers.extend(name.map(|name| ("x-jarvis-client".to_owned(), HttpHeaderValue::Plain(name))));
        // A screen needs the whole history; so does a log.
        let after = match (typed.from_seq, self.frontend) {
            (Some(seq), Frontend::Headless) => Seq(seq),
            _ => Seq(0),
        };
        // Missing details are discovered on first use.
        let about = http.get_json(&address, &headers, PROBE_TIMEOUT).await.unwrap_or_default();
        let read_only = typed.read_only || about.get("access").and_then(Json::as_str) == Some("read");
        let moves = about.pointer("/caps/seek").and_then(Json::as_bool) == Some(true);
        let PreparedSession { session, hub, writer, .. } = self.create_log_with(|header| {
            header.mirror_of = Some(redact_credentials(&address).into_owned());
        });
        // A recording that others can seek in can't be logged line by line.
        let (hub, writer) = if after == Seq(0) && !moves {
            (hub, writer)
        } else {
            (Hub::starting_after(after, Backlog::Memory, DEFAULT_RING_BYTES), None)
        };
        let models = origin_of(&address).map(|origin| (format!("{origin}/v1/models"), headers.clone()));
        let (tell, known) = tokio::sync::oneshot::channel();
        let mirror = Mirror {
            http: http.clone(),
            address: address.clone(),
            headers,
            session,
            hub,
            writer,
            trouble: self.save_listener.clone(),
            after,
            read_only,
            idle_timeout: target.idle_timeout,
            on_caught_up: Some(tell),
        };
        let live = mirror::start(mirror, &mut self.running().tasks);
        if known.await.is_err()
            && let LinkState::Lost(Some(fault)) = &live.status.borrow().link
            && live.hub.last_seq() == after
        {
            return Err(fault.clone().into());
        }
        let mut opened = None;
        let past = live.hub.last_seq();
        let mut subscription = live.hub.subscribe(after);
        for _ in after.0..past.0 {
            let Some(HubItem::Event(event)) = subscription.next().await else { break };
            if matches!(event.envelope.event, AgentEvent::SessionOpened { .. }) {
                opened = Some(event.envelope.clone());
            }
        }
        let models =
            RemoteModels { http, target: None, listed: Vec::new(), jarvis_server: models.filter(|_| !read_only) };
        let explained = typed.explain.then(|| {
            let id = address.rsplit('/').next().unwrap_or_default();
            format!("{} is another jarvis-tui ({why}); following the events of its session {id}", target.name)
        });
        Ok(AttachedSession {
            handle: live,
            history_end: past,
            opened_event: opened,
            models,
            remarks: explained.into_iter().collect(),
            shared: true,
        })
    }
}

/// Warns about secrets on an unencrypted connection.
fn cleartext_warning(target: &AttachTarget, headers: &[(String, HttpHeaderValue)]) -> Option<String> {
    let secret = headers.iter().any(|(_, value)| matches!(value, HttpHeaderValue::Secret(_)));
    let what = match (secret, has_login(&target.url)) {
        _ if !is_cleartext_remote(&target.url) => return None,
        (true, _) => "the token or headers and the whole conversation go",
        (false, true) => "the login and the whole conversation go",
        (false, false) => return None,
    };
    Some(format!("{what} to {} unencrypted; if that server supports HTTPS, attach to https://", origin(&target.url)))
}

/// Creates a session on another `jarvis-tui` and returns its id.
async fn create_remote_session(
    http: &HttpClient,
    sessions: &str,
    headers: &[(String, HttpHeaderValue)],
) -> anyhow::Result<String> {
    let call = HttpRequest::post(sessions, headers.to_vec(), "{}", Framing::Ndjson);
    let opened = http.request_json(&call, OPEN_SESSION_TIMEOUT).await?;
    let id = opened.get("id").and_then(Json::as_str);
    Ok(id.ok_or_else(|| Fault::new(FaultKind::Protocol, format!("{sessions} returned no session")))?.to_owned())
}

/// Returns scheme and authority of a session's address.
fn origin_of(address: &str) -> Option<&str> {
    address.rfind("/v1/sessions").and_then(|at| address.get(..at))
}

/// A turn is never resent: an agent may already have begun to act on it. Silence has only the limit that the person
/// sets.
fn engine_choice(engine: Arc<RemoteEngine>, model: String, why: String, idle: Duration) -> EngineChoice {
    EngineChoice {
        server_approvals: engine.server_approvals(),
        first_byte_timeout: idle,
        idle_timeout: idle,
        max_retries: 3,
        may_resend: false,
        ..EngineChoice::new(engine, model, why)
    }
}

/// A server that lists no models may still answer; most of them accept any name.
fn first_model(models: Vec<ModelInfo>) -> String {
    models.into_iter().next().map_or_else(|| "default".to_owned(), |model| model.id)
}

async fn list_models(http: &HttpClient, target: &RemoteTarget) -> Vec<ModelInfo> {
    let Some(query) = probe::model_list_query(target) else { return Vec::new() };
    let answers = net_probe::join_json(http, &query.requests, PROBE_TIMEOUT).await;
    query.parse_answers(&answers).unwrap_or_default()
}

/// Resolves token and headers, which may come from a slow command.
async fn resolve_headers(
    target: &AttachTarget,
    token_env: Option<&str>,
) -> anyhow::Result<Vec<(String, HttpHeaderValue)>> {
    let wanted = target.clone();
    let token_env = token_env.map(str::to_owned);
    let got = tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<(String, HttpHeaderValue)>> {
        let env = environment::variable;
        let mut out = Vec::new();
        let token = match (&token_env, &wanted.token) {
            (Some(name), _) => Some(
                secret::resolve_secret(&format!("env:{name}"), &env)?
                    .ok_or_else(|| UsageError(format!("the variable {name} of --token-env is not set or empty")))?,
            ),
            (None, Some(text)) => secret::resolve_secret(text, &env)?,
            (None, None) => None,
        };
        if let Some(token) = token {
            let kind = wanted.request_kind.or_else(|| RequestKind::from_url(&wanted.url));
            out.push(if let Some(name) = kind.and_then(|kind| kind.token_header) {
                (name.to_owned(), HttpHeaderValue::Secret(token))
            } else {
                let bearer: SecretString = format!("Bearer {}", token.expose_secret()).into();
                ("authorization".to_owned(), HttpHeaderValue::Secret(bearer))
            });
        }
        for (name, value) in &wanted.headers {
            if let Some(value) = secret::resolve_secret(value, &env)? {
                out.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                out.push((name.clone(), HttpHeaderValue::Secret(value)));
            }
        }
        for (name, value) in &wanted.flag_headers {
            out.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            out.push((name.clone(), HttpHeaderValue::Secret(value.clone().into())));
        }
        Ok(out)
    });
    got.await?
}
