//! Tests of which engine is chosen, as far as no server is needed.

use secrecy::ExposeSecret as _;

use super::*;
use crate::config::{self, ConfigSources, Overrides, Paths};
use crate::engine::discover::ModelInfo;
use crate::testkit::server::{ScriptedServer, json};

fn resolver(text: &str, flags: &Overrides) -> EngineResolver {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    let dir = home.path().to_owned();
    let paths = Paths { config: dir.clone(), data: dir.clone(), state: dir.clone() };
    let load = ConfigSources { paths: &paths, folder: &dir, file: Some(&file), env: &|_| None, flags };
    EngineResolver {
        loaded: Arc::new(config::load(&load).unwrap()),
        http: HttpClient::default(),
        accepted: AcceptedServers::at(dir.join("servers.json")),
        is_unattended: true,
        offline_pace: 0.0,
    }
}

#[test]
fn a_flag_counts_before_the_settings_these_before_the_environment_and_that_before_a_look_around() {
    let flag = Overrides { model: Some("offline".into()), ..Overrides::default() };
    let keys = |name: &str| matches!(name, "OPENAI_API_KEY" | "OLLAMA_HOST").then(|| "x".to_owned());
    let ollama = |name: &str| (name == "OLLAMA_HOST").then(|| "h".to_owned());
    let blank = |name: &str| (name == "OPENAI_API_KEY").then(|| " ".to_owned());
    let settings = "model = \"ollama/qwen3\"";
    let none = Overrides::default();
    let check = |settings: &str, flags: &Overrides, env: Env<'_>, expected: Option<(&str, &str)>| {
        let wanted = match resolver(settings, flags).requested(env) {
            RequestedEngine::Named { engine, why, .. } => Some((engine, why)),
            RequestedEngine::Unspecified => None,
        };
        assert_eq!(wanted, expected.map(|(engine, why)| (engine.to_owned(), why.to_owned())));
    };
    check(settings, &flag, &keys, Some(("offline", "flag --model")));
    check(settings, &none, &keys, Some(("ollama", "config")));
    check("", &none, &keys, Some(("openai", "OPENAI_API_KEY")));
    check("", &none, &ollama, Some(("ollama", "OLLAMA_HOST")));
    check("", &none, &blank, None);
    check("", &none, &|_| None, None);
}

#[test]
fn only_the_vendors_themselves_are_known_to_need_a_key() {
    for (spec, url, expected) in [
        (&openai::SPEC, "https://api.openai.com/v1", true),
        (&openai::SPEC, "https://api.openai.com:443", true),
        (&openai::SPEC, "http://127.0.0.1:8080/v1", false),
        (&openai::SPEC, "https://api.openai.com.example.org/v1", false),
        (&ollama::SPEC, "http://127.0.0.1:11434", false),
    ] {
        assert_eq!(spec.is_vendor(url), expected, "{url}");
    }
    let fault = missing_key_fault("openai", Config::default().engines.get("openai").unwrap());
    assert_eq!(fault.kind, FaultKind::Auth);
    assert!(fault.message.contains("set OPENAI_API_KEY"), "{fault}");
}

#[test]
fn a_token_for_a_gateway_counts_before_the_usual_key_and_behind_one_of_the_settings() {
    let token_with = |name: &str, settings: &str, value: &str| {
        let resolver = resolver(settings, &Overrides::default());
        let env = |name: &str| (name == "ANTHROPIC_AUTH_TOKEN").then(|| value.to_owned());
        let token = token(name, &resolver.config().engines[name], &env);
        token.map(|token| token.expose_secret().to_owned())
    };
    let own = "[engines.mine]\nkind = \"anthropic\"\nbase_url = \"https://gateway.example.com\"\n";
    for (name, settings, value, expected) in [
        ("anthropic", "", "tk-1", Some("tk-1")),
        ("anthropic", "", " tk-1\n", Some("tk-1")),
        ("anthropic", "", " ", None),
        ("anthropic", "[engines.anthropic]\napi_key = \"env:ANTHROPIC_API_KEY\"\n", "tk-1", Some("tk-1")),
        ("anthropic", "[engines.anthropic]\napi_key = \"env:OTHER_KEY\"\n", "tk-1", None),
        ("anthropic", "[engines.anthropic]\napi_key = \"sk-own\"\n", "tk-1", None),
        ("anthropic", "[engines.anthropic]\napi_key = \"cmd:pass show key\"\n", "tk-1", None),
        ("mine", own, "tk-1", None),
        ("openai", "", "tk-1", None),
    ] {
        assert_eq!(token_with(name, settings, value).as_deref(), expected, "{name} {settings} {value:?}");
    }
}

/// A llama.cpp on a port of its own; it answers every request with its list of models.
async fn llama() -> ScriptedServer {
    let models = r#"{"data":[{"id":"small","owned_by":"llamacpp","meta":{"n_ctx":777}}]}"#;
    ScriptedServer::start(vec![vec![json("200 OK", models)]]).await
}

#[tokio::test]
async fn a_server_that_was_found_is_used_by_itself_after_one_yes_which_is_remembered() {
    let state = tempfile::tempdir().unwrap();
    let server = llama().await;
    let name = format!("llamacpp-{}", server.address.port());
    let fresh = || EngineResolver {
        accepted: AcceptedServers::at(state.path().join("servers.json")),
        is_unattended: false,
        ..resolver("", &Overrides::default())
    };
    assert_eq!(fresh().resolve_unspecified().await.unwrap().engine.name(), "offline", "nobody said yes");
    let flag = Overrides { model: Some(name.clone()), ..Overrides::default() };
    let flagged = EngineResolver { accepted: fresh().accepted, ..resolver("", &flag) };
    assert_eq!(flagged.resolve().await.unwrap().model, "small");
    assert_eq!(fresh().resolve_unspecified().await.unwrap().engine.name(), "offline", "a flag counts for its run");
    let chosen = fresh().switch_to(name.clone()).await.unwrap();
    assert_eq!(chosen.model, "small");
    assert!(chosen.warnings.is_empty(), "{:?}", chosen.warnings);
    assert_eq!(chosen.with_description().await.context_window, Some(777));
    let again = fresh().resolve_unspecified().await.unwrap();
    assert_eq!((again.engine.name(), again.model.as_str()), (name.as_str(), "small"));
    assert!(again.reason.ends_with("chosen before"), "{}", again.reason);
    // A folder can't be created where a file is.
    std::fs::write(state.path().join("file"), "").unwrap();
    let forgetful = EngineResolver { accepted: AcceptedServers::at(state.path().join("file/servers.json")), ..fresh() };
    let [(NoticeCode::NotRemembered, text)] = &forgetful.switch_to(name).await.unwrap().warnings[..] else {
        panic!("no warning")
    };
    assert!(text.contains("to this session only"), "{text}");
}

#[tokio::test]
async fn a_projects_settings_choose_no_server_that_was_merely_found() {
    let state = tempfile::tempdir().unwrap();
    let server = llama().await;
    let name = format!("llamacpp-{}", server.address.port());
    let resolver = EngineResolver {
        accepted: AcceptedServers::at(state.path().join("servers.json")),
        ..resolver("", &Overrides::default())
    };
    let refused = resolver.check_allowed(&name, RequestedBy::Project).await.unwrap_err();
    assert!(refused.message.contains("have not accepted yet"), "{refused}");
    assert_eq!(resolver.check_allowed(&name, RequestedBy::Person).await, Ok(()));
    assert_eq!(resolver.check_allowed("openai", RequestedBy::Project).await, Ok(()));
    resolver.clone().switch_to(name.clone()).await.unwrap();
    assert_eq!(resolver.check_allowed(&name, RequestedBy::Project).await, Ok(()));
}

#[test]
fn what_is_offered_says_what_it_is_and_how_to_use_it() {
    let found = |kind, readiness, models: &[&str]| DiscoveredServer {
        kind,
        base_url: "http://127.0.0.1:8080/v1".into(),
        models: models.iter().map(|id| ModelInfo { id: (*id).into(), ..ModelInfo::default() }).collect(),
        readiness,
    };
    for (found, words) in [
        (
            found(ServerKind::LlamaCpp, Readiness::Ready, &["a", "b"]),
            "found llama.cpp at 127.0.0.1:8080 with a and 1 more; choose it with /model",
        ),
        (found(ServerKind::LlamaCpp, Readiness::Loading, &[]), "llama.cpp at 127.0.0.1:8080 is loading its model"),
        (
            found(ServerKind::Vllm, Readiness::NeedsKey, &[]),
            "OPENAI_BASE_URL=http://127.0.0.1:8080/v1 and OPENAI_API_KEY",
        ),
        (found(ServerKind::Ollama, Readiness::Ready, &[]), "ollama pull"),
    ] {
        let text = local_servers::offer_text(&found);
        assert!(text.contains(words), "{text}");
    }
}
