//! What the surfaces have in common that are a vendor's API for models: a request that tells the whole conversation,
//! the client's own tools, and an answer that can't be resumed.

use axum::body::Body;
use axum::http::{HeaderMap, Response};

use super::client_tools::ClientTools;
use super::error::ApiError;
use super::fields::{Fields, wrong_type};
use super::image_parts::ClientPrompt;
use super::oneshot::{self, Framing};
use super::request::OneShotRequest;
use super::responses::conversation_builder::ConversationBuilder;
use super::state::ServerState;
use crate::dialect::Encode;
use crate::dialect::model_answer::ModelAnswerOptions;
use crate::event::{Json, PromptContext, PromptImage, SamplingParams, SessionId, ToolSpec};

/// A parsed request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct VendorRequest {
    pub(super) one_shot: OneShotRequest,
    pub(super) stream: bool,
    pub(super) sends_thoughts: bool,
    /// An estimate, of the tools too.
    pub(super) prompt_tokens: u64,
}

impl VendorRequest {
    /// Puts a request together. `at` is the field of the conversation.
    pub(super) fn build(
        conversation: ConversationBuilder,
        at: &str,
        tools: ClientTools,
        sampling: SamplingParams,
    ) -> Result<Self, ApiError> {
        let conversation = conversation.build(at)?;
        let prompt_tokens = conversation.prompt_tokens + tools_tokens(&tools);
        let one_shot = OneShotRequest {
            client_tools: tools.allowed,
            sampling: SamplingParams { tool_choice_required: tools.tool_choice_required, ..sampling },
            left_out: tools.left_out,
            ends_with_client: true,
            ..conversation.into_request()
        };
        Ok(Self { one_shot, prompt_tokens, ..Self::default() })
    }

    /// Names the model as the client did, which chooses whose tools there are.
    #[must_use]
    pub(super) fn with_model(mut self, model: Option<&str>) -> Self {
        self.one_shot.model = model.map(str::trim).filter(|model| !model.is_empty()).map(Into::into);
        self.one_shot.choose_by_name();
        self
    }
}

/// Estimates the tokens of the tools' descriptions: one per four characters.
fn tools_tokens(tools: &ClientTools) -> u64 {
    let length = |parameters: &Json| parameters.to_string().len();
    let tool = |spec: &ToolSpec| spec.name.len() + spec.description.len() + length(&spec.parameters);
    tools.allowed.iter().flatten().map(tool).sum::<usize>() as u64 / 4
}

/// Responds to a request.
pub(super) async fn respond(
    state: &ServerState,
    headers: &HeaderMap,
    request: VendorRequest,
    framing: Framing,
    encoder: impl FnOnce(&SessionId, ModelAnswerOptions) -> Box<dyn Encode>,
) -> Result<Response<Body>, ApiError> {
    let VendorRequest { mut one_shot, sends_thoughts, prompt_tokens, .. } = request;
    one_shot.keep_running = oneshot::should_keep_running(headers);
    let options = ModelAnswerOptions {
        model: one_shot.model.clone().unwrap_or_default(),
        sends_thoughts,
        client_tools: one_shot.client_tools.is_some(),
        prompt_tokens,
    };
    oneshot::run(state, one_shot, framing, |session| encoder(session, options)).await
}

/// What a message of the user says, while its parts are read.
#[derive(Debug, Default)]
pub(super) struct MessageParts {
    text: String,
    images: Vec<PromptContext>,
}

impl MessageParts {
    pub(super) fn push_text(&mut self, text: &str) {
        if !self.text.is_empty() && !text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }

    /// Adds an image in base64.
    pub(super) fn push_base64_image(&mut self, data: &str, at: &str) -> Result<(), ApiError> {
        let image = PromptImage::from_base64(data).map_err(|why| unsupported_content(at, &why))?;
        self.images.push(PromptContext::from_image(format!("image {}", self.images.len() + 1), image));
        Ok(())
    }

    /// Returns the message; none where nothing was said. Images alone are of the results before them.
    pub(super) fn into_prompt(self) -> Option<ClientPrompt> {
        let Self { mut text, images } = self;
        if text.is_empty() {
            if images.is_empty() {
                return None;
            }
            text.push_str("These are the images.");
        }
        Some(ClientPrompt { text, images })
    }
}

/// Returns an object in a list.
pub(super) fn object<'v>(value: &'v Json, at: &str) -> Result<&'v Fields, ApiError> {
    value.as_object().ok_or_else(|| wrong_type(at, "an object"))
}

/// Something of a message that the model can't be given.
pub(super) fn unsupported_content(at: &str, why: &str) -> ApiError {
    ApiError::new(400, "unsupported_content", format!("{at}: {why}")).with_param(at)
}
