//! PURE. Agent programs by name and by command: which of them speak a protocol in which we have to begin.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::config::Config;
use crate::engine::remote::{ACP, CODEX_APP_SERVER, RequestKind};

/// A program that is started with `attach acp:NAME`.
struct KnownAgent {
    name: &'static str,
    command: &'static [&'static str],
    /// Other words by which the same program may be told to speak the protocol.
    aliases: &'static [&'static str],
    request: &'static RequestKind,
    /// Where it is found: the registry, the package, and the version that was tried. None where no registry has it, or
    /// it could not be tried without a login.
    package: Option<(&'static str, &'static str, &'static str)>,
}

/// In the order of their names.
static KNOWN_AGENTS: [KnownAgent; 14] = [
    KnownAgent { name: "auggie", command: &["auggie", "--acp"], aliases: &[], request: &ACP, package: None },
    KnownAgent {
        name: "claude",
        command: &["claude-agent-acp"],
        aliases: &[],
        request: &ACP,
        package: Some(("npm", "@agentclientprotocol/claude-agent-acp", "0.101.0")),
    },
    KnownAgent {
        name: "codex",
        command: &["codex", "app-server"],
        aliases: &[],
        request: &CODEX_APP_SERVER,
        package: Some(("npm", "@openai/codex", "0.171.0")),
    },
    KnownAgent {
        name: "codex-acp",
        command: &["codex-acp"],
        aliases: &[],
        request: &ACP,
        package: Some(("npm", "@agentclientprotocol/codex-acp", "2.6.0")),
    },
    KnownAgent {
        name: "copilot",
        command: &["copilot", "--acp"],
        aliases: &[],
        request: &ACP,
        package: Some(("npm", "@github/copilot", "1.0.102")),
    },
    KnownAgent { name: "cursor", command: &["cursor-agent", "acp"], aliases: &[], request: &ACP, package: None },
    KnownAgent {
        name: "gemini",
        command: &["gemini", "--acp"],
        aliases: &["--experimental-acp"],
        request: &ACP,
        package: Some(("npm", "@google/gemini-cli", "0.61.0")),
    },
    KnownAgent { name: "goose", command: &["goose", "acp"], aliases: &[], request: &ACP, package: None },
    KnownAgent {
        name: "gptme",
        command: &["gptme-acp"],
        aliases: &[],
        request: &ACP,
        package: Some(("PyPI", "gptme-acp", "0.35.1")),
    },
    KnownAgent {
        name: "grok",
        command: &["grok", "agent", "stdio"],
        aliases: &[],
        request: &ACP,
        package: Some(("PyPI", "grok-cli-bin", "0.2.111")),
    },
    KnownAgent { name: "kimi", command: &["kimi", "acp"], aliases: &["--acp"], request: &ACP, package: None },
    KnownAgent {
        name: "opencode",
        command: &["opencode", "acp"],
        aliases: &[],
        request: &ACP,
        package: Some(("npm", "opencode-ai", "1.18.33")),
    },
    KnownAgent {
        name: "qwen",
        command: &["qwen", "--acp"],
        aliases: &["--experimental-acp"],
        request: &ACP,
        package: Some(("npm", "@qwen-code/qwen-code", "0.24.4")),
    },
    KnownAgent { name: "vibe", command: &["vibe-acp"], aliases: &[], request: &ACP, package: None },
];

/// The names that `acp:NAME` takes, those of the settings among them.
pub(super) fn known_names(config: &Config) -> Vec<&str> {
    let mut names: Vec<&str> = KNOWN_AGENTS.iter().map(|agent| agent.name).collect();
    names.extend(config.agents.keys().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    names
}

/// Returns the command of an agent and its protocol; the settings win.
pub(super) fn find(name: &str, config: &Config) -> Option<(OsString, Vec<OsString>, &'static RequestKind)> {
    if let Some(own) = config.agents.get(name) {
        let (program, args) = own.command.split_first()?;
        let (program, args): (OsString, Vec<OsString>) = (program.into(), args.iter().map(Into::into).collect());
        let request = own.request.or_else(|| recognize(&program, &args)).unwrap_or(&ACP);
        return Some((program, args, request));
    }
    let agent = KNOWN_AGENTS.iter().find(|agent| agent.name == name)?;
    let (program, args) = agent.command.split_first()?;
    Some(((*program).into(), args.iter().map(Into::into).collect(), agent.request))
}

/// Returns the protocol that a command is known to speak.
pub(super) fn recognize(program: &OsStr, args: &[OsString]) -> Option<&'static RequestKind> {
    let program = Path::new(program).file_name()?.to_str()?;
    // Adapters are named after what they adapt.
    if program.ends_with("-acp") {
        return Some(&ACP);
    }
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let agent = KNOWN_AGENTS.iter().find(|agent| agent.command.first() == Some(&program) && agent.is_told(has))?;
    Some(agent.request)
}

/// Returns where a program is found that is not installed, in words.
pub(super) fn source(program: &OsStr) -> Option<String> {
    let agent = KNOWN_AGENTS.iter().find(|agent| agent.command.first().is_some_and(|name| program == *name))?;
    let (registry, package, version) = agent.package?;
    Some(format!("{registry} has it as {package} (tried with {version})"))
}

impl KnownAgent {
    fn is_told(&self, has: impl Fn(&str) -> bool) -> bool {
        let words = self.command.get(1..).unwrap_or_default();
        (!words.is_empty() && words.iter().all(|word| has(word))) || self.aliases.iter().any(|word| has(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AgentProgramConfig;

    fn recognized(line: &str) -> Option<&'static str> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        recognize(&words[0], &words[1..]).map(|kind| kind.name)
    }

    #[test]
    fn a_command_is_recognized_by_its_program_and_its_words() {
        for line in
            ["opencode acp", "/opt/bin/opencode acp --print-logs", "gemini -m x --experimental-acp", "codex-acp"]
        {
            assert_eq!(recognized(line), Some("acp"), "{line}");
        }
        for line in ["opencode run hello", "gemini -p --output-format stream-json", "acp", "grok agent", "sh -c acp"] {
            assert_eq!(recognized(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_started_by_name_is_recognized() {
        let mut config = Config::default();
        for name in known_names(&config) {
            let (program, args, request) = find(name, &config).unwrap();
            assert_eq!(recognize(&program, &args), Some(request), "{name}");
        }
        assert!(find("nobody", &config).is_none());
        let found = source(OsStr::new("copilot")).unwrap();
        assert!(found.contains("npm has it as @github/copilot (tried with "), "{found}");
        assert_eq!(source(OsStr::new("goose")), None);
        let own = AgentProgramConfig { command: vec!["/opt/mine".into(), "--stdio".into()], request: None };
        config.agents.insert("gemini".into(), own.clone());
        config.agents.insert("mine".into(), own);
        let (program, args, request) = find("gemini", &config).unwrap();
        assert_eq!((program, args.len(), request), ("/opt/mine".into(), 1, &ACP), "the settings win");
        let names = known_names(&config);
        assert!(names.is_sorted() && names.contains(&"mine"), "{names:?}");
    }
}
