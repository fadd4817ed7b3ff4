//! Attaching: from what the person typed to a session with a remote agent, a watched stream, or a file of bytes.
//!
//! A bare origin is asked what it is; a full URL is used as it is. What was found, and why, is said in the session.

mod aim;
mod explain;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

use super::{Audience, Begun, House};
use crate::agent::{EngineChoice, Switch};
use crate::bridge::hub::{Backlog, Hub, RING_BYTES};
use crate::bridge::mirror::{self, Mirror};
use crate::bridge::session::notice;
use crate::bridge::{Delivery, Live};
use crate::cli;
use crate::config::{environment, secret};
use crate::dialect::DIALECTS;
use crate::engine::discover::{self, ModelInfo};
use crate::engine::remote::probe::{self, Found, How};
use crate::engine::remote::{Remote, Style, Target, is_newer, which};
use crate::event::{AgentEvent, Envelope, Fault, FaultKind, Json, Level, LinkState, Seq};
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::net::record::Tap;
use crate::net::reel;
use crate::net::{Http, probe as ask};
use crate::store::msg::ModelChoice;
use crate::text::address::{has_login, is_exposed, origin, without_credentials};
use aim::Aim;

/// How long a server may take to say what it is.
const LOOK: Duration = Duration::from_secs(3);
/// How long opening a session there may take: it may look for a model first.
const OPEN: Duration = Duration::from_secs(20);

/// What was typed can't be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub String);

/// A session with a remote.
pub struct Attached {
    pub live: Live,
    /// What was said before; a run that asks something begins after it.
    pub past: Seq,
    /// What opened the session, where that is past.
    pub opened: Option<Envelope>,
    pub models: Models,
    /// What the person should know of the way to it.
    pub remarks: Vec<String>,
    /// Others may ask things in the same session.
    pub shared: bool,
}

/// Lists what `/model` can offer.
#[derive(Clone)]
pub struct Models {
    http: Http,
    target: Option<Target>,
    known: Vec<ModelInfo>,
    /// Where another `jarvis-tui` lists its own, and what it wants to be told.
    server: Option<(String, Vec<(String, Value)>)>,
}

impl Models {
    pub async fn choices(self) -> Vec<ModelChoice> {
        if let Some((url, headers)) = &self.server {
            let listed = self.http.get_json(url, headers, LOOK).await.ok();
            let models = listed.as_ref().and_then(discover::openai_models).unwrap_or_default();
            return models.into_iter().map(|model| ModelChoice { name: model.id, remark: model.remark }).collect();
        }
        let Some(target) = &self.target else { return Vec::new() };
        let listed = if self.known.is_empty() { list(&self.http, target).await } else { self.known.clone() };
        let choice =
            |model: ModelInfo| ModelChoice { name: format!("{}/{}", target.name, model.id), remark: model.remark };
        listed.into_iter().map(choice).collect()
    }
}

impl House {
    /// Returns whether what was typed can only be asked, never just watched.
    pub fn must_ask(&self, typed: &cli::Attach) -> Result<bool, Wrong> {
        let aim = Aim::at(typed, self.config())?;
        let style = aim.style.or_else(|| Style::of_url(&aim.url));
        Ok(aim.file.is_none() && style.map_or_else(|| probe::is_origin(&aim.url), |style| style != Style::Get))
    }

    /// Attaches. `prompted` says that there is something to ask; without, a stream that can be watched is watched.
    pub async fn attach(&mut self, typed: &cli::Attach, prompted: bool) -> anyhow::Result<Attached> {
        let aim = Aim::at(typed, self.config())?;
        if let Some(name) = aim.dialect.as_deref().filter(|name| DIALECTS.iter().all(|known| known.name != *name)) {
            let known: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
            return Err(Wrong(format!("no dialect is called {name:?}; there are {}", known.join(", "))).into());
        }
        if prompted && (aim.file.is_some() || aim.style == Some(Style::Get)) {
            return Err(Wrong(format!("{} is only watched: it takes no prompt", aim.name)).into());
        }
        self.reel.keep(reel::MANY);
        let http = match &typed.record {
            Some(path) => {
                let tap = Tap::to_file(path, &mut self.tasks).await;
                let tap = tap.map_err(|error| anyhow::anyhow!("can't record to {}: {error}", path.display()))?;
                self.http.tapped(tap.and(self.reel.clone()))
            }
            None => self.http.clone(),
        }
        .attached();
        if aim.file.is_some() && (typed.from_seq.is_some() || typed.session.is_some()) {
            let text = "a file is played from its beginning, and it is one session: leave out --from-seq and --session";
            return Err(Wrong(text.to_owned()).into());
        }
        if typed.from_seq.is_some() && self.audience == Audience::Screen {
            let text =
                "--from-seq is for output without a screen (-p, --json): a screen shows a session from its beginning";
            return Err(Wrong(text.to_owned()).into());
        }
        if let Some(path) = &aim.file {
            return self.play_file(path.clone(), &aim, typed);
        }
        let headers = headers(&aim, typed.token_env.as_deref()).await?;
        let exposed = exposed(&aim, &headers);
        let mut attached = self.attach_at(http, aim, headers, typed, prompted).await?;
        attached.remarks.extend(exposed);
        Ok(attached)
    }

    /// Attaches to an address.
    async fn attach_at(
        &mut self,
        http: Http,
        aim: Aim,
        headers: Vec<(String, Value)>,
        typed: &cli::Attach,
        prompted: bool,
    ) -> anyhow::Result<Attached> {
        if let Some(address) = probe::session_of(&aim.url) {
            return self.mirror(http, address, headers, &aim, typed, "its path says so").await;
        }
        let (style, url, found) = self.look(&aim, &headers, prompted).await?;
        if let Some(found) = &found
            && let How::Mirror { sessions } = &found.how
        {
            let all = format!("{}/v1/sessions", aim.url.trim_end_matches('/'));
            let session = match (typed.session.as_deref(), sessions.first()) {
                (Some("new"), _) | (None, None) if !typed.read_only => begin(&http, &all, &headers).await?,
                (Some(session), _) => session.to_owned(),
                (None, Some(newest)) => newest.clone(),
                (None, None) => return Err(Wrong(format!("{} has no session yet", aim.name)).into()),
            };
            let address = format!("{all}/{session}");
            return self.mirror(http, address, headers, &aim, typed, &found.why).await;
        }
        if typed.session.is_some() || typed.from_seq.is_some() {
            let text =
                format!("{} is no jarvis-tui, so it has no sessions to choose from (--session, --from-seq)", aim.name);
            return Err(Wrong(text).into());
        }
        let mut notices = Vec::new();
        if let Some(found) = &found {
            let text = format!("{} at {} ({}); asked by {}", found.what, aim.name, found.why, style.name());
            notices.push(notice(Level::Info, "found", text));
        }
        let target = Target {
            name: aim.name.clone(),
            url,
            style,
            headers,
            dialect: aim.dialect.clone(),
            thread: crate::bridge::unique().to_string(),
            explain: typed.explain,
            feeds: found.as_ref().is_some_and(|found| found.has_agent),
        };
        if style == Style::Get {
            return Ok(self.watch(http, &target, &aim, notices));
        }
        if typed.read_only {
            return Err(Wrong(format!(
                "{} answers only what it is asked (--request {}), so there is nothing to watch; leave out --read-only",
                aim.name,
                style.name()
            ))
            .into());
        }
        self.ask(http, target, &aim, found, notices)
    }

    /// Decides how it is asked and where.
    async fn look(
        &self,
        aim: &Aim,
        headers: &[(String, Value)],
        prompted: bool,
    ) -> anyhow::Result<(Style, String, Option<Found>)> {
        let origin = probe::is_origin(&aim.url);
        if let Some(style) = aim.style {
            let url = if origin {
                format!("{}{}", aim.url.trim_end_matches('/'), aim::usual_path(style))
            } else {
                aim.url.clone()
            };
            return Ok((style, url, None));
        }
        if !origin {
            let fallback = if prompted { Style::Chat } else { Style::Get };
            return Ok((Style::of_url(&aim.url).unwrap_or(fallback), aim.url.clone(), None));
        }
        let answers = ask::gather(&self.http.attached(), &probe::questions(&aim.url, headers), LOOK).await;
        let mut found = probe::read(&aim.url, &answers)?;
        if found.has_agent {
            let paths = ask::gather(&self.http.attached(), &[which(&aim.url, headers)], LOOK).await;
            found.has_agent = matches!(paths.first(), Some(Ok(paths)) if is_newer(paths));
            if found.has_agent {
                found.what = "OpenJarvis, newer than 1.0.2,".into();
            } else {
                found.why.push_str("; if no tools show and it is 1.0.2 or older, use --request openjarvis-bridge");
            }
        }
        match &found.how {
            How::Ask { style, url } => Ok((*style, url.clone(), Some(found))),
            How::Mirror { .. } => Ok((Style::Get, aim.url.clone(), Some(found))),
        }
    }

    fn ask(
        &mut self,
        http: Http,
        target: Target,
        aim: &Aim,
        found: Option<Found>,
        notices: Vec<AgentEvent>,
    ) -> anyhow::Result<Attached> {
        let local_tools = aim.local_tools && target.style.takes_tools();
        if aim.local_tools && !local_tools {
            let text = format!("--request {} hands no tools to a client; leave out --local-tools", target.style.name());
            return Err(Wrong(text).into());
        }
        let known = found.as_ref().map(|found| found.models.clone()).unwrap_or_default();
        let named = aim.model.clone().or_else(|| found.as_ref()?.model.clone());
        let why = found.map_or_else(|| "the URL given".to_owned(), |found| found.why);
        let models = Models { http: http.clone(), target: Some(target.clone()), known: known.clone(), server: None };
        let idle = aim.idle;
        let engine = Arc::new(Remote::new(target.clone()));
        let choice = {
            let (http, engine) = (http.clone(), engine.clone());
            Box::pin(async move {
                let model = match named {
                    Some(model) => model,
                    None if !target.style.needs_model() => String::new(),
                    None if known.is_empty() => first(list(&http, &target).await),
                    None => first(known),
                };
                Ok::<_, Fault>(chosen(engine, model, why, idle))
            })
        };
        let switch: Switch = {
            let (engine, name) = (engine.clone(), aim.name.clone());
            Arc::new(move |wanted: String| {
                let own = wanted.strip_prefix(&format!("{name}/")).map(str::to_owned);
                let choice = chosen(engine.clone(), own.unwrap_or(wanted), "chosen with /model".to_owned(), idle);
                Box::pin(async { Ok(choice) })
            })
        };
        // A wrong setting is told before a log is made.
        let policy = self.policy()?;
        let mut begun = self.begin();
        begun.notices.extend(notices);
        let live = self.start(policy, begun, |setup| {
            setup.choice = choice;
            setup.switch = switch;
            setup.http = http;
            setup.runs_tools = local_tools;
            if !local_tools {
                setup.tools.clear();
                setup.system.clear();
            }
        });
        Ok(Attached { live, past: Seq(0), opened: None, models, remarks: Vec::new(), shared: false })
    }

    /// Mirrors a session of another `jarvis-tui`. Returns once its past was told, or says why it can't be had.
    async fn mirror(
        &mut self,
        http: Http,
        address: String,
        headers: Vec<(String, Value)>,
        aim: &Aim,
        typed: &cli::Attach,
        why: &str,
    ) -> anyhow::Result<Attached> {
        // A screen needs the past to be whole; a log does as well.
        let after = match (typed.from_seq, self.audience) {
            (Some(seq), Audience::Pipe) => Seq(seq),
            _ => Seq(0),
        };
        // What it doesn't say is met when it is tried.
        let about = http.get_json(&address, &headers, LOOK).await.unwrap_or_default();
        let read_only = typed.read_only || about.get("access").and_then(Json::as_str) == Some("read");
        let moves = about.pointer("/caps/seek").and_then(Json::as_bool) == Some(true);
        let Begun { session, hub, writer, .. } = self.begin_with(|header| {
            header.mirror_of = Some(without_credentials(&address).into_owned());
        });
        // A recording that others move can't be written down line by line.
        let (hub, writer) = if after == Seq(0) && !moves {
            (hub, writer)
        } else {
            (Hub::starting_after(after, Backlog::Memory, RING_BYTES), None)
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
            trouble: self.trouble.clone(),
            after,
            read_only,
            idle: aim.idle,
            known: Some(tell),
        };
        let live = mirror::start(mirror, &mut self.tasks);
        if known.await.is_err()
            && let LinkState::Lost(Some(fault)) = &live.weather.borrow().link
            && live.hub.last() == after
        {
            return Err(fault.clone().into());
        }
        let mut opened = None;
        let past = live.hub.last();
        let mut facts = live.hub.subscribe(after);
        for _ in after.0..past.0 {
            let Some(Delivery::Fact(fact)) = facts.next().await else { break };
            if matches!(fact.envelope.event, AgentEvent::SessionOpened { .. }) {
                opened = Some(fact.envelope.clone());
            }
        }
        let models = Models { http, target: None, known: Vec::new(), server: models.filter(|_| !read_only) };
        let explained = typed.explain.then(|| {
            let id = address.rsplit('/').next().unwrap_or_default();
            format!(
                "{} is another jarvis-tui ({why}); the events of its session {id} are followed as they are",
                aim.name
            )
        });
        Ok(Attached { live, past, opened, models, remarks: explained.into_iter().collect(), shared: true })
    }
}

/// Says what can be read on the way, where that is a secret.
fn exposed(aim: &Aim, headers: &[(String, Value)]) -> Option<String> {
    let secret = headers.iter().any(|(_, value)| matches!(value, Value::Secret(_)));
    let what = match (secret, has_login(&aim.url)) {
        _ if !is_exposed(&aim.url) => return None,
        (true, _) => "the token or headers and the whole conversation go",
        (false, true) => "the login and the whole conversation go",
        (false, false) => return None,
    };
    Some(format!("{what} to {} unencrypted; if that server supports HTTPS, attach to https://", origin(&aim.url)))
}

/// Opens a session on another `jarvis-tui` and returns its name.
async fn begin(http: &Http, sessions: &str, headers: &[(String, Value)]) -> anyhow::Result<String> {
    let call = HttpCall {
        method: Method::Post,
        url: sessions.to_owned(),
        headers: headers.to_vec(),
        body: Some(Bytes::from_static(b"{}")),
        framing: Framing::Ndjson,
    };
    let opened = http.json(&call, OPEN).await?;
    let id = opened.get("id").and_then(Json::as_str);
    Ok(id.ok_or_else(|| Fault::new(FaultKind::Protocol, format!("{sessions} named no session")))?.to_owned())
}

/// Returns scheme and authority of a session's address.
fn origin_of(address: &str) -> Option<&str> {
    address.rfind("/v1/sessions").and_then(|at| address.get(..at))
}

/// A turn is sent once: an agent may have begun to act on it. Silence has no limit but the person's.
fn chosen(engine: Arc<Remote>, model: String, why: String, idle: Duration) -> EngineChoice {
    EngineChoice {
        engine,
        model,
        why,
        window: None,
        price: None,
        first_byte: idle,
        idle,
        no_output: Duration::ZERO,
        retries: 3,
        resend: false,
        takes_tools: true,
        warnings: Vec::new(),
        describe: None,
    }
}

/// A server that lists nothing may still answer; most take any name then.
fn first(models: Vec<ModelInfo>) -> String {
    models.into_iter().next().map_or_else(|| "default".to_owned(), |model| model.id)
}

async fn list(http: &Http, target: &Target) -> Vec<ModelInfo> {
    let Some(survey) = probe::models(target) else { return Vec::new() };
    let answers = ask::gather(http, &survey.calls, LOOK).await;
    survey.read(&answers).unwrap_or_default()
}

/// Gets token and headers, which may come from a command that takes its time.
async fn headers(aim: &Aim, token_env: Option<&str>) -> anyhow::Result<Vec<(String, Value)>> {
    let wanted = aim.clone();
    let token_env = token_env.map(str::to_owned);
    let got = tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<(String, Value)>> {
        let env = environment::variable;
        let mut out = Vec::new();
        let token = match (&token_env, &wanted.token) {
            (Some(name), _) => Some(
                secret::secret(&format!("env:{name}"), &env)?
                    .ok_or_else(|| Wrong(format!("the variable {name} of --token-env is not set or empty")))?,
            ),
            (None, Some(text)) => secret::secret(text, &env)?,
            (None, None) => None,
        };
        if let Some(token) = token {
            // Anthropic's own service refuses what it takes for two credentials; gateways can be told with --header.
            if wanted.style.or_else(|| Style::of_url(&wanted.url)) == Some(Style::Anthropic) {
                out.push(("x-api-key".to_owned(), Value::Secret(token)));
            } else {
                let bearer: SecretString = format!("Bearer {}", token.expose_secret()).into();
                out.push(("authorization".to_owned(), Value::Secret(bearer)));
            }
        }
        for (name, value) in &wanted.headers {
            if let Some(value) = secret::secret(value, &env)? {
                out.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                out.push((name.clone(), Value::Secret(value)));
            }
        }
        for (name, value) in &wanted.typed_headers {
            out.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            out.push((name.clone(), Value::Secret(value.clone().into())));
        }
        Ok(out)
    });
    got.await?
}
