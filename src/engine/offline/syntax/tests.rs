use serde_json::json;

use super::*;

fn calls(prompt: &str) -> Vec<(&'static str, Json)> {
    parse(prompt).steps.into_iter().map(|step| (step.tool, step.args)).collect()
}

fn check(table: &[(&str, &str, Json)]) {
    for (prompt, tool, args) in table {
        assert_eq!(calls(prompt), [(*tool, args.clone())], "{prompt}");
    }
}

#[test]
fn every_example_is_a_request_of_its_form() {
    for form in FORMS {
        let found = calls(form.example);
        assert!(matches!(found.as_slice(), [(tool, _)] if *tool == form.tool), "{}: {found:?}", form.example);
        assert!(form.syntax.starts_with(form.verbs[0].split(' ').next().unwrap()), "{}", form.syntax);
    }
}

#[test]
fn an_expression_is_calculated_with_a_verb_or_alone() {
    let calc = |expression: &str| json!({ "expression": expression });
    let table = [
        ("what is 17% of 4,200?", calc("17% of 4200")),
        ("what is 17% of 2349.50?", calc("17% of 2349.50")),
        ("What's 2 + 2?", calc("2 + 2")),
        ("2+2=", calc("2+2")),
        ("(3 + 4) * 5", calc("(3 + 4) * 5")),
        ("1,234,567 × 2", calc("1234567 * 2")),
        ("calculate sqrt(2)", calc("sqrt(2)")),
        ("what is 5!", calc("5!")),
        ("convert 10 miles to km", calc("10 miles to km")),
        ("what is 100 celsius in fahrenheit?", calc("100 celsius in fahrenheit")),
    ];
    for (prompt, args) in table {
        let result = fend_core::evaluate(args["expression"].as_str().unwrap(), &mut fend_core::Context::new());
        assert!(result.is_ok(), "{prompt}: {result:?}");
        check(&[(prompt, "calculator", args)]);
    }
}

#[test]
fn files_are_listed_read_and_searched() {
    let read = |path: &str, offset: u64, limit: u64| json!({ "path": path, "offset": offset, "limit": limit });
    check(&[
        ("list files", "list_dir", json!({})),
        ("list the files here", "list_dir", json!({})),
        ("ls", "list_dir", json!({})),
        ("list src", "list_dir", json!({ "path": "src" })),
        ("list files in src/tool", "list_dir", json!({ "path": "src/tool" })),
        ("list ..", "list_dir", json!({ "path": ".." })),
        ("read README.md", "read_file", json!({ "path": "README.md" })),
        ("Read \"a b.txt\".", "read_file", json!({ "path": "a b.txt" })),
        ("read README.md lines 10-20", "read_file", read("README.md", 10, 11)),
        ("read README.md line 7", "read_file", read("README.md", 7, 1)),
        ("find \"TODO\" in src", "search", json!({ "pattern": "TODO", "literal": true, "path": "src" })),
        ("find apple", "search", json!({ "pattern": "apple", "literal": true })),
        ("search for main in *.rs", "search", json!({ "pattern": "main", "literal": true, "glob": "*.rs" })),
        ("grep \"a b\" in .", "search", json!({ "pattern": "a b", "literal": true, "path": "." })),
        ("find /fn.main/ in src", "search", json!({ "pattern": "fn.main", "path": "src" })),
    ]);
}

#[test]
fn files_are_written_and_changed() {
    let write = |path: &str, content: &str| json!({ "path": path, "content": content });
    check(&[
        ("write \"a\\nb\" to x", "write_file", write("x", "a\nb")),
        ("write hello world to made.txt", "write_file", write("made.txt", "hello world")),
        ("write to a.txt:\none\n\ntwo\n", "write_file", write("a.txt", "one\n\ntwo\n")),
        ("write to a.rs:\n```rust\nfn main() {}\n```", "write_file", write("a.rs", "fn main() {}\n")),
        ("replace a with \"b c\" in x.txt", "edit_file", json!({ "path": "x.txt", "old": "a", "new": "b c" })),
        ("replace \"a b\" with \"\" in x", "edit_file", json!({ "path": "x", "old": "a b", "new": "" })),
        ("replace all a with b in x", "edit_file", json!({ "path": "x", "old": "a", "new": "b", "all": true })),
    ]);
}

#[test]
fn commands_pages_and_the_time() {
    let run = |command: &str| json!({ "command": command });
    let fetch = |url: &str| json!({ "url": url });
    check(&[
        ("run `echo hi; echo there >&2`", "shell", run("echo hi; echo there >&2")),
        ("run date", "shell", run("date")),
        ("run git log -n 3 'a b'", "shell", run("git log -n 3 'a b'")),
        ("$ ls -l | wc", "shell", run("ls -l | wc")),
        ("run echo a and then b", "shell", run("echo a and then b")),
        ("fetch https://example.com/a?b=c", "fetch", fetch("https://example.com/a?b=c")),
        ("fetch example.com/Page", "fetch", fetch("example.com/Page")),
        ("https://example.com", "fetch", fetch("https://example.com")),
        ("what time is it?", "clock", json!({})),
        ("what time is it in Europe/Berlin?", "clock", json!({ "zone": "Europe/Berlin" })),
        ("time in UTC", "clock", json!({ "zone": "UTC" })),
        ("date", "clock", json!({})),
    ]);
}

#[test]
fn what_has_no_form_calls_nothing() {
    for prompt in [
        "",
        "hello",
        "how do I connect Ollama?",
        "where are logs stored?",
        "what is plan mode",
        "what's in the log?",
        "list sessions",
        "list ideas for a party",
        "show me a demo",
        "read it to me again",
        "find out who wrote this",
        "search the web for cats",
        "write a poem about the sea",
        "write a letter to mother",
        "replace the engine",
        "run the tests",
        "run `ls` in the cellar",
        "git status",
        "delete a.txt",
        "fetch me a beer",
        "2024-05-06",
        "42",
        "C",
        "!!",
        "$100 is a lot",
        "time is money",
        "/model",
        "what is the meaning of life",
        "how do I set the base url to http://localhost:8000/v1?",
    ] {
        assert_eq!(parse(prompt), PromptPlan { steps: Vec::new(), unmatched: vec![prompt.to_owned()] }, "{prompt}");
    }
}

#[test]
fn several_requests_go_on_lines_or_are_joined_by_and_then() {
    let tools = |prompt: &str| calls(prompt).into_iter().map(|(tool, _)| tool).collect::<Vec<_>>();
    assert_eq!(tools("1. list files\n2. read a.txt\n3. what is 3*3"), ["list_dir", "read_file", "calculator"]);
    assert_eq!(tools("- what time is it\n- ls src"), ["clock", "list_dir"]);
    assert_eq!(tools("list files, then read a.txt and then what is 2+2"), ["list_dir", "read_file", "calculator"]);
    let plan = parse("list files\ntell me a story");
    assert_eq!((plan.steps.len(), plan.unmatched), (1, vec!["tell me a story".to_owned()]));
    assert_eq!(parse("write \"a\" to x.txt and then explain it").steps, [], "a line is done as a whole or not at all");
}

#[test]
fn a_pasted_text_with_one_matching_line_calls_nothing() {
    let pasted = "error: something broke\nin the middle of things\n$ rm everything\nand it goes on\nfor a while";
    assert_eq!(parse(pasted), PromptPlan { steps: Vec::new(), unmatched: vec![pasted.to_owned()] });
}

#[test]
fn independent_steps_share_a_round_and_dependent_ones_wait() {
    let rounds = |prompt: &str| -> Vec<Vec<&'static str>> {
        PromptPlan::rounds(&parse(prompt).steps).iter().map(|round| round.iter().map(|s| s.tool).collect()).collect()
    };
    assert_eq!(rounds("list files\nread a.txt\nwhat is 3*3"), [vec!["list_dir", "read_file", "calculator"]]);
    assert_eq!(rounds("write \"a\" to x.txt, then read x.txt"), [["write_file"], ["read_file"]]);
    assert_eq!(rounds("write \"a\" to x.txt\nwrite \"b\" to y.txt"), [["write_file", "write_file"]]);
    assert_eq!(rounds("write \"a\" to x.txt\nlist files"), [["write_file"], ["list_dir"]]);
    assert_eq!(rounds("write \"a\" to x.txt\nwhat is 1+1"), [["write_file", "calculator"]]);
    assert_eq!(rounds("run `make` and then run `make test`"), [["shell"], ["shell"]]);
}

mod prop {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(
            words in proptest::collection::vec(
                prop_oneof![
                    "\\PC{0,6}",
                    proptest::sample::select(vec![
                        "read", "write", "to", "in", "and", "then", "\"", "`", "'", "```\n", "\n", "a.txt", "$", "run",
                        "find", "for", "replace", "with", "what", "is", "5", "+", "%", "lines", "-", "(", ",", "“",
                        "”", "https://", ":", "list", "time", "é",
                    ]).prop_map(str::to_owned),
                ],
                0..14,
            ),
        ) {
            super::super::parse(&words.join(" "));
        }
    }
}
