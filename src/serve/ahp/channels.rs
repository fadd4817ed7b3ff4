//! Subscribing: a request for channels is answered with states, or with what was missed, once everything that it names is
//! there.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use super::listing::root_state;
use super::machine::{AhpMachine, AhpStep, ROOT_CHANNEL, Refusal, SESSION_NOT_FOUND_CODE, refusal_of};
use super::pending::{Awaited, ChannelRequest, PendingChannels};
use super::session::{AhpSession, PlacedAction};
use crate::dialect::ahp::encode::{AhpAction, AhpChannel};
use crate::event::{Json, SessionId};
use crate::serve::error::ApiError;
use crate::serve::factory::Model;

impl AhpMachine {
    /// Answers a request once everything that it names is there.
    pub(super) fn ask_for(&mut self, id: &Json, kind: ChannelRequest, channels: Vec<String>, out: &mut Vec<AhpStep>) {
        let mut awaited = BTreeSet::new();
        for channel in &channels {
            if channel == ROOT_CHANNEL {
                // The models may be others by now.
                if awaited.insert(Awaited::Root) {
                    out.push(AhpStep::ListModels);
                }
            } else if let Some((session, _)) = self.host.names.session_of(channel)
                && !self.sessions.contains_key(&session)
            {
                let is_replay = kind == ChannelRequest::Reconnect { is_replay: true };
                let after = self.ledger.place_in(&session).filter(|_| is_replay);
                if self.following.insert(session.clone()) {
                    out.push(AhpStep::Follow(session.clone(), after));
                }
                awaited.insert(Awaited::Session(session));
            }
        }
        let failed = HashMap::new();
        self.pending.push(PendingChannels { request: id.clone(), kind, channels, awaited, failed });
        self.answer_pending(out);
    }

    pub(super) fn handle_models(&mut self, models: &[Model], out: &mut Vec<AhpStep>) {
        self.root = Some(root_state(models));
        self.settle(&Awaited::Root, None, out);
    }

    /// Handles that a session was opened and folded, with the actions that the client missed, or why not.
    pub(super) fn handle_followed(
        &mut self,
        id: &SessionId,
        followed: Result<(AhpSession, Vec<PlacedAction>), ApiError>,
        out: &mut Vec<AhpStep>,
    ) {
        self.following.remove(id);
        let failure = match followed {
            Ok((mut session, missed)) => {
                if self.pending.iter().any(|pending| pending.waits_for_replay_of(id)) {
                    session.held = Some(missed);
                }
                self.sessions.insert(id.clone(), session);
                None
            }
            Err(error) => Some(error),
        };
        self.settle(&Awaited::Session(id.clone()), failure.as_ref(), out);
    }

    fn settle(&mut self, awaited: &Awaited, failure: Option<&ApiError>, out: &mut Vec<AhpStep>) {
        for pending in &mut self.pending {
            pending.settle(awaited, failure);
        }
        self.answer_pending(out);
    }

    fn answer_pending(&mut self, out: &mut Vec<AhpStep>) {
        while let Some(at) = self.pending.iter().position(|pending| pending.awaited.is_empty()) {
            let pending = self.pending.remove(at);
            let answer = match &pending.kind {
                ChannelRequest::Subscribe => self.answer_subscribe(&pending),
                ChannelRequest::Initialize { version } => Ok(json!({
                    "protocolVersion": version, "serverSeq": self.ledger.last(),
                    "serverInfo": {"name": "jarvis-tui", "title": "jarvis-tui", "version": env!("CARGO_PKG_VERSION")},
                    "snapshots": self.snapshots(&pending.channels),
                })),
                ChannelRequest::Reconnect { is_replay: false } => {
                    let snapshots = self.snapshots(&pending.channels);
                    Ok(json!({"type": "snapshot", "snapshots": snapshots}))
                }
                ChannelRequest::Reconnect { is_replay: true } => Ok(self.replay(&pending)),
            };
            for session in
                self.sessions.values_mut().filter(|_| matches!(pending.kind, ChannelRequest::Reconnect { .. }))
            {
                session.held = None;
            }
            match answer {
                Ok(result) => out.push(AhpStep::Send(self.rpc.result(&pending.request, &result))),
                Err((code, why)) => self.refuse(&pending.request, code, &why, out),
            }
        }
    }

    fn answer_subscribe(&mut self, pending: &PendingChannels) -> Result<Json, Refusal> {
        if let Some(error) = pending.failed.values().next() {
            return Err(refusal_of(error));
        }
        let channel = pending.channels.first().map(String::as_str).unwrap_or_default();
        let snapshot = self.snapshot(channel);
        let snapshot = snapshot.ok_or_else(|| (SESSION_NOT_FOUND_CODE, format!("there is no channel {channel}")))?;
        Ok(json!({ "snapshot": snapshot }))
    }

    /// Returns the actions that were missed; from here on the client is sent what follows.
    fn replay(&mut self, pending: &PendingChannels) -> Json {
        let (mut actions, mut missing) = (Vec::new(), Vec::new());
        for channel in &pending.channels {
            let session = self.host.names.session_of(channel).map(|(session, _)| session);
            if channel == ROOT_CHANNEL || session.is_some_and(|session| self.sessions.contains_key(&session)) {
                self.subscribed.insert(channel.clone());
            } else {
                missing.push(channel.clone());
            }
        }
        let mut held: Vec<(SessionId, Vec<PlacedAction>)> =
            self.sessions.iter_mut().filter_map(|(id, session)| Some((id.clone(), session.held.take()?))).collect();
        held.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        for (id, missed) in held {
            actions.extend(missed.into_iter().filter_map(|action| self.envelope_of(&id, action)));
        }
        json!({"type": "replay", "actions": actions, "missing": missing})
    }

    /// Returns the states of channels, as far as they are there, and subscribes the client to them.
    fn snapshots(&mut self, channels: &[String]) -> Vec<Json> {
        channels.iter().filter_map(|channel| self.snapshot(channel)).collect()
    }

    fn snapshot(&mut self, channel: &str) -> Option<Json> {
        let state = if channel == ROOT_CHANNEL {
            self.root.clone()?
        } else {
            let (id, is_chat) = self.host.names.session_of(channel)?;
            let session = self.sessions.get(&id)?;
            self.ledger.mark(&id, session.place());
            if is_chat { session.chat_state() } else { session.session_state() }
        };
        self.subscribed.insert(channel.to_owned());
        Some(json!({"resource": channel, "state": state, "fromSeq": self.ledger.last()}))
    }

    /// Returns an action in its envelope, if its channel is subscribed to.
    pub(super) fn envelope_of(&mut self, id: &SessionId, (place, action): PlacedAction) -> Option<Json> {
        let AhpAction { channel, action, origin } = action;
        let session = self.sessions.get(id)?;
        let channel = if channel == AhpChannel::Chat { &session.chat_uri } else { &session.uri };
        if !self.subscribed.contains(channel) {
            return None;
        }
        let mut envelope = json!({"channel": channel, "action": action, "serverSeq": self.ledger.next(id, place)});
        if let Some((client, seq)) = origin {
            envelope["origin"] = json!({"clientId": client, "clientSeq": seq});
        }
        Some(envelope)
    }
}
