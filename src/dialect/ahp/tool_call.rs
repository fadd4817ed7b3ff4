//! What a host says of a call: fields that come one after another.

use crate::dialect::acp::PermissionRequest;
use crate::dialect::program_reply::word;
use crate::event::{AnswerKind, ApprovalRequest, CallId, CallOutcome, Json, OfferedAnswer, Risk, ToolKind};

/// Bytes of what is shown to who decides.
const MAX_DETAIL_BYTES: usize = 256 * 1024;
/// Bytes of what a call is about, in one line.
const MAX_SUBJECT_BYTES: usize = 16 * 1024;
/// Answers that a question may offer.
const MAX_OFFERED_ANSWERS: usize = 16;
/// The answers to a question that offers none.
pub const APPROVE_ANSWER: &str = "approve";
pub const DENY_ANSWER: &str = "deny";

/// All that is known of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct AhpCall {
    pub(super) name: String,
    /// What it is to do, in words.
    message: String,
    title: String,
    input: Option<Json>,
    /// The files that it is to change.
    edited: Vec<String>,
    options: Vec<Json>,
    /// How it ended, and what it gave, until that is told.
    pub(super) result: Option<(CallOutcome, String)>,
}

impl AhpCall {
    /// Takes over what is told; what isn't stays.
    pub(super) fn merge(&mut self, told: &Json) {
        for (field, value) in [
            (&mut self.name, word(told, "toolName").to_owned()),
            (&mut self.message, told.get("invocationMessage").map(markdown).unwrap_or_default()),
            (&mut self.title, told.get("confirmationTitle").map(markdown).unwrap_or_default()),
        ] {
            if !value.is_empty() {
                *field = value;
            }
        }
        if self.name.is_empty() {
            "tool".clone_into(&mut self.name);
        }
        if let Some(input) = told.get("toolInput").filter(|input| !input.is_null()) {
            self.input = Some(input.clone());
        }
        if let Some(edits) = told.pointer("/edits/items").and_then(Json::as_array) {
            let sides = edits.iter().flat_map(|edit| ["/before/uri", "/after/uri"].map(|place| edit.pointer(place)));
            self.edited = sides.flatten().filter_map(Json::as_str).map(file_path).collect();
            self.edited.dedup();
        }
        if let Some(options) = told.get("options").and_then(Json::as_array) {
            self.options = options.iter().take(MAX_OFFERED_ANSWERS).cloned().collect();
        }
    }

    /// The arguments: the input, where that is JSON, or what it is.
    pub(super) fn args(&self) -> Option<Json> {
        Some(match self.input.as_ref()? {
            Json::String(text) => match serde_json::from_str::<Json>(text) {
                Ok(object @ Json::Object(_)) => object,
                _ => serde_json::json!({ "input": text }),
            },
            reference => serde_json::json!({ "input": reference }),
        })
    }

    /// Keeps how it ended.
    pub(super) fn take_result(&mut self, result: &Json) {
        let is_done = result.get("success") == Some(&Json::Bool(true));
        let text = content_text(result.get("content").unwrap_or(&Json::Null));
        let text = match (text.is_empty(), result.pointer("/error/message").and_then(Json::as_str)) {
            (false, _) => text,
            (true, Some(error)) => error.to_owned(),
            (true, None) => result
                .get("structuredContent")
                .filter(|value| value.is_object())
                .map(Json::to_string)
                .unwrap_or_default(),
        };
        self.result = Some((if is_done { CallOutcome::Ok } else { CallOutcome::Failed }, text));
    }

    /// Returns what is asked about it: whether it may run, or whether this result may be used.
    pub(super) fn permission_request(&self, id: &str, result: Option<&Json>) -> PermissionRequest {
        let args = self.args();
        let command = args.as_ref().and_then(|args| args.get("command")?.as_str()).map(str::to_owned);
        // What is of an unknown kind may do anything.
        let (kind, risk) = match (&command, self.edited.is_empty()) {
            (Some(_), _) => (ToolKind::Execute, Risk::Execute),
            (None, false) => (ToolKind::Edit, Risk::Write),
            (None, true) => (ToolKind::Other, Risk::Execute),
        };
        let edited = (!self.edited.is_empty()).then(|| self.edited.join(", "));
        let worded = Some(&self.message).filter(|text| !text.is_empty()).cloned();
        let mut subject = command.or(edited).or(worded).unwrap_or_else(|| self.name.clone());
        subject.truncate(subject.floor_char_boundary(MAX_SUBJECT_BYTES));
        let input = args.map(|args| serde_json::to_string_pretty(&args).unwrap_or_default());
        let shown = match result {
            Some(result) => {
                Some(format!("its result:\n{}", content_text(result.get("content").unwrap_or(&Json::Null))))
            }
            None => input,
        };
        let parts = [self.title.clone(), self.message.clone()].into_iter().chain(shown);
        let parts = parts.filter(|part| !part.trim().is_empty() && *part != subject);
        let mut detail = parts.collect::<Vec<_>>().join("\n");
        if detail.len() > MAX_DETAIL_BYTES {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
            detail.push_str("\n[… cut]");
        }
        let request = ApprovalRequest {
            tool: self.name.clone(),
            kind,
            risk,
            subject,
            folder: String::new(),
            detail,
            pattern: None,
            expires_at: None,
            answers: if result.is_some() { usual_answers() } else { self.answers() },
            hunks: 0,
            sandbox: None,
        };
        PermissionRequest { call: CallId::new(id), request, paths: self.edited.clone(), new_texts: Vec::new() }
    }

    /// The first approval is for once, those after it for longer; so are the denials.
    fn answers(&self) -> Vec<OfferedAnswer> {
        let (mut approvals, mut denials) = (0, 0);
        let offered = self.options.iter().filter_map(|option| {
            let kind = match word(option, "kind") {
                "approve" => {
                    approvals += 1;
                    if approvals == 1 { AnswerKind::AllowOnce } else { AnswerKind::AllowAlways }
                }
                "deny" => {
                    denials += 1;
                    if denials == 1 { AnswerKind::RejectOnce } else { AnswerKind::RejectAlways }
                }
                _ => return None,
            };
            let (id, label) = (word(option, "id"), word(option, "label"));
            let label = if label.trim().is_empty() { id } else { label };
            (!id.is_empty()).then(|| OfferedAnswer { id: id.to_owned(), label: label.to_owned(), kind })
        });
        let offered: Vec<OfferedAnswer> = offered.collect();
        if offered.is_empty() { usual_answers() } else { offered }
    }
}

fn usual_answers() -> Vec<OfferedAnswer> {
    [(APPROVE_ANSWER, "yes", AnswerKind::AllowOnce), (DENY_ANSWER, "no", AnswerKind::RejectOnce)]
        .map(|(id, label, kind)| OfferedAnswer { id: id.to_owned(), label: label.to_owned(), kind })
        .into()
}

/// A string, or an object that marks it as Markdown.
pub(super) fn markdown(text: &Json) -> String {
    text.as_str().or_else(|| text.get("markdown")?.as_str()).unwrap_or_default().to_owned()
}

/// What a call gave, as text; what is no text is named.
pub(super) fn content_text(content: &Json) -> String {
    let blocks = content.as_array().into_iter().flatten().map(|block| match word(block, "type") {
        "text" => word(block, "text").to_owned(),
        "resource" => format!("[resource {}]", word(block, "uri")),
        "fileEdit" => {
            let place = ["/after/uri", "/before/uri"].into_iter().find_map(|place| block.pointer(place)?.as_str());
            format!("[changed {}]", file_path(place.unwrap_or_default()))
        }
        "terminal" => match block.pointer("/result/preview").and_then(Json::as_str) {
            Some(preview) => preview.to_owned(),
            None => format!("[terminal {}]", word(block, "title")),
        },
        "subagent" => format!("[sub-agent {}]", word(block, "title")),
        other => format!("[{other}]"),
    });
    blocks.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

fn file_path(uri: &str) -> String {
    uri.strip_prefix("file://").unwrap_or(uri).to_owned()
}
