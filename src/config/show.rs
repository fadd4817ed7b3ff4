//! PURE. The settings as text for `config show`, and the file written by `config init`.

use super::merge::{LoadedConfig, SettingEntry};
use super::{DEFAULT_FILE, schema};

/// The position of a line: its table's first row, the person's name, the row.
type SortKey = (usize, String, usize);

/// Lists every key with value and origin, one per line, in the order of the documentation.
pub fn to_text(loaded: &LoadedConfig) -> String {
    let mut lines: Vec<(SortKey, String, String)> = Vec::new();
    let all = loaded.all_entries();
    for (index, row) in schema::SETTINGS.iter().enumerate() {
        let table = schema::SETTINGS.iter().position(|other| other.table() == row.table()).unwrap_or(index);
        let mut entries = all.iter().filter(|(key, _)| row.matches(&key_parts(key))).peekable();
        if entries.peek().is_none() && !row.key.contains('*') {
            lines.push(((table, String::new(), index), format!("{} is not set", row.key), String::new()));
        }
        lines.extend(entries.map(|(key, SettingEntry { display: shown, origin })| {
            let name = if row.key.contains('*') { key_parts(key).into_iter().nth(1) } else { None };
            ((table, name.unwrap_or_default(), index), format!("{key} = {shown}"), origin.to_string())
        }));
    }
    lines.sort();
    let width = lines.iter().map(|(_, left, _)| left.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    let mut text = String::new();
    for (_, left, origin) in lines {
        let line = if origin.is_empty() { left } else { format!("{left:width$}  # {origin}") };
        text += &line;
        text.push('\n');
    }
    text
}

/// Returns the default file with every setting commented out, so that later defaults still apply.
pub fn starter_file() -> String {
    let mut text = String::new();
    for line in DEFAULT_FILE.lines() {
        let setting = !line.is_empty() && !line.starts_with(['#', '[']) && !line.starts_with("version");
        if setting {
            text.push('#');
        }
        text += line;
        text.push('\n');
    }
    text
}

fn key_parts(key: &str) -> Vec<String> {
    super::value::parse_key(key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::merge::{ConfigLayers, Overrides, SettingsText, merge};
    use super::super::{Config, value};
    use super::*;

    fn load(text: &str) -> LoadedConfig {
        let user = Some(SettingsText { file: "config.toml", text });
        merge(&ConfigLayers { user, project: None, env: &|_| None, flags: &Overrides::default() }).unwrap()
    }

    /// In the file, a setting without a default is written as `#key = …`, prose as `# …`.
    fn uncommented() -> String {
        let lines = DEFAULT_FILE.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '#']) => rest,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_default_file_says_the_defaults() {
        let loaded = load("");
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn the_default_file_documents_every_key() {
        let settings = value::parse(&uncommented(), &schema::is_branch).unwrap();
        for row in schema::SETTINGS.iter() {
            assert!(settings.iter().any(|setting| row.matches(&setting.path)), "{}", row.key);
        }
        let loaded = load(&uncommented());
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.keymap().1, Vec::<String>::new());
    }

    /// People copy what the manual shows.
    #[test]
    fn the_settings_of_the_manual_are_settings() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/manual");
        let pages = std::fs::read_dir(folder).unwrap().map(|page| page.unwrap().path());
        let mut seen = 0;
        for page in pages {
            let text = std::fs::read_to_string(&page).unwrap();
            for block in text.split("```toml\n").skip(1) {
                let block = block.split("```").next().unwrap();
                let loaded = load(block);
                assert_eq!(loaded.warnings, [], "{}: {block}", page.display());
                assert_eq!(loaded.keymap().1, Vec::<String>::new(), "{}: {block}", page.display());
                seen += 1;
            }
        }
        assert!(seen > 3, "the pages or their blocks were not found");
    }

    /// Returns the settings and tables that a document names outside its examples: `table.name`, and `[table]`.
    fn named_settings(document: &str) -> Vec<String> {
        let prose: String = document.split("```").step_by(2).collect();
        // What begins with a slash is a command with its arguments.
        let quoted = prose.split('`').skip(1).step_by(2).filter(|quoted| !quoted.starts_with('/'));
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_table = |name: &str| schema::SETTINGS.iter().any(|row| row.table() == name);
        let named = quoted.flat_map(|quoted| quoted.split([' ', '=', ','])).filter_map(|word| {
            let table = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
            let name = table.or_else(|| word.split_once('.').filter(|(head, _)| is_table(head)).map(|_| word))?;
            name.split('.').all(is_name).then(|| name.to_owned())
        });
        named.collect()
    }

    #[test]
    fn the_settings_that_the_documents_name_are_settings() {
        assert_eq!(
            named_settings("`[ui]`, `-o ui.theme=dark`, `a.b`, `[X]`, `/x [n]`\n```\n`[c]`\n```"),
            ["ui", "ui.theme"]
        );
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let pages = std::fs::read_dir(root.join("assets/manual")).unwrap().map(|page| page.unwrap().path());
        let mut seen = 0;
        for document in pages.chain([root.join("README.md")]) {
            for name in named_settings(&std::fs::read_to_string(&document).unwrap()) {
                let path: Vec<String> = name.split('.').map(str::to_owned).collect();
                let is_known = schema::find(&path).is_some() || schema::is_branch(&path);
                assert!(is_known, "{}: {name}", document.display());
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen} settings are named");
    }

    #[test]
    fn each_documented_key_has_a_comment() {
        let lines: Vec<&str> = DEFAULT_FILE.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let (setting, comment) = (line.trim_start_matches('#'), index.checked_sub(1).map_or("", |at| lines[at]));
            let is_setting = setting.contains(" = ") && !line.starts_with("# ");
            let is_documented = comment.starts_with("# ") || line.contains(" # ") || comment.contains(" = ");
            assert!(!is_setting || is_documented, "{line}");
        }
    }

    #[test]
    fn the_starter_file_changes_nothing() {
        let loaded = load(&starter_file());
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.warnings, []);
        assert!(starter_file().contains("\n#theme = \"auto\""), "{}", starter_file());
    }

    #[test]
    fn show_lists_every_key_with_its_origin() {
        let loaded = load(
            "model = \"openai/gpt-4o\"\n[engines.openai]\napi_key = \"sk-123\"\nbase_url = \"http://a:b@h/v1\"\n\
             [prices]\n\"gpt-4.1\" = { input = 1, output = 2.0 }\n[keys.global]\n\"ctrl+p\" = \"none\"\n",
        );
        insta::assert_snapshot!(to_text(&loaded), @r#"
        version = 1                                                # default
        model = "openai/gpt-4o"                                    # config.toml:1
        profile is not set
        effort is not set
        engines.anthropic.kind = "anthropic"                       # default
        engines.anthropic.base_url = "env:ANTHROPIC_BASE_URL"      # default
        engines.anthropic.api_key = "env:ANTHROPIC_API_KEY"        # default
        engines.anthropic.first_byte_timeout = "5m"                # default
        engines.anthropic.idle_timeout = "90s"                     # default
        engines.anthropic.no_output_timeout = "15m"                # default
        engines.anthropic.retries = 4                              # default
        engines.gguf.kind = "gguf"                                 # default
        engines.gguf.first_byte_timeout = "5m"                     # default
        engines.gguf.idle_timeout = "90s"                          # default
        engines.gguf.no_output_timeout = "15m"                     # default
        engines.gguf.retries = 4                                   # default
        engines.offline.kind = "offline"                           # default
        engines.offline.first_byte_timeout = "5m"                  # default
        engines.offline.idle_timeout = "90s"                       # default
        engines.offline.no_output_timeout = "15m"                  # default
        engines.offline.retries = 4                                # default
        engines.ollama.kind = "ollama"                             # default
        engines.ollama.base_url = "env:OLLAMA_HOST"                # default
        engines.ollama.first_byte_timeout = "5m"                   # default
        engines.ollama.idle_timeout = "90s"                        # default
        engines.ollama.no_output_timeout = "15m"                   # default
        engines.ollama.retries = 4                                 # default
        engines.openai.kind = "openai"                             # default
        engines.openai.base_url = "http://••••@h/v1"               # config.toml:4
        engines.openai.api_key = "••••••••"                        # config.toml:3
        engines.openai.first_byte_timeout = "5m"                   # default
        engines.openai.idle_timeout = "90s"                        # default
        engines.openai.no_output_timeout = "15m"                   # default
        engines.openai.retries = 4                                 # default
        engines.openai-responses.kind = "openai-responses"         # default
        engines.openai-responses.base_url = "env:OPENAI_BASE_URL"  # default
        engines.openai-responses.api_key = "env:OPENAI_API_KEY"    # default
        engines.openai-responses.first_byte_timeout = "5m"         # default
        engines.openai-responses.idle_timeout = "90s"              # default
        engines.openai-responses.no_output_timeout = "15m"         # default
        engines.openai-responses.retries = 4                       # default
        ui.screen = "auto"                                         # default
        ui.theme = "auto"                                          # default
        ui.max_fps = 60                                            # default
        ui.fold_thinking = true                                    # default
        ui.fold_output = true                                      # default
        ui.mouse = true                                            # default
        ui.tool_panel = true                                       # default
        ui.timestamps = "off"                                      # default
        ui.text_columns = 100                                      # default
        ui.panel_side = "right"                                    # default
        ui.statusline = ["model", "effort", "folder", "branch", "grants", "queue", "keys", "context", "tokens", "cost", "first-token", "rate", "time"]  # default
        ui.ambiguous_width = 1                                     # default
        ui.images = "auto"                                         # default
        ui.reduced_motion = false                                  # default
        ui.print_on_exit = false                                   # default
        approvals.mode = "ask"                                     # default
        approvals.allow = []                                       # default
        approvals.deny = []                                        # default
        tools.folders = []                                         # default
        tools.timeout = "60s"                                      # default
        tools.shell_timeout = "2m"                                 # default
        sandbox.enabled = true                                     # default
        sandbox.network = false                                    # default
        sandbox.write = []                                         # default
        sandbox.env = []                                           # default
        sandbox.memory = 0                                         # default
        sandbox.processes = 512                                    # default
        limits.max_rounds = 25                                     # default
        limits.auto_compact = true                                 # default
        limits.tool_output = 32768                                 # default
        limits.instructions = 32768                                # default
        limits.session_turns = 0                                   # default
        limits.session_tokens = 0                                  # default
        limits.session_cost = 0.0                                  # default
        limits.session_time = "0s"                                 # default
        limits.day_turns = 0                                       # default
        limits.day_tokens = 0                                      # default
        limits.day_cost = 0.0                                      # default
        limits.day_time = "0s"                                     # default
        server.host = "127.0.0.1"                                  # default
        server.port = 0                                            # default
        server.token = "env:JARVIS_TUI_SERVER_TOKEN"               # default
        server.read_token = "env:JARVIS_TUI_READ_TOKEN"            # default
        server.store = "env:JARVIS_TUI_STORE"                      # default
        server.public_url is not set
        server.read_link_lifetime = "0s"                           # default
        server.origins = []                                        # default
        server.clients = 512                                       # default
        server.sessions = 64                                       # default
        server.body = 8388608                                      # default
        server.message = 1048576                                   # default
        server.any_model = true                                    # default
        server.approval_link_command = []                          # default
        server.approval_link_lifetime = "10m"                      # default
        server.ask_timeout = "10m"                                 # default
        notify.via = "auto"                                        # default
        notify.when = "unfocused"                                  # default
        notify.approval = true                                     # default
        notify.turn = true                                         # default
        notify.error = true                                        # default
        notify.command = []                                        # default
        notify.title = true                                        # default
        notify.progress = true                                     # default
        telemetry.export = false                                   # default
        telemetry.endpoint = "env:OTEL_EXPORTER_OTLP_ENDPOINT"     # default
        telemetry.headers = "env:OTEL_EXPORTER_OTLP_HEADERS"       # default
        telemetry.content = false                                  # default
        hooks.before_call = []                                     # default
        hooks.after_call = []                                      # default
        hooks.turn_end = []                                        # default
        hooks.timeout = "30s"                                      # default
        redact.enabled = true                                      # default
        redact.names = []                                          # default
        redact.variables = []                                      # default
        redact.shapes = []                                         # default
        redact.allow = []                                          # default
        prices."gpt-4.1" = { input = 1, output = 2.0 }             # config.toml:6
        editor.vim = false                                         # default
        editor.vim_start = "insert"                                # default
        keys.preset = "default"                                    # default
        keys.global."ctrl+p" = "none"                              # config.toml:8
        "#);
    }
}
