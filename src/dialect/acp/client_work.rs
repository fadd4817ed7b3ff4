//! What an agent has its client do: read and write files, run commands in terminals. And whose call that belongs to: the
//! agent's own, where it told one, or one that stands for the request.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{AcpDecoder, ReplyEvent};
use crate::dialect::program_reply::{CallStart, MAIN_THREAD, word};
use crate::event::{CallId, CallOutcome, Json, ToolKind};

/// Terminals whose output is kept.
const MAX_TERMINALS: usize = 256;
/// Bytes of the output of a terminal that are kept and told.
const MAX_TERMINAL_BYTES: usize = 1024 * 1024;
/// Bytes of a command line.
const MAX_COMMAND_BYTES: usize = 256 * 1024;

/// Shells that are the same as the one in which commands run.
const SHELLS: [&str; 3] = ["bash", "/bin/bash", "/usr/bin/bash"];
/// Variables that only say how output looks. Grok sets them for each command.
const DISPLAY_VARIABLES: [&str; 11] = [
    "TERM",
    "COLORTERM",
    "CI",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "NPM_CONFIG_PROGRESS",
    "CARGO_TERM_PROGRESS_WHEN",
    "CARGO_TERM_PROGRESS_WIDTH",
    "PIP_PROGRESS_BAR",
];
/// Likewise, of those that can say more.
const DISPLAY_OPTIONS: [(&str, &str); 2] =
    [("MAVEN_OPTS", "-Dstyle.color=always"), ("GRADLE_OPTS", "-Dorg.gradle.console=rich")];

/// A request of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientWork {
    ReadFile {
        path: String,
        /// From 1.
        first_line: Option<usize>,
        line_count: Option<usize>,
    },
    WriteFile {
        path: String,
        content: String,
    },
    StartTerminal {
        /// For a shell.
        command: String,
        folder: Option<String>,
        max_output_bytes: Option<usize>,
    },
    /// These name a terminal.
    ReadTerminal(String),
    AwaitTerminal(String),
    KillTerminal(String),
    ReleaseTerminal(String),
}

impl ClientWork {
    /// Reads a request; none for a method that is something else. The error is for the agent.
    pub fn parse(method: &str, params: &Json) -> Option<Result<Self, String>> {
        let count = |key: &str| params.get(key).and_then(Json::as_u64).and_then(|count| usize::try_from(count).ok());
        let path = || required(params, "path");
        let terminal = || required(params, "terminalId");
        Some(match method {
            "fs/read_text_file" => {
                path().map(|path| Self::ReadFile { path, first_line: count("line"), line_count: count("limit") })
            }
            "fs/write_text_file" => match params.get("content").and_then(Json::as_str) {
                Some(content) => path().map(|path| Self::WriteFile { path, content: content.to_owned() }),
                None => Err("the parameter content is missing".to_owned()),
            },
            "terminal/create" => command_line(params).map(|command| Self::StartTerminal {
                command,
                folder: Some(word(params, "cwd").to_owned()).filter(|folder| !folder.is_empty()),
                max_output_bytes: count("outputByteLimit"),
            }),
            "terminal/output" => terminal().map(Self::ReadTerminal),
            "terminal/wait_for_exit" => terminal().map(Self::AwaitTerminal),
            "terminal/kill" => terminal().map(Self::KillTerminal),
            "terminal/release" => terminal().map(Self::ReleaseTerminal),
            _ => return None,
        })
    }
}

fn required(params: &Json, key: &str) -> Result<String, String> {
    match word(params, key) {
        "" => Err(format!("the parameter {key} is missing")),
        text => Ok(text.to_owned()),
    }
}

/// The command as a line for a shell. One without arguments is such a line itself. Variables that the agent sets stand
/// before it, so that whoever decides sees them.
fn command_line(params: &Json) -> Result<String, String> {
    let command = required(params, "command")?;
    let args = params.get("args").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let args: Option<Vec<&str>> = args.iter().map(Json::as_str).collect();
    let args = args.ok_or("the parameter args holds words")?;
    let mut line = String::new();
    for variable in params.get("env").and_then(Json::as_array).into_iter().flatten() {
        let name = word(variable, "name");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
            return Err(format!("{name:?} is no name of a variable"));
        }
        // They color what a terminal shows; here is none.
        if DISPLAY_VARIABLES.contains(&name) || DISPLAY_OPTIONS.contains(&(name, word(variable, "value"))) {
            continue;
        }
        // Writing to a string doesn't fail.
        let _ = write!(line, " {name}={}", quoted(word(variable, "value")));
    }
    if !line.is_empty() {
        line = format!("export{line}; ");
    }
    // What a shell is given is run by one anyway.
    match (command.as_str(), args.as_slice()) {
        (_, []) => line.push_str(unwrapped(&command)),
        (shell, ["-c" | "-lc", script]) if SHELLS.contains(&shell) => line.push_str(script),
        (program, args) => {
            let words: Vec<String> = std::iter::once(&program).chain(args).map(|word| quoted(word)).collect();
            line.push_str(&words.join(" "));
        }
    }
    if line.len() > MAX_COMMAND_BYTES || line.contains('\0') {
        return Err("the command is too long, or no text".to_owned());
    }
    Ok(line.trim().to_owned())
}

/// The script in a line that only starts a shell for it.
fn unwrapped(line: &str) -> &str {
    let script = SHELLS.iter().find_map(|shell| {
        let options = line.strip_prefix(shell)?.trim_start();
        let quoted = ["-c ", "-lc "].iter().find_map(|option| options.strip_prefix(option))?;
        quoted.trim().strip_prefix('\'')?.strip_suffix('\'').filter(|script| !script.contains('\''))
    });
    script.unwrap_or(line)
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The terminals that run for the agent.
#[derive(Debug, Default)]
pub(super) struct ClientTerminals {
    known: HashMap<String, ClientTerminal>,
    /// Calls that stand for a request.
    call_count: u64,
}

#[derive(Debug, Default)]
struct ClientTerminal {
    output: String,
    is_cut: bool,
    exit_code: Option<i32>,
    /// The call whose output it is.
    call: Option<String>,
}

impl ClientTerminals {
    /// Returns what a terminal has printed; none of one that is not known.
    pub(super) fn output(&self, terminal: &str) -> Option<&str> {
        Some(self.known.get(terminal)?.output.as_str())
    }

    pub(super) fn has_failed(&self, terminal: &str) -> bool {
        self.known.get(terminal).and_then(|terminal| terminal.exit_code).is_some_and(|code| code != 0)
    }
}

impl AcpDecoder {
    /// Returns the call that a request belongs to: one of the agent that is open and names the file or runs commands, or
    /// a new one of this name. Tells whether it is the agent's.
    pub fn place_work(&mut self, name: &str, work: &ClientWork, out: &mut Vec<ReplyEvent>) -> (CallId, bool) {
        let (wanted, path) = match work {
            ClientWork::WriteFile { path, .. } => (ToolKind::Edit, path.as_str()),
            ClientWork::ReadFile { path, .. } => (ToolKind::Read, path.as_str()),
            _ => (ToolKind::Execute, ""),
        };
        let is_taken = |id: &str| self.terminals.known.values().any(|terminal| terminal.call.as_deref() == Some(id));
        let fits = |id: &String| {
            let Some(fields) = self.calls.get(id).filter(|_| !self.reply.is_call_finished(id)) else { return false };
            match wanted {
                ToolKind::Execute => fields.tool_kind() == wanted && !is_taken(id),
                _ => fields.tool_kind() == wanted && fields.names_path(path),
            }
        };
        let newest = self.calls.keys().filter(|id| fits(id)).max_by_key(|id| self.reply.call_number(id)).cloned();
        if let Some(id) = newest {
            self.make_ready(&id, out);
            return (CallId::new(id), true);
        }
        let args = match work {
            ClientWork::StartTerminal { command, folder: Some(folder), .. } => {
                serde_json::json!({"command": command, "cwd": folder})
            }
            ClientWork::StartTerminal { command, .. } => serde_json::json!({ "command": command }),
            _ => serde_json::json!({ "path": path }),
        };
        let id = loop {
            self.terminals.call_count += 1;
            let id = format!("client-{}", self.terminals.call_count);
            if !self.reply.knows_call(&id) {
                break id;
            }
        };
        self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id: &id, name }, Some(&args), out);
        (CallId::new(id), false)
    }

    /// Ends a call that stands for a request.
    pub fn finish_work(&mut self, call: &CallId, outcome: CallOutcome, output: &str, out: &mut Vec<ReplyEvent>) {
        self.reply.finish_call(call.as_str(), outcome, output, None, out);
    }

    /// A terminal runs for a call.
    pub fn begin_terminal(&mut self, terminal: &str, call: &CallId) {
        if self.terminals.known.len() < MAX_TERMINALS {
            let begun = ClientTerminal { call: Some(call.as_str().to_owned()), ..ClientTerminal::default() };
            self.terminals.known.insert(terminal.to_owned(), begun);
        }
    }

    /// A terminal has printed something.
    pub fn push_terminal(&mut self, terminal: &str, piece: &str, out: &mut Vec<ReplyEvent>) {
        let Some(known) = self.terminals.known.get_mut(terminal).filter(|known| !known.is_cut) else { return };
        let room = MAX_TERMINAL_BYTES.saturating_sub(known.output.len());
        let kept = piece.get(..piece.floor_char_boundary(room)).unwrap_or_default();
        known.output.push_str(kept);
        known.is_cut = kept.len() < piece.len();
        if let Some(call) = &known.call {
            self.reply.push_output(call, kept, out);
        }
    }

    /// A terminal has ended. Returns what it printed.
    pub fn end_terminal(&mut self, terminal: &str, exit_code: Option<i32>) -> &str {
        let Some(known) = self.terminals.known.get_mut(terminal) else { return "" };
        known.exit_code = exit_code;
        &known.output
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(params: &Json) -> Result<String, String> {
        match ClientWork::parse("terminal/create", params).expect("a request of the client")? {
            ClientWork::StartTerminal { command, .. } => Ok(command),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn a_command_is_a_line_in_which_nothing_is_hidden() {
        for (params, expected) in [
            (json!({"command": "ls -l | wc"}), Some("ls -l | wc")),
            (json!({"command": "ls", "args": []}), Some("ls")),
            (json!({"command": "ls", "args": ["-l", "a b", "it's", ""]}), Some("ls -l 'a b' 'it'\\''s' ''")),
            (json!({"command": "bash", "args": ["-c", "ls; pwd"]}), Some("ls; pwd")),
            (json!({"command": "bash", "args": ["-lc", "ls; pwd"]}), Some("ls; pwd")),
            (json!({"command": "/usr/bin/bash -lc 'ls; pwd'"}), Some("ls; pwd")),
            (json!({"command": "bash -c 'a' 'b'"}), Some("bash -c 'a' 'b'")),
            (
                json!({"command": "ls", "env": [{"name": "TERM", "value": "x"}, {"name": "MAVEN_OPTS", "value": "-javaagent:x"}]}),
                Some("export MAVEN_OPTS=-javaagent:x; ls"),
            ),
            (
                json!({"command": "ls", "env": [{"name": "A", "value": "1 2"}, {"name": "B", "value": ""}]}),
                Some("export A='1 2' B=''; ls"),
            ),
            (json!({"command": "ls", "env": [{"name": "A=1;rm", "value": ""}]}), None),
            (json!({"command": "ls", "args": [1]}), None),
            (json!({"command": ""}), None),
            (json!({"command": "a\u{0}b"}), None),
        ] {
            assert_eq!(line(&params).ok().as_deref(), expected, "{params}");
        }
    }

    #[test]
    fn requests_are_read_and_what_lacks_something_is_an_error() {
        let read = ClientWork::parse("fs/read_text_file", &json!({"path": "/p/a", "line": 2, "limit": 5}));
        let expected = ClientWork::ReadFile { path: "/p/a".into(), first_line: Some(2), line_count: Some(5) };
        assert_eq!(read, Some(Ok(expected)));
        let await_exit = ClientWork::parse("terminal/wait_for_exit", &json!({"terminalId": "t"}));
        assert_eq!(await_exit, Some(Ok(ClientWork::AwaitTerminal("t".into()))));
        for (method, params) in [("fs/write_text_file", json!({"path": "a"})), ("terminal/kill", json!({}))] {
            assert!(matches!(ClientWork::parse(method, &params), Some(Err(_))), "{method}");
        }
        assert_eq!(ClientWork::parse("session/request_permission", &json!({})), None);
    }

    fn outputs(events: &[ReplyEvent]) -> Vec<String> {
        let told = events.iter().filter_map(|event| match event {
            ReplyEvent::ToolOutput { call, text, .. } => Some(format!("{}: {text}", call.as_str())),
            ReplyEvent::ToolCallFinished { call, outcome, output, .. } => {
                Some(format!("{} {}: {}", call.as_str(), outcome.name(), output.text))
            }
            _ => None,
        });
        told.collect()
    }

    fn start(command: &str) -> ClientWork {
        ClientWork::StartTerminal { command: command.into(), folder: None, max_output_bytes: None }
    }

    #[test]
    fn a_terminal_prints_into_the_call_that_the_agent_told_once() {
        let (mut decoder, mut out) = (AcpDecoder::default(), Vec::new());
        let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "kind": "execute", "title": "make",
            "status": "in_progress"});
        decoder.handle_update(&call, &mut out);
        let (placed, is_theirs) = decoder.place_work("shell", &start("make"), &mut out);
        assert_eq!((placed.as_str(), is_theirs), ("c", true));
        decoder.begin_terminal("t", &placed);
        let (other, is_theirs) = decoder.place_work("shell", &start("make"), &mut out);
        assert_eq!((other.as_str(), is_theirs), ("client-1", false), "the call has its terminal");
        out.clear();
        decoder.push_terminal("t", "one\n", &mut out);
        let content = json!([{"type": "terminal", "terminalId": "t"}]);
        let linked = json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress",
            "content": content});
        decoder.handle_update(&linked, &mut out);
        decoder.push_terminal("t", "two\n", &mut out);
        decoder.end_terminal("t", Some(2));
        let done = json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed"});
        decoder.handle_update(&done, &mut out);
        assert_eq!(outputs(&out), ["c: one\n", "c: two\n", "c failed: one\ntwo\n"]);
    }

    #[test]
    fn a_file_belongs_to_the_open_call_that_names_it() {
        let (mut decoder, mut out) = (AcpDecoder::default(), Vec::new());
        let write = |path: &str| ClientWork::WriteFile { path: path.into(), content: String::new() };
        for (id, path) in [("a", "/p/x.txt"), ("b", "/p/y.txt")] {
            let call = json!({"sessionUpdate": "tool_call", "toolCallId": id, "kind": "edit", "status": "pending",
                "locations": [{"path": path}]});
            decoder.handle_update(&call, &mut out);
        }
        let mut place = |decoder: &mut AcpDecoder, path: &str| {
            let (call, is_theirs) = decoder.place_work("write_file", &write(path), &mut out);
            (call.as_str().to_owned(), is_theirs)
        };
        assert_eq!(place(&mut decoder, "/p/x.txt"), ("a".into(), true));
        assert_eq!(place(&mut decoder, "/p/z.txt"), ("client-1".into(), false));
        decoder.handle_update(
            &json!({"sessionUpdate": "tool_call_update", "toolCallId": "a", "status": "completed"}),
            &mut Vec::new(),
        );
        assert_eq!(place(&mut decoder, "/p/x.txt"), ("client-2".into(), false), "that one is over");
    }

    #[test]
    fn endless_output_of_a_terminal_is_cut() {
        let (mut decoder, mut out) = (AcpDecoder::default(), Vec::new());
        let (call, _) = decoder.place_work("shell", &start("yes"), &mut out);
        decoder.begin_terminal("t", &call);
        for _ in 0..40 {
            decoder.push_terminal("t", &"é".repeat(50_000), &mut out);
        }
        let told: usize = outputs(&out).iter().map(String::len).sum();
        assert!(told <= MAX_TERMINAL_BYTES + 1000, "{told}");
        assert!(decoder.end_terminal("t", None).len() <= MAX_TERMINAL_BYTES);
    }
}
