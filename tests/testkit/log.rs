//! Lines of logs, as they are in files.

/// Returns the lines of a session of `turns` turns in `folder`, the header first, without newlines.
pub(crate) fn session_lines(folder: &str, turns: u64) -> Vec<String> {
    let mut lines = vec![format!(r#"{{"format":1,"session":"s","started_at":1000,"folder":"{folder}"}}"#)];
    let mut push = |event: String| {
        let seq = lines.len();
        lines.push(format!(r#"{{"seq":{seq},"at":{},"event":{event}}}"#, seq * 10));
    };
    push(format!(
        r#"{{"type":"session_opened","wall":1000,"engine":"e","model":"m","mode":"ask","folder":"{folder}","version":"0","caps":{{"prompt":true,"decide":true,"cancel":true,"seek":false}}}}"#
    ));
    for turn in 1..=turns {
        push(format!(r#"{{"type":"turn_started","turn":"t{turn}"}}"#));
        push(format!(r#"{{"type":"user_message","message":"u{turn}","text":"question {turn}"}}"#));
        push(format!(r#"{{"type":"message_started","message":"m{turn}","role":"assistant"}}"#));
        push(format!(r#"{{"type":"text_delta","message":"m{turn}","text":"answer {turn}"}}"#));
        push(format!(r#"{{"type":"message_finished","message":"m{turn}","stop":"end"}}"#));
        push(format!(r#"{{"type":"turn_finished","turn":"t{turn}","end":"completed"}}"#));
    }
    lines
}

pub(crate) fn joined(lines: &[String]) -> Vec<u8> {
    (lines.join("\n") + "\n").into_bytes()
}
