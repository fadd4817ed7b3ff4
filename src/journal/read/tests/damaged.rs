//! Tests with logs damaged by a disk, an editor or a power cut.

use std::io::Write as _;

use proptest::prelude::*;

use crate::event::{AgentEvent, Seq};
use crate::journal::{Damage, LogPage, Reader, Writer};
use crate::testkit::log::{joined as bytes, session_lines};

fn session(turns: u64) -> Vec<String> {
    session_lines("/work", turns)
}

fn saved(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn read(bytes: &[u8]) -> LogPage {
    Reader::open(saved(bytes).path()).unwrap().read_all().unwrap()
}

fn seqs(page: &LogPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.envelope.seq.0).collect()
}

fn events(page: &LogPage) -> Vec<AgentEvent> {
    page.entries.iter().map(|entry| entry.envelope.event.clone()).collect()
}

/// Appends a turn as a resumed session does, opens the log again, and returns the prompts read.
fn prompts_after_a_new_turn(bytes: &[u8]) -> Vec<String> {
    let file = saved(bytes);
    for text in ["third", "fourth"] {
        let (mut writer, end) = Writer::open(file.path()).unwrap();
        let seq = end.last_seq.0;
        let line = |offset: u64, event: String| {
            bytes::Bytes::from(format!(r#"{{"seq":{},"at":{},"event":{event}}}"#, seq + offset, end.at.0 + offset))
        };
        let lines = [
            line(1, format!(r#"{{"type":"turn_started","turn":"{text}"}}"#)),
            line(2, format!(r#"{{"type":"user_message","message":"{text}","text":"{text}"}}"#)),
            line(3, format!(r#"{{"type":"turn_finished","turn":"{text}","end":"completed"}}"#)),
        ];
        writer.append(&lines).unwrap();
    }
    let page = Reader::open(file.path()).unwrap().read_all().unwrap();
    let prompt = |event| match event {
        AgentEvent::UserMessage { text, .. } => Some(text),
        _ => None,
    };
    events(&page).into_iter().filter_map(prompt).collect()
}

#[test]
fn a_wrong_number_hides_nothing_and_no_new_turn_vanishes() {
    let sound = session(3);
    let whole = read(&bytes(&sound));
    assert!(whole.damage.is_none());
    let last = sound.len() - 1;
    for at in 1..=last {
        for wrong in [0, 3, 10, 11, 90, 9_000_000_000] {
            if wrong == at as u64 || at == last {
                continue;
            }
            let mut lines = sound.clone();
            lines[at] = lines[at].replacen(&format!("\"seq\":{at},"), &format!("\"seq\":{wrong},"), 1);
            let page = read(&bytes(&lines));
            assert_eq!(events(&page), events(&whole), "{at} became {wrong}");
            assert_eq!(seqs(&page), seqs(&whole), "{at} became {wrong}");
            assert_eq!(page.damage, Damage { renumbered: 1, ..Damage::default() }, "{at} became {wrong}");
            let prompts = prompts_after_a_new_turn(&bytes(&lines));
            assert_eq!(prompts, ["question 1", "question 2", "question 3", "third", "fourth"], "{at} became {wrong}");
        }
    }
}

#[test]
fn what_was_renumbered_is_told_and_found_under_its_number() {
    let mut lines = session(3);
    lines[10] = lines[10].replacen("\"seq\":10,", "\"seq\":90,", 1);
    let file = saved(&bytes(&lines));
    let reader = Reader::open(file.path()).unwrap();
    let index = reader.build_index().unwrap();
    assert_eq!((index.end.last_seq, index.damage.renumbered), (Seq(19), 1));
    for seq in 0..19 {
        let page =
            reader.read(&mut reader.cursor_after(Seq(seq)).unwrap(), crate::journal::ReadLimits::unlimited()).unwrap();
        assert_eq!(seqs(&page), (seq + 1..=19).collect::<Vec<_>>());
    }
    let entry = reader.read_all().unwrap().entries.swap_remove(9);
    assert!(entry.line.starts_with(b"{\"seq\":10,\"at\":100,"), "{:?}", entry.line);
}

#[test]
fn a_wrong_time_moves_no_other() {
    let mut lines = session(2);
    lines[5] = lines[5].replacen("\"at\":50,", "\"at\":9050,", 1);
    lines[9] = lines[9].replacen("\"at\":90,", "\"at\":10,", 1);
    let page = read(&bytes(&lines));
    let times: Vec<_> = page.entries.iter().map(|entry| entry.envelope.at.0).collect();
    assert_eq!(times, [10, 20, 30, 40, 60, 60, 70, 80, 80, 100, 110, 120, 130]);
    assert_eq!(page.damage.renumbered, 2);
}

#[test]
fn a_record_behind_half_a_line_is_kept() {
    let mut lines = session(2);
    let whole = read(&bytes(&lines));
    lines[8] = format!("{}{}", &lines[8][..30], lines[8]);
    let page = read(&bytes(&lines));
    assert_eq!(events(&page), events(&whole));
    assert_eq!(page.damage, Damage { unreadable: 1, ..Damage::default() });
}

#[test]
fn two_records_in_one_line_are_two() {
    let sound = session(2);
    let whole = read(&bytes(&sound));
    for at in 0..sound.len() - 1 {
        let mut lines = sound.clone();
        let next = lines.remove(at + 1);
        lines[at] += &next;
        let page = read(&bytes(&lines));
        assert_eq!((events(&page), page.damage), (events(&whole), Damage::default()), "line {at}");
        // The same, page by page.
        let file = saved(&bytes(&lines));
        let reader = Reader::open(file.path()).unwrap();
        let (mut cursor, mut all) = (reader.start_cursor(), Vec::new());
        loop {
            let page = reader
                .read(
                    &mut cursor,
                    crate::journal::ReadLimits { max_events: 1, ..crate::journal::ReadLimits::one_page() },
                )
                .unwrap();
            all.extend(seqs(&page));
            if page.at_end {
                break;
            }
        }
        assert_eq!(all, seqs(&whole), "line {at}");
    }
}

#[test]
fn a_block_of_nothing_after_a_power_cut_is_told_and_costs_no_record() {
    let lines = session(2);
    let whole = read(&bytes(&lines));
    let mut middle = bytes(&lines[..8]);
    middle.extend([0; 4096]);
    middle.extend(bytes(&lines[8..]));
    let page = read(&middle);
    assert_eq!((events(&page), page.damage.unreadable), (events(&whole), 1));
    let mut end = bytes(&lines);
    end.extend([0; 4096]);
    let page = read(&end);
    assert_eq!((events(&page), page.damage.torn), (events(&whole), Some(4096)));
    assert_eq!(prompts_after_a_new_turn(&end), ["question 1", "question 2", "third", "fourth"]);
}

#[test]
fn other_line_ends_blank_lines_and_a_mark_change_nothing() {
    let lines = session(2);
    let whole = read(&bytes(&lines));
    let returns = lines.join("\r\n") + "\r\n";
    let blanks = lines.join("\n\n  \r\n") + "\n\n";
    let mark = format!("\u{feff}{}", String::from_utf8(bytes(&lines)).unwrap());
    for text in [returns, blanks, mark] {
        assert_eq!(read(text.as_bytes()), whole);
        assert_eq!(prompts_after_a_new_turn(text.as_bytes()), ["question 1", "question 2", "third", "fourth"]);
    }
}

#[test]
fn a_header_that_is_missing_or_torn_hides_no_event() {
    let lines = session(2);
    let whole = read(&bytes(&lines));
    let missing = read(&bytes(&lines[1..]));
    assert_eq!((events(&missing), missing.damage), (events(&whole), Damage::default()));
    for header in ["{\"format\":1,\"kind\":\"sess", "\0\0\0\0", "{\"form\u{1}t\":1,\"session\":\"s\",\"started_at\":1}"]
    {
        let mut broken = lines.clone();
        broken[0] = header.into();
        let file = saved(&bytes(&broken));
        let reader = Reader::open(file.path()).unwrap();
        assert_eq!((reader.header().folder.as_str(), reader.header().engine.as_str()), ("/work", "e"));
        let page = reader.read_all().unwrap();
        assert_eq!((events(&page), page.damage.unreadable), (events(&whole), 1), "{header}");
        assert_eq!(prompts_after_a_new_turn(&bytes(&broken)), ["question 1", "question 2", "third", "fourth"]);
    }
}

#[test]
fn two_logs_in_one_file_are_told_and_the_first_goes_on() {
    let mut joined = bytes(&session(2));
    joined.extend(bytes(&session(1)));
    let page = read(&joined);
    assert_eq!(seqs(&page), (1..=13).collect::<Vec<_>>());
    assert_eq!((page.damage.unreadable, page.damage.repeated), (1, 7));
    assert_eq!(prompts_after_a_new_turn(&joined), ["question 1", "question 2", "third", "fourth"]);
}

#[test]
fn a_line_that_hides_thousands_of_beginnings_is_given_up() {
    let mut lines = session(1);
    lines.push("{\"seq\":".repeat(200_000));
    let page = read(&bytes(&lines));
    assert_eq!(seqs(&page), (1..=7).collect::<Vec<_>>());
    assert!(page.damage.unreadable > 0);
}

/// Returns whether the damage was reported, or the log is unchanged except for the text of one line, which can't be
/// checked.
fn is_honest(page: &LogPage, index: Damage, whole: &LogPage) -> bool {
    let other = page.entries.iter().zip(&whole.entries).filter(|(now, was)| now.envelope != was.envelope).count();
    !index.is_none() || (page.entries.len() == whole.entries.len() && other <= 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_is_told_or_changes_a_word(place in any::<prop::sample::Index>(), bit in 0..8u8) {
        let sound = bytes(&session(4));
        let whole = read(&sound);
        let header = sound.iter().position(|byte| *byte == b'\n').unwrap();
        let mut damaged = sound.clone();
        let place = place.index(damaged.len());
        damaged[place] ^= 1 << bit;
        let file = saved(&damaged);
        // A foreign format is rejected with an error.
        if let Ok(reader) = Reader::open(file.path()) {
            let page = reader.read_all().unwrap();
            let index = reader.build_index().unwrap();
            prop_assert!(is_honest(&page, index.damage, &whole), "{:?}", String::from_utf8_lossy(&damaged));
            prop_assert!(page.entries.len() + 2 >= whole.entries.len());
            let prompts = prompts_after_a_new_turn(&damaged);
            prop_assert!(prompts.ends_with(&["third".into(), "fourth".into()]), "{prompts:?}");
        } else {
            prop_assert!(place < header);
        }
    }

    #[test]
    fn a_line_dropped_or_doubled_is_told(at in 1..26usize, doubled in any::<bool>()) {
        let mut lines = session(4);
        let whole = read(&bytes(&lines));
        let is_last = at == lines.len() - 1;
        if doubled {
            lines.insert(at, lines[at].clone());
        } else {
            lines.remove(at);
        }
        let file = saved(&bytes(&lines));
        let reader = Reader::open(file.path()).unwrap();
        let page = reader.read_all().unwrap();
        let damage = reader.build_index().unwrap().damage;
        if doubled {
            prop_assert_eq!((events(&page), damage), (events(&whole), Damage { repeated: 1, ..Damage::default() }));
        } else if !is_last {
            prop_assert!(damage.missing == 1 && page.entries.len() == whole.entries.len() - 1);
        }
        let prompts = prompts_after_a_new_turn(&bytes(&lines));
        prop_assert!(prompts.ends_with(&["third".into(), "fourth".into()]), "{prompts:?}");
    }
}
