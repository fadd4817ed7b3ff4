use super::*;

fn calls(prompt: &str) -> Vec<(&'static str, Json)> {
    parse(prompt).steps.into_iter().map(|step| (step.tool, step.args)).collect()
}

/// Prompt → calls, in order.
fn table() -> Vec<(&'static str, Vec<(&'static str, Json)>)> {
    let calc = |expression: &str| ("calculator", json!({ "expression": expression }));
    let read = |path: &str| ("read_file", json!({ "path": path }));
    let part =
        |path: &str, offset: u64, limit: u64| ("read_file", json!({ "path": path, "offset": offset, "limit": limit }));
    let list = |path: &str| ("list_dir", json!({ "path": path }));
    let here = || ("list_dir", json!({}));
    let find = |pattern: &str| ("search", json!({ "pattern": pattern }));
    let find_in = |pattern: &str, path: &str| ("search", json!({ "path": path, "pattern": pattern }));
    let glob = |pattern: &str, glob: &str| ("search", json!({ "glob": glob, "pattern": pattern }));
    let write = |path: &str, content: &str| ("write_file", json!({ "path": path, "content": content }));
    let edit = |path: &str, old: &str, new: &str| ("edit_file", json!({ "path": path, "old": old, "new": new }));
    let edit_all =
        |path: &str, old: &str, new: &str| ("edit_file", json!({ "path": path, "old": old, "new": new, "all": true }));
    let run = |command: &str| ("shell", json!({ "command": command }));
    let fetch = |url: &str| ("fetch", json!({ "url": url }));
    let now = || ("clock", json!({}));
    let zone = |zone: &str| ("clock", json!({ "zone": zone }));
    vec![
        // Sums.
        ("what is 17% of 4,200?", vec![calc("17% of 4200")]),
        ("What's 2 + 2?", vec![calc("2 + 2")]),
        ("2+2=", vec![calc("2+2")]),
        ("(3 + 4) * 5", vec![calc("(3 + 4) * 5")]),
        ("work out 12 times 7", vec![calc("12 * 7")]),
        ("please calculate 100 divided by 8", vec![calc("100 / 8")]),
        ("how much is 5 plus 6", vec![calc("5 + 6")]),
        ("what is the square root of 144", vec![calc("sqrt(144)")]),
        ("compute sqrt(2) to the power of 3", vec![calc("sqrt(2) ^ 3")]),
        ("what is the sum of 1, 2 and 3", vec![calc("1 + 2 + 3")]),
        ("what is 20% off 50", vec![calc("50 * (1 - 20/100)")]),
        ("1,234,567 × 2", vec![calc("1234567 * 2")]),
        ("3 x 4", vec![calc("3 * 4")]),
        ("what is 7 squared plus 1", vec![calc("7^2 + 1")]),
        ("Could you work out 5% of 80 for me, please?", vec![calc("5% of 80")]),
        ("5!", vec![calc("5!")]),
        ("what's the factorial of 5?", vec![calc("5!")]),
        ("half of 90", vec![calc("(90) / 2")]),
        ("multiply 6 by 7", vec![calc("6 * 7")]),
        ("subtract 3 from 10", vec![calc("10 - 3")]),
        ("add 5 and 6", vec![calc("5 + 6")]),
        // Units.
        ("how tall is 6 feet in cm?", vec![calc("6 feet to cm")]),
        ("what's 72°F in °C?", vec![calc("72 F to C")]),
        ("convert 5 miles to km", vec![calc("5 miles to km")]),
        ("how many litres in 3 gallons", vec![calc("3 gallons to litres")]),
        ("how many litres are there in 3 gallons?", vec![calc("3 gallons to litres")]),
        ("how many seconds are in a day", vec![calc("1 day to seconds")]),
        ("5 miles in km", vec![calc("5 miles to km")]),
        ("what is 100 celsius in fahrenheit?", vec![calc("100 celsius to fahrenheit")]),
        ("Convert 72 degrees Fahrenheit to Celsius", vec![calc("72 fahrenheit to celsius")]),
        ("what is 255 in hex", vec![calc("255 to hex")]),
        ("3 GiB in MB", vec![calc("3 GiB to MB")]),
        // Lists.
        ("list files", vec![here()]),
        ("ls", vec![here()]),
        ("list the files in src", vec![list("src")]),
        ("ls src/engine", vec![list("src/engine")]),
        ("what's in src?", vec![list("src")]),
        ("what is in the src folder", vec![list("src")]),
        ("show me the files in tests", vec![list("tests")]),
        ("which files are in this folder?", vec![here()]),
        ("list src and tests", vec![list("src"), list("tests")]),
        ("what files are there", vec![here()]),
        ("show me src", vec![list("src")]),
        ("read docs/", vec![list("docs/")]),
        ("how many files are in src?", vec![list("src")]),
        // Reads.
        ("read Cargo.toml", vec![read("Cargo.toml")]),
        ("show me the file src/main.rs, please", vec![read("src/main.rs")]),
        ("open the readme", vec![read("README.md")]),
        ("can you show me the README file?", vec![read("README.md")]),
        ("what does README.md say about installing?", vec![read("README.md")]),
        ("show lines 10-20 of src/lib.rs", vec![part("src/lib.rs", 10, 11)]),
        ("read src/lib.rs lines 5 to 7", vec![part("src/lib.rs", 5, 3)]),
        ("read line 3 of a.txt", vec![part("a.txt", 3, 1)]),
        ("show the first 20 lines of notes.md", vec![part("notes.md", 1, 20)]),
        ("read a.txt from line 30", vec![("read_file", json!({ "path": "a.txt", "offset": 30 }))]),
        ("read a.txt and b.txt", vec![read("a.txt"), read("b.txt")]),
        ("what's in Cargo.toml", vec![read("Cargo.toml")]),
        ("what does config.toml say?", vec![read("config.toml")]),
        ("read \"my file.txt\"", vec![read("my file.txt")]),
        ("cat `src/a b.rs`", vec![read("src/a b.rs")]),
        // Searches.
        ("find \"TODO\" in src", vec![find_in("TODO", "src")]),
        ("search for unwrap in src/main.rs", vec![find_in("unwrap", "src/main.rs")]),
        ("grep main src", vec![find_in("main", "src")]),
        ("search the project for hello world", vec![find("hello world")]),
        ("look for \"fn main()\"", vec![find("fn main\\(\\)")]),
        ("find /impl\\s+Tool/ in src", vec![find_in("impl\\s+Tool", "src")]),
        ("where is AgentEvent mentioned?", vec![find("AgentEvent")]),
        ("find where `a b` is used", vec![find("a b")]),
        ("which files mention tokio", vec![find("tokio")]),
        ("find unsafe in rust files", vec![glob("unsafe", "*.rs")]),
        ("search for TODO in *.md files", vec![glob("TODO", "*.md")]),
        ("find files named *.snap", vec![run("find . -name '*.snap' -not -path '*/.git/*' -not -path '*/target/*'")]),
        // Writes.
        ("write \"hello\" to a.txt", vec![write("a.txt", "hello")]),
        ("write \"one\\ntwo\\n\" to a.txt", vec![write("a.txt", "one\ntwo\n")]),
        ("save 'it works' as notes/today.md", vec![write("notes/today.md", "it works")]),
        ("write hello there to a.txt", vec![write("a.txt", "hello there")]),
        ("create a file called b.txt with the content \"x and then y\"", vec![write("b.txt", "x and then y")]),
        ("create file c.txt with hi", vec![write("c.txt", "hi")]),
        ("make an empty file d.txt", vec![write("d.txt", "")]),
        ("create a file main.py with:\n```python\nprint(1)\n```", vec![write("main.py", "print(1)\n")]),
        ("```\nx = 1\n```\nsave this as x.py", vec![write("x.py", "x = 1\n")]),
        ("write to poem.txt:\nroses are red\nlist files", vec![write("poem.txt", "roses are red\nlist files\n")]),
        // Edits.
        ("replace \"foo\" with \"bar\" in a.txt", vec![edit("a.txt", "foo", "bar")]),
        ("replace all \"foo\" with \"bar\" in a.txt", vec![edit_all("a.txt", "foo", "bar")]),
        ("change foo to bar in src/a.rs everywhere", vec![edit_all("src/a.rs", "foo", "bar")]),
        ("in a.txt, replace `x` by `y`", vec![edit("a.txt", "x", "y")]),
        ("remove \"debug\" from a.txt", vec![edit("a.txt", "debug", "")]),
        // Commands.
        ("run `cargo test`", vec![run("cargo test")]),
        ("run cargo test --lib", vec![run("cargo test --lib")]),
        ("execute the command: echo \"hi there\"", vec![run("echo \"hi there\"")]),
        ("$ ls -la | wc -l", vec![run("ls -la | wc -l")]),
        ("!git status; git log", vec![run("git status; git log")]),
        ("run cd src; ls", vec![run("cd src; ls")]),
        ("run this:\n```sh\necho a\necho b\n```", vec![run("echo a\necho b")]),
        ("run `echo one` and `echo two`", vec![run("echo one"), run("echo two")]),
        ("run \"my prog\" --flag", vec![run("\"my prog\" --flag")]),
        ("create a folder called foo", vec![run("mkdir -p foo")]),
        ("how many lines does src/main.rs have?", vec![run("wc -l src/main.rs")]),
        ("show the last 5 lines of Cargo.toml", vec![run("tail -n 5 Cargo.toml")]),
        // Pages.
        ("fetch https://example.com/a?b=c", vec![fetch("https://example.com/a?b=c")]),
        ("go to https://example.com", vec![fetch("https://example.com")]),
        ("https://example.com", vec![fetch("https://example.com")]),
        ("what's at http://localhost:8080/x?", vec![fetch("http://localhost:8080/x")]),
        ("fetch example.com/Page", vec![fetch("https://example.com/Page")]),
        // The clock.
        ("what time is it?", vec![now()]),
        ("What's the time in Tokyo?", vec![zone("Asia/Tokyo")]),
        ("what time is it in New York right now", vec![zone("America/New_York")]),
        ("what time is it in Europe/Berlin", vec![zone("Europe/Berlin")]),
        ("what's today's date", vec![now()]),
        ("what day is it", vec![now()]),
        ("tell me the time", vec![now()]),
        ("I want to know what time it is", vec![now()]),
        ("do you know the time?", vec![now()]),
        ("time in UTC", vec![zone("UTC")]),
        ("what is the time in London and New York", vec![zone("Europe/London"), zone("America/New_York")]),
        // Several at once.
        (
            "first list files, then read Cargo.toml, and finally tell me the time",
            vec![here(), read("Cargo.toml"), now()],
        ),
        ("thanks, now list files", vec![here()]),
        ("open src/main.rs and tell me what it does", vec![read("src/main.rs")]),
        ("what is 2+2 and then list files", vec![calc("2+2"), here()]),
        ("what is 2+2, then read a.txt and list src", vec![calc("2+2"), read("a.txt"), list("src")]),
        ("calculate 3 + 4 and 5 * 6", vec![calc("3 + 4"), calc("5 * 6")]),
        ("Read Cargo.toml. What time is it?", vec![read("Cargo.toml"), now()]),
        ("1. list files\n2. read a.txt\n3. what is 3*3", vec![here(), read("a.txt"), calc("3*3")]),
        ("- what time is it\n- ls src", vec![now(), list("src")]),
        ("write \"a\" to x.txt and then read x.txt", vec![write("x.txt", "a"), read("x.txt")]),
        ("run cargo build and then show README.md", vec![run("cargo build"), read("README.md")]),
        ("hi jarvis, can you list the files here and tell me the time", vec![here(), now()]),
    ]
}

#[test]
fn a_prompt_becomes_its_calls() {
    let wrong: Vec<String> = table()
        .into_iter()
        .filter_map(|(prompt, expected)| {
            let found = calls(prompt);
            (found != expected).then(|| format!("{prompt:?}\n  gave {found:?}\n  not  {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_no_request_calls_nothing() {
    let prompts = [
        "",
        "hello",
        "how do I connect Ollama?",
        "which keys are there",
        "where are logs stored?",
        "where is the config file?",
        "what does plan mode do?",
        "what is plan mode",
        "list sessions",
        "list the models",
        "show me a demo",
        "show me the keys",
        "what's in the log?",
        "how do I use it in a script",
        "how do I run a shell command?",
        "how can I read a file",
        "write a poem about the sea",
        "find out who wrote this",
        "run the tests",
        "run `ls` in the cellar",
        "git status",
        "delete a.txt",
        "how many files can I open",
        "search the web for cats",
        "what time did the session start",
        "2024-05-06",
        "how many tokens are in a message",
        "list ideas for a party",
        "make a plan to learn to cook",
        "what is the meaning of life",
        "how do I set the base url to http://localhost:8000/v1?",
        "42",
        "C",
        "explain src/main.rs",
        "/model",
        "!!",
        "$100 is a lot",
    ];
    let wrong: Vec<String> = prompts
        .iter()
        .filter_map(|p| Some((p, calls(p))).filter(|(_, c)| !c.is_empty()).map(|(p, c)| format!("{p}: {c:?}")))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_pattern_tells_what_was_asked_for() {
    for (prompt, wanted) in [
        ("where is main defined?", ("the definition of ", "main")),
        ("find \"a.b(c)\"", ("", "a.b(c)")),
        ("find /a.b/", ("", "a.b")),
        ("find /a\\s+b/", ("", "a\\s+b")),
    ] {
        let (_, args) = calls(prompt).remove(0);
        let (of, text) = describe_pattern(args["pattern"].as_str().unwrap());
        assert_eq!((of, text.as_str()), wanted, "{prompt}");
    }
}

#[test]
fn a_pasted_text_with_one_matching_line_calls_nothing() {
    let pasted = "error: something broke\nin the middle of things\n!rm everything\nand it goes on\nfor a while";
    assert_eq!(parse(pasted), PromptPlan { steps: Vec::new(), unmatched: vec![pasted.to_owned()] });
}

#[test]
fn what_is_left_over_is_kept() {
    let plan = parse("list files\nand tell me a story");
    assert_eq!(plan.unmatched, ["and tell me a story"]);
    assert_eq!(plan.steps.len(), 1);
    let plan = parse("read a.txt and then explain it to me");
    assert_eq!((plan.steps.len(), plan.unmatched), (1, vec!["explain it to me".to_owned()]));
    // Changes are made as a whole or not at all.
    assert_eq!(parse("write \"a\" to x.txt and explain it").steps, []);
}

#[test]
fn independent_steps_share_a_round_and_dependent_ones_wait() {
    let rounds = |prompt: &str| -> Vec<Vec<&'static str>> {
        PromptPlan::rounds(&parse(prompt).steps).iter().map(|round| round.iter().map(|s| s.tool).collect()).collect()
    };
    assert_eq!(rounds("list files\nread a.txt\nwhat is 3*3"), [vec!["list_dir", "read_file", "calculator"]]);
    assert_eq!(rounds("write \"a\" to x.txt, then read x.txt"), [["write_file"], ["read_file"]]);
    assert_eq!(rounds("write \"a\" to x.txt and write \"b\" to y.txt"), [["write_file", "write_file"]]);
    assert_eq!(
        rounds("write \"a\" to x.txt, then replace \"a\" with \"b\" in x.txt, then read x.txt"),
        [["write_file"], ["edit_file"], ["read_file"]]
    );
    assert_eq!(rounds("write \"a\" to x.txt, then what is 1+1"), [["write_file", "calculator"]]);
    assert_eq!(rounds("run `make` and then run `make test`"), [["shell"], ["shell"]]);
}

#[test]
fn the_calculator_understands_every_expression() {
    for (prompt, _) in table() {
        for (tool, args) in calls(prompt) {
            if tool == "calculator" {
                let expression = args["expression"].as_str().unwrap();
                let result = fend_core::evaluate(expression, &mut fend_core::Context::new());
                assert!(result.is_ok(), "{prompt}: {expression}: {result:?}");
            }
        }
    }
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
                        "read", "write", "to", "in", "and", "then", "\"", "`", "'", "```\n", "\n", "a.txt", "$", "!", "run",
                        "find", "for", "replace", "with", "what", "is", "5", "+", "%", "how", "many", "lines", "-", "first",
                        "(", "x", ",", "https://", "where", "defined", "\u{e000}", "create", "file", ":", "list", "of",
                    ]).prop_map(str::to_owned),
                ],
                0..14,
            ),
        ) {
            super::super::parse(&words.join(" "));
        }
    }
}
