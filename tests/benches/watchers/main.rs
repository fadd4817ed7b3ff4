//! What it costs to be watched: events to many watchers beside a bare axum server that writes the same bytes, how late
//! they come, and the memory of a watcher, of sessions on disk and of open ones.
//!
//! `cargo bench --bench watchers -- [--watchers 200] [--events 100000] [--rate 1000] [--seconds 20] [--idle 10000]
//! [--open 1000]`. Each server is a process of its own with one thread; the clients are plain sockets in this one, and
//! count every event. Give each a core of its own where figures matter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bare;
#[path = "../../testkit/mod.rs"]
#[allow(dead_code, reason = "shared with tests, which use other parts")]
mod testkit;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jarvis_tui::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use jarvis_tui::bridge::session::SessionSetup;
use jarvis_tui::event::{AgentEvent, Capabilities, TurnOutcome};
use jarvis_tui::journal::{LogHeader, Writer};
use jarvis_tui::serve::{self, Limits, Settings};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use testkit::events::{message_started, opened, text_delta, turn_finished, turn_started};
use testkit::factory::TestFactory;
use testkit::session::{TestSource, session_setup, start_session};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    // Under `cargo test` there is nothing to measure.
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    let plan = Plan {
        watchers: option("--watchers", 200),
        events: option("--events", 100_000),
        rate: option("--rate", 1_000),
        seconds: option("--seconds", 20),
    };
    match args.iter().position(|arg| arg == "--serve").and_then(|at| args.get(at + 1)) {
        Some(which) => single_thread().block_on(async {
            match which.as_str() {
                "bare" => bare::host(plan.events).await,
                "fast" => host(plan.events, None).await,
                _ => host(plan.rate * plan.seconds, Some(plan.rate)).await,
            }
        }),
        None => single_thread().block_on(report(plan)),
    }
}

#[derive(Clone, Copy)]
struct Plan {
    watchers: u64,
    events: u64,
    rate: u64,
    seconds: u64,
}

fn single_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn option(name: &str, usual: u64) -> u64 {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == name);
    at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(usual)
}

async fn report(plan: Plan) {
    let Plan { watchers, rate, seconds, .. } = plan;
    let bare = measure("bare", plan, None).await;
    let ours = measure("fast", plan, None).await;
    let slow = measure("paced", plan, Some(Duration::from_millis(100))).await;
    let mut out = String::new();
    let _ = writeln!(out, "as fast as it goes, to {watchers} watchers      bare axum   jarvis-tui   ratio");
    let mut row = |name: &str, value: fn(&Measured) -> f64, digits: usize| {
        let (bare, ours) = (value(&bare), value(&ours));
        let _ = writeln!(out, "{name:<42} {bare:>11.digits$} {ours:>12.digits$} {:>7.2}", ours / bare);
    };
    row("events a second, all watchers together", |run| run.events as f64 / run.seconds, 0);
    row("events per second of processor", |run| run.events as f64 / run.processor, 0);
    row("megabytes a second", |run| run.bytes as f64 / run.seconds / 1e6, 1);
    row("kB of memory per watcher, connected", |run| run.connected, 1);
    row("kB of memory per watcher, at most", |run| run.at_most, 1);
    let at = |part: usize| {
        slow.lags.get(slow.lags.len().saturating_sub(1) * part / 1_000).copied().unwrap_or(0) as f64 / 1e3
    };
    let _ = writeln!(
        out,
        "\n{rate} events/s for {seconds} s, {watchers} watchers and a slow one that misses nothing\n\
         events each: {} to {}; processor of the server: {:.1} s\n\
         lag: {:.1} ms median, {:.1} ms 99 %, {:.1} ms 99.9 %, {:.1} ms worst",
        slow.fewest,
        slow.most,
        slow.processor,
        at(500),
        at(990),
        at(999),
        at(1_000),
    );
    print!("{out}");
    sessions(option("--idle", 10_000), option("--open", 1_000));
}

/// What one server did.
struct Measured {
    events: u64,
    bytes: u64,
    fewest: u64,
    most: u64,
    seconds: f64,
    processor: f64,
    /// kB per watcher.
    connected: f64,
    at_most: f64,
    /// Microseconds.
    lags: Vec<u64>,
}

/// Runs a server and its watchers, and one that pauses after every few bytes, if wanted.
async fn measure(which: &str, plan: Plan, slow: Option<Duration>) -> Measured {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let (mut server, line) = Server::start(command.args(args).args(["--serve", which]));
    let address: SocketAddr = line.parse().unwrap();
    let idle = server.memory_kb();
    let mut tasks = JoinSet::new();
    let (arrived, mut arrivals) = mpsc::channel(1);
    for _ in 0..plan.watchers {
        tasks.spawn(read(address, None, slow.is_some(), arrived.clone()));
    }
    if slow.is_some() {
        tasks.spawn(read(address, slow, false, arrived.clone()));
    }
    drop(arrived);
    // Whoever came later would be measured as a stall.
    while arrivals.recv().await.is_some() {}
    let connected = server.memory_kb();
    let (processor, begun) = (server.processor(), Instant::now());
    server.go();
    let mut measured = Measured {
        events: 0,
        bytes: 0,
        fewest: u64::MAX,
        most: 0,
        seconds: 0.0,
        processor: 0.0,
        connected: (connected - idle) / plan.watchers as f64,
        at_most: 0.0,
        lags: Vec::new(),
    };
    let mut at_most = connected;
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(done) => {
                    let mut seen = done.unwrap();
                    measured.events += seen.events;
                    measured.bytes += seen.bytes;
                    measured.fewest = measured.fewest.min(seen.events);
                    measured.most = measured.most.max(seen.events);
                    measured.lags.append(&mut seen.lags);
                }
                None => break,
            },
            _ = tick.tick() => at_most = at_most.max(server.memory_kb()),
        }
    }
    measured.seconds = begun.elapsed().as_secs_f64();
    measured.processor = server.processor() - processor;
    measured.at_most = (at_most - idle) / plan.watchers as f64;
    measured.lags.sort_unstable();
    measured
}

/// A server in a process of its own; killed when dropped.
struct Server {
    child: Child,
    stdin: ChildStdin,
}

impl Server {
    /// Starts it and returns the last word of the first line that it prints.
    fn start(command: &mut Command) -> (Self, String) {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let stdin = child.stdin.take().unwrap();
        (Self { child, stdin }, line.trim().rsplit(' ').next().unwrap().to_owned())
    }

    fn go(&mut self) {
        self.stdin.write_all(b"go\n").unwrap();
    }

    /// Resident memory.
    fn memory_kb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().split(' ').next().and_then(|kb| kb.parse().ok()).unwrap_or(0.0)
    }

    /// Processor time in seconds.
    fn processor(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        // The 14th and 15th field of the whole line, in hundredths.
        let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our server with a session that tells so many events, a log on disk, and one thread.
async fn host(events: u64, rate: Option<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = JoinSet::new();
    let writer = Writer::create(dir.path(), &LogHeader::new("bench".into(), 0)).unwrap();
    let hub = Hub::new(Backlog::Journal(writer.reader()), DEFAULT_RING_BYTES);
    let setup = SessionSetup { hub, writer: Some(writer), ..session_setup("bench".into()) };
    let (live, source) = start_session(setup, Capabilities::default(), &mut tasks);
    tasks.spawn(async move {
        let TestSource { events: sender, mut commands, .. } = source;
        tokio::select! {
            () = feed(sender, events, rate) => {}
            // Nobody is left to ask for anything.
            () = async { while commands.recv().await.is_some() {} } => {}
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let limits = Limits { max_clients: 10_000, ..Limits::default() };
    let factory = TestFactory::default();
    *factory.initial.lock().unwrap() = Some(live);
    let state = serve::ServerState::new(Arc::new(factory), Settings { limits, ..Settings::default() });
    serve::run(listener, state, std::future::pending()).await;
}

/// Waits for the word to begin.
async fn wait_for_go() {
    let mut line = String::new();
    tokio::io::BufReader::new(tokio::io::stdin()).read_line(&mut line).await.unwrap();
}

/// Tells a turn of so many events; each says when it was made.
async fn feed(events: mpsc::Sender<AgentEvent>, count: u64, rate: Option<u64>) {
    events.send(opened()).await.unwrap();
    wait_for_go().await;
    events.send(turn_started("t1")).await.unwrap();
    for message in ["m1", "m2"] {
        events.send(message_started(message)).await.unwrap();
    }
    let begun = tokio::time::Instant::now();
    for number in 0..count {
        if let Some(rate) = rate {
            tokio::time::sleep_until(begun + Duration::from_micros(number * 1_000_000 / rate)).await;
        }
        // Two messages by turns: deltas of one would be merged.
        let message = if number % 2 == 0 { "m1" } else { "m2" };
        events.send(text_delta(message, &format!("{}us", now()))).await.unwrap();
    }
    events.send(turn_finished("t1", TurnOutcome::Completed)).await.unwrap();
    // Whoever is behind may still read.
    events.closed().await;
}

/// Microseconds since 1970: two processes compare them.
#[allow(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

#[derive(Default)]
struct WatcherStats {
    events: u64,
    bytes: u64,
    /// Microseconds from an event's making to its arrival.
    lags: Vec<u64>,
}

/// Reads the stream to the end of the turn. A slow one pauses after every few bytes for a while. `arrived` is dropped
/// with the first bytes.
async fn read(
    address: SocketAddr,
    pause: Option<Duration>,
    keeps_lags: bool,
    arrived: mpsc::Sender<()>,
) -> WatcherStats {
    let mut arrived = Some(arrived);
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = b"GET /v1/sessions/bench/events?from=1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut seen = WatcherStats::default();
    let mut buffer = vec![0; if pause.is_some() { 4 << 10 } else { 64 << 10 }];
    let mut line = Vec::new();
    let begun = Instant::now();
    loop {
        if let Some(pause) = pause
            && begun.elapsed() < Duration::from_secs(10)
        {
            tokio::time::sleep(pause).await;
        }
        let count = socket.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the stream ended early, after {} events", seen.events);
        drop(arrived.take());
        seen.bytes += count as u64;
        let now = now();
        for piece in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if !line.ends_with(b"\n") {
                continue;
            }
            if line.starts_with(b"id: ") {
                seen.events += 1;
            } else if line.starts_with(b"data: {\"seq\"") {
                if let Some(made) = made(&line).filter(|_| keeps_lags) {
                    seen.lags.push(now.saturating_sub(made));
                }
                if line.ends_with(b"\"completed\"}}\n") {
                    return seen;
                }
            }
            line.clear();
        }
    }
}

/// Reads when an event was made out of its text.
fn made(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, text) = line.split_once("\"text\":\"")?;
    text.split_once("us\"")?.0.parse().ok()
}

/// The program itself with sessions on disk, and with open ones.
fn sessions(idle: u64, open: u64) {
    let [empty, full] = [0, idle].map(|count| {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), "[server]\nsessions = 10000\n").unwrap();
        write_logs(&home.path().join("sessions"), count);
        let begun = Instant::now();
        let (server, url) = start_program(home.path());
        let started = begun.elapsed();
        let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        assert!(ask(address, "GET /health", "").contains("\"ok\""));
        (server.memory_kb(), started, address, server, home)
    });
    println!(
        "\nsessions on disk: none {:.0} kB, {:.0} ms to start; {idle}: {:.0} kB, {:.0} ms",
        empty.0,
        empty.1.as_secs_f64() * 1e3,
        full.0,
        full.1.as_secs_f64() * 1e3,
    );
    let (before, _, address, server, _home) = empty;
    for _ in 0..open {
        let answer = ask(address, "POST /v1/sessions", "{}");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    let after = server.memory_kb();
    println!("{open} open sessions: {:.1} kB each", (after - before) / open as f64);
}

fn start_program(home: &Path) -> (Server, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-tui"));
    command.args(["serve", "-m", "offline", "--port", "0"]).env("JARVIS_TUI_HOME", home).current_dir(home);
    Server::start(&mut command)
}

fn write_logs(dir: &Path, count: u64) {
    std::fs::create_dir_all(dir).unwrap();
    for number in 0..count {
        let id = format!("20261001-{number:06}-abcd");
        let text = format!(
            "{{\"format\":1,\"kind\":\"session\",\"session\":\"{id}\",\"started_at\":1790000000000,\"folder\":\"/w\",\
             \"engine\":\"\",\"model\":\"\",\"version\":\"0.1.0\"}}\n\
             {{\"seq\":1,\"at\":0,\"event\":{{\"type\":\"turn_started\",\"turn\":\"t1\"}}}}\n\
             {{\"seq\":2,\"at\":0,\"event\":{{\"type\":\"user_message\",\"message\":\"m1\",\"text\":\"hello\"}}}}\n\
             {{\"seq\":3,\"at\":9,\"event\":{{\"type\":\"turn_finished\",\"turn\":\"t1\",\"end\":\"completed\"}}}}\n"
        );
        std::fs::write(dir.join(format!("{id}.jsonl")), text).unwrap();
    }
}

/// Asks on a connection of its own and returns the answer.
fn ask(address: SocketAddr, what: &str, body: &str) -> String {
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    let request =
        format!("{what} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}
