use super::*;

/// Everything that these bytes are, `chord`-like: `C-` Ctrl, `A-` Alt, `S-` Shift.
fn read(bytes: &[u8]) -> String {
    let (mut at, mut out) = (0, Vec::new());
    while at < bytes.len() {
        match decode(&bytes[at..]) {
            DecodeStep::Event(length, event) => {
                out.push(name(&event));
                at += length;
            }
            DecodeStep::Skip(length) => {
                out.push("-".into());
                at += length;
            }
            DecodeStep::PasteStart(length) => {
                out.push("paste".into());
                at += length;
            }
            DecodeStep::Incomplete => {
                out.push("…".into());
                break;
            }
        }
    }
    out.join(" ")
}

fn name(event: &Event) -> String {
    let modifiers = |modifiers: KeyModifiers| {
        let all = [
            (KeyModifiers::CONTROL, "C-"),
            (KeyModifiers::ALT, "A-"),
            (KeyModifiers::SHIFT, "S-"),
            (KeyModifiers::SUPER, "W-"),
        ];
        all.into_iter().filter(|(one, _)| modifiers.contains(*one)).map(|(_, name)| name).collect::<String>()
    };
    match event {
        Event::Key(key) => {
            let code = match key.code {
                KeyCode::Char(c) => c.to_string(),
                code => format!("{code:?}"),
            };
            let kind = match key.kind {
                KeyEventKind::Press => "",
                KeyEventKind::Repeat => "*",
                KeyEventKind::Release => "^",
            };
            format!("{}{code}{kind}", modifiers(key.modifiers))
        }
        Event::Mouse(mouse) => {
            format!("{}{:?}@{},{}", modifiers(mouse.modifiers), mouse.kind, mouse.column, mouse.row)
        }
        event => format!("{event:?}"),
    }
}

#[test]
fn keys_are_read_as_every_kind_of_terminal_sends_them() {
    let cases: &[(&[u8], &str)] = &[
        (b"aG \r\t\x7f\x08\x00", "a S-G   Enter Tab Backspace C-h C- "),
        (b"\x01\x0a\x1a\x1c\x1f", "C-a C-j C-z C-4 C-7"),
        ("é漢👍".as_bytes(), "é 漢 👍"),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F\x1bOA\x1bOH\x1bOM", "Up Down Right Left Home End Up Home Enter"),
        (b"\x1bOP\x1bOS\x1b[P\x1b[[A\x1b[[E\x1b[11~\x1b[24~\x1b[34~", "F(1) F(4) F(1) F(1) F(5) F(1) F(12) F(20)"),
        (
            b"\x1b[1~\x1b[7~\x1b[2~\x1b[3~\x1b[4~\x1b[8~\x1b[5~\x1b[6~",
            "Home Home Insert Delete End End PageUp PageDown",
        ),
        (b"\x1b[1;5C\x1b[1;4A\x1b[;2H\x1b[3;5~\x1b[5D\x1b[1A", "C-Right A-S-Up S-Home C-Delete C-Left Up"),
        (b"\x1b[1;2P\x1b[1;5R\x1b[15;2~\x1b[Z\x1b[1;2Z", "S-F(1) C-F(3) S-F(5) S-BackTab S-BackTab"),
        (b"\x1ba\x1b\r\x1b\x7f\x1b\x01\x1b[1;3A\x1b\x1b[A\x1bG", "A-a A-Enter A-Backspace C-A-a A-Up A-Up A-S-G"),
        ("\x1bé".as_bytes(), "A-é"),
        (b"\x1b\x1bx", "Esc A-x"),
        (b"\x1b]11;", "A-] 1 1 ;"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_kitty_protocol_and_modify_other_keys_are_read() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x1b[27u\x1b[13;2u\x1b[9;2u\x1b[127;5u", "Esc S-Enter S-BackTab C-Backspace"),
        (b"\x1b[99;5u\x1b[97;2u\x1b[97;3u\x1b[97;9u", "C-c S-A A-a W-a"),
        (b"\x1b[97;1:3u\x1b[97;1:2u\x1b[57399u\x1b[57414u\x1b[57376u", "a^ a* 0 Enter F(13)"),
        (b"\x1b[1;1:3A\x1b[3;1:2~\x1b[97:65;2;65u", "Up^ Delete* S-A"),
        (b"\x1b[27;5;13~\x1b[27;2;13~\x1b[27;6;65~", "C-Enter S-Enter C-S-A"),
        (b"\x1b[57441;2u\x1b[99999999u\x1b[u", "- - -"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_mouse_and_the_focus_are_read() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x1b[<0;10;5M\x1b[<0;10;5m\x1b[<2;1;1M", "Down(Left)@9,4 Up(Left)@9,4 Down(Right)@0,0"),
        (b"\x1b[<64;3;4M\x1b[<65;3;4M\x1b[<69;3;4M", "ScrollUp@2,3 ScrollDown@2,3 S-ScrollDown@2,3"),
        (b"\x1b[<32;3;4M\x1b[<35;3;4M\x1b[<0;70000;0M", "Drag(Left)@2,3 Moved@2,3 Down(Left)@65534,0"),
        (b"\x1b[M !!\x1b[M#!!\x1b[M`!!", "Down(Left)@0,0 Up(Left)@0,0 ScrollUp@0,0"),
        (b"\x1b[32;3;4M\x1b[96;3;4M", "Down(Left)@2,3 ScrollUp@2,3"),
        (b"\x1b[I\x1b[O", "FocusGained FocusLost"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_means_nothing_is_skipped_and_what_is_begun_waits() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x1b[?62;4c\x1b[?1u\x1b[>0;276;0c\x1b[99~x", "- - - - x"),
        (b"a\x80\xffb\xc3(", "a - - b - ("),
        (b"\x1b[12\x1b[A", "- Up"),
        (b"\x1b[1;5\x03", "- C-c"),
        (b"\x1b[200~hi", "paste h i"),
        (b"\x1b[201~hi", "- h i"),
        (b"\x1b", "…"),
        (b"\x1b[", "…"),
        (b"\x1b[1;5", "…"),
        (b"\x1b[M !", "…"),
        (b"\x1bO", "…"),
        (b"\xf0\x9f\x91", "…"),
        (b"\x1b\xc3", "…"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes), *expected, "{}", bytes.escape_ascii());
    }
    let endless = [b"\x1b[".as_slice(), &b"1;".repeat(100)].concat();
    assert_eq!(read(&endless), "-");
}

#[test]
fn any_bytes_are_read_to_their_end() {
    let mut seed = 1_u32;
    let alphabet = b"\x1b\x1b\x1b[[O<?;:0123456789MmuA~R\xc3\xa9\xff\x00\r \x7fz";
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..=seed % 17 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push(alphabet[(seed >> 16) as usize % alphabet.len()]);
        }
        // Every step takes something, so that this ends.
        assert!(!read(&bytes).is_empty());
    }
}
