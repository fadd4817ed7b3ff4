//! Which variables a command inside doesn't get: those that hold secrets, and those that lead to programs outside.

use std::collections::HashSet;

use crate::text::secrets::is_secret_name;

/// Ways to programs that would do outside what a command can't.
const WAYS_OUT: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GPG_AGENT_INFO",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "XAUTHORITY",
    "DOCKER_HOST",
    "CONTAINER_HOST",
    "TMUX",
    "VSCODE_IPC_HOOK_CLI",
    "NVIM",
    "LD_PRELOAD",
    "LD_AUDIT",
];

/// Returns those of the variables that are hidden, but for the ones that the person keeps.
pub fn hidden_variables(names: impl Iterator<Item = String>, kept: &[String]) -> Vec<String> {
    let kept: HashSet<&str> = kept.iter().map(String::as_str).collect();
    names
        .filter(|name| WAYS_OUT.contains(&name.as_str()) || is_secret_name(name))
        .filter(|name| !kept.contains(name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_ways_out_are_hidden_unless_kept() {
        let names =
            ["PATH", "HOME", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "CARGO_HOME", "DB_PASSWORD"];
        let hidden = hidden_variables(names.iter().map(|name| (*name).to_owned()), &["GITHUB_TOKEN".to_owned()]);
        assert_eq!(hidden, ["AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "DB_PASSWORD"]);
    }
}
