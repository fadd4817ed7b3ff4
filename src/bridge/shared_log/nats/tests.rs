use super::copy::LineAssembler;
use super::*;

fn lines(texts: &[&str]) -> Vec<(u64, Bytes)> {
    texts.iter().zip(1..).map(|(text, seq)| (seq, Bytes::copy_from_slice(text.as_bytes()))).collect()
}

fn cut(lines: &[(u64, Bytes)], max_bytes: usize) -> Vec<LogMessage> {
    cut_into_messages(lines.iter().map(|(seq, line)| (*seq, line)), max_bytes)
}

/// What a reader gets of messages.
fn read(messages: &[LogMessage]) -> Vec<(u64, Bytes)> {
    let mut assembler = LineAssembler::default();
    let read = |message: &LogMessage| {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(SEQ_HEADER, message.first.to_string());
        if let Some(part) = &message.part {
            headers.insert(PART_HEADER, part.as_str());
        }
        assembler.push(Some(&headers), &Bytes::from(message.payload.clone()))
    };
    messages.iter().flat_map(read).collect()
}

#[test]
fn lines_come_back_whatever_the_size_of_a_message() {
    let whole = lines(&["one", "twotwo", "three three three", "4", "five"]);
    for max_bytes in 1..40 {
        let messages = cut(&whole, max_bytes);
        assert!(messages.iter().all(|message| message.payload.len() <= max_bytes), "{max_bytes}");
        assert_eq!(read(&messages), whole, "{max_bytes}");
        assert_eq!(messages.last().unwrap().last, 5);
    }
    assert_eq!(cut(&whole, 1000).len(), 1);
}

#[test]
fn what_a_writer_left_half_done_is_no_line() {
    let cut_off = cut(&lines(&["one", "a long line"]), 4);
    let mut messages = cut_off[..cut_off.len() - 1].to_vec();
    messages.extend(cut_into_messages([(2, &Bytes::from_static(b"two"))], 4));
    assert_eq!(read(&messages), lines(&["one", "two"]));
    let later_part = LogMessage { first: 9, last: 9, part: Some("2/2".to_owned()), payload: b"x".to_vec() };
    assert_eq!(read(&[later_part]), []);
}

#[test]
fn any_name_of_a_session_is_one_part_of_a_subject_and_comes_back() {
    for name in ["20261201-001500-7f3a", "a.b", "x_y", "*", ">", "Ü ber"] {
        let session = SessionId::from(name);
        let token = token_of(&session);
        assert!(is_token(&token), "{token}");
        assert_eq!(session_of(&token), Some(session));
    }
    assert_eq!(token_of(&"20261201-001500-7f3a".into()), "20261201-001500-7f3a");
    assert_eq!((session_of("x_7"), session_of("x_zz")), (None, None));
}
