//! Which engine is chosen, as far as that can be said without asking anybody.

use super::*;
use crate::config::{self, Load, Overrides, Paths};

fn chooser(text: &str, flags: &Overrides) -> Chooser {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    let dir = home.path().to_owned();
    let paths = Paths { config: dir.clone(), data: dir.clone(), state: dir.clone() };
    let load = Load { paths: &paths, folder: &dir, file: Some(&file), env: &|_| None, flags };
    Chooser { loaded: Arc::new(config::load(&load).unwrap()), http: Http::default(), pace: 0.0 }
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
        let wanted = match chooser(settings, flags).wanted(env) {
            Wanted::Named { engine, why, .. } => Some((engine, why)),
            Wanted::Nothing => None,
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
fn only_openai_itself_is_known_to_need_a_key() {
    assert!(needs_key("") && needs_key("https://api.openai.com/v1") && needs_key("https://api.openai.com:443"));
    assert!(!needs_key("http://127.0.0.1:8080/v1") && !needs_key("https://api.openai.com.example.org/v1"));
    let fault = keyless("openai", Config::default().engines.get("openai").unwrap());
    assert_eq!(fault.kind, FaultKind::Auth);
    assert!(fault.message.contains("set OPENAI_API_KEY"), "{fault}");
}

#[test]
fn a_model_is_found_by_its_name_alone_where_that_is_clear() {
    let models = || {
        [("ollama", "qwen3:8b"), ("ollama", "gemma3:4b"), ("ollama", "gemma3:1b"), ("work", "gpt"), ("local", "gpt")]
            .map(|(engine, model)| (engine.to_owned(), model.to_owned()))
            .to_vec()
    };
    let only = |name| only_named(&models(), name).map(|(engine, model)| format!("{engine}/{model}"));
    assert_eq!(only("qwen3").as_deref(), Some("ollama/qwen3:8b"));
    assert_eq!(only("gemma3:4b").as_deref(), Some("ollama/gemma3:4b"));
    assert_eq!((only("gemma3"), only("gpt"), only("nobody"), only("")), (None, None, None, None));
}
