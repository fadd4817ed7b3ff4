//! Tests of the effects.

use super::copying::copy_in_tmux;
use super::*;
use crate::app::clipboard;
use crate::app::draft::DraftSaver;
use crate::bridge::traffic::TrafficReader;
use crate::event::{CallOutcome, Millis, OutputStream};
use crate::net::traffic::{RecordLine, TrafficRing};
use crate::runtime::{NameClaim, StatePart, StateStore};
use crate::store::effect::CopyRequest;

fn effects(history: Option<PathBuf>) -> Effects<'static> {
    let model = ModelChoice::new("offline/offline", "");
    let list: ListModels<'_> = Box::new(move || {
        let models = vec![model.clone()];
        Box::pin(async { models })
    });
    let open: OpenSession<'_> = Box::new(|_| Box::pin(async { Err("the disk is full".into()) }));
    Effects::new(list, history).with_sessions(Some(open), None)
}

async fn report(effects: &mut Effects<'_>) -> Report {
    match effects.next().await {
        Some((_, EffectResult::Report(report))) => report,
        _ => panic!("no report"),
    }
}

#[tokio::test]
async fn models_come_back_as_a_report() {
    let mut effects = effects(None);
    effects.list_models();
    let Some((_, EffectResult::Report(Report::Models(models)))) = effects.next().await else { panic!("no models") };
    assert_eq!(models.len(), 1);
    assert!(effects.next().await.is_none());
}

#[tokio::test]
async fn what_fails_is_told() {
    let mut effects = effects(None);
    assert_eq!(effects.open_session(StartMode::New), None);
    let Some((_, EffectResult::Report(report))) = effects.next().await else { panic!("no report") };
    assert_eq!(report, Report::Failed { what: "a new session".into(), why: "the disk is full".into() });
}

#[tokio::test]
async fn prompts_are_kept_even_when_quitting_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let mut first = effects(Some(path.clone()));
    first.append_history(vec!["hello".into()]);
    first.finish().await;
    let mut second = effects(Some(path));
    second.load_history();
    let Some((_, EffectResult::History(Ok(prompts)))) = second.next().await else { panic!("no history") };
    assert_eq!(prompts, ["hello"]);
}

#[tokio::test]
async fn drafts_are_written_one_after_another_and_the_newest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut draft = DraftSaver::new(folder.path().to_owned(), NameClaim::exclusive("s1".into()), String::new());
    let mut effects = effects(Some(folder.path().join("history.jsonl")));
    for text in ["a", "ab", "abc"] {
        effects.save_draft(draft.take_save(text.into()).unwrap());
    }
    effects.append_history(vec!["one".into()]);
    effects.append_history(vec!["two".into()]);
    assert_eq!((effects.tasks.len(), effects.unwritten.len()), (1, 3), "the newest draft and two prompts wait");
    draft.switch_session(&"s2".into(), String::new());
    effects.save_draft(draft.take_save("other".into()).unwrap());
    assert_eq!(effects.unwritten.len(), 4, "another session's draft replaces none");
    effects.finish().await;
    let kept =
        |session: &str| StateStore::new(folder.path(), &session.into()).load::<String>(StatePart::Draft).unwrap();
    assert_eq!((kept("s1").as_deref(), kept("s2").as_deref()), (Some("abc"), Some("other")));
    assert_eq!(prompt_history::load(&folder.path().join("history.jsonl")).unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn in_tmux_only_what_its_tool_took_is_said_to_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |tools: Vec<clipboard::ClipboardTool>, sequence| {
        let what = "copied the code (1 line, 2 bytes)".to_owned();
        copy_in_tmux(what, "ls".into(), sequence, tools, folder.path().to_owned())
    };
    let EffectResult::Report(Report::Info(said)) = copy(vec![&["cat"]], Ok(b"x".to_vec())).await else {
        panic!("no report")
    };
    assert_eq!(said, "copied the code (1 line, 2 bytes) by cat");
    assert!(!folder.path().join("copied.txt").exists());

    let told = copy(vec![&["false"], &["no-such-tool-here"]], Ok(b"x".to_vec())).await;
    let EffectResult::Terminal(bytes, Report::Info(said)) = told else { panic!("no sequence") };
    let file = folder.path().join("copied.txt");
    assert!(said.contains(&*file.to_string_lossy()) && said.contains("may drop"), "{said}");
    assert_eq!((bytes.as_slice(), std::fs::read_to_string(&file).unwrap().as_str()), (&b"x"[..], "ls"));

    let told = copy(vec![&["false"]], Err("too long for the terminal")).await;
    let EffectResult::Report(Report::Info(said)) = told else { panic!("no report") };
    assert!(said.ends_with("; too long for the terminal"), "{said}");
}

#[tokio::test]
async fn where_neither_terminal_nor_tool_takes_a_text_it_is_in_a_file_and_where_that_fails_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let console = TerminalEnv { term: "linux".into(), ..TerminalEnv::default() };
    let copy = CopyRequest { label: "the answer".into(), text: "one\x1b[2J\ntwo".into() };
    let mut effects = effects(Some(folder.path().join("history.jsonl")));
    assert_eq!(effects.copy(&copy, &console), None, "nothing is for the terminal");
    let file = folder.path().join("copied.txt");
    let said =
        format!("copied the answer (2 lines, 7 bytes) to {}: this terminal has no clipboard access", file.display());
    assert_eq!(report(&mut effects).await, Report::Info(said));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo");
    // Where there should be a tool and is none as well: it is one of another system.
    let text = "x".repeat(80_000);
    let is_mac = cfg!(target_os = "macos");
    let without = TerminalEnv { mac: !is_mac, wsl: is_mac, ..console };
    assert_eq!(effects.copy(&CopyRequest { text: text.clone(), ..copy.clone() }, &without), None);
    let Report::Info(said) = report(&mut effects).await else { panic!("no report") };
    assert!(said.contains(&*file.to_string_lossy()) && said.contains("no clipboard access"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(effects.copy(&copy, &TerminalEnv { mac: false, wsl: false, ..without }), None);
    let Report::Failed { what, why } = report(&mut effects).await else { panic!("it can't be written") };
    assert!(what == "copying" && !why.is_empty(), "{what}: {why}");
}

#[tokio::test]
async fn a_text_for_the_terminal_is_sent_at_once_and_said_to_be() {
    let mut effects = effects(None);
    let copy = CopyRequest { label: "the code".into(), text: "ls".into() };
    let terminal = TerminalEnv { term: "xterm".into(), ..TerminalEnv::default() };
    assert_eq!(effects.copy(&copy, &terminal).as_deref(), Some(&b"\x1b]52;c;bHM=\x07"[..]));
    let said = "copied the code (1 line, 2 bytes) by the terminal (OSC 52)";
    assert_eq!(report(&mut effects).await, Report::Info(said.into()));
}

#[tokio::test]
async fn raw_frames_are_saved_under_the_name_given_or_one_of_their_own_and_what_fails_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.jsonl");
    let name = || Some(path.display().to_string());
    let ring = TrafficRing::default();
    let mut effects = effects(None);
    effects.save_frames(TrafficReader::new(ring.clone()), name());
    let failed =
        |why: &str| Report::Failed { what: format!("saving the frames ({})", path.display()), why: why.to_owned() };
    assert_eq!(report(&mut effects).await, failed("no frames yet"));
    let response = ring.begin_response();
    ring.push(response, RecordLine::End { at: Millis(1), end: "eof".into() });
    effects.save_frames(TrafficReader::new(ring.clone()), name());
    let said = format!("saved: jarvis-tui attach {} plays it", path.display());
    assert_eq!(report(&mut effects).await, Report::Info(said));
    let saved = std::fs::read_to_string(&path).unwrap();
    assert_eq!(saved.lines().count(), 1, "{saved}");
    effects.save_frames(TrafficReader::new(ring), name());
    let Report::Failed { what, .. } = report(&mut effects).await else { panic!("it was written over") };
    assert!(what.contains("saved.jsonl"), "{what}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), saved);
}

#[tokio::test]
async fn a_command_that_nobody_takes_comes_back() {
    let (sender, receiver) = mpsc::channel(1);
    assert_eq!(send(&sender, Command::Cancel), Ok(()));
    assert_eq!(send(&sender, Command::Cancel), Err((Command::Cancel, "the session does not respond")));
    drop(receiver);
    assert_eq!(send(&sender, Command::Cancel), Err((Command::Cancel, "the session has ended")));
}

#[tokio::test]
async fn a_command_of_the_person_is_told_as_it_prints_without_keys_and_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::new(folder.path().to_owned(), ["HOME".to_owned()].into());
    let mut effects = effects(None).with_workspace(workspace);
    effects.run_command("echo \"home: $HOME\"; sleep 60".into());
    assert_eq!(report(&mut effects).await, Report::CommandOutput(OutputStream::Stdout, "home: \n".into()));
    effects.stop_command();
    let Some((_, EffectResult::CommandEnded(ended))) = effects.next().await else { panic!("it was stopped") };
    let output = "home: \n[stopped before it finished]".to_owned();
    assert_eq!(ended, RunResult { outcome: CallOutcome::Cancelled, output });
    assert!(effects.next().await.is_none());
}

#[tokio::test]
async fn what_a_prompt_mentions_is_read_beside_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.rs"), "fn a() {}").unwrap();
    let mut effects = effects(None).with_workspace(Workspace::new(folder.path().to_owned(), [].into()));
    effects.list_paths(String::new());
    let Some((_, EffectResult::Paths(paths))) = effects.next().await else { panic!("no paths") };
    assert_eq!(paths, ["a.rs"]);
    let prompt = MentioningPrompt { typed: "@a.rs @b.rs".into(), text: "@a.rs @b.rs".into(), steers: false };
    effects.read_mentions(prompt.clone());
    let Report::PromptContext { prompt: read, context, problems } = report(&mut effects).await else {
        panic!("nothing was read")
    };
    assert_eq!((read, context.len(), problems.len()), (prompt, 1, 1));
}
