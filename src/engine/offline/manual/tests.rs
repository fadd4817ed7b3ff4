use super::terms::stem;
use super::*;

/// Questions, and the section that must come first.
const QUESTIONS: &[(&str, &str)] = &[
    ("how do I connect Ollama?", "Connecting a model › Ollama"),
    ("connect to ollama on another host", "Connecting a model › Ollama"),
    ("how do I use vLLM?", "Connecting a model › OpenAI-compatible servers"),
    ("can I use LM Studio", "Connecting a model › OpenAI-compatible servers"),
    ("how do I connect llama.cpp", "Connecting a model › OpenAI-compatible servers"),
    ("where do I put my OpenAI API key?", "Connecting a model › OpenAI"),
    ("how do I use openrouter", "Connecting a model › OpenRouter, Groq and other hosts"),
    ("does it work with Groq?", "Connecting a model › OpenRouter, Groq and other hosts"),
    ("how does it choose the engine?", "Connecting a model › Which engine is used"),
    ("does it support Claude?", "Connecting a model › Claude, Gemini and other providers"),
    ("how do I change the model to gpt-4o?", "Connecting a model › Switch the model"),
    ("how do I copy text?", "Keys › Copying text"),
    ("how much does it cost", "Getting started › The usage bar"),
    ("how do I install it", "Getting started › Install and start"),
    ("how do I trust a project", "Configuration › Project file and trust"),
    ("is there a dark mode?", "Configuration › Themes"),
    ("how do I switch the model", "Connecting a model › Switch the model"),
    ("what is the offline engine?", "Connecting a model › The offline engine"),
    ("how do I connect a model?", "Connecting a model"),
    ("which keys are there?", "Keys"),
    ("keyboard shortcuts", "Keys"),
    ("how do I type a newline?", "Keys › Typing and sending"),
    ("how do I quit?", "Keys › Interrupt, quit, exit"),
    ("how do I exit", "Keys › Interrupt, quit, exit"),
    ("shortcuts", "Keys"),
    ("how do approvals work", "Approvals and modes"),
    ("how do I allow a tool forever", "Approvals and modes › Patterns"),
    ("config", "Configuration"),
    ("how can I stop a running answer", "Keys › Interrupt, quit, exit"),
    ("how do I scroll up", "Keys › Scrolling and reading"),
    ("how do I hide the thinking?", "Keys › Scrolling and reading"),
    ("what does Ctrl+T do?", "Keys › Panes and screens"),
    ("which keys work during a replay?", "Keys › Keys in a replay"),
    ("how do I resume a session?", "Sessions and logs › Continue or resume a session"),
    ("continue yesterday's conversation", "Sessions and logs › Continue or resume a session"),
    ("where are logs stored?", "Sessions and logs › Where logs are stored"),
    ("where are my chats saved", "Sessions and logs › Where logs are stored"),
    ("how do I delete a session?", "Sessions and logs › Manage sessions"),
    ("what is in the log file format", "Sessions and logs › The log format"),
    ("how to replay", "Replay"),
    ("how do I replay a session at double speed?", "Replay › Options of replay"),
    ("what does plan mode do?", "Approvals and modes › Plan mode"),
    ("what does full mode do", "Approvals and modes › Full mode"),
    ("which modes are there?", "Approvals and modes › The modes"),
    ("how can I always allow git status", "Approvals and modes › Patterns"),
    ("how do I use it in a script?", "Scripts and pipes"),
    ("pipe stdin into it", "Scripts and pipes"),
    ("what are the exit codes", "Scripts and pipes › Exit codes"),
    ("how do I get JSON output?", "Scripts and pipes › Output formats"),
    ("where is the config file?", "Configuration › Where the configuration file is"),
    ("how do I rebind keys?", "Configuration › Change keys"),
    ("how do I change the theme?", "Configuration › Themes"),
    ("what tools do you have?", "Tools"),
    ("which slash commands exist", "Slash commands"),
    ("how do I start a new conversation", "Slash commands › Start over"),
    ("is my api key logged?", "Privacy and safety › Secrets"),
    ("do you send telemetry?", "Privacy and safety"),
    ("it says 401 unauthorized", "Troubleshooting › The key is refused"),
    ("shift+enter does not work", "Troubleshooting › Shift+Enter sends, or keys don't work"),
    ("the answer hangs", "Troubleshooting › The answer hangs or breaks off"),
    ("why was the tool call denied", "Troubleshooting › A tool call was denied"),
    ("how do I see a demo?", "Getting started › Try the screen with a demo"),
    ("what does the ~ in the usage bar mean, is it an estimate?", "Getting started › The usage bar"),
    ("can tools read files outside the folder?", "Tools › File tools"),
    ("does it read AGENTS.md?", "Instructions and skills"),
    ("how do I add a skill", "Instructions and skills › Skills"),
];

#[test]
fn a_question_leads_to_its_section() {
    let mut wrong = Vec::new();
    for (question, section) in QUESTIONS {
        let found = find(question);
        let ranked: Vec<String> =
            found.hits.iter().map(|hit| format!("{} ({:.1})", hit.section.citation(), hit.score)).collect();
        let first = found.hits.first().map(|hit| hit.section.citation());
        if first.as_deref() != Some(*section) || !found.is_confident {
            wrong.push(format!("{question} -> {ranked:?} sure: {}, not {section}", found.is_confident));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_the_manual_does_not_know_is_not_answered() {
    let questions = [
        "what is the capital of France?",
        "who won the world cup in 1998",
        "write a poem about the sea",
        "explain quantum entanglement",
        "what's the weather in Paris",
        "translate good morning into Japanese",
        "recommend a good book",
        "refactor the parser to use iterators",
        "should I marry her",
        "why is the sky blue?",
        "tell me a joke",
        "who made you",
        "what's for dinner tonight",
        "",
        "the of and",
    ];
    let wrong: Vec<String> = questions
        .iter()
        .filter_map(|question| {
            let found = find(question);
            found
                .is_confident
                .then(|| format!("{question}: {:?}", found.hits.first().map(|h| (h.section.citation(), h.score))))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_section_is_short_and_has_a_body() {
    for section in &MANUAL.sections {
        let lines = section.body.lines().count();
        assert!((1..=30).contains(&lines), "{}: {lines} lines", section.citation());
        assert!(!section.body.contains("<!--"), "{}", section.citation());
        assert_eq!(section.body.matches("```").count() % 2, 0, "{}: a fence is left open", section.citation());
    }
    assert!(MANUAL.sections.len() > 40);
}

#[test]
fn inflections_share_a_stem() {
    for words in [
        ["resume", "resumed", "resuming"],
        ["run", "runs", "running"],
        ["key", "keys", "key"],
        ["store", "stored", "storing"],
        ["folder", "folders", "folder"],
        ["history", "histories", "history"],
    ] {
        let stems: Vec<String> = words.iter().map(|word| stem(word)).collect();
        assert!(stems.iter().all(|s| *s == stems[0]), "{words:?} -> {stems:?}");
    }
}

#[test]
fn a_synonym_is_in_one_group_only() {
    let mut seen = std::collections::BTreeSet::new();
    for word in terms::groups().flatten() {
        assert!(seen.insert(word), "{word} is in two groups");
    }
}
