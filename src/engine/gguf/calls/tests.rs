use super::*;

/// Reads a message in one piece, and letter by letter; both must give the same.
fn read(text: &str) -> Vec<Written> {
    let names = || vec!["clock".to_owned(), "read_file".to_owned()];
    let mut whole = Vec::new();
    let mut reader = CallReader::new(names());
    reader.push(text, &mut whole);
    reader.finish(&mut whole);
    let mut letters = Vec::new();
    let mut reader = CallReader::new(names());
    for letter in text.chars() {
        let mut piece = Vec::new();
        reader.push(&letter.to_string(), &mut piece);
        for written in piece {
            match written {
                Written::Text(text) => push_text(&text, &mut letters),
                call @ Written::Call { .. } => letters.push(call),
            }
        }
    }
    let mut rest = Vec::new();
    reader.finish(&mut rest);
    for written in rest {
        match written {
            Written::Text(text) => push_text(&text, &mut letters),
            call @ Written::Call { .. } => letters.push(call),
        }
    }
    assert_eq!(whole, letters, "{text}");
    whole
}

fn text(text: &str) -> Written {
    Written::Text(text.into())
}

fn call(name: &str, args: Value) -> Written {
    Written::Call { name: name.into(), args }
}

#[test]
fn calls_are_read_as_each_family_writes_them() {
    let file = || call("read_file", json!({"path": "a.txt"}));
    for written in [
        "<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}\n</tool_call>",
        "<tool_call>[{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}]</tool_call>",
        "<tool_call>{\"name\": \"read_file\", \"arguments\": \"{\\\"path\\\": \\\"a.txt\\\"}\"}</tool_call>",
        "<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}",
        "{\"name\": \"read_file\", \"parameters\": {\"path\": \"a.txt\"}}",
        "{\"type\": \"function\", \"function\": {\"name\": \"read_file\", \"parameters\": {\"path\": \"a.txt\"}}}",
        "{\"type\": \"function\", \"name\": \"read_file\", \"parameters\": {\"path\": \"a.txt\"}}",
        "<|python_tag|>{\"name\": \"read_file\", \"parameters\": {\"path\": \"a.txt\"}}",
        "<|python_tag|>read_file.call(path=\"a.txt\")",
        "<|tool_call|>[{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}]<|/tool_call|>",
        "functools[{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}]",
        "```tool_code\nread_file(path='a.txt')\n```",
        "```tool_code\nprint(default_api.read_file(path=\"a.txt\"))\n```",
        "```json\n{\"name\": \"read_file\", \"parameters\": {\"path\": \"a.txt\"}}\n```",
        "[{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}]",
    ] {
        assert_eq!(read(written), [file()], "{written}");
    }
}

#[test]
fn several_calls_and_words_around_them_are_kept_apart() {
    let written = "Let me look.\n<tool_call>{\"name\": \"clock\"}</tool_call>\n<tool_call>{\"name\": \"clock\", \"arguments\": {}}</tool_call>";
    let clock = || call("clock", json!({}));
    assert_eq!(read(written), [text("Let me look.\n"), clock(), text("\n"), clock()]);
    assert_eq!(
        read("{\"name\": \"clock\", \"parameters\": {}}; {\"name\": \"clock\", \"parameters\": {}}"),
        [clock(), clock()]
    );
}

#[test]
fn what_is_no_call_stays_text() {
    for written in [
        "Plain words with < and <tool and { braces }.",
        "{\"name\": \"Ada\", \"age\": 36}",
        "{ not json",
        "```json\n{\"a\": 1}\n```\nThat is JSON.",
        "<tool_call>nonsense</tool_call> and more",
        "<tool_call>{\"name\": \"clock\", \"arguments\": 3}</tool_call>",
        "```tool_code\nrm(path='x')\n```",
        "[1, 2, 3]",
        "  leading blanks",
        "\n",
        "",
    ] {
        let read = read(written);
        let expected: Vec<Written> = Some(text(written)).filter(|_| !written.is_empty()).into_iter().collect();
        assert_eq!(read, expected, "{written}");
    }
}

#[test]
fn a_call_of_an_unknown_tool_is_a_call_where_it_can_be_nothing_else() {
    assert_eq!(read("<tool_call>{\"name\": \"nobody\", \"arguments\": {}}</tool_call>"), [call("nobody", json!({}))]);
}

#[test]
fn without_tools_everything_is_text() {
    let mut out = Vec::new();
    let mut reader = CallReader::new(Vec::new());
    reader.push("<tool_call>{\"name\": \"clock\"}</tool_call>", &mut out);
    reader.finish(&mut out);
    assert_eq!(out, [text("<tool_call>{\"name\": \"clock\"}</tool_call>")]);
}

#[test]
fn what_a_python_string_escapes_is_read_in_one_pass() {
    let written = "```tool_code\nread_file(path='a\\\\n\\'b\\'\\n\\d', deep=True)\n```";
    assert_eq!(read(written), [call("read_file", json!({"path": "a\\n'b'\n\\d", "deep": true}))]);
}
