//! What a client calls itself: the word of its header, else the first of its User-Agent. It is a claim, for people.

use std::collections::BTreeMap;

use axum::http::HeaderMap;

/// Names the client, or its person.
const CLIENT_HEADER: &str = "x-jarvis-client";
/// Characters that are kept.
const MAX_NAME_CHARS: usize = 40;

/// Watchers that are named; a crowd is not.
pub(super) const MAX_NAMED_WATCHERS: usize = 16;

/// Returns the names of those who watch, the first ones.
pub(super) fn watcher_names(watchers: &BTreeMap<u64, String>) -> Vec<String> {
    watchers.values().take(MAX_NAMED_WATCHERS).cloned().collect()
}

/// Returns who a client says it is, if it does.
pub(super) fn client_name(headers: &HeaderMap) -> Option<String> {
    headers.get(CLIENT_HEADER).and_then(|name| name.to_str().ok()).and_then(shown_name)
}

/// Returns what to call a client that watches: its name, else its program.
pub(super) fn watcher_name(headers: &HeaderMap) -> String {
    let program = || {
        let agent = headers.get("user-agent").and_then(|agent| agent.to_str().ok())?;
        shown_name(agent.split(['/', ' ']).next().unwrap_or_default())
    };
    client_name(headers).or_else(program).unwrap_or_else(|| "a client".to_owned())
}

/// Returns a name as far as it may be shown.
pub(super) fn shown_name(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_called_what_it_says_else_after_its_program() {
        let headers = |all: &[(&'static str, &str)]| -> HeaderMap {
            all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let anna = headers(&[("x-jarvis-client", " anna "), ("user-agent", "curl/8.5")]);
        assert_eq!((client_name(&anna), watcher_name(&anna)), (Some("anna".into()), "anna".into()));
        let curl = headers(&[("user-agent", "curl/8.5.0 more")]);
        assert_eq!((client_name(&curl), watcher_name(&curl)), (None, "curl".into()));
        assert_eq!(watcher_name(&HeaderMap::new()), "a client");
        assert_eq!(shown_name(&"x".repeat(100)).map(|name| name.len()), Some(MAX_NAME_CHARS));
    }
}
