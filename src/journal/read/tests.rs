mod damaged;

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::event::Millis;

pub(super) fn log(text: &str) -> (tempfile::NamedTempFile, Reader) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let reader = Reader::open(file.path()).unwrap();
    // Resuming a log does this too; only then are jumps allowed.
    reader.find_end().unwrap();
    (file, reader)
}

fn header() -> &'static str {
    "{\"format\":1,\"session\":\"s1\",\"started_at\":1000}\n"
}

fn delta(seq: u64, width: usize) -> String {
    let text = "x".repeat(width);
    format!(
        "{{\"seq\":{seq},\"at\":{},\"event\":{{\"type\":\"text_delta\",\"message\":\"m\",\"text\":\"{text}\"}}}}\n",
        seq * 10
    )
}

fn turn(seq: u64) -> String {
    format!("{{\"seq\":{seq},\"at\":{},\"event\":{{\"type\":\"turn_started\",\"turn\":\"t{seq}\"}}}}\n", seq * 10)
}

/// Every 100th event begins a turn.
fn long(events: u64, width: usize) -> String {
    let lines = (1..=events).map(|seq| if seq % 100 == 0 { turn(seq) } else { delta(seq, width) });
    header().to_owned() + &lines.collect::<String>()
}

fn seqs(page: &LogPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.envelope.seq.0).collect()
}

#[test]
fn pages_joined_are_the_whole() {
    let (_file, reader) = log(&long(3_000, 40));
    let mut cursor = reader.start_cursor();
    let mut all = Vec::new();
    loop {
        let page = reader.read(&mut cursor, ReadLimits { max_events: 77, ..ReadLimits::one_page() }).unwrap();
        all.extend(seqs(&page));
        assert_eq!(page.damage.unreadable, 0);
        if page.at_end {
            break;
        }
    }
    assert_eq!(all, (1..=3_000).collect::<Vec<_>>());
}

#[test]
fn any_number_is_found_by_bisection() {
    let (_file, reader) = log(&long(6_000, 60));
    for seq in (0..6_100).step_by(61) {
        let page = reader
            .read(&mut reader.cursor_after(Seq(seq)).unwrap(), ReadLimits { max_events: 1, ..ReadLimits::one_page() })
            .unwrap();
        assert_eq!(seqs(&page).first().copied(), (seq < 6_000).then_some(seq + 1));
        assert_eq!(reader.seq_at(Millis(seq * 10 + 9)).unwrap(), Seq(seq.min(6_000)));
    }
}

#[test]
fn reading_stops_where_it_is_told_and_goes_on() {
    let (_file, reader) = log(&long(20, 1));
    let mut cursor = reader.start_cursor();
    let page = reader.read(&mut cursor, ReadLimits { through: Seq(5), ..ReadLimits::one_page() }).unwrap();
    assert_eq!((seqs(&page), page.at_end), (vec![1, 2, 3, 4, 5], true));
    let page = reader.read(&mut cursor, ReadLimits { through: Seq(7), ..ReadLimits::one_page() }).unwrap();
    assert_eq!(seqs(&page), [6, 7]);
}

#[test]
fn a_line_longer_than_a_chunk_is_read_whole() {
    let text = header().to_owned() + &delta(1, 1) + &delta(2, CHUNK_BYTES * 3) + &delta(3, 1);
    let (_file, reader) = log(&text);
    let page = reader.read_all().unwrap();
    assert_eq!(seqs(&page), [1, 2, 3]);
    assert_eq!(page.entries[1].line.len(), delta(2, CHUNK_BYTES * 3).len() - 1);
    assert_eq!(reader.find_end().unwrap().last_seq, Seq(3));
    assert_eq!(reader.build_index().unwrap().events, 3);
}

#[test]
fn what_is_no_envelope_is_counted_and_skipped() {
    let text = header().to_owned()
        + &delta(1, 1)
        + "{\"seq\":2,\"at\":20,\"event\":{\"type\":\"text_del\n"
        + &delta(2, 1)
        + "\n\u{0}\u{1}garbage\n"
        + &delta(2, 9)
        + &delta(3, 1);
    let (_file, reader) = log(&text);
    let page = reader.read_all().unwrap();
    assert_eq!((seqs(&page), page.damage), (vec![1, 2, 3], Damage { unreadable: 2, repeated: 1, ..Damage::default() }));
    let index = reader.build_index().unwrap();
    assert_eq!((index.events, index.end.last_seq), (3, Seq(3)));
}

#[test]
fn the_tail_begins_with_a_turn() {
    let (_file, reader) = log(&long(20_000, 100));
    let tail = reader.tail(3, 1 << 20).unwrap().unwrap();
    assert_eq!(seqs(&tail.page), (19_800..=20_000).collect::<Vec<_>>());
    assert!(!tail.is_whole);
    assert_eq!(reader.tail(1, 1 << 20).unwrap().unwrap().page.entries.len(), 1);
}

#[test]
fn a_tail_that_reaches_the_start_is_the_whole() {
    let opened = r#"{"seq":1,"at":0,"event":{"type":"session_opened","wall":1,"engine":"e","model":"m","mode":"ask","folder":"/","version":"0","caps":{"prompt":true,"decide":true,"cancel":true,"seek":false}}}"#;
    let text = format!("{}{opened}\n{}{}", header(), turn(2), delta(3, 1));
    let (_file, reader) = log(&text);
    let tail = reader.tail(9, 1 << 20).unwrap().unwrap();
    assert!(tail.is_whole);
    assert_eq!(tail.opened.unwrap().envelope.seq, Seq(1));
    assert_eq!(seqs(&tail.page), [2, 3]);
}

#[test]
fn the_word_in_a_text_begins_no_turn() {
    let quoted = r#"{"seq":2,"at":0,"event":{"type":"text_delta","message":"m","text":"\"type\":\"turn_started\""}}"#;
    let (_file, reader) = log(&format!("{}{}{quoted}\n", header(), delta(1, 1)));
    assert_eq!(reader.tail(1, 1 << 20).unwrap(), None);
    assert_eq!(reader.build_index().unwrap().turns, []);
}

#[test]
fn a_survey_tells_turns_and_length() {
    let (_file, reader) = log(&long(1_050, 30));
    let index = reader.build_index().unwrap();
    let turns: Vec<_> = index.turns.iter().map(|mark| mark.seq.0).collect();
    assert_eq!(turns, (1..=10).map(|n| n * 100).collect::<Vec<_>>());
    assert_eq!(index.end, reader.find_end().unwrap());
    assert_eq!(index.end, LogEnd { last_seq: Seq(1_050), at: Millis(10_500), torn: None, ends_with_newline: true });
}

#[test]
fn bare_envelopes_are_a_log_too() {
    let (_file, reader) = log(&(delta(1, 1) + &delta(2, 1)));
    assert_eq!(seqs(&reader.read_all().unwrap()), [1, 2]);
}

#[test]
fn what_is_no_log_says_so() {
    let open = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Reader::open(file.path()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(open("").ends_with(" is empty"));
    assert!(open("# a readme\n").contains("not a session log"));
    assert!(open("{\"format\":9,\"session\":\"s\",\"started_at\":1}\n").contains("format 9"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_strange(
        noise in prop::collection::vec((any::<u8>(), any::<prop::sample::Index>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = long(900, 90).into_bytes();
        let begin = header().len();
        for (byte, place) in noise {
            let place = begin + place.index(bytes.len() - begin);
            bytes[place] = byte;
        }
        bytes.truncate(begin + cut.index(bytes.len() - begin));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let reader = Reader::open(file.path()).unwrap();
        let page = reader.read_all().unwrap();
        let all = seqs(&page);
        prop_assert!(all.is_sorted_by(|a, b| a < b));
        let end = reader.find_end().unwrap();
        prop_assert!(all.last().is_none_or(|last| end.last_seq.0 >= *last), "{end:?}");
        reader.build_index().unwrap();
        reader.seq_at(Millis(4_500)).unwrap();
        if let Some(tail) = reader.tail(2, 1 << 20).unwrap() {
            prop_assert!(all.ends_with(&seqs(&tail.page)) || !seqs(&tail.page).is_empty());
        }
        let mut cursor = reader.cursor_after(Seq(450)).unwrap();
        let rest = reader.read(&mut cursor, ReadLimits::unlimited()).unwrap();
        prop_assert!(seqs(&rest).iter().all(|seq| *seq > 450));
    }
}

#[test]
fn where_branches_begin_is_found_without_reading_the_rest() {
    let branch = |seq: u64, after: u64| {
        format!("{{\"seq\":{seq},\"at\":{},\"event\":{{\"type\":\"branch_started\",\"after\":{after}}}}}\n", seq * 10)
    };
    let talk = |seq: u64| {
        let text = "x".repeat(700);
        format!(
            "{{\"seq\":{seq},\"at\":{},\"event\":{{\"type\":\"text_delta\",\"message\":\"m\",\"text\":\"{text} branch_started\"}}}}\n",
            seq * 10
        )
    };
    let line = |seq: u64| if seq.is_multiple_of(500) { branch(seq, seq - 300) } else { talk(seq) };
    let text = header().to_owned() + &(1..=2_000).map(line).collect::<String>();
    let (_file, reader) = log(&text);
    let mut expected = crate::event::branches::BranchStarts::default();
    for seq in [500, 1_000, 1_500, 2_000] {
        let _ = expected.add(Seq(seq), Seq(seq - 300));
    }
    assert_eq!(reader.branch_starts(Seq(u64::MAX)).unwrap(), expected);
    assert_eq!(
        reader.branch_starts(Seq(999)).unwrap().path_to(Seq(999)).ranges(),
        [(Seq(1), Seq(200)), (Seq(500), Seq(999))]
    );
    // Of a log that was not looked through it is not known whether its numbers can be trusted.
    let unchecked = Reader::open(reader.path()).unwrap();
    assert_eq!(unchecked.branch_starts(Seq(u64::MAX)).unwrap(), expected);
}
