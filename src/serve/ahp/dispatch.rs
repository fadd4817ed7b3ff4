//! What a client may do, as actions that it dispatches: prompts, decisions, cancellation, a title. Whatever else is
//! rejected, so that the client takes back what it showed already.

use std::fmt::Write as _;

use super::machine::{AhpMachine, AhpStep, Dispatched};
use super::origins::ExpectedEvent;
use super::session::{AhpSession, markdown_text};
use crate::dialect::ahp::encode::AhpOrigin;
use crate::event::{
    CallId, Command, Json, MAX_PROMPT_CONTEXT_BYTES, PromptContext, PromptContextKind, PromptImage, SessionId,
    check_images,
};

/// Messages of a client that may wait.
const MAX_QUEUED_MESSAGES: usize = 64;

impl AhpMachine {
    /// Handles an action of the client.
    pub(super) fn dispatch(&mut self, params: &Json, out: &mut Vec<AhpStep>) {
        let text = |key: &str| params.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let action = params.get("action").cloned().unwrap_or_default();
        let client_seq = params.get("clientSeq").and_then(Json::as_i64).unwrap_or_default();
        let dispatched = Dispatched { channel: text("channel"), action, client_seq };
        if let Err(why) = self.perform_action(&dispatched, out) {
            self.reject(&dispatched, &why, out);
        }
    }

    fn perform_action(&mut self, dispatched: &Dispatched, out: &mut Vec<AhpStep>) -> Result<(), String> {
        let Dispatched { channel, action, client_seq } = dispatched;
        let named = self.host.names.session_of(channel).filter(|(id, _)| self.sessions.contains_key(id));
        let (session, is_chat) = named.ok_or_else(|| format!("{channel} is not subscribed to"))?;
        let word = |key: &str| action.get(key).and_then(Json::as_str).unwrap_or_default();
        let origin = AhpOrigin { client: self.client_id().to_owned(), client_seq: *client_seq, ..AhpOrigin::default() };
        match (word("type"), is_chat) {
            ("chat/turnStarted", true) => {
                let turn = Some(word("turnId").to_owned()).filter(|turn| !turn.is_empty());
                self.prompt(&session, AhpOrigin { turn, ..origin }, dispatched, out)
            }
            ("chat/pendingMessageSet", true) if word("kind") == "steering" => {
                let (text, context) = read_message(action)?;
                out.push(AhpStep::Command(session, Command::Steer { text, context }, None, origin, dispatched.clone()));
                self.echo(dispatched, out);
                Ok(())
            }
            ("chat/pendingMessageSet", true) => self.queue(&session, word("id"), origin, dispatched, out),
            ("chat/pendingMessageRemoved", true) => {
                let queued = self.queued.remove(word("id")).filter(|(of, _)| *of == session);
                let (_, text) = queued.ok_or("no message of this id waits, or another client queued it")?;
                self.host.origins.forget_queued(&session, word("id"));
                out.push(AhpStep::Dequeue(session, text));
                self.echo(dispatched, out);
                Ok(())
            }
            ("chat/toolCallConfirmed", true) => {
                let call = CallId::from(word("toolCallId"));
                let known = self.sessions.get(&session).ok_or("the session has ended")?;
                let (decision, option) = known.decision(&call, action)?;
                let origin = AhpOrigin { option, ..origin };
                out.push(AhpStep::Decide(session, call, decision, origin, dispatched.clone()));
                Ok(())
            }
            ("chat/turnCancelled", true) => {
                let running = self.sessions.get(&session).and_then(|session| session.running_turn());
                if running != Some(word("turnId")) {
                    return Err("this turn does not run".to_owned());
                }
                let expected = Some(ExpectedEvent::Cancellation);
                out.push(AhpStep::Command(session, Command::Cancel, expected, origin, dispatched.clone()));
                Ok(())
            }
            ("session/titleChanged", false) => {
                let title = word("title").to_owned();
                let expected = Some(ExpectedEvent::Title(title.clone()));
                let command = Command::SetTitle { title };
                out.push(AhpStep::Command(session, command, expected, origin, dispatched.clone()));
                Ok(())
            }
            ("session/activeClientSet", _) => Err("tools of clients are not used here".to_owned()),
            (kind, _) => Err(format!("{kind} is not offered here")),
        }
    }

    /// Begins a turn, or lets it wait for the one that runs.
    fn prompt(
        &mut self,
        session: &SessionId,
        origin: AhpOrigin,
        dispatched: &Dispatched,
        out: &mut Vec<AhpStep>,
    ) -> Result<(), String> {
        let (text, context) = read_message(&dispatched.action)?;
        let wanted = dispatched.action.pointer("/message/model/id").and_then(Json::as_str).unwrap_or_default();
        let used = self.sessions.get(session).map(AhpSession::model).unwrap_or_default();
        if !wanted.is_empty() && wanted != used {
            let command = Command::SetModel { model: wanted.to_owned() };
            out.push(AhpStep::Command(session.clone(), command, None, origin.clone(), dispatched.clone()));
        }
        let expected = Some(ExpectedEvent::Prompt(text.clone()));
        let author = self.client_name().map(str::to_owned);
        let command = Command::Prompt { text, context, author };
        out.push(AhpStep::Command(session.clone(), command, expected, origin, dispatched.clone()));
        Ok(())
    }

    fn queue(
        &mut self,
        session: &SessionId,
        id: &str,
        origin: AhpOrigin,
        dispatched: &Dispatched,
        out: &mut Vec<AhpStep>,
    ) -> Result<(), String> {
        if self.queued.contains_key(id) {
            return Err("a message that waits can't be changed; remove it and send another".to_owned());
        }
        if id.is_empty() || self.queued.len() >= MAX_QUEUED_MESSAGES {
            return Err("a message has an id, and not too many may wait".to_owned());
        }
        let (text, _) = read_message(&dispatched.action)?;
        self.queued.insert(id.to_owned(), (session.clone(), text));
        let origin = AhpOrigin { queued_message: Some(id.to_owned()), ..origin };
        self.echo(dispatched, out);
        self.prompt(session, origin, dispatched, out)
    }
}

/// Reads the message of an action: its words, and what goes with them.
fn read_message(action: &Json) -> Result<(String, Vec<PromptContext>), String> {
    let message = action.get("message").unwrap_or(&Json::Null);
    let mut text = message.get("text").and_then(Json::as_str).unwrap_or_default().to_owned();
    let (mut context, mut places) = (Vec::new(), Vec::new());
    for attachment in message.get("attachments").and_then(Json::as_array).into_iter().flatten() {
        let word = |key: &str| attachment.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "simple" => {
                let text = attachment.get("modelRepresentation").map(markdown_text).unwrap_or_default();
                context.push(PromptContext { kind: PromptContextKind::File, name: word("label").to_owned(), text });
            }
            "resource" => places.push(shown_place(word("uri"))),
            "embeddedResource" if word("contentType").starts_with("image/") => {
                let image = PromptImage::from_base64(word("data"))?;
                let name = format!(
                    "image {}",
                    context.iter().filter(|part: &&PromptContext| part.image().is_some()).count() + 1
                );
                context.push(PromptContext::from_image(name, image));
            }
            "" => return Err("an attachment without a type".to_owned()),
            other => return Err(format!("attachments of type {other} ({}) are not taken", word("contentType"))),
        }
    }
    if !places.is_empty() {
        // Writing to a string doesn't fail.
        let _ = write!(text, "\n\nAttached: {}", places.join(", "));
    }
    check_images(&context)?;
    if PromptContext::total_bytes(&context) > MAX_PROMPT_CONTEXT_BYTES {
        return Err(format!("at most {MAX_PROMPT_CONTEXT_BYTES} bytes of files go with a prompt"));
    }
    if text.trim().is_empty() {
        return Err("the message has no text".to_owned());
    }
    Ok((text, context))
}

/// Returns the path of a file, or the URI of anything else, as code.
fn shown_place(uri: &str) -> String {
    let path = url::Url::parse(uri).ok().and_then(|url| url.to_file_path().ok());
    format!("`{}`", path.map_or_else(|| uri.to_owned(), |path| path.display().to_string()))
}
