//! PURE. Requests of JSON-RPC in both directions: ours get numbers, and what the other side asks is told from what it
//! answers. Both count on their own, so equal ids are not the same request.

use std::collections::HashMap;

use serde_json::json;

use crate::event::Json;

/// Requests of the agent that wait for an answer.
const MAX_OPEN_QUESTIONS: usize = 64;

/// What a message of the other side is.
pub enum RpcMessage<'a, K> {
    Request {
        id: &'a Json,
        method: &'a str,
        params: &'a Json,
    },
    Notification {
        method: &'a str,
        params: &'a Json,
    },
    /// The answer of a request of this kind: its result or its error.
    Answer {
        kind: K,
        answer: Result<&'a Json, &'a Json>,
    },
    /// An answer of no request of ours, or no message at all.
    Stray,
}

/// The requests that are open; `K` says what each is about.
pub struct RpcRequests<K> {
    /// Whether messages name the version, as the specification wants it.
    names_version: bool,
    sent_count: u64,
    sent: HashMap<u64, K>,
    question_count: u64,
    questions: HashMap<u64, Json>,
}

impl<K> RpcRequests<K> {
    pub fn new(names_version: bool) -> Self {
        Self { names_version, sent_count: 0, sent: HashMap::new(), question_count: 0, questions: HashMap::new() }
    }

    /// Returns the message of a request of ours.
    pub fn request(&mut self, kind: K, method: &str, params: &Json) -> Json {
        let id = self.sent_count;
        self.sent_count += 1;
        self.sent.insert(id, kind);
        self.versioned(json!({"id": id, "method": method, "params": params}))
    }

    pub fn notification(&self, method: &str, params: &Json) -> Json {
        let mut message = json!({"method": method});
        if !params.is_null() {
            message["params"] = params.clone();
        }
        self.versioned(message)
    }

    pub fn result(&self, id: &Json, result: &Json) -> Json {
        self.versioned(json!({"id": id, "result": result}))
    }

    pub fn error(&self, id: &Json, code: i64, message: &str) -> Json {
        self.versioned(json!({"id": id, "error": {"code": code, "message": message}}))
    }

    /// Says what a message is; that a request of ours is answered is noted.
    pub fn classify<'a>(&mut self, message: &'a Json) -> RpcMessage<'a, K> {
        let params = message.get("params").unwrap_or(&Json::Null);
        let id = message.get("id").filter(|id| !id.is_null());
        match (message.get("method").and_then(Json::as_str), id) {
            (Some(method), Some(id)) => RpcMessage::Request { id, method, params },
            (Some(method), None) => RpcMessage::Notification { method, params },
            (None, Some(id)) => {
                let kind = id.as_u64().and_then(|id| self.sent.remove(&id));
                let answer = match (message.get("result"), message.get("error")) {
                    (_, Some(error)) => Err(error),
                    (result, None) => Ok(result.unwrap_or(&Json::Null)),
                };
                kind.map_or(RpcMessage::Stray, |kind| RpcMessage::Answer { kind, answer })
            }
            (None, None) => RpcMessage::Stray,
        }
    }

    /// Forgets requests of ours: their answers will count as strays.
    pub fn forget(&mut self, is_over: impl Fn(&K) -> bool) {
        self.sent.retain(|_, kind| !is_over(kind));
    }

    /// The same, but the other side may still work on them: returns their ids.
    pub fn withdraw(&mut self, is_over: impl Fn(&K) -> bool) -> Vec<u64> {
        let mut ids: Vec<u64> = self.sent.iter().filter(|(_, kind)| is_over(kind)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        self.sent.retain(|id, _| !ids.contains(id));
        ids
    }

    pub fn is_waiting(&self, of: impl Fn(&K) -> bool) -> bool {
        self.sent.values().any(of)
    }

    /// Keeps a question of the agent until it is answered; none where too many wait.
    pub fn keep_question(&mut self, id: &Json) -> Option<u64> {
        if self.questions.len() >= MAX_OPEN_QUESTIONS {
            return None;
        }
        self.question_count += 1;
        self.questions.insert(self.question_count, id.clone());
        Some(self.question_count)
    }

    /// Returns the agent's id of a question that is answered now.
    pub fn take_question(&mut self, number: u64) -> Option<Json> {
        self.questions.remove(&number)
    }

    /// Returns the number of the question with this id.
    pub fn find_question(&self, id: &Json) -> Option<u64> {
        self.questions.iter().find(|(_, known)| *known == id).map(|(number, _)| *number)
    }

    fn versioned(&self, mut message: Json) -> Json {
        if self.names_version {
            message["jsonrpc"] = "2.0".into();
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ids_of_both_sides_are_two_requests() {
        let mut rpc: RpcRequests<&str> = RpcRequests::new(true);
        assert_eq!(rpc.request("hello", "initialize", &json!({}))["id"], 0);
        let asked = json!({"jsonrpc": "2.0", "id": 0, "method": "session/request_permission", "params": {}});
        assert!(matches!(rpc.classify(&asked), RpcMessage::Request { method: "session/request_permission", .. }));
        let number = rpc.keep_question(&asked["id"]).unwrap();
        let answered = json!({"id": 0, "result": {"a": 1}});
        assert!(matches!(rpc.classify(&answered), RpcMessage::Answer { kind: "hello", answer: Ok(_) }));
        assert!(matches!(rpc.classify(&answered), RpcMessage::Stray), "it was answered before");
        assert_eq!((rpc.take_question(number), rpc.take_question(number)), (Some(json!(0)), None));
    }

    #[test]
    fn a_flood_of_questions_is_bounded() {
        let mut rpc: RpcRequests<()> = RpcRequests::new(false);
        let kept = (0..1000).filter_map(|id| rpc.keep_question(&json!(id))).count();
        assert_eq!(kept, MAX_OPEN_QUESTIONS);
        assert_eq!(
            rpc.error(&json!("x"), -32601, "no"),
            json!({"id": "x", "error": {"code": -32601, "message": "no"}})
        );
    }
}
