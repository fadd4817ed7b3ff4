//! How long a long log takes: to its last screen, to its whole length, and back to an earlier place in a replay.
//!
//! Targets: last screen of 1 M lines 0.5 s, whole index 2 s behind it, backward seek in 100 k events 150 ms.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;

use divan::Bencher;
use jarvis_tui::app::history_loader::HistoryLoader;
use jarvis_tui::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use jarvis_tui::bridge::{HubItem, replay};
use jarvis_tui::event::{Command, Millis, SeekTarget, Seq};
use jarvis_tui::journal::{ReadLimits, Reader};
use jarvis_tui::store::{Store, StoreOptions};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

static MILLION: LazyLock<NamedTempFile> = LazyLock::new(|| log(1_000_000));
static HUNDRED_THOUSAND: LazyLock<NamedTempFile> = LazyLock::new(|| log(100_000));

/// Turns of ten events: a prompt, a call and an answer each.
static MANY_ITEMS: LazyLock<NamedTempFile> = LazyLock::new(|| {
    let file = NamedTempFile::new().unwrap();
    let mut out = BufWriter::new(file.as_file());
    writeln!(out, r#"{{"format":1,"session":"bench","started_at":0}}"#).unwrap();
    for seq in 1..=100_000 {
        let turn = (seq - 1) / 10;
        let event = match seq % 10 {
            1 => format!(r#"{{"type":"turn_started","turn":"t{turn}"}}"#),
            2 => format!(r#"{{"type":"user_message","message":"u{turn}","text":"prompt {turn}"}}"#),
            3 => format!(r#"{{"type":"message_started","message":"m{turn}","role":"assistant"}}"#),
            6 => format!(r#"{{"type":"tool_call_ready","call":"c{turn}","name":"read_file","args":"{{}}"}}"#),
            7 => format!(r#"{{"type":"message_finished","message":"m{turn}","stop":"tool_calls"}}"#),
            8 => format!(r#"{{"type":"tool_call_running","call":"c{turn}"}}"#),
            9 => format!(
                r#"{{"type":"tool_call_finished","call":"c{turn}","outcome":"ok","output":{{"text":"{turn}"}}}}"#
            ),
            0 => format!(r#"{{"type":"turn_finished","turn":"t{turn}","end":"completed"}}"#),
            _ => format!(r#"{{"type":"text_delta","message":"m{turn}","text":"some words "}}"#),
        };
        writeln!(out, r#"{{"seq":{seq},"at":{},"event":{event}}}"#, seq * 20).unwrap();
    }
    out.flush().unwrap();
    drop(out);
    file
});

fn main() {
    divan::main();
}

/// Writes a log in which every thousandth event begins a turn and the rest are tokens.
fn log(events: u64) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut out = BufWriter::new(file.as_file());
    writeln!(out, r#"{{"format":1,"session":"bench","started_at":0}}"#).unwrap();
    for seq in 1..=events {
        let event = match seq % 1_000 {
            1 => format!(r#"{{"type":"turn_started","turn":"t{seq}"}}"#),
            2 => format!(r#"{{"type":"message_started","message":"m{}","role":"assistant"}}"#, seq / 1_000),
            999 => format!(r#"{{"type":"message_finished","message":"m{}","stop":"end"}}"#, seq / 1_000),
            0 => format!(r#"{{"type":"turn_finished","turn":"t{}","end":"completed"}}"#, seq - 999),
            _ => format!(r#"{{"type":"text_delta","message":"m{}","text":" word{}"}}"#, seq / 1_000, seq % 97),
        };
        writeln!(out, r#"{{"seq":{seq},"at":{},"event":{event}}}"#, seq * 20).unwrap();
    }
    out.flush().unwrap();
    drop(out);
    file
}

fn open(path: &Path) -> Reader {
    Reader::open(path).unwrap()
}

#[divan::bench(sample_count = 20)]
fn last_screen_of_a_million_lines(bencher: Bencher<'_, '_>) {
    let path = MILLION.path();
    bencher.bench_local(|| open(path).tail(3, 4 << 20).unwrap().expect("there are turns").page.entries.len());
}

#[divan::bench(sample_count = 20)]
fn end_of_a_million_lines(bencher: Bencher<'_, '_>) {
    let path = MILLION.path();
    bencher.bench_local(|| open(path).find_end().unwrap());
}

#[divan::bench(sample_count = 20)]
fn any_place_in_a_million_lines(bencher: Bencher<'_, '_>) {
    let reader = open(MILLION.path());
    bencher.bench_local(|| {
        let mut cursor = reader.cursor_after(Seq(654_321)).unwrap();
        reader.read(&mut cursor, ReadLimits { max_events: 1, ..ReadLimits::one_page() }).unwrap()
    });
}

#[divan::bench(sample_count = 5)]
fn turns_and_length_of_a_million_lines(bencher: Bencher<'_, '_>) {
    let path = MILLION.path();
    bencher.bench_local(|| open(path).build_index().unwrap().turns.len());
}

#[divan::bench(sample_count = 3)]
fn every_event_of_a_million_lines(bencher: Bencher<'_, '_>) {
    let path = MILLION.path();
    bencher.bench_local(|| {
        let reader = open(path);
        let mut cursor = reader.start_cursor();
        let mut events = 0;
        loop {
            let page = reader.read(&mut cursor, ReadLimits::one_page()).unwrap();
            events += page.entries.len();
            if page.at_end {
                break events;
            }
        }
    });
}

#[divan::bench(sample_count = 10)]
fn backward_seek_in_a_hundred_thousand_events(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut tasks = JoinSet::new();
    let options = replay::ReplayOptions { paused: true, from: Millis(u64::MAX), ..replay::ReplayOptions::default() };
    let reader = open(HUNDRED_THOUSAND.path());
    let live = runtime.block_on(async { replay::start(reader, options, &mut tasks).unwrap() });
    let mut subscription = live.hub.subscribe(Seq(100_000));
    bencher.bench_local(|| {
        runtime.block_on(async {
            live.commands.send(Command::Seek { to: SeekTarget::By(-20) }).await.unwrap();
            let mut batch = Vec::new();
            // The reset, then all that is before the new place.
            let (mut facts, mut back) = (0, false);
            while subscription.next_batch(512, &mut batch).await {
                back |= batch.contains(&HubItem::Reset);
                facts += batch.drain(..).filter(|delivery| matches!(delivery, HubItem::Event(_))).count();
                if back && subscription.seq() >= Seq(99_990) {
                    break;
                }
            }
            live.commands.send(Command::Seek { to: SeekTarget::End }).await.unwrap();
            facts
        })
    });
}

/// What is to be folded until the new place is on the screen.
fn show_place(hub: &Hub, seq: u64) -> usize {
    hub.rewind(Seq(seq));
    let mut store = Store::new(StoreOptions::default());
    HistoryLoader::open(hub, &mut store, StoreOptions::default()).expect("it is long");
    store.transcript.items().len()
}

#[divan::bench(sample_count = 20, args = [50_500, 99_990])]
fn place_in_a_hundred_thousand_events_of_few_items(bencher: Bencher<'_, '_>, seq: u64) {
    let hub = Hub::new(Backlog::Journal(open(HUNDRED_THOUSAND.path())), DEFAULT_RING_BYTES);
    bencher.bench_local(|| show_place(&hub, seq));
}

#[divan::bench(sample_count = 20, args = [50_500, 99_990])]
fn place_in_a_hundred_thousand_events_of_many_items(bencher: Bencher<'_, '_>, seq: u64) {
    let hub = Hub::new(Backlog::Journal(open(MANY_ITEMS.path())), DEFAULT_RING_BYTES);
    bencher.bench_local(|| show_place(&hub, seq));
}
