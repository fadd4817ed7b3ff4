use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

/// A server that is this program.
pub(in crate::mcp) fn spec_of(words: &[&str]) -> McpServerSpec {
    McpServerSpec {
        name: "test".into(),
        connection: McpConnection::Program(words.iter().map(|word| (*word).to_owned()).collect()),
        confinement: None,
        folder: std::env::temp_dir(),
        login_file: PathBuf::from("/nonexistent"),
        call_timeout: Duration::from_secs(5),
        start_timeout: Duration::from_secs(10),
        values: Arc::new(|| Ok(BTreeMap::new())),
        http: crate::net::HttpClient::default(),
    }
}

/// A script that answers the older handshake and lists one tool; `then` is what it does after that.
fn script(then: &str) -> Vec<String> {
    let answer =
        |id: u32, result: &str| format!("printf '%s\\n' '{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}'");
    let refusal = "printf '%s\\n' '{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":-32601,\"message\":\"no\"}}'";
    let hello =
        r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}"#;
    let tools = r#"{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}"#;
    let lines = [
        "read x".to_owned(),
        refusal.to_owned(),
        "read x".to_owned(),
        answer(1, hello),
        "read x".to_owned(),
        "read x".to_owned(),
        answer(2, tools),
        then.to_owned(),
    ];
    vec!["sh".into(), "-c".into(), lines.join("\n")]
}

fn server(words: &[String]) -> McpServer {
    McpServer::new(spec_of(&words.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[tokio::test]
async fn nothing_is_started_before_it_is_needed() {
    let server = server(&script("read x"));
    assert_eq!(server.status().state, McpServerState::Idle);
    let tools = server.list_tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(), ["t"]);
    let status = server.status();
    assert_eq!((status.state, status.protocol.as_deref()), (McpServerState::Ready, Some("2025-11-25")));
    server.close().await;
    assert_eq!(server.status().state, McpServerState::Idle);
}

#[tokio::test]
async fn a_program_that_is_not_there_says_what_to_do() {
    let server = server(&["no-such-program-here".into()]);
    let why = server.list_tools().await.unwrap_err();
    assert!(why.contains("no-such-program-here") && why.contains("install it"), "{why}");
}

#[tokio::test]
async fn the_last_words_of_a_program_explain_its_end() {
    let server = server(&["sh".into(), "-c".into(), "echo 'the token is missing' >&2; exit 3".into()]);
    let why = server.list_tools().await.unwrap_err();
    assert_eq!(why, "it exited with code 3 before it answered; its last words: the token is missing");
    assert_eq!(server.status().state, McpServerState::Failed(why));
}

#[tokio::test]
async fn a_call_tells_how_far_it_is_a_cancelled_one_is_told_and_so_are_other_lists() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let say = |what: &str| format!("printf '%s\\n' '{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{what}\"}}'");
    let progress = r#"token=$(printf '%s' "$call" | sed 's/.*"progressToken":\([^,}]*\).*/\1/')
printf '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1,"total":4}}\n' "$token""#;
    let then = [
        "read call",
        &say("tools/list_changed"),
        &say("prompts/list_changed"),
        progress,
        &format!("read cancel; printf '%s\\n' \"$cancel\" > '{}'", told.display()),
    ];
    let server = server(&script(&then.join("\n")));
    server.list_tools().await.unwrap();
    let connection = server.connection().await.unwrap();
    let (progress, mut reports) = tokio::sync::mpsc::channel(8);
    let ctx = crate::tool::ToolContext { progress, ..crate::tool::tests_ctx(folder.path()) };
    let (mut changes, mut watch) = (server.changes(), server.watch());
    server.shared.offers.send_replace(Some(Arc::default()));
    let args = serde_json::json!({});
    let call = crate::mcp::call::call_tool(&connection, "t", &args, &ctx);
    let person = async {
        let first = reports.recv().await;
        ctx.cancel.cancel();
        first
    };
    let (result, first) = tokio::join!(call, person);
    assert_eq!(first, Some(crate::tool::ToolProgress::Note("1/4\n".into())));
    assert_eq!(result.outcome, crate::event::CallOutcome::Cancelled);
    changes.changed().await.unwrap();
    assert!(server.known_offers().is_none(), "its prompts are others");
    // The script ends then, and its end is told.
    while !std::fs::read_to_string(&told).is_ok_and(|line| line.contains("notifications/cancelled")) {
        watch.changed().await;
    }
}

#[tokio::test]
async fn a_server_that_ends_is_started_once_more_and_no_call_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let server = server(&script(&format!("read call; echo \"$call\" >> '{}'; exit 1", calls.display())));
    let mut changes = server.changes();
    for begun in 1..=2 {
        server.list_tools().await.unwrap();
        changes.mark_unchanged();
        let connection = server.connection().await.unwrap();
        let ctx = crate::tool::tests_ctx(folder.path());
        let result = crate::mcp::call::call_tool(&connection, "t", &serde_json::json!({}), &ctx).await;
        assert!(result.text.contains("not repeated"), "{}", result.text);
        drop(connection);
        // The next state is told by a notice.
        changes.changed().await.unwrap();
        let sent = std::fs::read_to_string(&calls).unwrap();
        assert_eq!(sent.lines().filter(|line| line.contains("tools/call")).count(), begun);
    }
    let McpServerState::Failed(why) = server.status().state else { panic!("it runs a third time") };
    assert!(why.contains("started once more"), "{why}");
}
