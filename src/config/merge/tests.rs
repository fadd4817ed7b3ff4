use std::time::Duration;

use super::*;
use crate::engine::{ollama, openai};

fn no_env(_: &str) -> Option<String> {
    None
}

fn user(text: &str) -> SettingsText<'_> {
    SettingsText { file: "/u/config.toml", text }
}

fn project(text: &str, trusted: bool) -> ProjectText<'_> {
    ProjectText { text: SettingsText { file: "/p/.jarvis/config.toml", text }, trusted }
}

fn load_user(text: &str) -> Result<LoadedConfig, ConfigError> {
    merge(&ConfigLayers { user: Some(user(text)), project: None, env: &no_env, flags: &Overrides::default() })
}

fn load_project(text: &str, trusted: bool) -> Result<LoadedConfig, ConfigError> {
    let mine = "[engines.mine]\nkind = \"ollama\"\n";
    merge(&ConfigLayers {
        user: Some(user(mine)),
        project: Some(project(text, trusted)),
        env: &no_env,
        flags: &Overrides::default(),
    })
}

fn load_flags(set: &[&str]) -> Result<LoadedConfig, ConfigError> {
    let flags = Overrides { assignments: set.iter().map(|text| (*text).to_owned()).collect(), ..Overrides::default() };
    merge(&ConfigLayers { user: None, project: None, env: &no_env, flags: &flags })
}

fn warnings(loaded: &LoadedConfig) -> Vec<String> {
    loaded.warnings.iter().map(Problem::to_string).collect()
}

fn origin(loaded: &LoadedConfig, key: &str) -> String {
    loaded.all_entries().get(key).map_or_else(|| "none".into(), |entry| format!("{} # {}", entry.display, entry.origin))
}

#[test]
fn later_layers_count() {
    let (in_file, in_project) = ("model = \"openai/a\"\n", "\nmodel = \"openai/b\"\n");
    let env = |name: &str| (name == "JARVIS_TUI_MODEL").then(|| "openai/c".to_owned());
    let set = Overrides { assignments: vec!["model=openai/d".into()], ..Overrides::default() };
    let flag = Overrides { model: Some("openai/e".into()), ..set.clone() };
    let none = Overrides::default();
    let layers: [(ConfigLayers<'_>, &str); 6] = [
        (ConfigLayers { user: None, project: None, env: &no_env, flags: &none }, "none"),
        (
            ConfigLayers { user: Some(user(in_file)), project: None, env: &no_env, flags: &none },
            "\"openai/a\" # /u/config.toml:1",
        ),
        (
            ConfigLayers {
                user: Some(user(in_file)),
                project: Some(project(in_project, false)),
                env: &no_env,
                flags: &none,
            },
            "\"openai/b\" # /p/.jarvis/config.toml:2",
        ),
        (
            ConfigLayers {
                user: Some(user(in_file)),
                project: Some(project(in_project, true)),
                env: &env,
                flags: &none,
            },
            "\"openai/c\" # environment JARVIS_TUI_MODEL",
        ),
        (
            ConfigLayers {
                user: Some(user(in_file)),
                project: Some(project(in_project, true)),
                env: &env,
                flags: &set,
            },
            "\"openai/d\" # flag -o",
        ),
        (
            ConfigLayers { user: Some(user(in_file)), project: None, env: &env, flags: &flag },
            "\"openai/e\" # flag --model",
        ),
    ];
    for (layers, expected) in layers {
        let loaded = merge(&layers).unwrap();
        assert_eq!(origin(&loaded, "model"), expected);
        assert_eq!(loaded.config.model.is_some(), expected != "none");
    }
}

#[test]
fn every_kind_of_value_arrives() {
    let loaded = load_user(
        r#"
version = 1
[engines.groq]
kind = "openai"
base_url = "https://api.groq.com/openai/v1"
idle_timeout = "250ms"
retries = 0
[ui]
theme = "light"
mouse = false
[approvals]
mode = "auto-edit"
allow = ["read_file"]
[tools]
folders = ["~/notes", "/srv", "~other"]
[limits]
tool_output = 4_096
[prices]
"x/y" = { input = 1, output = 0.5 }
[windows]
"gpt-4.1" = 1000
[keys.global]
"ctrl+p" = "none"
"#,
    )
    .unwrap();
    let config = loaded.config;
    assert_eq!(config.engines["groq"].kind, &openai::SPEC);
    assert_eq!(config.engines["groq"].idle_timeout, Duration::from_millis(250));
    assert_eq!(config.engines["groq"].no_output_timeout, Duration::from_mins(15));
    assert_eq!(config.engines["groq"].retries, 0);
    assert_eq!(config.engines.len(), ENGINES.len() + 1);
    assert_eq!((config.ui.theme, config.ui.mouse, config.ui.max_fps), (ThemeChoice::Light, false, 60));
    assert_eq!((config.approvals.mode, config.approvals.allow), (ApprovalMode::AutoEdit, vec!["read_file".to_owned()]));
    assert_eq!(config.tools.folders, ["~/notes", "/srv", "~other"].map(PathBuf::from));
    assert_eq!(config.limits.max_tool_output_bytes, 4096);
    assert_eq!(config.prices["x/y"], (1.0, 0.5));
    assert_eq!(config.windows["gpt-4.1"], 1000);
    assert_eq!(config.keys.bindings["global"]["ctrl+p"], "none");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_tilde_is_the_home_folder() {
    let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
    let text = "tools.folders = [\"~/notes\", \"~\", \"~other\", \"a/~\"]";
    let loaded =
        merge(&ConfigLayers { user: Some(user(text)), project: None, env: &env, flags: &Overrides::default() })
            .unwrap();
    assert_eq!(loaded.config.tools.folders, ["/h/notes", "/h", "~other", "a/~"].map(PathBuf::from));
}

#[test]
fn what_is_denied_stays_denied() {
    let flags = Overrides { assignments: vec!["approvals.deny=[\"c\", \"a\"]".into()], ..Overrides::default() };
    let layers = ConfigLayers {
        user: Some(user("approvals.deny = [\"a\"]")),
        project: Some(project("approvals.deny = [\"b\"]\napprovals.allow = [\"x\"]", true)),
        env: &no_env,
        flags: &flags,
    };
    let loaded = merge(&layers).unwrap();
    assert_eq!(loaded.config.approvals.deny, ["a", "b", "c"]);
    let denied = |pattern| loaded.rule_origin(RuleKind::Deny, pattern);
    assert_eq!([denied("a"), denied("b"), denied("c")], ["/u/config.toml:1", "/p/.jarvis/config.toml:1", "flag -o"]);
    assert_eq!(loaded.rule_origin(RuleKind::Allow, "x"), "/p/.jarvis/config.toml:2");
    assert_eq!(origin(&loaded, "approvals.deny"), "[\"a\", \"b\", \"c\"] # flag -o");
}

#[test]
fn the_documented_defaults_are_those_that_hold() {
    let mut merge = Merger::default();
    merge.add_file(SettingsText { file: "defaults", text: DEFAULT_FILE }, |_, _| Origin::Default);
    assert_eq!((&merge.config, merge.errors.len() + merge.warnings.len()), (&Config::default(), 0));
}

#[test]
fn unknown_keys_are_warnings_with_file_line_and_nearest() {
    let loaded = load_user("[ui]\nthem = \"dark\"\n[colors]\nred = 1\ntabs = 4\n").unwrap();
    assert_eq!(
        warnings(&loaded),
        ["/u/config.toml:2: unknown key `ui.them`, did you mean `ui.theme`?", "/u/config.toml:3: unknown key `colors`",]
    );
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn broken_files_name_file_line_key_and_what_was_expected() {
    for (text, expected) in [
        (
            "[ui]\nmax_fps = \"fast\"\n",
            "/u/config.toml:2: `ui.max_fps`: expected a whole number from 1 to 240, found \"fast\"",
        ),
        ("ui.max_fps = 0", "/u/config.toml:1: `ui.max_fps`: expected a whole number from 1 to 240, found 0"),
        ("\nui = 3", "/u/config.toml:2: `ui`: expected a table, found a number"),
        ("version = 2", "/u/config.toml:1: `version`: expected 1, the only version, found 2"),
        (
            "[tools]\ntimeout = \"0s\"",
            "/u/config.toml:2: `tools.timeout`: expected a duration such as \"90s\" or \"15m\", found \"0s\"",
        ),
        (
            "engines.openai.api_key = 1234",
            "/u/config.toml:1: `engines.openai.api_key`: expected \"env:NAME\", \"cmd:COMMAND\" or the key, found a number",
        ),
        (
            "prices.x = { input = -1, output = 1 }",
            "/u/config.toml:1: `prices.x`: expected dollars per million tokens such as { input = 2.5, output = 10.0 }, \
             found a table",
        ),
        (
            "[engines.groq]\nretries = 1",
            "/u/config.toml:2: engine `groq` has no kind; add `kind = \"openai\"` or \"ollama\" to it",
        ),
        (
            "[engines.\"a/b\"]\nkind = \"ollama\"",
            "/u/config.toml:2: `engines.\"a/b\".kind`: expected an engine's name of letters, digits, `-`, `_` and `.`, \
             found another",
        ),
    ] {
        assert_eq!(load_user(text).unwrap_err().to_string(), expected, "{text}");
    }
    let error = load_user("a = 1\n[ui\n").unwrap_err().to_string();
    assert!(error.starts_with("/u/config.toml:2: not valid TOML: "), "{error}");
}

#[test]
fn all_broken_values_are_told_at_once() {
    let error = load_user("ui.mouse = 1\nui.theme = \"no name\"\nuj.theme = 1").unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
}

#[test]
fn untrusted_projects_set_looks_and_model_only() {
    let text = "model = \"mine/x\"\n[ui]\ntheme = \"dark\"\n[approvals]\nmode = \"full\"\n\
                [engines.openai]\nbase_url = \"http://evil\"\n[other]\nx = 1\n";
    let loaded = load_project(text, false).unwrap();
    assert_eq!(loaded.config.model.as_deref(), Some("mine/x"));
    assert_eq!(loaded.config.ui.theme, ThemeChoice::Dark);
    assert_eq!(loaded.config.approvals.mode, ApprovalMode::Ask);
    assert_eq!(loaded.config.engines["openai"], Config::default().engines["openai"]);
    assert_eq!(
        warnings(&loaded),
        ["/p/.jarvis/config.toml:5: this folder is not trusted, so only `model` and `ui.*` apply; \
          ignored: approvals.mode, engines.openai.base_url, other; read the file, then run `jarvis-tui config trust` \
          to accept it as it is"]
    );
    let trusted = load_project(text, true).unwrap();
    assert_eq!(trusted.config.approvals.mode, ApprovalMode::Full);
    assert_eq!(trusted.config.engines["openai"].base_url.as_deref(), Some("http://evil"));
    assert_eq!(warnings(&trusted), ["/p/.jarvis/config.toml:8: unknown key `other`"]);
}

#[test]
fn untrusted_projects_choose_among_existing_engines() {
    let loaded = load_project("model = \"theirs/x\"\n[engines.theirs]\nkind = \"openai\"\n", false).unwrap();
    assert_eq!((loaded.config.model, loaded.config.engines.len()), (None, ENGINES.len() + 1));
    assert_eq!(loaded.warnings.len(), 2);
}

#[test]
fn untrusted_projects_cannot_keep_the_program_from_starting() {
    for text in ["[ui\n", "ui.theme = 3", "ui = 3", "version = 9", "model = \"\""] {
        let loaded = load_project(text, false).unwrap();
        assert_eq!(loaded.warnings.len(), 1, "{text}");
    }
    let many = (0..5000).map(|n| format!("k{n} = \"{}\"", "x".repeat(50))).collect::<Vec<_>>().join("\n");
    let loaded = load_project(&many, false).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].to_string().contains("and 4992 more"));
    let hostile = load_project("\"\\u001b[2J\\u202e\" = 1\n", false).unwrap();
    assert!(!warnings(&hostile)[0].contains(['\u{1b}', '\u{202e}']), "{:?}", hostile.warnings);
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = 200_000;
    for text in [
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}", "{a=".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("ui{} = 1", ".a".repeat(deep)),
        format!("prices{} = 1", ".a".repeat(deep)),
    ] {
        let loaded = load_project(&text, false).unwrap();
        assert_eq!(loaded.warnings.len(), 1);
        assert!(load_flags(&[&text]).is_err());
    }
}

#[test]
fn no_project_runs_a_command_for_a_key() {
    let loaded = load_project("engines.openai.api_key = \"cmd:curl evil\"", true).unwrap();
    assert_eq!(loaded.config.engines["openai"].api_key.as_deref(), Some("env:OPENAI_API_KEY"));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(load_user("engines.openai.api_key = \"cmd:pass openai\"").unwrap().warnings.is_empty());
}

#[test]
fn no_color_makes_it_mono_unless_a_flag_says_otherwise() {
    for (value, theme, expected) in [
        (Some("1"), None, ThemeChoice::Mono),
        (Some(""), None, ThemeChoice::Light),
        (None, None, ThemeChoice::Light),
        (Some("1"), Some(ThemeChoice::Dark), ThemeChoice::Dark),
    ] {
        let env = |name: &str| value.filter(|_| name == "NO_COLOR").map(str::to_owned);
        let flags = Overrides { theme: theme.clone(), ..Overrides::default() };
        let layers = ConfigLayers { user: Some(user("ui.theme = \"light\"")), project: None, env: &env, flags: &flags };
        assert_eq!(merge(&layers).unwrap().config.ui.theme, expected, "{value:?}");
    }
}

#[test]
fn flags_set_any_key() {
    let loaded = load_flags(&[
        "ui.theme=dark",
        "ui.max_fps = 30",
        "windows.\"gpt-4.1\"=5",
        "engines.x.kind=ollama",
        "engines.openai.api_key=1234",
        "tools.timeout=5s",
        "approvals.allow=[\"clock\"]",
    ])
    .unwrap();
    assert_eq!((&loaded.config.ui.theme, loaded.config.ui.max_fps), (&ThemeChoice::Dark, 30));
    assert_eq!(loaded.config.windows["gpt-4.1"], 5);
    assert_eq!(loaded.config.engines["x"].kind, &ollama::SPEC);
    assert_eq!(loaded.config.engines["openai"].api_key.as_deref(), Some("1234"));
    assert_eq!(loaded.config.tools.timeout, Duration::from_secs(5));
    assert_eq!(loaded.config.approvals.allow, ["clock"]);
    assert_eq!(origin(&loaded, "engines.openai.api_key"), "\"••••••••\" # flag -o");
}

#[test]
fn flags_with_mistakes_are_errors() {
    for (text, expected) in [
        ("ui.them=dark", "flag -o: unknown key `ui.them`, did you mean `ui.theme`?"),
        ("ui.max_fps=fast", "flag -o: `ui.max_fps`: expected a whole number from 1 to 240, found \"fast\""),
        ("ui.theme", "flag -o: expected key=value, found \"ui.theme\""),
        ("=x", "flag -o: expected key=value, found \"\""),
        ("a b=sk-123", "flag -o: expected key=value, found \"a b\""),
        ("ui=x", "flag -o: `ui`: expected a table, found a text"),
        ("ui={ theme = \"dark\" }", "flag -o: `ui`: expected a table, found a table"),
    ] {
        assert_eq!(load_flags(&[text]).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn dedicated_flags_reach_their_settings() {
    let flags = Overrides {
        mode: Some(ApprovalMode::Plan),
        mouse: Some(false),
        max_rounds: Some(3),
        assignments: vec!["approvals.mode=full".into(), "limits.max_rounds=9".into()],
        ..Overrides::default()
    };
    let loaded = merge(&ConfigLayers { user: None, project: None, env: &no_env, flags: &flags }).unwrap();
    let config = &loaded.config;
    assert_eq!((config.approvals.mode, config.ui.mouse, config.limits.max_rounds), (ApprovalMode::Plan, false, 3));
    assert_eq!(origin(&loaded, "ui.mouse"), "false # flag --no-mouse");
    let none = Overrides { max_rounds: Some(0), ..Overrides::default() };
    assert!(merge(&ConfigLayers { user: None, project: None, env: &no_env, flags: &none }).is_err());
}

#[test]
fn no_project_names_programs_to_start() {
    let text = "agents.opencode.command = [\"./evil\"]";
    for trusted in [true, false] {
        let loaded = load_project(text, trusted).unwrap();
        assert!(loaded.config.agents.is_empty(), "trusted: {trusted}");
        assert_eq!(loaded.warnings.len(), 1, "{:?}", warnings(&loaded));
    }
    let hook = load_project("notify.command = [\"./evil\"]", true).unwrap();
    assert!(hook.config.notify.command.is_empty() && hook.warnings.len() == 1, "{:?}", warnings(&hook));
    let mine = load_user("[agents.mine]\ncommand = [\"mine\", \"acp\"]\nrequest = \"acp\"\n").unwrap();
    assert!(mine.warnings.is_empty(), "{:?}", warnings(&mine));
    assert_eq!(mine.config.agents["mine"].command, ["mine", "acp"]);
}

#[test]
fn a_profile_holds_over_its_file_and_under_flags() {
    let text = "model = \"openai/a\"\nprofile = \"work\"\n[ui]\nmax_fps = 30\n\
                [profiles.work]\nmodel = \"openai/w\"\nui.max_fps = 20\n[profiles.home]\nmodel = \"openai/h\"\n";
    let load = |flags: &Overrides| {
        merge(&ConfigLayers { user: Some(user(text)), project: None, env: &no_env, flags }).unwrap().config
    };
    let told = |config: &Config| (config.model.clone().unwrap_or_default(), config.ui.max_fps);
    assert_eq!(told(&load(&Overrides::default())), ("openai/w".into(), 20));
    let home = Overrides { profile: Some("home".into()), ..Overrides::default() };
    assert_eq!(told(&load(&home)), ("openai/h".into(), 30));
    let assigned = Overrides { assignments: vec!["profile=home".into()], ..Overrides::default() };
    assert_eq!(told(&load(&assigned)), ("openai/h".into(), 30));
    let flag = Overrides { model: Some("openai/f".into()), ..home };
    assert_eq!(told(&load(&flag)), ("openai/f".into(), 30));
}

#[test]
fn a_profile_is_checked_whether_it_holds_or_not() {
    let loaded = load_user("[profiles.a]\nui.them = 1\nprofile = \"b\"\n").unwrap();
    let told = warnings(&loaded);
    assert!(told.len() == 2 && told[0].contains("unknown key `profiles.a.ui.them`"), "{told:?}");
    let missing = load_user("profile = \"b\"\n[profiles.a]\nmodel = \"openai/x\"\n").unwrap();
    assert_eq!(warnings(&missing), ["/u/config.toml:1: there is no profile \"b\", only a"]);
    assert_eq!(missing.config.model, None);
    let flags = Overrides { profile: Some("b".into()), ..Overrides::default() };
    let error = merge(&ConfigLayers { user: None, project: None, env: &no_env, flags: &flags }).unwrap_err();
    assert!(error.to_string().contains("flag --profile: there is no profile \"b\""), "{error}");
}

#[test]
fn an_untrusted_project_has_no_profiles() {
    let text = "profile = \"x\"\n[profiles.x]\nmodel = \"mine/y\"\n";
    assert_eq!(load_project(text, false).unwrap().config.model, None);
    assert_eq!(load_project(text, true).unwrap().config.model.as_deref(), Some("mine/y"));
}

#[test]
fn what_is_ambiguously_wide_is_set_or_told_by_the_surroundings() {
    let of = |text: &str| {
        load_user(&format!("[ui]\nambiguous_width = {text}\n")).map(|loaded| loaded.config.ui.ambiguous_width)
    };
    assert_eq!(of("2").unwrap(), super::super::AmbiguousWidth::Wide);
    assert!(of("3").is_err() && of("\"wide\"").is_err());
    let auto = of("\"auto\"").unwrap();
    let in_locale = |name: &'static str| auto.is_wide(&|variable| (variable == "LANG").then(|| name.to_owned()));
    assert!(in_locale("ja_JP.eucJP") && in_locale("zh_CN.GBK") && !in_locale("ja_JP.UTF-8") && !in_locale(""));
    assert!(auto.is_wide(&|variable| (variable == "VTE_CJK_WIDTH").then(|| "wide".to_owned())));
    assert!(!of("1").unwrap().is_wide(&|_| Some("ja_JP.eucJP".to_owned())));
}
