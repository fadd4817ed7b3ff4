//! Many watchers on one session: how much memory and CPU they take, how late each event reaches them, and whether a
//! slow reader beside them is felt or loses anything.
//!
//! `cargo bench --bench watchers -- [--watchers 200] [--rate 1000] [--seconds 20]`. The server runs in a thread of its
//! own as the program does, with the log on disk; the clients are plain sockets in another. Every client counts every
//! event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../testkit/mod.rs"]
#[allow(dead_code, reason = "shared with tests, which use other parts")]
mod testkit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use jarvis_tui::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use jarvis_tui::bridge::session::SessionSetup;
use jarvis_tui::event::{AgentEvent, Capabilities, TurnOutcome};
use jarvis_tui::journal::{LogHeader, Writer};
use jarvis_tui::serve::{self, Limits, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use testkit::events::{message_started, opened, text_delta, turn_finished, turn_started};
use testkit::factory::TestFactory;
use testkit::session::{TestSource, session_setup, start_session};

fn main() {
    // Under `cargo test` there is nothing to measure.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let watchers = option("--watchers", 200);
    let rate = option("--rate", 1_000);
    let seconds = option("--seconds", 20);
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().to_owned();
    let (tell, told) = std_mpsc::channel();
    let (go, started) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let epoch = Instant::now();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(host(&sessions, tell, (epoch, rate, seconds), started, stopped));
    });
    let address: SocketAddr = told.recv().unwrap();
    let idle = memory();
    let clients = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = clients.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..watchers {
            tasks.spawn(read(address, epoch, None));
        }
        let mut slow = JoinSet::new();
        slow.spawn(read(address, epoch, Some(Duration::from_millis(100))));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let connected = memory();
        let before = processor();
        let begun = Instant::now();
        go.send(()).unwrap();
        let mut most = connected;
        let mut lags = Vec::new();
        let mut counts = Vec::new();
        let mut writes = 0;
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                done = tasks.join_next() => match done {
                    Some(done) => {
                        let mut seen = done.unwrap();
                        counts.push(seen.events);
                        writes += seen.chunks;
                        lags.append(&mut seen.lags);
                    }
                    None => break,
                },
                _ = tick.tick() => most = most.max(memory()),
            }
        }
        let took = begun.elapsed();
        let used = processor() - before;
        let slow = slow.join_next().await.unwrap().unwrap();
        most = most.max(memory());
        lags.sort_unstable();
        let at = |part: usize| lags.get(lags.len().saturating_sub(1) * part / 1_000).copied().unwrap_or(0) as f64 / 1e3;
        counts.sort_unstable();
        format!(
            "{watchers} watchers, {rate} events/s for {seconds} s, and one slow reader\n\
             events each: {:?} to {:?}; the slow reader {} ({:.1} s later)\n\
             memory: {:.1} MB before, {:.1} MB connected, {:.1} MB at most (clients included)\n\
             processor: server and clients {:.1} s in {:.1} s\n\
             lag: {:.1} ms median, {:.1} ms 99 %, {:.1} ms 99.9 %, {:.1} ms worst\n\
             reads per watcher and second: {:.0}\n",
            counts.first(),
            counts.last(),
            slow.events,
            begun.elapsed().saturating_sub(took).as_secs_f64(),
            idle,
            connected,
            most,
            used,
            took.as_secs_f64(),
            at(500),
            at(990),
            at(999),
            at(1_000),
            writes as f64 / watchers as f64 / took.as_secs_f64(),
        )
    });
    print!("{report}");
    drop(stop);
    assert!(server.join().is_ok(), "the server ended well");
}

fn option(name: &str, usual: u64) -> u64 {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == name);
    at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(usual)
}

/// Resident memory of this process in MB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Processor time of this process in seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // The 14th and 15th field of the whole line, in hundredths.
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

async fn host(
    sessions: &std::path::Path,
    tell: std_mpsc::Sender<SocketAddr>,
    (epoch, rate, seconds): (Instant, u64, u64),
    go: oneshot::Receiver<()>,
    stop: oneshot::Receiver<()>,
) {
    let mut tasks = JoinSet::new();
    let writer = Writer::create(sessions, &LogHeader::new("bench".into(), 0)).unwrap();
    let hub = Hub::new(Backlog::Journal(writer.reader()), DEFAULT_RING_BYTES);
    let setup = SessionSetup { hub, writer: Some(writer), ..session_setup("bench".into()) };
    let (live, source) = start_session(setup, Capabilities::default(), &mut tasks);
    tasks.spawn(async move {
        let TestSource { events, mut commands, .. } = source;
        tokio::select! {
            () = feed(events, epoch, rate, seconds, go) => {}
            // Nobody is left to ask for anything.
            () = async { while commands.recv().await.is_some() {} } => {}
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell.send(listener.local_addr().unwrap()).unwrap();
    drop(tell);
    let limits = Limits { max_clients: 10_000, ..Limits::default() };
    let factory = TestFactory::default();
    *factory.initial.lock().unwrap() = Some(live);
    let state = serve::ServerState::new(Arc::new(factory), Settings { limits, ..Settings::default() });
    serve::run(listener, state, async { drop(stop.await) }).await;
    while tasks.join_next().await.is_some() {}
}

/// Tells a turn of so many events a second; each says when it was made.
async fn feed(events: mpsc::Sender<AgentEvent>, epoch: Instant, rate: u64, seconds: u64, go: oneshot::Receiver<()>) {
    events.send(opened()).await.unwrap();
    go.await.unwrap();
    events.send(turn_started("t1")).await.unwrap();
    for message in ["m1", "m2"] {
        let started = message_started(message);
        events.send(started).await.unwrap();
    }
    let begun = tokio::time::Instant::now();
    for number in 0..rate * seconds {
        tokio::time::sleep_until(begun + Duration::from_micros(number * 1_000_000 / rate)).await;
        // Two messages by turns: deltas of one would be merged.
        let message = if number % 2 == 0 { "m1" } else { "m2" };
        let text = format!("{}us", epoch.elapsed().as_micros());
        events.send(text_delta(message, &text)).await.unwrap();
    }
    events.send(turn_finished("t1", TurnOutcome::Completed)).await.unwrap();
    // Whoever is behind may still read.
    events.closed().await;
}

#[derive(Default)]
struct WatcherStats {
    events: u64,
    chunks: u64,
    /// Microseconds from an event's making to its arrival.
    lags: Vec<u64>,
}

/// Reads the stream to the end of the turn. A slow one pauses after every few bytes while the turn runs.
async fn read(address: SocketAddr, epoch: Instant, pause: Option<Duration>) -> WatcherStats {
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
        seen.chunks += 1;
        let now = epoch.elapsed().as_micros() as u64;
        for piece in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if !line.ends_with(b"\n") {
                continue;
            }
            if line.starts_with(b"id: ") {
                seen.events += 1;
            } else if line.starts_with(b"data: {\"seq\"") {
                if let Some(made) = made(&line).filter(|_| pause.is_none()) {
                    seen.lags.push(now.saturating_sub(made));
                }
                if line.windows(15).any(|part| part == b"\"turn_finished\"") {
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
