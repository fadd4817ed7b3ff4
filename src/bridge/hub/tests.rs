use std::io::Write;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::{AgentEvent, Envelope, Millis, TextKind};
use crate::journal::{LogHeader, Writer};

fn event(seq: u64, width: usize) -> Arc<LoggedEvent> {
    let event = AgentEvent::TextDelta { message: "m1".into(), text: "x".repeat(width), kind: TextKind::Text };
    let envelope = Envelope { seq: Seq(seq), at: Millis(seq * 10), event };
    let line = Bytes::from(serde_json::to_vec(&envelope).unwrap());
    Arc::new(LoggedEvent { envelope, line })
}

struct HubLog {
    file: tempfile::NamedTempFile,
}

impl HubLog {
    fn new() -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"format\":1,\"session\":\"s\",\"started_at\":0}\n").unwrap();
        Self { file }
    }

    fn append(&mut self, events: &[Arc<LoggedEvent>]) {
        for event in events {
            self.file.write_all(&event.line).unwrap();
            self.file.write_all(b"\n").unwrap();
        }
    }

    fn backlog(&self) -> Backlog {
        Backlog::Journal(Reader::open(self.file.path()).unwrap())
    }
}

fn seqs(deliveries: &[HubItem]) -> Vec<u64> {
    deliveries
        .iter()
        .map(|delivery| match delivery {
            HubItem::Event(event) => event.envelope.seq.0,
            HubItem::Reset => 0,
        })
        .collect()
}

fn drain(subscription: &mut Subscription) -> Vec<u64> {
    let mut out = Vec::new();
    while subscription.try_next_batch(7, &mut out) {}
    seqs(&out)
}

#[test]
fn who_falls_behind_the_ring_reads_on_in_the_log() {
    let mut log = HubLog::new();
    let hub = Hub::new(log.backlog(), 2_000);
    let mut slow = hub.subscribe(Seq(0));
    let events: Vec<_> = (1..=500).map(|seq| event(seq, 10)).collect();
    log.append(&events);
    hub.publish(events.clone());
    assert!(hub.lock().events.len() < 10, "the ring stays small");
    let mut out = Vec::new();
    while slow.try_next_batch(64, &mut out) {}
    assert_eq!(out, events.into_iter().map(HubItem::Event).collect::<Vec<_>>());
}

#[test]
fn nobody_gets_what_was_written_but_not_published() {
    let mut log = HubLog::new();
    let hub = Hub::new(log.backlog(), 0);
    let events: Vec<_> = (1..=10).map(|seq| event(seq, 10)).collect();
    log.append(&events);
    hub.publish(events[..4].to_vec());
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), [1, 2, 3, 4]);
}

#[test]
fn a_reopened_log_counts_as_published() {
    let mut log = HubLog::new();
    log.append(&[event(1, 1), event(2, 1)]);
    let hub = Hub::new(log.backlog(), DEFAULT_RING_BYTES);
    assert_eq!(hub.last_seq(), Seq(2));
    hub.publish_one((*event(3, 1)).clone());
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), [1, 2, 3]);
    assert_eq!(drain(&mut hub.subscribe(Seq(2))), [3]);
    assert_eq!(drain(&mut hub.subscribe(Seq(9))), Vec::<u64>::new());
}

#[test]
fn memory_keeps_all_however_small_the_ring() {
    let hub = Hub::new(Backlog::Memory, 0);
    hub.publish((1..=100).map(|seq| event(seq, 100)));
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_number_published_twice_is_told_once() {
    let hub = Hub::new(Backlog::Memory, 0);
    hub.publish([event(1, 1), event(2, 1), event(2, 1), event(1, 1), event(3, 1)]);
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), [1, 2, 3]);
}

#[test]
fn a_hole_in_the_log_is_stepped_over() {
    let mut log = HubLog::new();
    let hub = Hub::new(log.backlog(), 0);
    log.append(&[event(1, 1), event(2, 1)]);
    hub.publish((1..=5).map(|seq| event(seq, 1)));
    hub.publish([event(6, 1)]);
    log.append(&[event(6, 1)]);
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), [1, 2, 6]);
}

/// Events while the disk is full: published, and in no file.
#[test]
fn what_no_file_has_stays_in_the_ring_until_one_has_it_or_far_too_much_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), &LogHeader::new("s".into(), 0)).unwrap();
    let hub = Hub::new(Backlog::Journal(writer.reader()), 300);
    let events: Vec<_> = (1..=50).map(|seq| event(seq, 10)).collect();
    let lines: Vec<_> = events.iter().map(|event| event.line.clone()).collect();
    writer.append(&lines[..10]).unwrap();
    hub.publish(events[..30].to_vec());
    assert_eq!(hub.lock().events.front().unwrap().envelope.seq, Seq(11), "the log has those before");
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), (1..=30).collect::<Vec<_>>());
    // The disk has space again.
    writer.append(&lines[10..]).unwrap();
    hub.publish(events[30..].to_vec());
    assert!(hub.lock().bytes <= 300);
    assert_eq!(drain(&mut hub.subscribe(Seq(0))), (1..=50).collect::<Vec<_>>());

    // Memory is not without end.
    let mut big = (*event(0, 1)).clone();
    big.line = vec![0; MAX_UNSAVED_BYTES / 8].into();
    hub.publish((51..=60).map(|seq| {
        big.envelope.seq = Seq(seq);
        Arc::new(big.clone())
    }));
    assert_eq!(drain(&mut hub.subscribe(Seq(50))), [58, 59, 60]);
}

#[test]
fn a_reset_begins_anew_for_everyone() {
    let mut log = HubLog::new();
    let events: Vec<_> = (1..=9).map(|seq| event(seq, 1)).collect();
    log.append(&events);
    let hub = Hub::starting_after(Seq(0), log.backlog(), DEFAULT_RING_BYTES);
    let (mut early, mut late) = (hub.subscribe(Seq(0)), hub.subscribe(Seq(5)));
    hub.advance(Seq(6));
    assert_eq!(drain(&mut early), [1, 2, 3, 4, 5, 6]);
    hub.reset();
    hub.advance(Seq(2));
    hub.publish([events[2].clone()]);
    assert_eq!(drain(&mut early), [0, 1, 2, 3]);
    assert_eq!(drain(&mut late), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_a_fact_or_with_the_hub() {
    let hub = Hub::new(Backlog::Memory, 0);
    let mut subscription = hub.subscribe(Seq(0));
    let publisher = hub.clone();
    let (got, ()) = tokio::join!(subscription.next(), async {
        tokio::task::yield_now().await;
        publisher.publish_one((*event(1, 1)).clone());
    });
    assert_eq!(seqs(&got.into_iter().collect::<Vec<_>>()), [1]);
    hub.publish_one((*event(2, 1)).clone());
    hub.close();
    let mut out = Vec::new();
    assert!(subscription.next_batch(8, &mut out).await);
    assert_eq!(seqs(&out), [2]);
    assert!(!subscription.next_batch(8, &mut out).await);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_nothing() {
    let hub = Hub::new(Backlog::Memory, 0);
    let mut subscription = hub.subscribe(Seq(0));
    let mut out = Vec::new();
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = subscription.next_batch(8, &mut out) => {}
            () = tokio::task::yield_now() => {}
        }
        hub.publish_one((*event(hub.last_seq().0 + 1, 1)).clone());
    }
    hub.close();
    while subscription.next_batch(8, &mut out).await {}
    assert_eq!(seqs(&out), [1, 2, 3]);
}

#[derive(Clone, Debug)]
enum HubStep {
    Write(u8),
    Publish(u8),
    Subscribe(u8),
    Pull { who: u8, max: u8 },
    Reset,
    Advance(u8),
}

fn step(resets: bool) -> impl Strategy<Value = HubStep> {
    prop_oneof![
        3 => (1..20u8).prop_map(HubStep::Write),
        4 => (1..20u8).prop_map(HubStep::Publish),
        2 => any::<u8>().prop_map(HubStep::Subscribe),
        6 => (any::<u8>(), 1..30u8).prop_map(|(who, max)| HubStep::Pull { who, max }),
        u32::from(resets) => Just(HubStep::Reset),
        u32::from(resets) => any::<u8>().prop_map(HubStep::Advance),
    ]
}

/// Runs the steps and checks after each pull that a subscriber has received every event once and in order.
fn contiguous(steps: &[HubStep], ring_bytes: usize, in_memory: bool) {
    let mut log = HubLog::new();
    let backlog = if in_memory { Backlog::Memory } else { log.backlog() };
    let hub = Hub::new(backlog, ring_bytes);
    let (mut written, mut published) = (0_u64, 0_u64);
    let mut everyone: Vec<(Subscription, u64)> = Vec::new();
    let check = |subscription: &mut Subscription, last: &mut u64, max: usize| {
        let mut out = Vec::new();
        let some = subscription.try_next_batch(max, &mut out);
        assert_eq!(some, !out.is_empty());
        assert!(out.len() <= max);
        for seq in seqs(&out) {
            assert!(seq == 0 || seq == *last + 1, "{seq} after {last}");
            *last = seq;
        }
        some
    };
    for step in steps {
        match step {
            HubStep::Write(count) => {
                let events: Vec<_> =
                    (written + 1..=written + u64::from(*count)).map(|seq| event(seq, (seq % 50) as usize)).collect();
                log.append(&events);
                written += u64::from(*count);
            }
            HubStep::Publish(count) => {
                let to = written.min(published + u64::from(*count));
                hub.publish((published + 1..=to).map(|seq| event(seq, (seq % 50) as usize)));
                published = to;
            }
            HubStep::Subscribe(from) => {
                let from = u64::from(*from).min(published);
                everyone.push((hub.subscribe(Seq(from)), from));
            }
            HubStep::Pull { who, max } => {
                let count = everyone.len().max(1);
                if let Some((subscription, last)) = everyone.get_mut(usize::from(*who) % count) {
                    check(subscription, last, usize::from(*max));
                }
            }
            HubStep::Reset => {
                hub.reset();
                published = 0;
            }
            HubStep::Advance(to) => {
                published = published.max(written.min(u64::from(*to)));
                hub.advance(Seq(published));
            }
        }
        assert_eq!(hub.last_seq(), Seq(published));
    }
    for (mut subscription, mut last) in everyone {
        while check(&mut subscription, &mut last, 512) {}
        assert_eq!(last, published, "in the end everyone has everything");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_is_contiguous(
        steps in prop::collection::vec(step(true), 1..80),
        ring in prop_oneof![Just(0_usize), 300..6_000_usize],
    ) {
        contiguous(&steps, ring, false);
    }

    #[test]
    fn any_interleaving_is_contiguous_in_memory(steps in prop::collection::vec(step(false), 1..80)) {
        contiguous(&steps, 0, true);
    }
}
