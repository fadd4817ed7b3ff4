//! PURE. Details of a model beyond its name: its context window, and whether it supports tools and takes images. Every server reports
//! them in another place; what can't be parsed is unknown.

use crate::event::Json;
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};

/// Details of a model, as far as the server reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelDetails {
    /// The context window in tokens.
    pub context_window: Option<u64>,
    pub supports_tools: Option<bool>,
    pub takes_images: Option<bool>,
    /// Whether it can think before it answers.
    pub supports_thinking: Option<bool>,
}

/// The requests for the details of a model.
#[derive(Clone, Debug)]
pub struct ModelDetailsQuery {
    /// The server's list of models, which has most details.
    pub list_request: HttpRequest,
    /// Further requests where the list is not enough; see [`ModelDetails::with_answers`].
    pub detail_requests: Vec<HttpRequest>,
}

/// llama.cpp's settings.
const LLAMACPP_PROPS_PATH: &str = "/props";
/// LM Studio's own list, old and new.
const LM_STUDIO_V0_PATH: &str = "/api/v0/models";
const LM_STUDIO_V1_PATH: &str = "/api/v1/models";
/// text-generation-inference's settings.
const TGI_INFO_PATH: &str = "/info";
/// LiteLLM's list.
const LITELLM_INFO_PATH: &str = "/model/info";
/// Ollama behind its OpenAI API: the running models.
const OLLAMA_RUNNING_PATH: &str = "/api/ps";
/// SGLang's settings; newer versions have the window in the list.
const SGLANG_INFO_PATH: &str = "/get_server_info";
/// Tokens that SGLang reserves in its window for an answer and its marks where it only reports the longest input.
const SGLANG_RESERVED_TOKENS: u64 = 6;

impl ModelDetailsQuery {
    /// Returns the requests for a list URL whose base ends in the version (`/v1`) or has none.
    pub(super) fn for_list_url(list: String, headers: &[(String, HttpHeaderValue)]) -> Self {
        let get = |url: String| HttpRequest::get(url, headers.to_vec(), Framing::Ndjson);
        let base = list.split('?').next().unwrap_or_default().trim_end_matches("/models");
        let root = base.strip_suffix("/v1").unwrap_or(base);
        let more = [
            LLAMACPP_PROPS_PATH,
            LM_STUDIO_V0_PATH,
            TGI_INFO_PATH,
            LITELLM_INFO_PATH,
            OLLAMA_RUNNING_PATH,
            LM_STUDIO_V1_PATH,
            SGLANG_INFO_PATH,
        ]
        .map(|path| get(format!("{root}{path}")))
        .to_vec();
        Self { list_request: get(list), detail_requests: more }
    }
}

impl ModelDetails {
    /// Parses the list of models. The second value says whether further requests may add details.
    pub fn from_list(model: &str, list: &Json) -> (Self, bool) {
        let entries = list.as_array().or_else(|| list.get("data")?.as_array());
        let Some(entry) =
            entries.and_then(|entries| find_by_key(entries, "id", model).or_else(|| single_entry(entries)))
        else {
            return (Self::default(), true);
        };
        let parameters = entry.get("supported_parameters").and_then(Json::as_array);
        let listed = entry.pointer("/capabilities/function_calling").and_then(Json::as_bool);
        let takes_tools =
            listed.or_else(|| parameters.map(|list| list.iter().any(|parameter| parameter.as_str() == Some("tools"))));
        let description = Self {
            context_window: context_window_in(entry),
            supports_tools: takes_tools,
            takes_images: takes_images_in(entry),
            supports_thinking: None,
        };
        let owner = entry.get("owned_by").and_then(Json::as_str).unwrap_or_default();
        (description, description.context_window.is_none() || owner == "llamacpp")
    }

    /// Adds the details in the responses to [`ModelDetailsQuery::detail_requests`], in their order.
    #[must_use]
    pub fn with_answers(self, model: &str, answers: &[Option<&Json>]) -> Self {
        let answer = |at: usize| answers.get(at).copied().flatten();
        let props = answer(0);
        let props_window = props.and_then(|props| {
            let slot = props.pointer("/default_generation_settings/n_ctx").and_then(Json::as_u64);
            slot.or_else(|| props.get("n_ctx")?.as_u64())
        });
        let lm_studio = answer(1).and_then(|list| find_by_key(list.get("data")?.as_array()?, "id", model));
        let lm_studio_window = lm_studio.and_then(|entry| {
            let loaded = entry.get("loaded_context_length").and_then(Json::as_u64);
            loaded.or_else(|| entry.get("max_context_length")?.as_u64())
        });
        let tgi = answer(2).filter(|info| info.get("model_id").is_some());
        let tgi_window = tgi.and_then(|info| info.get("max_total_tokens")?.as_u64());
        let litellm = answer(3).and_then(|list| find_by_key(list.get("data")?.as_array()?, "model_name", model));
        let litellm_window = litellm.and_then(|entry| {
            let max_tokens = entry.pointer("/model_info/max_input_tokens").and_then(Json::as_u64);
            max_tokens.or_else(|| entry.pointer("/model_info/max_tokens")?.as_u64())
        });
        let running = answer(4).and_then(|list| find_by_key(list.get("models")?.as_array()?, "name", model));
        let running_window = running.and_then(|entry| entry.get("context_length")?.as_u64());
        let newer = answer(5).and_then(|list| lm_studio_model(list.get("models")?.as_array()?, model));
        let sglang = answer(6).filter(|info| info.get("model_path").is_some());
        let windows = [
            props_window,
            lm_studio_window,
            tgi_window,
            litellm_window,
            running_window,
            newer.and_then(|(entry, loaded)| loaded.or_else(|| entry.get("max_context_length")?.as_u64())),
            sglang.and_then(sglang_context_window),
        ];
        let tools = [
            props.and_then(|props| props.pointer("/chat_template_caps/supports_tools")?.as_bool()),
            lm_studio.and_then(|entry| {
                let list = entry.get("capabilities")?.as_array()?;
                Some(list.iter().any(|capability| capability.as_str() == Some("tool_use")))
            }),
            litellm.and_then(|entry| entry.pointer("/model_info/supports_function_calling")?.as_bool()),
            newer.and_then(|(entry, _)| entry.pointer("/capabilities/trained_for_tool_use")?.as_bool()),
        ];
        let images = [
            props.and_then(|props| props.pointer("/modalities/vision")?.as_bool()),
            lm_studio.and_then(|entry| Some(entry.get("type")?.as_str()? == "vlm")),
            litellm.and_then(|entry| entry.pointer("/model_info/supports_vision")?.as_bool()),
            newer.and_then(|(entry, _)| entry.pointer("/capabilities/vision")?.as_bool()),
        ];
        Self {
            // The settings of a running server outrank what its list says a model supports.
            context_window: windows.into_iter().flatten().find(|tokens| *tokens > 0).or(self.context_window),
            supports_tools: tools.into_iter().flatten().next().or(self.supports_tools),
            takes_images: images.into_iter().flatten().next().or(self.takes_images),
            supports_thinking: None,
        }
    }
}

/// Finds a model in LM Studio's newer list, by its key or by the name it was loaded under, and the window it was loaded
/// with.
fn lm_studio_model<'a>(models: &'a [Json], name: &str) -> Option<(&'a Json, Option<u64>)> {
    let loaded = |entry: &'a Json| entry.get("loaded_instances").and_then(Json::as_array).map(Vec::as_slice);
    let window = |instance: &Json| instance.pointer("/config/context_length").and_then(Json::as_u64);
    let by_instance = models.iter().find_map(|entry| Some((entry, window(find_by_key(loaded(entry)?, "id", name)?))));
    by_instance.or_else(|| {
        let entry = find_by_key(models, "key", name)?;
        Some((entry, loaded(entry).and_then(<[Json]>::first).and_then(window)))
    })
}

/// Parses SGLang's settings and the limits it derived from them.
fn sglang_context_window(info: &Json) -> Option<u64> {
    let limit = |key: &str| info.get(key).and_then(Json::as_u64).filter(|tokens| *tokens > 0);
    limit("context_length").or_else(|| Some(limit("max_req_input_len")?.saturating_add(SGLANG_RESERVED_TOKENS)))
}

/// Returns the context window in an entry of a list of models, in tokens. For a loaded model the actual window counts,
/// not the maximum.
pub(super) fn context_window_in(entry: &Json) -> Option<u64> {
    let places = [
        "/meta/n_ctx",
        "/n_ctx",
        "/max_model_len",
        "/loaded_context_length",
        "/context_length",
        "/context_window",
        "/max_context_length",
        "/max_input_tokens",
        "/meta/n_ctx_train",
    ];
    places.into_iter().find_map(|path| entry.pointer(path)?.as_u64().filter(|tokens| *tokens > 0))
}

/// Returns whether an entry of a list of models names images among what goes in, as OpenRouter's does, or has a word for
/// that, as Mistral's.
fn takes_images_in(entry: &Json) -> Option<bool> {
    let named = |list: &Json| Some(list.as_array()?.iter().any(|modality| modality.as_str() == Some("image")));
    let modalities = ["/architecture/input_modalities", "/input_modalities"];
    let listed = modalities.into_iter().find_map(|path| named(entry.pointer(path)?));
    listed.or_else(|| entry.pointer("/capabilities/vision")?.as_bool())
}

fn find_by_key<'a>(entries: &'a [Json], key: &str, model: &str) -> Option<&'a Json> {
    entries.iter().find(|entry| entry.get(key).and_then(Json::as_str) == Some(model))
}

/// A server with one model answers for it under any name.
fn single_entry(entries: &[Json]) -> Option<&Json> {
    if let [entry] = entries { Some(entry) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(window: Option<u64>, takes_tools: Option<bool>) -> ModelDetails {
        ModelDetails {
            context_window: window,
            supports_tools: takes_tools,
            takes_images: None,
            supports_thinking: None,
        }
    }

    #[test]
    fn a_list_of_models_tells_what_it_can() {
        let list = json!({"data": [
            {"id": "a", "owned_by": "vllm", "max_model_len": 8192},
            {"id": "s", "owned_by": "sglang", "root": "s", "max_model_len": 32768},
            {"id": "l", "owned_by": "openai", "max_input_tokens": 200_000, "max_output_tokens": 8192},
            {"id": "b", "context_length": 131_072, "supported_parameters": ["tools", "top_p"]},
            {"id": "c", "context_length": 4096, "supported_parameters": ["top_p"]},
            {"id": "d", "max_context_length": 32768, "capabilities": {"function_calling": true}},
            {"id": "e", "owned_by": "llamacpp", "meta": {"n_ctx": 2048, "n_ctx_train": 8192}},
            {"id": "f"},
        ]});
        for (model, description, more) in [
            ("a", told(Some(8192), None), false),
            ("s", told(Some(32_768), None), false),
            ("l", told(Some(200_000), None), false),
            ("b", told(Some(131_072), Some(true)), false),
            ("c", told(Some(4096), Some(false)), false),
            ("d", told(Some(32_768), Some(true)), false),
            ("e", told(Some(2048), None), true),
            ("f", told(None, None), true),
            ("g", told(None, None), true),
        ] {
            assert_eq!(ModelDetails::from_list(model, &list), (description, more), "{model}");
        }
        let one = json!({"data": [{"id": "gpt-3.5-turbo", "meta": {"n_ctx_train": 512}}]});
        assert_eq!(ModelDetails::from_list("whatever", &one).0, told(Some(512), None));
        assert_eq!(ModelDetails::from_list("x", &json!("ok")), (told(None, None), true));
    }

    #[test]
    fn every_servers_own_words_are_read() {
        let props =
            json!({"default_generation_settings": {"n_ctx": 1024}, "chat_template_caps": {"supports_tools": false}});
        let studio = json!({"data": [{"id": "m", "loaded_context_length": 4096, "max_context_length": 32768, "capabilities": ["tool_use"]}]});
        let unloaded = json!({"data": [{"id": "m", "max_context_length": 32768}]});
        let tgi = json!({"model_id": "m", "max_total_tokens": 2048});
        let litellm = json!({"data": [{"model_name": "m", "model_info": {"max_input_tokens": 9000, "supports_function_calling": true}}]});
        let running = json!({"models": [{"name": "m", "context_length": 16384}]});
        let newer = json!({"models": [
            {"key": "other", "max_context_length": 1},
            {"key": "q/m", "max_context_length": 32768, "capabilities": {"trained_for_tool_use": true},
                "loaded_instances": [{"id": "m", "config": {"context_length": 4096}}]},
        ]});
        let named_by_key = json!({"models": [{"key": "m", "max_context_length": 32768, "loaded_instances": [],
            "capabilities": {"trained_for_tool_use": false}}]});
        for (at, answer, description) in [
            (0, &props, told(Some(1024), Some(false))),
            (1, &studio, told(Some(4096), Some(true))),
            (1, &unloaded, told(Some(32_768), None)),
            (2, &tgi, told(Some(2048), None)),
            (3, &litellm, told(Some(9000), Some(true))),
            (4, &running, told(Some(16_384), None)),
            (5, &newer, told(Some(4096), Some(true))),
            (5, &named_by_key, told(Some(32_768), Some(false))),
            (
                6,
                &json!({"model_path": "m", "context_length": null, "max_req_input_len": 32762}),
                told(Some(32_768), None),
            ),
            (6, &json!({"model_path": "m", "context_length": 8192, "max_req_input_len": 4000}), told(Some(8192), None)),
            (6, &json!({"context_length": 8192}), told(Some(7), None)),
            (0, &json!({"error": "no"}), told(Some(7), None)),
        ] {
            let mut answers = [None; 7];
            answers[at] = Some(answer);
            assert_eq!(told(Some(7), None).with_answers("m", &answers), description, "{answer}");
        }
    }

    #[test]
    fn what_servers_say_about_images_is_found_where_each_says_it() {
        let list = json!({"data": [
            {"id": "a", "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]}},
            {"id": "b", "architecture": {"input_modalities": ["text"]}},
            {"id": "c", "capabilities": {"vision": true}},
            {"id": "d", "capabilities": {"vision": false}},
            {"id": "e"},
        ]});
        for (model, takes) in
            [("a", Some(true)), ("b", Some(false)), ("c", Some(true)), ("d", Some(false)), ("e", None)]
        {
            assert_eq!(ModelDetails::from_list(model, &list).0.takes_images, takes, "{model}");
        }
        let named = |kind: &str| json!({"data": [{"id": "m", "type": kind}]});
        for (at, answer, takes) in [
            (0, json!({"modalities": {"vision": false, "audio": false}}), Some(false)),
            (1, named("vlm"), Some(true)),
            (1, named("llm"), Some(false)),
            (3, json!({"data": [{"model_name": "m", "model_info": {"supports_vision": null}}]}), None),
            (3, json!({"data": [{"model_name": "m", "model_info": {"supports_vision": true}}]}), Some(true)),
            (5, json!({"models": [{"key": "m", "capabilities": {"vision": false}}]}), Some(false)),
        ] {
            let mut answers = [None; 7];
            answers[at] = Some(&answer);
            assert_eq!(told(None, None).with_answers("m", &answers).takes_images, takes, "{answer}");
        }
    }

    #[test]
    fn it_is_asked_beside_the_version() {
        let urls = |list: &str| {
            ModelDetailsQuery::for_list_url(list.into(), &[])
                .detail_requests
                .into_iter()
                .map(|call| call.url)
                .collect::<Vec<_>>()
        };
        assert_eq!(urls("http://h:1/v1/models")[..2], ["http://h:1/props", "http://h:1/api/v0/models"]);
        assert_eq!(urls("http://h:1/v1/models").last().unwrap(), "http://h:1/get_server_info");
        assert_eq!(urls("http://h/api/models?x=1")[0], "http://h/api/props");
    }
}
