use super::*;

const PASTE_START: &[u8] = b"\x1b[200~";

/// What comes of these reads, each so many milliseconds after the first, and then nothing for a minute.
fn interpret(reads: &[(u64, &[u8])]) -> String {
    let began = Instant::now();
    let (mut parser, mut out) = (InputParser::default(), Vec::new());
    let wait = |parser: &mut InputParser, until: Instant, out: &mut Vec<Event>| {
        while let Some(due) = parser.deadline().filter(|due| *due <= until) {
            parser.on_timeout(due, out);
        }
    };
    for (at, bytes) in reads {
        let now = began + Duration::from_millis(*at);
        wait(&mut parser, now, &mut out);
        parser.feed(bytes, now, &mut out);
    }
    wait(&mut parser, began + Duration::from_mins(1), &mut out);
    assert_eq!(parser.deadline(), None, "nothing wakes up when nothing comes");
    out.iter().map(name).collect()
}

fn name(event: &Event) -> String {
    match event {
        Event::Paste(text) => format!("[{text}]"),
        Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) if modifiers.contains(KeyModifiers::CONTROL) => {
            format!("<C-{c}>")
        }
        Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) if modifiers.contains(KeyModifiers::ALT) => {
            format!("<A-{c}>")
        }
        Event::Key(KeyEvent { code: KeyCode::Char(c), .. }) => c.to_string(),
        Event::Key(key) => format!("<{:?}>", key.code),
        event => format!("<{event:?}>"),
    }
}

#[test]
fn a_paste_is_one_event_however_it_is_cut() {
    let bytes = "a\x1b[200~one\r漢\x1b[31m\x03two\x1b[201~b".as_bytes();
    let whole = interpret(&[(0, bytes)]);
    assert_eq!(whole, "a[one\r漢\u{1b}[31m\u{3}two]b");
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let reads = [(0, &bytes[..first]), (7, &bytes[first..second]), (14, &bytes[second..])];
            assert_eq!(interpret(&reads), whole, "cut at {first} and {second}");
        }
    }
    let bytes: Vec<(u64, &[u8])> = bytes.chunks(1).zip(0..).map(|(byte, at)| (at * 15, byte)).collect();
    assert_eq!(interpret(&bytes), whole, "byte by byte");
}

#[test]
fn a_sequence_in_pieces_is_one_key() {
    assert_eq!(interpret(&[(0, b"\x1b"), (10, b"[A"), (20, b"\x1b[1"), (60, b";5C")]), "<Up><Right>");
    assert_eq!(interpret(&[(0, b"\xe6"), (50, b"\xbc\xa2")]), "漢");
}

#[test]
fn a_sequence_that_stays_a_piece_eats_no_key() {
    assert_eq!(interpret(&[(0, b"\x1b"), (200, b"[")]), "<Esc>[");
    assert_eq!(interpret(&[(0, b"\x1b"), (5, b"x")]), "<Esc>x");
    assert_eq!(interpret(&[(0, b"\x1b["), (200, b"x")]), "<A-[>x");
    assert_eq!(interpret(&[(0, b"\x1bO"), (200, b"x")]), "<A-O>x");
    assert_eq!(interpret(&[(0, b"\x1b[1;"), (200, b"x")]), "x");
    assert_eq!(interpret(&[(0, b"\xf0\x9f"), (200, b"x")]), "x");
}

#[test]
fn a_paste_without_an_end_gives_the_keys_back_after_a_pause() {
    let lost = [PASTE_START, b"lost"].concat();
    assert_eq!(interpret(&[(0, &lost)]), "[lost]");
    assert_eq!(interpret(&[(0, &lost), (3000, b"x"), (3200, b"\x1b[A")]), "[lost]x<Up>");
    // A line end so soon is the paste's; later it is the person's.
    assert_eq!(interpret(&[(0, &lost), (3000, b" typed"), (3010, b"\r")]), "[lost] typed[\n]");
    assert_eq!(interpret(&[(0, &lost), (6000, b"\r")]), "[lost]<Enter>");
}

#[test]
fn esc_and_ctrl_c_lead_out_of_a_paste_and_do_nothing_else() {
    let lost = [PASTE_START, b"lost"].concat();
    let ways: [&[u8]; 5] = [b"\x1b", b"\x03", b"\x1b[27u", b"\x1b[27;1u", b"\x1b[99;5u"];
    for way in ways {
        assert_eq!(interpret(&[(0, &lost), (300, way), (500, b"x")]), "[lost]x", "{}", way.escape_ascii());
        assert_eq!(interpret(&[(0, &lost), (300, way), (900, way), (1500, way)]), "[lost]", "what is kept stays");
    }
    let again = interpret(&[(0, &lost), (300, b"\x03"), (600, b"\x03"), (900, b"\x03"), (1200, b"\x03")]);
    assert_eq!(again, "[lost]<C-c>", "nobody is kept in");
    assert_eq!(interpret(&[(0, &lost), (300, b"\x1b"), (7000, b"\x03")]), "[lost]<C-c>");
}

#[test]
fn a_paste_that_pauses_loses_nothing_and_sends_nothing() {
    let cases: [&[(u64, &[u8])]; 6] = [
        // Within the pause it is still one paste.
        &[(0, b"\x1b[200~one\r"), (1400, b"two\r"), (2800, b"three\x1b[201~")],
        &[(0, b"\x1b[200~one\r"), (4000, b"two\rthree\x1b[201~")],
        &[(0, b"\x1b[200~one"), (4000, b"\r"), (4005, b"two\rthree\x1b[201~")],
        &[(0, b"\x1b[200~one\rtwo"), (2900, b"\r"), (4400, b"three"), (4500, b"\x1b[201~")],
        &[(0, b"\x1b[200~one\rtwo\rthree\x1b[2"), (4000, b"01~")],
        &[(0, b"\x1b[200~one\rtwo\rthree"), (4000, b"\x1b"), (4010, b"[201~")],
    ];
    for reads in cases {
        let told = interpret(reads).replace("][", "").replace('\n', "\r");
        assert!(!told.contains('<'), "{told}");
        let text: String = told.chars().filter(|c| !"[]".contains(*c)).collect();
        assert_eq!(text, "one\rtwo\rthree");
    }
    let letter = "漢".as_bytes();
    let cut = interpret(&[
        (0, &[PASTE_START, &letter[..2]].concat()),
        (4000, &[&letter[2..], b" and more", PASTE_END].concat()),
    ]);
    assert_eq!(cut, "[漢 and more]");
}

#[test]
fn floods_of_keys_after_a_broken_paste_are_keys() {
    let lost = [PASTE_START, b"lost"].concat();
    let wheel = b"\x1b[<64;3;4M\x1b[<64;3;4M";
    assert_eq!(interpret(&[(0, &lost), (2000, b"\x1b[A\x1b[A\x1b[A"), (2100, b"ab")]), "[lost]<Up><Up><Up>ab");
    assert!(interpret(&[(0, &lost), (2000, wheel)]).contains("ScrollUp"));
}

#[test]
fn a_big_paste_comes_through_at_the_cost_of_its_bytes() {
    let text = "word 漢字\r\n".repeat(200_000);
    let bytes = [PASTE_START, text.as_bytes(), PASTE_END].concat();
    let reads: Vec<(u64, &[u8])> = bytes.chunks(4095).map(|chunk| (0, chunk)).collect();
    assert_eq!(interpret(&reads).len(), text.len() + 2);
}

#[test]
fn bytes_that_are_no_text_do_not_break_a_paste() {
    assert_eq!(interpret(&[(0, b"\x1b[200~a\xff\xc3(b\x1b[201~c")]), "[a\u{fffd}\u{fffd}(b]c");
    assert_eq!(interpret(&[(0, b"\x1b[200~\x1b[200~a\x1b[201~"), (10, b"\x1b[201~b")]), "[\u{1b}[200~a]b");
}

#[test]
fn any_bytes_at_any_time_end_with_the_keys_free() {
    let mut seed = 7_u32;
    let pieces: [&[u8]; 9] =
        [PASTE_START, PASTE_END, b"\x1b", b"[", b"\x03", b"\r", b"x", b"\xe6\xbc", b"some longer text\rwith it"];
    for _ in 0..5_000 {
        let mut reads = Vec::new();
        let mut at = 0;
        for _ in 0..8 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            at += u64::from(seed >> 20) % 2500;
            reads.push((at, pieces[(seed >> 8) as usize % pieces.len()]));
        }
        reads.push((at + 20_000, b"end"));
        assert!(interpret(&reads).ends_with("end"), "{reads:?}");
    }
}

#[test]
fn thousands_of_pastes_in_one_read_need_no_more_stack_than_one() {
    let read = b"\x1b[200~\x1b[201~".repeat(4096);
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    assert_eq!(small.spawn(move || interpret(&[(0, &read), (1, b"a")])).unwrap().join().unwrap(), "a");
}
