//! Command lines of the person's that are told of calls and turns, as JSON on their standard input.
//!
//! | exit status | before a call | after a call |
//! | --- | --- | --- |
//! | 0 | the call runs | nothing |
//! | 2 | it is denied, and standard error says why | the model is told what standard error says |
//! | another | the call runs, and the person is told | the person is told |
//!
//! One that can't be started or is too slow denies the call: what is to be guarded is not run unguarded. They have the
//! environment and the sandbox of commands, a process group of their own and no terminal; one that begins with `!` runs
//! outside of the sandbox.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::event::Json;
use crate::sandbox::{ConfinedChild, SandboxRules, SandboxedCommand, explain_refusal};

/// Bytes of what a hook prints.
const MAX_PRINTED_BYTES: u64 = 16 * 1024;
/// The exit status that denies.
const DENIED_STATUS: i32 = 2;

/// The hooks of the settings.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    pub before_call: Arc<[String]>,
    pub after_call: Arc<[String]>,
    pub turn_end: Arc<[String]>,
    pub time_limit: Duration,
    /// Environment variables with keys, hidden from them.
    pub hidden_env_vars: Arc<[String]>,
    /// What they are kept from; none where they run as they are.
    pub sandbox: Option<Arc<SandboxRules>>,
}

/// What came of the hooks of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookResult {
    /// What one of them objects to.
    pub objection: Option<String>,
    /// What went wrong, for the person.
    pub problems: Vec<String>,
}

/// How one ended.
enum HookEnd {
    Done,
    Objected(String),
    Failed(String),
    /// It could not be started, or did not end.
    Absent(String),
}

impl Hooks {
    /// Runs those before a call, until one objects.
    pub async fn run_before_call(&self, told: &Json, folder: &Path) -> HookResult {
        self.run_all(&self.before_call, told, folder, true).await
    }

    /// Runs those after a call.
    pub async fn run_after_call(&self, told: &Json, folder: &Path) -> HookResult {
        self.run_all(&self.after_call, told, folder, false).await
    }

    /// Runs those at the end of a turn.
    pub async fn run_turn_end(&self, told: &Json, folder: &Path) -> HookResult {
        let mut result = self.run_all(&self.turn_end, told, folder, false).await;
        result.problems.extend(result.objection.take());
        result
    }

    async fn run_all(&self, hooks: &[String], told: &Json, folder: &Path, guards: bool) -> HookResult {
        let mut result = HookResult::default();
        for hook in hooks {
            let named = |why: String| format!("the hook `{hook}` {why}");
            match self.run(hook, told, folder).await {
                HookEnd::Done => {}
                HookEnd::Objected(why) => result.objection = Some(why),
                HookEnd::Absent(why) if guards => result.objection = Some(named(why)),
                HookEnd::Failed(why) | HookEnd::Absent(why) => result.problems.push(named(why)),
            }
            if guards && result.objection.is_some() {
                break;
            }
        }
        result
    }

    /// Starts a hook and waits for its end; dropping that stops it.
    async fn run(&self, hook: &str, told: &Json, folder: &Path) -> HookEnd {
        let outside = hook.strip_prefix('!');
        let rules = self.sandbox.as_ref().filter(|_| outside.is_none());
        let words = ["-c", outside.unwrap_or(hook)];
        let inside = match rules {
            Some(rules) => {
                rules.ask_support().await;
                let policy = rules.policy(folder, &[], Duration::ZERO);
                rules.command(&policy, "sh", words).map(|command| (command, rules.hidden_variables(), policy.network))
            }
            None => None,
        };
        let mut process = SandboxedCommand::or_plain(inside.as_ref().map(|(inside, ..)| inside), "sh", words);
        process.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        for name in self.hidden_env_vars.iter().chain(inside.iter().flat_map(|(_, hidden, _)| hidden)) {
            process.env_remove(name);
        }
        let mut running = match ConfinedChild::start(process, inside.is_some()) {
            Ok(running) => running,
            Err(error) => return HookEnd::Absent(format!("could not be started: {error}")),
        };
        let child = &mut running.child;
        let (stdin, stderr) = (child.stdin().take(), child.stderr().take());
        let text = format!("{told}\n");
        let write = async {
            if let Some(mut stdin) = stdin {
                // It need not read it.
                let _ = stdin.write_all(text.as_bytes()).await;
            }
        };
        let read = async {
            let mut printed = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr).take(MAX_PRINTED_BYTES).read_to_end(&mut printed).await;
                // The rest is read as well: a full pipe would stop it.
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            String::from_utf8_lossy(&printed).trim().to_owned()
        };
        let all = async {
            let (status, (), printed) = tokio::join!(child.inner_mut().wait(), write, read);
            (status, printed)
        };
        let ended = timeout(self.time_limit, all).await;
        running.end_now();
        match ended {
            Err(_) => HookEnd::Absent(format!("did not end within {} s", self.time_limit.as_secs())),
            Ok((Err(error), _)) => HookEnd::Failed(format!("could not be waited for: {error}")),
            Ok((Ok(status), _)) if status.success() => HookEnd::Done,
            Ok((Ok(status), printed)) if status.code() == Some(DENIED_STATUS) => {
                HookEnd::Objected(match printed.as_str() {
                    "" => format!("the hook `{hook}` denies it"),
                    _ => printed,
                })
            }
            Ok((Ok(status), printed)) => {
                let refused = inside.and_then(|(_, _, network)| explain_refusal(&printed, network));
                let refused = refused.map(|why| format!(" [{why}; `!` before it runs it outside]"));
                HookEnd::Failed(format!("failed with {status}: {printed}{}", refused.unwrap_or_default()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn before(hooks: &[&str], folder: &Path) -> HookResult {
        let hooks = Hooks {
            before_call: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
            time_limit: Duration::from_secs(20),
            hidden_env_vars: vec!["HOME".to_owned()].into(),
            ..Hooks::default()
        };
        hooks.run_before_call(&json!({"tool": "shell", "args": {"command": "rm x"}}), folder).await
    }

    #[tokio::test]
    async fn a_hook_is_told_the_call_and_denies_it_with_status_2() {
        let folder = tempfile::tempdir().unwrap();
        let denied = before(
            &["cat > told; test -z \"$HOME\" || exit 1; echo 'not rm' >&2; exit 2", "touch next"],
            folder.path(),
        )
        .await;
        assert_eq!(denied, HookResult { objection: Some("not rm".into()), problems: vec![] });
        assert!(!folder.path().join("next").exists(), "the others are not run");
        let told: Json = serde_json::from_str(&std::fs::read_to_string(folder.path().join("told")).unwrap()).unwrap();
        assert_eq!(told["args"]["command"], "rm x");
        assert_eq!(before(&["true"], folder.path()).await, HookResult::default());
    }

    #[tokio::test]
    async fn one_that_fails_is_told_and_one_that_does_not_end_denies() {
        let folder = tempfile::tempdir().unwrap();
        let failed = before(&["echo oh >&2; exit 3"], folder.path()).await;
        assert!(failed.objection.is_none() && failed.problems[0].contains("exit status: 3: oh"), "{failed:?}");
        let mut hooks = Hooks { before_call: vec!["sleep 60".to_owned()].into(), ..Hooks::default() };
        hooks.time_limit = Duration::from_millis(10);
        let slow = hooks.run_before_call(&Json::Null, folder.path()).await;
        assert!(slow.objection.unwrap().contains("did not end"));
        let gone = before(&["true"], &folder.path().join("gone")).await;
        assert!(gone.objection.unwrap().contains("could not be started"));
    }
}
