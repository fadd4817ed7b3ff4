//! One-time links of a real server, whose program for them is a shell that writes them into a pipe.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::attach::home;
use crate::hosted::{HostedServer, client, logs, program};
use crate::serve_acp::model;

const TOKEN: &str = "the-token-of-this-test";

/// A server that makes links, and the pipe that they come out of.
async fn server(home: &Path, model: &str, lifetime: &str) -> (HostedServer, PathBuf) {
    let pipe = home.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let settings = format!(
        "[server]\npublic_url = \"https://links.example\"\napproval_link_command = [\"sh\", \"-c\", \"cat > {}\"]\n\
         approval_link_lifetime = \"{lifetime}\"\n",
        pipe.display()
    );
    std::fs::write(home.join("config.toml"), settings).unwrap();
    let mut command = program(home);
    command.env("OPENAI_BASE_URL", format!("{model}/v1")).env("OPENAI_API_KEY", "x").env("LINK_TOKEN", TOKEN);
    command.args(["serve", "--port", "0", "-m", "openai/mock", "--token-env", "LINK_TOKEN"]);
    (HostedServer::spawn(command).await, pipe)
}

/// Prompts, and returns the session and what the program was told.
async fn asked(server: &HostedServer, pipe: PathBuf) -> (String, String) {
    let post = |path: String, body: serde_json::Value| {
        client().post(format!("{}{path}", server.url)).bearer_auth(TOKEN).body(body.to_string()).send()
    };
    let opened: serde_json::Value = post("/v1/sessions".into(), json!({})).await.unwrap().json().await.unwrap();
    let session = opened["id"].as_str().unwrap().to_owned();
    post(format!("/v1/sessions/{session}/commands"), json!({"type": "prompt", "text": "make it"})).await.unwrap();
    let told = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe).unwrap()).await.unwrap();
    (session, told)
}

async fn ended(server: &HostedServer, session: &str) {
    let mut events =
        client().get(format!("{}/v1/sessions/{session}/events", server.url)).bearer_auth(TOKEN).send().await.unwrap();
    let mut told = String::new();
    while !told.contains("event: turn_finished") {
        told.push_str(std::str::from_utf8(&events.chunk().await.unwrap().unwrap()).unwrap());
    }
}

/// Every text below a folder.
fn texts(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&texts(&path));
        } else if path.is_file() {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    all
}

#[tokio::test]
async fn a_link_shows_by_get_decides_once_by_post_and_is_kept_nowhere() {
    let home = home();
    let model = model("echo made > made.txt").await;
    let (server, pipe) = server(home.path(), &model.url(), "5m").await;
    let (session, told) = asked(&server, pipe).await;
    let lines: Vec<&str> = told.lines().collect();
    let secret = lines[0].strip_prefix("https://links.example/approve/").unwrap();
    assert_eq!((secret.len(), lines[1], lines[3]), (32, "good once, for 5 min", format!("session {session}").as_str()));
    assert!(lines[2].contains("echo made"), "{told}");

    let url = format!("{}/approve/{secret}", server.url);
    for _ in 0..2 {
        let page = client().get(&url).send().await.unwrap();
        assert_eq!(page.status().as_u16(), 200);
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        assert_eq!(page.headers()["cache-control"], "no-store");
        assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        let page = page.text().await.unwrap();
        assert!(page.contains("echo made") && page.contains("value=\"once\"") && page.contains("min"), "{page}");
        assert!(!page.contains(secret) && !page.contains("value=\"session\""), "{page}");
    }
    assert!(!home.path().join("made.txt").exists(), "looking decides nothing");
    let wrong = format!("{}/approve/{}", server.url, "0".repeat(32));
    assert_eq!(client().post(wrong).body("decision=once").send().await.unwrap().status().as_u16(), 404);
    let odd = client().post(&url).body("decision=session").send().await.unwrap();
    assert_eq!(odd.status().as_u16(), 400, "only this call");

    let used = client().post(&url).header("origin", "null").body("decision=once").send().await.unwrap();
    assert_eq!(used.status().as_u16(), 200);
    assert!(used.text().await.unwrap().contains("allowed, once, by a link"));
    let again = client().post(&url).body("decision=deny").send().await.unwrap();
    assert_eq!(again.status().as_u16(), 410);
    ended(&server, &session).await;
    assert_eq!(std::fs::read_to_string(home.path().join("made.txt")).unwrap(), "made\n");
    let log = std::fs::read_to_string(&logs(home.path())[0]).unwrap();
    assert!(log.contains(r#""type":"approval_resolved""#) && log.contains(r#""by":"link""#), "{log}");
    std::fs::remove_file(home.path().join("pipe")).unwrap();
    assert!(!texts(home.path()).contains(secret), "it is in no file");
}

#[tokio::test]
async fn a_link_is_worth_nothing_once_a_client_decided() {
    let home = home();
    let model = model("echo made > made.txt").await;
    let (server, pipe) = server(home.path(), &model.url(), "5m").await;
    let (session, told) = asked(&server, pipe).await;
    let secret = told.lines().next().unwrap().rsplit('/').next().unwrap();
    let about = client().get(format!("{}/v1/sessions/{session}", server.url)).bearer_auth(TOKEN).send().await.unwrap();
    let about: serde_json::Value = about.json().await.unwrap();
    let decide = json!({"type": "decide", "call": about["asks"][0]["call"], "decision": "deny"});
    let commands = format!("{}/v1/sessions/{session}/commands", server.url);
    let decided = client().post(&commands).bearer_auth(TOKEN).body(decide.to_string()).send().await.unwrap();
    assert_eq!(decided.status().as_u16(), 200, "{}", decided.text().await.unwrap());
    let late = client().post(format!("{}/approve/{secret}", server.url)).body("decision=once").send().await.unwrap();
    assert_eq!(late.status().as_u16(), 410);
    assert!(late.text().await.unwrap().contains("denied, by a client"));
    let claimed = json!({"type": "decide_by_link", "call": "c1", "decision": "once"});
    let refused = client().post(commands).bearer_auth(TOKEN).body(claimed.to_string()).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400, "no client can say that it was a link");
}
