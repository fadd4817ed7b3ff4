//! The prompt: the conversation as the file's template writes it. Templates are programs from the file, so they run with
//! fuel, and have no files.
//!
//! A template that knows no tools gets them as words of the system prompt, and results as words of the person.

use std::fmt::Write as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, context};
use serde_json::json;

use super::tokenizer::Tokenizer;
use crate::engine::{HistoryMessage, ModelRequest};
use crate::event::{Effort, Json};

/// Steps of a template: a conversation of a thousand messages takes a tenth.
const TEMPLATE_FUEL: u64 = 20_000_000;
const MAX_PROMPT_BYTES: usize = 64 << 20;
const RECURSION_LIMIT: usize = 100;
/// For files without a template: ChatML, which most models know.
const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + \
                      '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}\
                      {% endif %}";

pub(super) struct ChatTemplate {
    source: String,
    knows_tools: bool,
}

impl ChatTemplate {
    pub(super) fn new(source: Option<&str>) -> Self {
        let source = source.filter(|source| !source.trim().is_empty()).unwrap_or(CHATML).to_owned();
        Self { knows_tools: source.contains("tools"), source }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Returns the prompt for a request.
    pub(super) fn render(&self, request: &ModelRequest, tokenizer: &Tokenizer) -> Result<String, String> {
        let guard = |text: &str| tokenizer.guard(text);
        let messages = self.messages(request, &guard);
        match self.render_messages(&messages, request, tokenizer) {
            // Some know no role for the system.
            Err(_) if messages.first().is_some_and(|first| first["role"] == "system") => {
                self.render_messages(&without_system(messages), request, tokenizer)
            }
            rendered => rendered,
        }
    }

    fn render_messages(&self, messages: &[Json], request: &ModelRequest, marks: &Tokenizer) -> Result<String, String> {
        let tools: Vec<Json> = if self.knows_tools { tools(request, &|text| marks.guard(text)) } else { Vec::new() };
        let tools = if tools.is_empty() { Value::from(()) } else { Value::from(Serde(&tools)) };
        let mut environment = Environment::new();
        environment.set_fuel(Some(TEMPLATE_FUEL));
        environment.set_recursion_limit(RECURSION_LIMIT);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", |text: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, text))
        });
        let failed = |error: Error| {
            let reason = match error.kind() {
                ErrorKind::OutOfFuel => "it never ends".to_owned(),
                _ => error.to_string(),
            };
            format!("the file's chat template failed: {reason}")
        };
        let template = environment.template_from_str(&self.source).map_err(failed)?;
        let values = context! {
            messages => Value::from(Serde(messages)),
            tools => tools,
            add_generation_prompt => true,
            bos_token => marks.bos_text(),
            eos_token => marks.eos_text(),
            enable_thinking => request.sampling.effort != Some(Effort::None),
        };
        let mut prompt = BoundedText::default();
        template.render_captured_to(values, &mut prompt).map_err(failed)?;
        String::from_utf8(prompt.0).map_err(|error| error.to_string())
    }

    fn messages(&self, request: &ModelRequest, guard: &dyn Fn(&str) -> String) -> Vec<Json> {
        let mut out: Vec<Json> = Vec::new();
        let mut system = guard(&request.system);
        if !self.knows_tools && !request.tools.is_empty() {
            system.push_str(&tools_as_words(&tools(request, guard)));
        }
        if !system.is_empty() {
            out.push(json!({"role": "system", "content": system}));
        }
        for past in &request.history {
            let message = match past {
                HistoryMessage::User { text, .. } => json!({"role": "user", "content": guard(text)}),
                HistoryMessage::Assistant { text, reasoning, calls, .. } => {
                    let calls: Vec<Json> = calls
                        .iter()
                        .map(|call| {
                            let args: Json = serde_json::from_str(&call.args).unwrap_or_else(|_| json!({}));
                            json!({"name": guard(&call.name), "arguments": guard_json(args, guard)})
                        })
                        .collect();
                    let mut content = guard(text);
                    let mut message = json!({"role": "assistant"});
                    if self.knows_tools && !calls.is_empty() {
                        let call = |function: &Json| json!({"type": "function", "function": function});
                        message["tool_calls"] = calls.iter().map(call).collect();
                    } else {
                        for call in calls {
                            let before = newline(&content);
                            let _ = write!(content, "{before}<tool_call>\n{call}\n</tool_call>");
                        }
                    }
                    if !reasoning.is_empty() && self.knows_tools {
                        message["reasoning_content"] = guard(reasoning).into();
                    }
                    message["content"] = content.into();
                    message
                }
                HistoryMessage::Tool { name, output, outcome, .. } => {
                    let output = guard(&crate::engine::openai::tool_result_text(output, *outcome));
                    if self.knows_tools {
                        json!({"role": "tool", "name": guard(name), "content": output})
                    } else {
                        json!({"role": "user", "content": format!("<tool_response>\n{output}\n</tool_response>")})
                    }
                }
            };
            // Templates may want roles to alternate.
            match out.last_mut() {
                Some(last) if last["role"] == message["role"] && message["role"] == "user" => {
                    let joined = [&last["content"], &message["content"]].map(|text| text.as_str().unwrap_or_default());
                    last["content"] = joined.join("\n\n").into();
                }
                _ => out.push(message),
            }
        }
        out
    }
}

fn newline(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
}

/// Moves the system prompt into the first of the person.
fn without_system(mut messages: Vec<Json>) -> Vec<Json> {
    let system = messages.remove(0);
    let system = system["content"].as_str().unwrap_or_default();
    match messages.first_mut() {
        Some(first) if first["role"] == "user" => {
            let text = first["content"].as_str().unwrap_or_default();
            first["content"] = format!("{system}\n\n{text}").into();
        }
        _ => messages.insert(0, json!({"role": "user", "content": system})),
    }
    messages
}

fn tools(request: &ModelRequest, guard: &dyn Fn(&str) -> String) -> Vec<Json> {
    let tool = |tool: &crate::event::ToolSpec| {
        let parameters = guard_json(tool.parameters.clone(), guard);
        let (name, description) = (guard(&tool.name), guard(&tool.description));
        json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
    };
    request.tools.iter().map(tool).collect()
}

fn tools_as_words(tools: &[Json]) -> String {
    let list: Vec<String> = tools.iter().map(|tool| tool["function"].to_string()).collect();
    format!(
        "\n\nYou may call one or more functions. They are given within <tools></tools>:\n<tools>\n{}\n</tools>\n\n\
         To call a function, answer with its name and arguments as JSON within <tool_call></tool_call>:\n\
         <tool_call>\n{{\"name\": \"FUNCTION\", \"arguments\": {{\"ARGUMENT\": \"VALUE\"}}}}\n</tool_call>\n\
         Without need for a function, answer in words.",
        list.join("\n")
    )
}

fn guard_json(value: Json, guard: &dyn Fn(&str) -> String) -> Json {
    match value {
        Json::String(text) => Json::String(guard(&text)),
        Json::Array(list) => list.into_iter().map(|value| guard_json(value, guard)).collect(),
        Json::Object(fields) => {
            fields.into_iter().map(|(key, value)| (guard(&key), guard_json(value, guard))).collect()
        }
        other => other,
    }
}

/// As Python writes it: templates were made for that, and so were the models.
#[allow(clippy::needless_pass_by_value, reason = "a filter's form")]
fn to_json(value: &Value, options: minijinja::value::Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _ = (options.get::<Option<bool>>("ensure_ascii")?, options.get::<Option<bool>>("sort_keys")?);
    let _: Option<Value> = options.get("separators")?;
    options.assert_all_used()?;
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let value: Json = serde_json::to_value(value).map_err(failed)?;
    if let Some(indent) = indent.filter(|indent| *indent <= 16) {
        let spaces = vec![b' '; indent];
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(&spaces);
        serde::Serialize::serialize(&value, &mut serde_json::Serializer::with_formatter(&mut out, formatter))
            .map_err(failed)?;
        return Ok(String::from_utf8_lossy(&out).into_owned());
    }
    let mut out = Vec::new();
    serde::Serialize::serialize(&value, &mut serde_json::Serializer::with_formatter(&mut out, PythonSpacing))
        .map_err(failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct PythonSpacing;

impl serde_json::ser::Formatter for PythonSpacing {
    fn begin_array_value<W: std::io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: std::io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: std::io::Write + ?Sized>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Text that refuses to grow without end.
#[derive(Default)]
struct BoundedText(Vec<u8>);

impl std::io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PROMPT_BYTES {
            return Err(std::io::Error::other("it writes without end"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
