//! PURE. Opening a session of a host: one that is made for the conversation, or one that is joined, and what was said in it.

use serde_json::json;

use super::{AhpPeer, AhpRequest, PROTOCOL_VERSIONS, ROOT_CHANNEL, word};
use crate::bridge::peer::LAST_SESSION;
use crate::bridge::peer::protocol::{PeerProtocol as _, PeerStep};
use crate::event::{ApprovalMode, Fault, FaultKind, Json, NoticeCode, NoticeLevel, TurnOutcome};

/// Sessions that are asked for, to find the newest.
const MAX_LISTED_SESSIONS: u32 = 100;
/// Sessions that are named where the wanted one is not there.
const MAX_NAMED_SESSIONS: usize = 8;

impl AhpPeer {
    pub(super) fn handle_initialized(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        let version = word(result, "/protocolVersion");
        if !PROTOCOL_VERSIONS.contains(&version) {
            let text = format!("the host speaks version {version:?} of the protocol, which is not spoken here");
            return out.push(PeerStep::Failed(Fault::new(FaultKind::Protocol, text)));
        }
        self.host_folder = result.get("defaultDirectory").and_then(Json::as_str).map(str::to_owned);
        let snapshots = result.get("snapshots").and_then(Json::as_array).into_iter().flatten();
        let mut roots = snapshots.filter(|snapshot| word(snapshot, "/resource") == ROOT_CHANNEL);
        let agents = roots.next().and_then(|root| root.pointer("/state/agents")?.as_array());
        let agents = agents.map(Vec::as_slice).unwrap_or_default();
        self.choose_agent(agents);
        let title = word(result, "/serverInfo/title");
        let name = if title.is_empty() { word(result, "/serverInfo/name") } else { title };
        if !self.is_again {
            let name = if name.is_empty() { "the host" } else { name };
            let whose = if self.wanted.is_remote { "where they run" } else { "with your rights" };
            let text = format!("{name} speaks the Agent Host Protocol {version}; its agents act themselves, {whose}");
            out.push(PeerStep::notice(NoticeLevel::Info, NoticeCode::Found, text));
        }
        match self.wanted.session.clone() {
            None => self.create_session(out),
            Some(session) if session == LAST_SESSION => {
                let params = json!({"channel": ROOT_CHANNEL, "limit": MAX_LISTED_SESSIONS});
                self.send(AhpRequest::ListSessions, "listSessions", &params, out);
            }
            Some(session) => self.join(session, out),
        }
    }

    /// Chooses the agent that has the wanted model, or else the first.
    fn choose_agent(&mut self, agents: &[Json]) {
        let models = |agent: &Json| -> Vec<String> {
            let models = agent.get("models").and_then(Json::as_array).into_iter().flatten();
            models.map(|model| word(model, "/id").to_owned()).collect()
        };
        let wanted = self.model.clone();
        let has_it = |agent: &&Json| wanted.as_ref().is_some_and(|wanted| find(&models(agent), wanted).is_some());
        let Some(agent) = agents.iter().find(has_it).or(agents.first()) else { return };
        self.models = models(agent);
        self.provider = Some(word(agent, "/provider").to_owned()).filter(|provider| !provider.is_empty());
        if let Some(wanted) = &self.model {
            self.model = Some(find(&self.models, wanted).unwrap_or(wanted).to_owned());
        }
    }

    fn create_session(&mut self, out: &mut Vec<PeerStep>) {
        self.session = format!("ahp-session:/{}", self.wanted.client_id);
        let ours = url::Url::from_file_path(&self.wanted.folder).ok().map(String::from);
        // Ours need not be there.
        let folder = if self.wanted.is_remote { self.host_folder.clone() } else { ours };
        let mut params = json!({ "channel": self.session });
        if let Some(provider) = &self.provider {
            params["provider"] = provider.as_str().into();
        }
        if let Some(folder) = folder {
            params["workingDirectories"] = json!([folder]);
        }
        self.send(AhpRequest::CreateSession, "createSession", &params, out);
    }

    fn join(&mut self, session: String, out: &mut Vec<PeerStep>) {
        self.session = if session.contains(':') { session } else { format!("ahp-session:/{session}") };
        let session = self.session.clone();
        self.subscribe(AhpRequest::Session, &session, out);
    }

    pub(super) fn handle_sessions(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        let sessions = result.get("items").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let here = url::Url::from_file_path(&self.wanted.folder).ok().map(String::from).unwrap_or_default();
        let is_here = |session: &&Json| {
            let folders = session.get("workingDirectories").and_then(Json::as_array).into_iter().flatten();
            let mut folders = folders.filter_map(Json::as_str).map(|folder| folder.trim_end_matches('/'));
            self.wanted.is_remote || folders.any(|folder| folder == here)
        };
        let newest = sessions.iter().filter(is_here).max_by_key(|session| word(session, "/modifiedAt"));
        if let Some(session) = newest.map(|session| word(session, "/resource")).filter(|uri| !uri.is_empty()) {
            return self.join(session.to_owned(), out);
        }
        let known: Vec<&str> =
            sessions.iter().take(MAX_NAMED_SESSIONS).map(|session| word(session, "/resource")).collect();
        let known = if known.is_empty() { String::new() } else { format!("; elsewhere: {}", known.join(", ")) };
        Self::fail(format!("the host keeps no session of this folder{known}"), out);
    }

    pub(super) fn handle_session(&mut self, state: &Json, out: &mut Vec<PeerStep>) {
        match word(state, "/lifecycle") {
            "failed" => return Self::fail(failure_words(state.get("creationError")), out),
            // It says when it is ready.
            "creating" => return,
            _ => {}
        }
        let chat = [word(state, "/defaultChat"), word(state, "/chats/0/resource")];
        if let Some(chat) = chat.into_iter().find(|chat| !chat.is_empty()) {
            chat.clone_into(&mut self.chat);
            return self.subscribe(AhpRequest::Chat, chat, out);
        }
        self.chat = format!("ahp-chat:/{}", self.wanted.client_id);
        let params = json!({"channel": self.session, "chat": self.chat});
        self.send(AhpRequest::CreateChat, "createChat", &params, out);
    }

    pub(super) fn handle_chat(&mut self, state: &Json, out: &mut Vec<PeerStep>) {
        let turns = state.get("turns").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for turn in turns {
            out.push(PeerStep::PersonSaid(word(turn, "/message/text").to_owned()));
            self.tell_turn(turn, out);
            self.end_reply(TurnOutcome::Completed, out);
        }
        let active = state.get("activeTurn").filter(|turn| turn.is_object());
        let used = active.into_iter().chain(turns.last()).map(|turn| word(turn, "/message/model/id"));
        let used = used.map(str::to_owned).find(|model| !model.is_empty());
        self.open(used, out);
        if let Some(turn) = active {
            word(turn, "/id").clone_into(&mut self.turn);
            out.push(PeerStep::PersonSaid(word(turn, "/message/text").to_owned()));
            self.tell_turn(turn, out);
        }
    }

    fn open(&mut self, used: Option<String>, out: &mut Vec<PeerStep>) {
        self.is_opening = false;
        if self.wanted.mode == ApprovalMode::Plan {
            self.set_mode(ApprovalMode::Plan, out);
        }
        out.push(PeerStep::Opened { model: self.model.clone().or(used).unwrap_or_default() });
    }

    pub(super) fn tell_turn(&mut self, turn: &Json, out: &mut Vec<PeerStep>) {
        let mut events = Vec::new();
        let asked = self.decoder.handle_turn(turn, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
        for asked in asked {
            self.ask(asked, false, out);
        }
    }

    pub(super) fn handle_reconnected(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        let holds = |list: &str| {
            let entries = result.get(list).and_then(Json::as_array).into_iter().flatten();
            let mut channels = entries.filter_map(|entry| entry.as_str().or_else(|| entry.get("resource")?.as_str()));
            channels.any(|channel| channel == self.chat)
        };
        let is_there = if word(result, "/type") == "snapshot" { holds("snapshots") } else { !holds("missing") };
        if !is_there {
            return Self::fail("the host no longer has the session", out);
        }
        let actions = result.get("actions").and_then(Json::as_array).into_iter().flatten();
        let newest = actions.filter_map(|action| action.get("serverSeq")?.as_u64()).max();
        self.server_seq = newest.unwrap_or(self.server_seq);
        self.open(None, out);
    }
}

/// Returns the value that a person means: it, or its end behind a slash.
pub(super) fn find<'a>(values: &'a [String], wanted: &str) -> Option<&'a str> {
    let ends = |value: &&String| value.rsplit('/').next() == Some(wanted);
    let exact = values.iter().find(|value| *value == wanted);
    exact.or_else(|| values.iter().find(ends)).map(String::as_str)
}

pub(super) fn failure_words(error: Option<&Json>) -> String {
    let words = error.map(|error| word(error, "/message")).filter(|words| !words.is_empty());
    format!("the host could not open the session: {}", words.unwrap_or("it gave no reason"))
}
