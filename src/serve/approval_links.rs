//! One-time links with which a person decides one call: off unless the settings name a program that gets them.
//!
//! A link is made when an approval is requested. GET shows what is asked and changes nothing, so that programs which look
//! at links decide nothing; POST decides, once. Of its 128 random bits only the hash is kept, in memory; the link itself
//! goes to the program and nowhere else, neither into events nor into logs. Whoever has it needs no token: it is good for
//! that call, until it was decided or the time is over. Wrong ones are answered slowly from a number on.

mod decision_page;
mod hook;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::Response;
use axum::routing::get;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use self::decision_page::DecisionPage;
use super::Surface;
use super::access::{BodyBytes, LINK_PATH};
use super::error::native_error_body;
use super::link_table::{ApprovalLink, LinkLookup, LinkState};
use super::running_session::{DecisionClaim, RunningSession};
use super::state::ServerState;
use crate::bridge::HubItem;
use crate::bridge::hub::Subscription;
use crate::dialect::offered_decisions::{OfferedDecision, offered_decisions};
use crate::event::{AgentEvent, AnswerKind, ApprovalRequest, CallId, Command, DecidedBy, Decision, SessionId};

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &[LINK_PATH], error_format: native_error_body };

/// How long it may take until a decision becomes an event.
const DECISION_TIMEOUT: Duration = Duration::from_secs(5);

fn routes() -> Router<ServerState> {
    Router::new().route("/approve/{secret}", get(show).post(decide))
}

/// Makes links for what is asked in a session from here on, and takes them back when it is decided.
pub(super) fn watch(state: ServerState, session: SessionId, events: Subscription) -> BoxFuture<'static, ()> {
    Box::pin(make_links(state, session, events))
}

async fn make_links(state: ServerState, session: SessionId, mut events: Subscription) {
    let Some(settings) = state.settings().approval_links.clone() else { return };
    while let Some(item) = events.next().await {
        let HubItem::Event(event) = item else { continue };
        match &event.envelope.event {
            AgentEvent::ApprovalRequested { call, request } => {
                let link = ApprovalLink {
                    session: session.clone(),
                    call: call.clone(),
                    request: request.clone(),
                    expires_at: Instant::now() + settings.lifetime,
                    state: LinkState::Open,
                };
                match state.approval_links().add(link) {
                    Ok(secret) => {
                        let (settings, session, request) = (settings.clone(), session.clone(), request.clone());
                        state.spawn(async move { settings.deliver(&secret, &session, &request).await });
                    }
                    Err(why) => tracing::warn!("an approval has no link: {why}"),
                }
            }
            AgentEvent::ApprovalResolved { call, decision, by } => {
                state.approval_links().settle(&session, call, decision, *by);
            }
            _ => {}
        }
    }
    state.approval_links().drop_session(&session);
}

/// Returns what a link may decide: this call, and nothing beyond it.
fn choices(request: &ApprovalRequest) -> Vec<OfferedDecision> {
    let once = |offered: &OfferedDecision| matches!(offered.kind, AnswerKind::AllowOnce | AnswerKind::RejectOnce);
    offered_decisions(request).into_iter().filter(once).collect()
}

async fn show(Shared(state): Shared<ServerState>, Path(secret): Path<String>) -> Response<Body> {
    match state.approval_links().find(&secret) {
        LinkLookup::Open(link) => DecisionPage::ask(&link).to_response(200),
        LinkLookup::Over(state) => DecisionPage::over(&state).to_response(410),
        LinkLookup::Unknown => DecisionPage::unknown().to_response(404),
        LinkLookup::TooManyGuesses => DecisionPage::too_many().to_response(429),
    }
}

async fn decide(
    Shared(state): Shared<ServerState>,
    Path(secret): Path<String>,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    let link = match state.approval_links().find(&secret) {
        LinkLookup::Open(link) => link,
        LinkLookup::Over(state) => return DecisionPage::over(&state).to_response(410),
        LinkLookup::Unknown => return DecisionPage::unknown().to_response(404),
        LinkLookup::TooManyGuesses => return DecisionPage::too_many().to_response(429),
    };
    let wanted = url::form_urlencoded::parse(&body).find(|(key, _)| key == "decision").map(|(_, value)| value);
    let chosen = choices(&link.request).into_iter().find(|offered| wanted.as_deref() == Some(offered.id.as_str()));
    let Some(OfferedDecision { decision, .. }) = chosen else {
        return DecisionPage::ask(&link).to_response(400);
    };
    // Single use: from here on nobody else can.
    if !state.approval_links().take(&secret) {
        return DecisionPage::over(&LinkState::Used).to_response(410);
    }
    let Some(session) = state.find_running(&link.session) else {
        return DecisionPage::over(&LinkState::Gone).to_response(410);
    };
    match pass_on(&session, &link.call, decision).await {
        Some((decision, by)) => {
            let state = LinkState::Decided(decision, by);
            DecisionPage::over(&state).to_response(if by == DecidedBy::Link { 200 } else { 409 })
        }
        None => DecisionPage::over(&LinkState::Gone).to_response(410),
    }
}

/// Passes a decision on, and returns which one counts; none if the session takes none any more.
async fn pass_on(session: &RunningSession, call: &CallId, decision: Decision) -> Option<(Decision, DecidedBy)> {
    let mut events = session.handle.hub.subscribe(session.handle.hub.last_seq());
    match session.claim_decision(call, &decision) {
        DecisionClaim::First => {}
        DecisionClaim::Late(decision, by) => return Some((decision, by.unwrap_or(DecidedBy::Remote))),
        DecisionClaim::Unknown => return None,
    }
    let command = Command::DecideByLink { call: call.clone(), decision };
    if session.handle.commands.try_send(command).is_err() {
        session.release_decision(call);
        return None;
    }
    // It counts once it is an event: the turn may have been cancelled an instant before.
    let resolved = timeout(DECISION_TIMEOUT, async {
        loop {
            if let Some(known) = session.resolution(call) {
                return Some(known);
            }
            events.next().await?;
        }
    });
    resolved.await.ok().flatten()
}
