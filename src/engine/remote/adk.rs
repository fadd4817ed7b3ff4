//! PURE. The server of Google's Agent Development Kit: an app, a user, and a session that is made first. An app stands
//! for the model.

use serde_json::json;

use super::gemini::image_part;
use super::probe::{ProbeAnswers, ProbedServer};
use super::protocol::{Protocol, last_images};
use super::request_kind::{ModelListPath, RequestKind};
use super::server_thread::{ServerThread, ThreadStep};
use super::{AnnouncingDetector, RemoteTarget};
use crate::engine::discover::ModelInfo;
use crate::engine::{ModelRequest, ReplyPlan};
use crate::event::Json;
use crate::net::request::{Framing, HttpRequest};

/// The path of its answers.
const RUN_PATH: &str = "/run_sse";
/// The user whose sessions these are.
const USER_ID: &str = "user";

pub(super) static RUN: RequestKind = RequestKind {
    name: "adk",
    wanted_fields: &[&["appName", "userId"], &["app_name", "user_id"]],
    default_path: RUN_PATH,
    is_at: |path, _| path.ends_with(RUN_PATH),
    needs_model: true,
    takes_images: true,
    model_list: Some(ModelListPath { replaces: RUN_PATH, path: "/list-apps", body: None, parse: parse_apps }),
    protocol: Some(|_| Box::<AdkProtocol>::default()),
    ..RequestKind::NEW
};

fn parse_apps(answers: &[Option<&Json>]) -> Option<Vec<ModelInfo>> {
    let names = answers.first().copied().flatten()?.as_array()?;
    let names = names.iter().filter_map(Json::as_str);
    let app = |name: &str| ModelInfo { id: name.to_owned(), remark: String::new(), context_window: None };
    Some(names.map(app).collect())
}

/// Identifies a server by its list of apps.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let apps = answers
        .get("/list-apps")
        .filter(|apps| apps.as_array().is_some_and(|apps| !apps.is_empty() && apps.iter().all(Json::is_string)))?;
    Some(ProbedServer {
        description: "Google ADK".into(),
        evidence: "/list-apps lists apps".into(),
        models: parse_apps(&[Some(apps)]).unwrap_or_default(),
        ..answers.server(&RUN, RUN_PATH)
    })
}

#[derive(Default)]
struct AdkProtocol(ServerThread);

impl Protocol for AdkProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let create = || {
            let url = target.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
            let base = url.strip_suffix(RUN_PATH).unwrap_or(url);
            let sessions = format!("{base}/apps/{}/users/{USER_ID}/sessions", request.model);
            HttpRequest::post(sessions, target.headers.clone(), "{}", Framing::Ndjson)
        };
        Some(match self.0.next(request, &["id"], create) {
            ThreadStep::Begin(plan) => plan,
            ThreadStep::Say { id, text } => {
                let images = last_images(request).iter().map(image_part);
                let parts: Vec<Json> = [json!({"text": text})].into_iter().chain(images).collect();
                let body = json!({
                    "appName": request.model, "userId": USER_ID, "sessionId": id, "streaming": true,
                    "newMessage": {"role": "user", "parts": parts},
                });
                ReplyPlan::http(target.post(Vec::new(), &body), decode)
            }
        })
    }
}
