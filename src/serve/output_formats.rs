//! PURE. The formats that clients want answers in, as each API says it.

use super::error::ApiError;
use super::fields::{Fields, field_path, get_bool_at, get_object, get_object_at, get_string, get_value, wrong_type};
use super::request::WantedFormat;
use crate::event::{Json, OutputFormat, OutputSchema};

/// Parses `response_format` of chat completions.
pub(super) fn of_chat(fields: &Fields) -> Result<Option<WantedFormat>, ApiError> {
    let param = "response_format";
    let Some(format) = get_object(fields, param)? else { return Ok(None) };
    of_openai(format, get_object_at(format, "json_schema", param)?, param)
}

/// Parses `text.format` of Responses.
pub(super) fn of_responses(fields: &Fields) -> Result<Option<WantedFormat>, ApiError> {
    let Some(text) = get_object(fields, "text")? else { return Ok(None) };
    let Some(format) = get_object_at(text, "format", "text")? else { return Ok(None) };
    of_openai(format, Some(format), "text.format")
}

/// Parses a format of OpenAI's, whose schema is described in `described`.
fn of_openai(
    format: &Fields,
    described: Option<&Fields>,
    param: &'static str,
) -> Result<Option<WantedFormat>, ApiError> {
    match get_string(format, "type", param)? {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(WantedFormat { format: OutputFormat::Json, param })),
        Some("json_schema") => {
            let described = described.ok_or_else(|| wrong_type(&field_path(param, "json_schema"), "an object"))?;
            let word = |name: &str| get_string(described, name, param).map(|word| word.map(str::to_owned));
            let schema = OutputSchema {
                name: word("name")?,
                description: word("description")?,
                schema: schema(described, "schema", param)?,
                strict: get_bool_at(described, "strict", param)?,
            };
            Ok(Some(WantedFormat { format: OutputFormat::Schema(schema), param }))
        }
        Some(kind) => Err(unsupported(param, &format!("{param} of type {kind:?}"), "json_object and json_schema")),
    }
}

/// Parses `output_config.format` of Messages, or `output_format`, as it was called before.
pub(super) fn of_messages(fields: &Fields) -> Result<Option<WantedFormat>, ApiError> {
    let config = get_object(fields, "output_config")?;
    let config = config.map(|config| get_object_at(config, "format", "output_config")).transpose()?.flatten();
    let (format, param) = match config {
        Some(format) => (Some(format), "output_config.format"),
        None => (get_object(fields, "output_format")?, "output_format"),
    };
    let Some(format) = format else { return Ok(None) };
    match get_string(format, "type", param)? {
        Some("json_schema") => {
            let format = OutputFormat::Schema(OutputSchema::new(schema(format, "schema", param)?));
            Ok(Some(WantedFormat { format, param }))
        }
        kind => {
            let kind = kind.unwrap_or_default();
            Err(unsupported(param, &format!("{param} of type {kind:?}"), "json_schema"))
        }
    }
}

/// Parses Ollama's `format`.
pub(super) fn of_ollama(fields: &Fields) -> Result<Option<WantedFormat>, ApiError> {
    let param = "format";
    let format = match get_value(fields, param) {
        None => return Ok(None),
        Some(Json::String(format)) if format.is_empty() => return Ok(None),
        Some(Json::String(format)) if format == "json" => OutputFormat::Json,
        Some(schema @ Json::Object(_)) => OutputFormat::Schema(OutputSchema::new(schema.clone())),
        Some(_) => return Err(wrong_type(param, "\"json\" or a JSON schema")),
    };
    Ok(Some(WantedFormat { format, param }))
}

/// Returns the schema in a field.
fn schema(fields: &Fields, name: &str, at: &str) -> Result<Json, ApiError> {
    let schema = get_object_at(fields, name, at)?.cloned();
    schema.map(Json::Object).ok_or_else(|| wrong_type(&field_path(at, name), "a JSON schema"))
}

fn unsupported(param: &str, what: &str, known: &str) -> ApiError {
    let text = format!("{what} is not supported; {known} are, and text without it");
    ApiError::new(400, "unsupported_parameter", text).with_param(param)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Parser = fn(&Fields) -> Result<Option<WantedFormat>, ApiError>;

    fn parse(parser: Parser, body: &Json) -> Result<Option<WantedFormat>, Option<String>> {
        parser(body.as_object().unwrap()).map_err(|error| error.param)
    }

    #[test]
    fn every_api_has_words_of_its_own_for_the_same() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let bare = OutputSchema::new(schema.clone());
        let named = OutputSchema { name: Some("n".into()), strict: Some(true), ..bare.clone() };
        let wanted = |format: OutputFormat, param| Ok(Some(WantedFormat { format, param }));
        let of_schema = |schema: &OutputSchema| OutputFormat::Schema(schema.clone());
        for (parser, body, expected) in [
            (of_chat as Parser, json!({"response_format": {"type": "text"}}), Ok(None)),
            (
                of_chat,
                json!({"response_format": {"type": "json_object"}}),
                wanted(OutputFormat::Json, "response_format"),
            ),
            (
                of_chat,
                json!({"response_format": {
                    "type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema},
                }}),
                wanted(of_schema(&named), "response_format"),
            ),
            (
                of_responses,
                json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": schema}}}),
                wanted(of_schema(&named), "text.format"),
            ),
            (of_responses, json!({"text": {"verbosity": "low"}}), Ok(None)),
            (
                of_messages,
                json!({"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": schema}}}),
                wanted(of_schema(&bare), "output_config.format"),
            ),
            (
                of_messages,
                json!({"output_format": {"type": "json_schema", "schema": schema}}),
                wanted(of_schema(&bare), "output_format"),
            ),
            (of_ollama, json!({"format": "json"}), wanted(OutputFormat::Json, "format")),
            (of_ollama, json!({"format": schema}), wanted(of_schema(&bare), "format")),
            (of_ollama, json!({"format": ""}), Ok(None)),
        ] {
            assert_eq!(parse(parser, &body), expected, "{body}");
        }
    }

    #[test]
    fn a_format_that_is_none_is_refused_by_name() {
        for (parser, body, param) in [
            (of_chat as Parser, json!({"response_format": {"type": "grammar"}}), "response_format"),
            (of_chat, json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
            (of_responses, json!({"text": {"format": {"type": "json_schema", "name": "n"}}}), "text.format.schema"),
            (of_messages, json!({"output_format": {"type": "xml"}}), "output_format"),
            (of_ollama, json!({"format": "yaml"}), "format"),
        ] {
            assert_eq!(parse(parser, &body), Err(Some(param.to_owned())), "{body}");
        }
    }
}
