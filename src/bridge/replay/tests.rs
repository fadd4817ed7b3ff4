use std::io::Write;

use super::*;
use crate::bridge::HubItem;
use crate::bridge::hub::Subscription;
use crate::event::{LinkState, LoopRange, NoticeCode, TurnOutcome, grammar};

/// Two turns, a long pause between them: events at 0, 0, 0, 1 s, 2 s, 3 s; 63 s, 63 s, 64 s, 65 s.
const OPEN_LOG: &str = r#"{"format":1,"session":"s1","started_at":1000}
{"seq":1,"at":0,"event":{"type":"session_opened","wall":1,"engine":"e","model":"m","why":"","mode":"ask","folder":"/","version":"0","caps":{"prompt":true,"decide":true,"cancel":true,"seek":false}}}
{"seq":2,"at":0,"event":{"type":"turn_started","turn":"t1"}}
{"seq":3,"at":0,"event":{"type":"user_message","message":"m1","text":"one"}}
{"seq":4,"at":1000,"event":{"type":"message_started","message":"m2","role":"assistant"}}
{"seq":5,"at":2000,"event":{"type":"message_finished","message":"m2","stop":"end"}}
{"seq":6,"at":3000,"event":{"type":"turn_finished","turn":"t1","end":"completed"}}
{"seq":7,"at":63000,"event":{"type":"turn_started","turn":"t2"}}
{"seq":8,"at":63000,"event":{"type":"user_message","message":"m3","text":"two"}}
{"seq":9,"at":64000,"event":{"type":"message_started","message":"m4","role":"assistant"}}
{"seq":10,"at":65000,"event":{"type":"text_delta","message":"m4","text":"yes"}}
"#;
const LOG_ENDING: &str = r#"{"seq":11,"at":66000,"event":{"type":"message_finished","message":"m4","stop":"end"}}
{"seq":12,"at":66000,"event":{"type":"turn_finished","turn":"t2","end":"completed"}}
"#;

struct ReplayRig {
    live: SessionHandle,
    subscription: Subscription,
    tasks: JoinSet<()>,
    start: Instant,
    _file: tempfile::NamedTempFile,
}

fn log(text: &str) -> (tempfile::NamedTempFile, Reader) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let reader = Reader::open(file.path()).unwrap();
    (file, reader)
}

impl ReplayRig {
    fn of(text: &str, options: ReplayOptions) -> Self {
        let (file, reader) = log(text);
        let mut tasks = JoinSet::new();
        let live = start(reader, options, &mut tasks).unwrap();
        let subscription = live.hub.subscribe(Seq(0));
        Self { live, subscription, tasks, start: Instant::now(), _file: file }
    }

    fn new(options: ReplayOptions) -> Self {
        Self::of(&(OPEN_LOG.to_owned() + LOG_ENDING), options)
    }

    async fn send(&self, command: Command) {
        self.live.commands.send(command).await.unwrap();
        self.settle().await;
    }

    async fn settle(&self) {
        for _ in 0..8 {
            yield_now().await;
        }
    }

    async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.settle().await;
    }

    /// Returns the numbers of the events received since the last call; 0 is a reset.
    fn received_seqs(&mut self) -> Vec<u64> {
        let mut out = Vec::new();
        while self.subscription.try_next_batch(512, &mut out) {}
        out.iter()
            .map(|delivery| match delivery {
                HubItem::Event(event) => event.envelope.seq.0,
                HubItem::Reset => 0,
            })
            .collect()
    }

    /// Returns when events arrive, in milliseconds from the start, until `last`.
    async fn schedule(&mut self, last: u64) -> Vec<(u64, u64)> {
        let mut times = Vec::new();
        while let Some(HubItem::Event(event)) = self.subscription.next().await {
            let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap();
            times.push((event.envelope.seq.0, passed));
            if event.envelope.seq.0 == last {
                break;
            }
        }
        times
    }

    fn state(&self) -> ReplayStatus {
        self.live.status.borrow().replay.unwrap()
    }
}

const RECORDED_TIMES: [(u64, u64); 12] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 1_000),
    (5, 2_000),
    (6, 3_000),
    (7, 63_000),
    (8, 63_000),
    (9, 64_000),
    (10, 65_000),
    (11, 66_000),
    (12, 66_000),
];

/// Timers are exact to a millisecond.
fn assert_times(got: &[(u64, u64)], expected: impl IntoIterator<Item = (u64, u64)>) {
    let expected: Vec<_> = expected.into_iter().collect();
    let near = |(a, b): (&(u64, u64), &(u64, u64))| a.0 == b.0 && a.1.abs_diff(b.1) <= 2;
    assert!(got.len() == expected.len() && got.iter().zip(&expected).all(near), "{got:?} is not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn events_come_at_their_recorded_times() {
    let mut viewer = ReplayRig::new(ReplayOptions::default());
    assert_times(&viewer.schedule(12).await, RECORDED_TIMES);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_time_between_two_runs() {
    let day = 86_400_000;
    let again = |at: u64| {
        let opened =
            OPEN_LOG.lines().nth(1).unwrap().replace("\"seq\":1,\"at\":0", &format!("\"seq\":8,\"at\":{}", at + 5));
        let cut: String = OPEN_LOG.lines().take(6).map(|line| line.to_owned() + "\n").collect();
        let end = r#""event":{"type":"turn_finished","turn":"t1","end":"interrupted"}}"#;
        let notice = r#""event":{"type":"noticed","level":"warn","code":"c","text":"t"}}"#;
        format!("{cut}{{\"seq\":6,\"at\":{at},{notice}\n{{\"seq\":7,\"at\":{at},{end}\n{opened}\n")
    };
    let start = [(1, 0), (2, 0), (3, 0), (4, 1_000), (5, 2_000)];
    let mut viewer = ReplayRig::of(&again(day), ReplayOptions::default());
    assert_times(&viewer.schedule(8).await, start.into_iter().chain([(6, 4_000), (7, 4_000), (8, 4_005)]));
    let mut viewer = ReplayRig::of(&again(2_500), ReplayOptions::default());
    assert_times(&viewer.schedule(8).await, start.into_iter().chain([(6, 2_500), (7, 2_500), (8, 2_505)]));
    let max_idle = Some(Millis(500));
    let mut viewer = ReplayRig::of(&again(day), ReplayOptions { max_idle, ..ReplayOptions::default() });
    assert_times(&viewer.schedule(8).await[5..], [(6, 1_500), (7, 1_500), (8, 1_505)]);
}

#[tokio::test(start_paused = true)]
async fn at_double_speed_in_half_the_time() {
    let mut viewer = ReplayRig::new(ReplayOptions { speed: 2.0, ..ReplayOptions::default() });
    assert_times(&viewer.schedule(12).await, RECORDED_TIMES.map(|(seq, at)| (seq, at / 2)));
}

#[tokio::test(start_paused = true)]
async fn a_new_speed_counts_from_where_it_is_wished() {
    let mut viewer = ReplayRig::new(ReplayOptions::default());
    viewer.pass(1_500).await;
    viewer.send(Command::SetSpeed { factor: 0.5 }).await;
    assert_times(&viewer.schedule(5).await[4..], [(5, 2_500)]);
    viewer.send(Command::SetSpeed { factor: f32::NAN }).await;
    assert!((viewer.state().speed - 0.5).abs() < f32::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn long_pauses_are_squeezed_and_short_ones_are_not() {
    let mut viewer = ReplayRig::new(ReplayOptions { max_idle: Some(Millis(1_500)), ..ReplayOptions::default() });
    let squeezed = RECORDED_TIMES.map(|(seq, at)| (seq, if at > 3_000 { at - 58_500 } else { at }));
    assert_times(&viewer.schedule(12).await, squeezed);
    assert_eq!(viewer.state().position, Millis(66_000));
}

#[tokio::test(start_paused = true)]
async fn squeezing_ends_a_pause_that_lasted_long_enough() {
    let mut viewer = ReplayRig::new(ReplayOptions::default());
    viewer.pass(20_000).await;
    assert_eq!(viewer.received_seqs().last(), Some(&6));
    viewer.send(Command::CapIdle { max: Some(Millis(1_000)) }).await;
    viewer.pass(1).await;
    assert_eq!(viewer.received_seqs(), [7, 8]);
    viewer.pass(1_010).await;
    assert_eq!(viewer.received_seqs(), [9]);
}

#[tokio::test(start_paused = true)]
async fn paused_means_nothing_moves() {
    let mut viewer = ReplayRig::new(ReplayOptions::default());
    viewer.pass(1_500).await;
    viewer.send(Command::SetPaused { paused: true }).await;
    assert_eq!(viewer.received_seqs(), [1, 2, 3, 4]);
    viewer.pass(100_000).await;
    assert_eq!(viewer.received_seqs(), Vec::<u64>::new());
    assert!(viewer.state().paused && viewer.state().position.0.abs_diff(1_500) <= 2);
    viewer.send(Command::SetPaused { paused: false }).await;
    viewer.pass(510).await;
    assert_eq!(viewer.received_seqs(), [5]);
}

#[tokio::test(start_paused = true)]
async fn steps_go_one_event_on_or_back_and_pause() {
    let mut viewer = ReplayRig::new(ReplayOptions { paused: true, ..ReplayOptions::default() });
    viewer.settle().await;
    assert_eq!(viewer.received_seqs(), [1, 2, 3], "what has time 0 is the start");
    viewer.send(Command::Step { events: 1 }).await;
    viewer.send(Command::Step { events: 2 }).await;
    assert_eq!(viewer.received_seqs(), [4, 5, 6]);
    assert_eq!(viewer.state().position, Millis(3_000));
    viewer.send(Command::Step { events: -2 }).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4]);
    assert_eq!(viewer.state().position, Millis(1_000));
    viewer.send(Command::Step { events: -99 }).await;
    assert_eq!(viewer.received_seqs(), [0]);
    viewer.send(Command::Step { events: 99 }).await;
    assert_eq!(viewer.received_seqs(), (1..=12).collect::<Vec<_>>());
    viewer.send(Command::Step { events: i64::MIN }).await;
    viewer.send(Command::Step { events: i64::MAX }).await;
    assert_eq!(viewer.received_seqs().last(), Some(&12));
    assert!(viewer.state().paused);
}

#[tokio::test(start_paused = true)]
async fn seeking_tells_what_is_before_and_plays_on_from_there() {
    let mut viewer = ReplayRig::new(ReplayOptions::default());
    viewer.settle().await;
    viewer.send(Command::Seek { to: SeekTarget::At(Millis(63_500)) }).await;
    assert_eq!(viewer.received_seqs(), (1..=8).collect::<Vec<_>>());
    viewer.pass(510).await;
    assert_eq!(viewer.received_seqs(), [9]);
    viewer.send(Command::Seek { to: SeekTarget::By(-62_000) }).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4, 5]);
    viewer.pass(1_010).await;
    assert_eq!(viewer.received_seqs(), [6]);
    viewer.send(Command::Seek { to: SeekTarget::By(i64::MIN) }).await;
    viewer.send(Command::Seek { to: SeekTarget::By(i64::MAX) }).await;
    assert_eq!(viewer.received_seqs().last(), Some(&12));
    viewer.send(Command::Seek { to: SeekTarget::Fraction(5_000) }).await;
    assert_eq!((viewer.received_seqs().last(), viewer.state().position), (Some(&6), Millis(33_000)));
}

#[tokio::test(start_paused = true)]
async fn turns_are_reached_with_their_prompt() {
    let mut viewer = ReplayRig::new(ReplayOptions { paused: true, ..ReplayOptions::default() });
    viewer.send(Command::Seek { to: SeekTarget::Turns(1) }).await;
    assert_eq!(viewer.received_seqs(), (1..=8).collect::<Vec<_>>());
    assert_eq!((viewer.state().turn, viewer.state().turns), (2, 2));
    assert_eq!(viewer.state().position, Millis(63_000));
    viewer.send(Command::Seek { to: SeekTarget::Turns(-1) }).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3]);
    viewer.send(Command::Seek { to: SeekTarget::Turns(-1) }).await;
    assert_eq!((viewer.received_seqs(), viewer.state().turn), (vec![0], 0));
    viewer.send(Command::Seek { to: SeekTarget::Turns(9) }).await;
    assert_eq!(viewer.state().position, Millis(66_000));
    viewer.send(Command::Seek { to: SeekTarget::Turns(i64::MIN) }).await;
    assert_eq!(viewer.state().position, Millis(0));
}

#[tokio::test(start_paused = true)]
async fn at_its_end_a_replay_stays_open_and_plays_again() {
    let mut viewer = ReplayRig::new(ReplayOptions { from: Millis(65_500), ..ReplayOptions::default() });
    viewer.pass(600).await;
    assert_eq!(viewer.received_seqs(), (1..=12).collect::<Vec<_>>());
    assert!(viewer.state().paused);
    viewer.pass(10_000).await;
    let status = viewer.live.status.borrow().clone();
    assert_eq!((status.now, status.link), (Millis(66_000), LinkState::Idle));
    viewer.send(Command::Seek { to: SeekTarget::By(-1_500) }).await;
    assert!(!viewer.state().paused, "going back plays on");
    viewer.pass(2_000).await;
    viewer.received_seqs();
    viewer.send(Command::SetPaused { paused: false }).await;
    viewer.pass(1_100).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_its_last_viewer() {
    let ReplayRig { live, mut subscription, mut tasks, _file, .. } = ReplayRig::new(ReplayOptions::default());
    drop(live);
    assert!(tasks.join_next().await.unwrap().is_ok());
    while subscription.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_cut_log_is_sealed_for_its_viewer_and_not_on_disk() {
    let torn = OPEN_LOG.to_owned() + "{\"seq\":11,\"at\":66";
    let (file, reader) = log(&torn);
    let live = start_finished(reader).unwrap();
    let mut subscription = live.hub.subscribe(Seq(0));
    let mut events = Vec::new();
    let mut last = 0;
    while let Some(HubItem::Event(event)) = subscription.next().await {
        assert_eq!(event.envelope.seq.0, last + 1);
        assert_eq!(serde_json::to_vec(&event.envelope).unwrap(), event.line);
        last += 1;
        events.push(event.envelope.event.clone());
    }
    assert_eq!(grammar::check(&events), []);
    assert!(matches!(&events[10], AgentEvent::Notice { code: NoticeCode::TornLine, .. }));
    assert!(matches!(events.last(), Some(AgentEvent::TurnFinished { outcome: TurnOutcome::Interrupted, .. })));
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), torn);
}

#[tokio::test(start_paused = true)]
async fn a_cut_log_plays_to_its_seals_and_back() {
    let mut viewer = ReplayRig::of(OPEN_LOG, ReplayOptions { from: Millis(64_500), ..ReplayOptions::default() });
    viewer.pass(600).await;
    assert_eq!(viewer.received_seqs(), (1..=12).collect::<Vec<_>>());
    viewer.send(Command::Step { events: -1 }).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    viewer.send(Command::Step { events: 1 }).await;
    assert_eq!(viewer.received_seqs(), [12]);
    viewer.send(Command::Seek { to: SeekTarget::At(Millis(64_000)) }).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    viewer.send(Command::Seek { to: SeekTarget::End }).await;
    assert_eq!(viewer.received_seqs(), [10, 11, 12]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_is_at_its_end() {
    let mut viewer = ReplayRig::of(OPEN_LOG.lines().next().unwrap(), ReplayOptions::default());
    viewer.pass(10).await;
    for to in [
        SeekTarget::Start,
        SeekTarget::End,
        SeekTarget::Turns(1),
        SeekTarget::Turns(-1),
        SeekTarget::Fraction(u16::MAX),
    ] {
        viewer.send(Command::Seek { to }).await;
    }
    viewer.send(Command::SetPaused { paused: false }).await;
    assert_eq!((viewer.received_seqs(), viewer.state().paused), (vec![], true));
}

#[tokio::test(start_paused = true)]
async fn a_flood_yields_to_wishes() {
    // A copy may begin anywhere, so a missing start of its message is no damage.
    let mut text = String::from("{\"format\":1,\"session\":\"s\",\"started_at\":0,\"mirror_of\":\"x\"}\n");
    for seq in 1..=5_000 {
        text += r#"{"seq":SEQ,"at":10,"event":{"type":"text_delta","message":"m","text":"x"}}"#
            .replace("SEQ", &seq.to_string())
            .as_str();
        text.push('\n');
    }
    let mut viewer = ReplayRig::of(&text, ReplayOptions::default());
    assert!(viewer.subscription.next().await.is_some());
    viewer.send(Command::SetPaused { paused: true }).await;
    let count = viewer.received_seqs().len();
    assert!(count < 2_000, "{count} came before the pause");
    viewer.send(Command::SetPaused { paused: false }).await;
    viewer.pass(10).await;
    assert_eq!(viewer.received_seqs().last(), Some(&5_000));
}

/// A turn with two calls, of which the second fails after half a minute; the first is marked.
const CALLS_LOG: &str = r#"{"format":1,"session":"s1","started_at":1000}
{"seq":1,"at":0,"event":{"type":"session_opened","wall":1,"engine":"e","model":"m","why":"","mode":"ask","folder":"/","version":"0","caps":{"prompt":true,"decide":true,"cancel":true,"seek":false}}}
{"seq":2,"at":0,"event":{"type":"turn_started","turn":"t1"}}
{"seq":3,"at":100,"event":{"type":"message_started","message":"m2","role":"assistant"}}
{"seq":4,"at":200,"event":{"type":"tool_call_started","call":"c1","message":"m2","name":"run"}}
{"seq":5,"at":300,"event":{"type":"tool_call_ready","call":"c1","name":"run","args":"{}"}}
{"seq":6,"at":400,"event":{"type":"tool_call_started","call":"c2","message":"m2","name":"run"}}
{"seq":7,"at":500,"event":{"type":"tool_call_ready","call":"c2","name":"run","args":"{}"}}
{"seq":8,"at":600,"event":{"type":"message_finished","message":"m2","stop":"tool_calls"}}
{"seq":9,"at":700,"event":{"type":"tool_call_finished","call":"c1","outcome":"ok","output":{"text":"a"}}}
{"seq":10,"at":30000,"event":{"type":"tool_call_finished","call":"c2","outcome":"failed","output":{"text":"b"}}}
{"seq":11,"at":30100,"event":{"type":"turn_finished","turn":"t1","end":"completed"}}
{"seq":12,"at":40000,"event":{"type":"annotated","on":"session","kind":"mark","data":{"seq":4,"set":true}}}
"#;

#[tokio::test(start_paused = true)]
async fn what_stands_out_is_reached_in_both_directions() {
    let mut viewer = ReplayRig::of(CALLS_LOG, ReplayOptions { paused: true, ..ReplayOptions::default() });
    // Asked for before the log was looked through.
    viewer.live.commands.send(Command::Seek { to: SeekTarget::Tools(1) }).await.unwrap();
    viewer.live.status.clone().wait_for(|status| status.timeline.is_some()).await.unwrap();
    viewer.settle().await;
    let seen = |viewer: &mut ReplayRig| viewer.received_seqs().last().copied();
    assert_eq!(seen(&mut viewer), Some(5));
    let steps = [
        (SeekTarget::Tools(1), Some(7)),
        (SeekTarget::Tools(1), None),
        (SeekTarget::Tools(-1), Some(5)),
        (SeekTarget::Marks(-1), Some(4)),
        (SeekTarget::Errors(1), Some(10)),
        (SeekTarget::Waits(-1), Some(9)),
        (SeekTarget::Errors(-1), None),
    ];
    for (to, expected) in steps {
        viewer.send(Command::Seek { to }).await;
        assert_eq!(seen(&mut viewer), expected, "{to:?}");
    }
    assert_eq!(viewer.state().position, Millis(700));
}

#[tokio::test(start_paused = true)]
async fn a_part_is_played_again_and_again_until_it_is_left() {
    let mut viewer = ReplayRig::new(ReplayOptions { from: Millis(1_500), ..ReplayOptions::default() });
    viewer.live.status.clone().wait_for(|status| status.timeline.is_some()).await.unwrap();
    let range = LoopRange { from: Some(Millis(1_500)), to: Some(Millis(2_500)) };
    viewer.send(Command::SetLoop { range }).await;
    assert_eq!(viewer.state().looped, range);
    viewer.received_seqs();
    viewer.pass(2_600).await;
    // Who reads late gets the last round.
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4, 5]);
    assert!(viewer.state().position < Millis(2_500), "{:?}", viewer.state());
    // Who seeks past its end leaves it; who goes back is in it again.
    viewer.send(Command::Seek { to: SeekTarget::At(Millis(2_900)) }).await;
    viewer.pass(200).await;
    assert_eq!(viewer.received_seqs().last(), Some(&6));
    viewer.send(Command::Seek { to: SeekTarget::At(Millis(2_400)) }).await;
    viewer.received_seqs();
    viewer.pass(200).await;
    assert_eq!(viewer.received_seqs(), [0, 1, 2, 3, 4]);
    viewer.send(Command::SetLoop { range: LoopRange::default() }).await;
    viewer.pass(1_500).await;
    assert_eq!(viewer.received_seqs(), [5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_part_up_to_the_end_is_played_again_as_well() {
    let mut viewer = ReplayRig::new(ReplayOptions { from: Millis(64_500), ..ReplayOptions::default() });
    viewer.live.status.clone().wait_for(|status| status.timeline.is_some()).await.unwrap();
    viewer.received_seqs();
    let range = LoopRange { from: Some(Millis(64_500)), to: Some(Millis(66_000)) };
    viewer.send(Command::SetLoop { range }).await;
    viewer.pass(2_100).await;
    assert_eq!(viewer.received_seqs(), (0..=10).collect::<Vec<_>>());
    assert!(!viewer.state().paused);
}
