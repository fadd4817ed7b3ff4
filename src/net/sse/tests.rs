use proptest::prelude::*;

use super::*;

fn frames(framing: Framing, chunks: &[&[u8]]) -> (Vec<SseFrame>, Option<String>) {
    let mut frames = FrameSplitter::new(framing);
    let mut out = Vec::new();
    for chunk in chunks {
        frames.push(chunk, &mut out).unwrap();
    }
    frames.finish(&mut out);
    (out, frames.last_event_id().map(Into::into))
}

fn frame(event: &str, id: Option<&str>, retry: Option<u64>, data: &str) -> SseFrame {
    SseFrame { event: event.into(), id: id.map(Into::into), retry, data: data.into() }
}

/// Stream, frames, and the id to reconnect with.
fn cases() -> Vec<(&'static [u8], Vec<SseFrame>, Option<&'static str>)> {
    let data = |texts: &[&str]| texts.iter().copied().map(SseFrame::data).collect::<Vec<_>>();
    vec![
        (b"data: a\n\ndata: b\n\n", data(&["a", "b"]), None),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", data(&["a", "b"]), None),
        (b"data: a\r\rdata: b\r\r", data(&["a", "b"]), None),
        (b"data: a\r\n\ndata: b\n\r\n", data(&["a", "b"]), None),
        (b"\xef\xbb\xbfdata: a\n\n", data(&["a"]), None),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\ndata: b\n\n", data(&["b"]), None),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", data(&["a"]), None),
        (b"data: a\ndata: b\ndata:\n\n", data(&["a\nb\n"]), None),
        (b"data:a\n\ndata:  b\n\ndata:\tc\n\n", data(&["a", " b", "\tc"]), None),
        (b"data\n\ndata\ndata\n\ndata:\n\n", data(&["", "\n", ""]), None),
        (b"data: a: b\n\n", data(&["a: b"]), None),
        (b": comment\n\n:\n\ndata: a\n: in between\n\n", data(&["a"]), None),
        (b"\n\n\ndata: a\n\n\n\n", data(&["a"]), None),
        (b"event: x\ndata: a\n\ndata: b\n\n", vec![frame("x", None, None, "a"), SseFrame::data("b")], None),
        (b"event: x\n\ndata: b\n\n", data(&["b"]), None),
        (b"event: x\nevent: y\ndata: b\n\n", vec![frame("y", None, None, "b")], None),
        (b"event: message\ndata: b\n\n", data(&["b"]), None),
        (b"id: 1\ndata: a\n\ndata: b\n\n", vec![frame("", Some("1"), None, "a"), SseFrame::data("b")], Some("1")),
        (b"id: 7\n\ndata: a\n\n", data(&["a"]), Some("7")),
        (b"id: 7\n\nid\ndata: a\n\n", vec![frame("", Some(""), None, "a")], None),
        (b"id: 1\nid: a\0b\ndata: a\n\n", vec![frame("", Some("1"), None, "a")], Some("1")),
        (b"retry: 250\ndata: a\n\n", vec![frame("", None, Some(250), "a")], None),
        (b"retry: +5\ndata: a\n\n", data(&["a"]), None),
        (b"retry: 1.5\nretry:\nretry: 99999999999999999999999\ndata: a\n\n", data(&["a"]), None),
        (b"Data: a\nfoo: b\n data: c\n\n", data(&[]), None),
        (b"data: a\n\ndata: cut", data(&["a"]), None),
        (b"data: a\n\ndata: cut\n", data(&["a"]), None),
        // An error is not lost for want of a blank line, and is one as a field of its own or as a line of JSON.
        (b"data: a\n\ndata: {\"error\":\"x\"}", data(&["a", "{\"error\":\"x\"}"]), None),
        (b"data: a\n\ndata: {\"error\":\"x\"", data(&["a"]), None),
        (b"data: a\n\n{\"error\":\"x\"}\n\n", data(&["a", "{\"error\":\"x\"}"]), None),
        (b"error: x\n\n", vec![frame("error", None, None, "x")], None),
        (b"data: \xff\xe2\x82\n\n", data(&["\u{fffd}\u{fffd}"]), None),
        ("data: \u{feff}€😀\n\n".as_bytes(), data(&["\u{feff}€😀"]), None),
        (b"data: a\0b\n\n", data(&["a\0b"]), None),
        (b"", data(&[]), None),
        (b" {\"a\":\n 1}\n", data(&["{\"a\":\n 1}"]), None),
    ]
}

#[test]
fn what_is_called_a_text_is_one_unless_it_begins_as_a_stream() {
    let cut = |stream: &[u8]| {
        let mut frames = FrameSplitter::for_content_type(Framing::Any, "text/plain; charset=utf-8");
        let mut out = Vec::new();
        for byte in stream {
            frames.push(&[*byte], &mut out).unwrap();
        }
        frames.finish(&mut out);
        let is_text = out.iter().all(|frame| frame.event == crate::dialect::TEXT_PIECE_NAME);
        (is_text, out.into_iter().map(|frame| frame.data).collect::<Vec<_>>().concat())
    };
    for text in ["Hi.\r\n\n", " \n", "dates: none", "data", "<p>", "[1] first", "{a\n", "id: ", "\u{fffd}", "{\"a\":"] {
        let wanted = if text == "id: " { (true, String::new()) } else { (true, text.to_owned()) };
        assert_eq!(cut(text.as_bytes()), wanted, "{text:?}");
    }
    assert_eq!(cut(b"data: a\n\nevent: x\ndata: b\n\n"), (false, "ab".to_owned()));
    assert_eq!(cut(b"{\"a\":1}\n{\"b\":2}\n"), (false, "{\"a\":1}{\"b\":2}".to_owned()));
    assert_eq!(cut(b"{\"error\":\"x\"}"), (false, "{\"error\":\"x\"}".to_owned()));
    let long = format!("[{}", "x".repeat(MAX_UNDECIDED_BYTES));
    assert_eq!(cut(long.as_bytes()), (true, long));
}

#[test]
fn the_standard_holds_at_every_chunking() {
    for (stream, expected, id) in cases() {
        let shown = String::from_utf8_lossy(stream).into_owned();
        let expected = (expected, id.map(Into::into));
        assert_eq!(frames(Framing::Sse, &[stream]), expected, "{shown:?}");
        for size in 1..=stream.len().max(1) {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(frames(Framing::Sse, &chunks), expected, "{shown:?} by {size}");
        }
        for at in 0..=stream.len() {
            let (left, right) = stream.split_at(at);
            assert_eq!(frames(Framing::Sse, &[left, b"", right]), expected, "{shown:?} at {at}");
        }
    }
}

/// Name, stream, frames, the id to reconnect with, and the pause before.
type Case = (&'static str, Vec<u8>, Vec<SseFrame>, Option<&'static str>, Option<u64>);

/// What the public web-platform cases of `eventsource/format-*` ask for, in streams of our own.
fn public_cases() -> Vec<Case> {
    let data = |texts: &[&str]| texts.iter().copied().map(SseFrame::data).collect::<Vec<_>>();
    let long = "y".repeat(5000);
    vec![
        ("bom", b"\xef\xbb\xbfdata:a\n\n\xef\xbb\xbfdata:b\n\ndata:c\n\n".to_vec(), data(&["a", "c"]), None, None),
        ("bom-2", b"\xef\xbb\xbf\xef\xbb\xbfdata:a\n\ndata:b\n\ndata:c\n\n".to_vec(), data(&["b", "c"]), None, None),
        (
            "comments",
            format!("data:a\r:\0\n:\r\ndata:b\n:{long}\rdata:c\n:data:no\r:{long}\ndata:d\n\n").into_bytes(),
            data(&["a\nb\nc\nd"]),
            None,
            None,
        ),
        (
            "data-before-final-empty-line",
            b"retry:900\ndata:a\n\nid:late\ndata:b".to_vec(),
            vec![SseFrame::data("a")].into_iter().map(|a| SseFrame { retry: Some(900), ..a }).collect(),
            None,
            Some(900),
        ),
        ("field-data", b"data:\n\ndata\ndata\n\ndata:x\n\n".to_vec(), data(&["", "\n", "x"]), None, None),
        ("field-event", b"event:e\ndata:x\n\ndata:x\n\n".to_vec(), vec![frame("e", None, None, "x"), SseFrame::data("x")], None, None),
        ("field-event-empty", b"event: \ndata:x\n\n".to_vec(), data(&["x"]), None, None),
        ("field-id", "id: \u{2026}\ndata:x\n\n".as_bytes().to_vec(), vec![frame("", Some("\u{2026}"), None, "x")], Some("\u{2026}"), None),
        (
            "field-id-2",
            b"id:a\ndata:1\n\ndata:2\n\nid:b\ndata:3\n\nid\ndata:4\n\n".to_vec(),
            vec![frame("", Some("a"), None, "1"), SseFrame::data("2"), frame("", Some("b"), None, "3"), frame("", Some(""), None, "4")],
            None,
            None,
        ),
        ("field-id-null", b"id:\0\ndata:1\n\nid:x\0\ndata:2\n\nid:x\0x\ndata:3\n\n".to_vec(), data(&["1", "2", "3"]), None, None),
        (
            "field-parsing",
            b"data:\0\ndata:  b\rData:c\ndata\0:d\ndata:e\r\0data:f\nda-ta:g\rdata_h\ndata:i\rdata:\r\n data:j\ndata:k\n\n".to_vec(),
            data(&["\0\n b\ne\ni\n\nk"]),
            None,
            None,
        ),
        ("field-retry", b"retry:0700\ndata:x\n\n".to_vec(), vec![frame("", None, Some(700), "x")], None, Some(700)),
        ("field-retry-bogus", b"retry:700\nretry:70x\ndata:x\n\n".to_vec(), vec![frame("", None, Some(700), "x")], None, Some(700)),
        ("field-retry-empty", b"retry\ndata:x\n\n".to_vec(), data(&["x"]), None, None),
        ("field-unknown", b"data:x\n data\ndata\nother:y\nwords\n:remark\ndata:z\n\n".to_vec(), data(&["x\n\nz"]), None, None),
        ("leading-space", b"data:\tx\rdata: \ndata:y\n\n".to_vec(), data(&["\tx\n\ny"]), None, None),
        ("newlines", b"data:x\r\ndata\ndata:y\r\n\r".to_vec(), data(&["x\n\ny"]), None, None),
        ("null-character", b"data:\0\n\n\n\n".to_vec(), data(&["\0"]), None, None),
        ("utf-8", "data:o\u{15d}\n\n".as_bytes().to_vec(), data(&["o\u{15d}"]), None, None),
    ]
}

#[test]
fn the_public_cases_hold_at_every_chunking() {
    for (name, stream, wanted, id, retry) in public_cases() {
        let cut = |chunks: &mut dyn Iterator<Item = &[u8]>| {
            let (mut frames, mut out) = (FrameSplitter::new(Framing::Sse), Vec::new());
            for chunk in chunks {
                frames.push(chunk, &mut out).unwrap();
            }
            frames.finish(&mut out);
            (out, frames.last_event_id().map(str::to_owned), frames.retry_millis())
        };
        let wanted = (wanted, id.map(str::to_owned), retry);
        for size in (1..=stream.len().min(64)).chain([stream.len()]) {
            assert_eq!(cut(&mut stream.chunks(size)), wanted, "{name} by {size}");
        }
        for at in 0..=stream.len() {
            let (left, right) = stream.split_at(at);
            assert_eq!(cut(&mut [left, right].into_iter()), wanted, "{name} at {at}");
        }
    }
}

#[test]
fn a_type_with_remarks_is_still_an_event_stream() {
    for kind in ["text/event-stream;", "text/event-stream;x odd", "text/event-stream; charset=latin1"] {
        let (mut frames, mut out) = (FrameSplitter::for_content_type(Framing::Any, kind), Vec::new());
        frames.push(b"x\ndata:a\n\n", &mut out).unwrap();
        assert_eq!(out, [SseFrame::data("a")], "{kind}");
    }
}

#[test]
fn a_retry_without_data_is_kept() {
    let mut frames = FrameSplitter::new(Framing::Sse);
    let mut out = Vec::new();
    frames.push(b"retry: 40\n\n", &mut out).unwrap();
    assert_eq!((frames.retry_millis(), out.len()), (Some(40), 0));
}

#[test]
fn an_event_comes_with_its_last_byte() {
    let mut frames = FrameSplitter::new(Framing::Sse);
    let mut out = Vec::new();
    frames.push(b"data: a\r\n\r", &mut out).unwrap();
    assert_eq!(out, [SseFrame::data("a")]);
    frames.push(b"\ndata: b\n\n", &mut out).unwrap();
    assert_eq!(out, [SseFrame::data("a"), SseFrame::data("b")]);
}

#[test]
fn lines_of_json_are_frames() {
    let stream = "\u{feff}{\"a\":1}\n\n  \r\n{\"b\":\"é\"}".as_bytes();
    for size in 1..=stream.len() {
        let chunks: Vec<&[u8]> = stream.chunks(size).collect();
        let (out, _) = frames(Framing::Ndjson, &chunks);
        assert_eq!(out, [SseFrame::data("{\"a\":1}"), SseFrame::data("{\"b\":\"é\"}")]);
    }
}

#[test]
fn an_unknown_answer_is_told_by_its_type_or_its_first_line() {
    for (kind, stream, count) in [
        ("text/event-stream; charset=utf-8", "data: a\n\ndata: b\n\n", 2),
        ("text/plain", "data: a\n\ndata: b\n\n", 2),
        ("", ": hello\n\nid: 1\ndata: b\n\n", 1),
        ("", "\u{feff}event:x\ndata:b\n\n", 1),
        ("application/x-ndjson", "{\"a\":1}\n{\"b\":1}\n", 2),
        ("text/plain", "{\"a\":1}\n{\"b\":1}\n", 2),
        ("", "datum\nis not a field", 2),
        ("", "da", 1),
        ("application/json", "{\"a\":\n1}\n", 1),
        ("application/json", "{\"a\":1}\n{\"b\":1}\n", 2),
        ("application/json", "", 0),
    ] {
        for size in 1..=stream.len().max(1) {
            let mut frames = FrameSplitter::for_content_type(Framing::Any, kind);
            let mut out = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                frames.push(chunk, &mut out).unwrap();
            }
            frames.finish(&mut out);
            assert_eq!(out.len(), count, "{kind} {stream:?} by {size}: {out:?}");
        }
    }
}

#[test]
fn a_web_page_is_refused_at_its_first_byte() {
    for framing in [Framing::Sse, Framing::Ndjson] {
        let mut frames = FrameSplitter::new(framing);
        assert_eq!(frames.push(b"\xef\xbb\xbf\r\n", &mut Vec::new()), Ok(()));
        assert_eq!(frames.push(b" <!doctype html>", &mut Vec::new()), Err(FramingError::WebPage));
    }
}

/// Pieces that meet badly.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"data"[..],
        b":",
        b" ",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"id",
        b"id: 4",
        b"retry: 9",
        b"event: x",
        b"data: {\"a\":1}",
        b"\xef\xbb\xbf",
        b"\xef",
        b"\xff",
        b"\0",
        b"\xf0\x9f\x98\x80",
        b": c",
        b"x",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn frames_do_not_depend_on_the_reads(stream in noise(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), lines in any::<bool>()) {
        let framing = if lines { Framing::Ndjson } else { Framing::Sse };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&stream[from..cut]);
            from = cut;
        }
        chunks.push(&stream[from..]);
        prop_assert_eq!(frames(framing, &chunks), frames(framing, &[&stream]));
    }
}

#[test]
fn what_came_and_is_no_field_is_remembered_in_short() {
    let strays = |stream: &[u8]| {
        let mut frames = FrameSplitter::new(Framing::Sse);
        let mut out = Vec::new();
        frames.push(stream, &mut out).unwrap();
        frames.finish(&mut out);
        (frames.strays().to_owned(), out.len())
    };
    assert_eq!(strays(b"upstream\nis down"), ("upstream is down".to_owned(), 0));
    assert_eq!(strays(b"data: a\n\n: alive\n\n"), (String::new(), 1));
    assert!(strays(&[b'x'; 5000]).0.len() <= 400);
}

proptest! {
    #[test]
    fn a_block_of_one_line_is_read_as_the_event_parser_reads_it(field in "(data|data:|data: |data:  |event: x\ndata: )", value in "[^\r\n]{0,12}") {
        let block = || SseBlock { text: format!("{field}{value}\n\n"), id: Some("7".into()), retry: None };
        prop_assert_eq!(parse_event(block()), parse_with_names(block()));
    }
}
