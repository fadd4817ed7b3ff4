//! `jarvis-tui serve` as a separate process, and the contents of its logs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jarvis_tui::event::{AgentEvent, Envelope};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// A server on a port of its own. Stopped when dropped.
pub(crate) struct HostedServer {
    pub(crate) url: String,
    child: Child,
}

/// Returns the program, isolated from this machine.
pub(crate) fn program(home: &Path) -> Command {
    isolated(env!("CARGO_BIN_EXE_jarvis-tui"), home)
}

fn isolated(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("JARVIS_TUI_HOME", home)
        // Nothing listens on that port: local servers must not be reached through a proxy.
        .env("http_proxy", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .current_dir(home)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

impl HostedServer {
    /// Starts a server whose model is at `model`, or built in.
    pub(crate) async fn start(home: &Path, model: Option<&str>, args: &[&str]) -> Self {
        let mut command = program(home);
        if let Some(model) = model {
            command.env("OPENAI_BASE_URL", format!("{model}/v1")).env("OPENAI_API_KEY", "x");
            command.args(["serve", "--port", "0", "-m", "openai/mock"]);
        } else {
            command.args(["serve", "--port", "0"]);
        }
        command.args(args);
        Self::spawn(command).await
    }

    pub(crate) async fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let read = tokio::time::timeout(Duration::from_mins(1), out.read_line(&mut line)).await;
        read.expect("it says where it listens").unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self { url, child }
    }

    /// Kills it, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A client without a proxy.
pub(crate) fn client() -> reqwest::Client {
    jarvis_tui::net::http::client_builder().no_proxy().build().unwrap()
}

/// Returns the logs of one-shot sessions, the newest last.
pub(crate) fn logs(home: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![home.join("sessions")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "jsonl") {
                found.push(path);
            }
        }
    }
    found.sort_by_key(|path| std::fs::metadata(path).and_then(|about| about.modified()).unwrap());
    found
}

/// Returns the events in a log.
pub(crate) fn read_events(log: &Path) -> Vec<AgentEvent> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines()
        .skip(1)
        .filter_map(|line| serde_json::from_str::<Envelope>(line).ok())
        .map(|event| event.event)
        .collect()
}

/// A proxy between a client and a server that forwards the server's bytes in pieces of these sizes, over and over.
pub(crate) struct RechunkingProxy {
    pub(crate) url: String,
    _tasks: JoinSet<()>,
}

impl RechunkingProxy {
    pub(crate) async fn before(server: &str, sizes: &'static [usize]) -> Self {
        let to = server.trim_start_matches("http://").to_owned();
        let (url, tasks) = forward(move |socket| pass(socket, to.clone(), sizes)).await;
        Self { url, _tasks: tasks }
    }
}

/// Has `connect` serve every connection of a new address.
async fn forward<F: Future<Output = ()> + Send + 'static>(
    connect: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(connect(socket));
        }
    });
    (url, tasks)
}

async fn pass(client: TcpStream, to: String, sizes: &'static [usize]) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let _ = client.set_nodelay(true);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let back = async {
        let (mut buffer, mut turn) = (vec![0; 64 * 1024], 0);
        while let Ok(got @ 1..) = from_server.read(&mut buffer).await {
            let mut rest = &buffer[..got];
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
                turn += 1;
                if to_client.write_all(piece).await.is_err() {
                    return;
                }
                // Lets the receiver read the piece on its own.
                tokio::task::yield_now().await;
                rest = more;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, back);
}

/// A proxy between a client and a server that disconnects after so many frames of each response. Tells the client to
/// reconnect soon, whatever the server says.
pub(crate) struct CuttingProxy {
    pub(crate) url: String,
    _tasks: JoinSet<()>,
}

impl CuttingProxy {
    pub(crate) async fn before(server: &str, frames: usize) -> Self {
        let to = server.trim_start_matches("http://").to_owned();
        let (url, tasks) = forward(move |socket| cut(socket, to.clone(), frames)).await;
        Self { url, _tasks: tasks }
    }
}

async fn cut(client: TcpStream, to: String, frames: usize) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let back = async {
        let (mut buffer, mut text, mut sent) = (vec![0; 64 * 1024], String::new(), 0);
        while let Ok(got @ 1..) = from_server.read(&mut buffer).await {
            text.push_str(std::str::from_utf8(&buffer[..got]).expect("this answer is ASCII"));
            text = text.replace("retry: 3000", "retry: 0010");
            // Lines of the head end in CRLF, so only ends of frames match.
            let ends: Vec<usize> = text.match_indices("\n\n").map(|(at, _)| at + 2).collect();
            let until = if ends.len() >= frames { ends[frames - 1] } else { text.len() };
            if to_client.write_all(&text.as_bytes()[sent..until]).await.is_err() || ends.len() >= frames {
                return;
            }
            sent = until;
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Reads a session's stream as frames: the name and the data of each.
async fn read_frame(response: &mut reqwest::Response, rest: &mut String) -> (String, serde_json::Value) {
    loop {
        if let Some((frame, more)) = rest.split_once("\n\n") {
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let read = (field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap_or_default());
            let end = rest.len() - more.len();
            rest.drain(..end);
            return read;
        }
        let bytes = response.chunk().await.unwrap().expect("the stream goes on");
        rest.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

/// A limit on the size of files stands for the disk: what is beyond it can't be written until it is raised.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_that_found_the_disk_full_is_whole_soon_after_there_is_space_although_nothing_happens() {
    let home = tempfile::tempdir().unwrap();
    let mut command = isolated("sh", home.path());
    let limited = "trap '' XFSZ; ulimit -S -f 2; exec \"$0\" serve --port 0 -m offline";
    command.args(["-c", limited, env!("CARGO_BIN_EXE_jarvis-tui")]);
    let server = HostedServer::spawn(command).await;
    let sessions = format!("{}/v1/sessions", server.url);
    let opened = client().post(&sessions).body("{}").send().await.unwrap().text().await.unwrap();
    let opened: serde_json::Value = serde_json::from_str(&opened).unwrap();
    let session = format!("{sessions}/{}", opened["id"].as_str().unwrap());
    let mut stream = client().get(format!("{session}/events?from=1")).send().await.unwrap();
    let prompt = r#"{"type": "prompt", "text": "what is 6*7?"}"#;
    assert_eq!(client().post(format!("{session}/commands")).body(prompt).send().await.unwrap().status(), 202);
    let (mut rest, mut count, mut is_over, mut problem) = (String::new(), 0, false, None);
    let cut = async {
        while !is_over || problem.is_none() {
            let (name, data) = read_frame(&mut stream, &mut rest).await;
            count = data["seq"].as_u64().unwrap_or(count);
            is_over |= name == "turn_finished";
            problem = data["not_saved"].as_str().map(ToOwned::to_owned).or(problem.take());
        }
    };
    tokio::time::timeout(Duration::from_mins(1), cut).await.expect("the limit is met");
    assert!(problem.unwrap().contains("File too large"));
    let log = logs(home.path()).remove(0);
    assert!((read_events(&log).len() as u64) < count, "the log is cut");
    let limit = ["--fsize=unlimited", "--pid", &server.child.id().unwrap().to_string()];
    assert!(Command::new("prlimit").args(limit).status().await.unwrap().success());
    let saved = async {
        loop {
            let (name, data) = read_frame(&mut stream, &mut rest).await;
            assert!(data.get("seq").is_none(), "nothing happens: {data}");
            if name == "weather" && data["not_saved"].is_null() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), saved).await.expect("it is written");
    let events = read_events(&log);
    assert_eq!((events.len() as u64, jarvis_tui::event::grammar::check(&events)), (count, vec![]));
}
