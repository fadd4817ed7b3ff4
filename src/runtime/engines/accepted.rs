//! Local servers that the person accepted, stored in the state folder by address and kind.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::discover::{DiscoveredServer, ServerCandidate, ServerKind};
use crate::private;
use crate::text::address::is_loopback;

/// Reads and writes the file of accepted servers.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedServers {
    file: Arc<PathBuf>,
}

/// A server, and the model chosen there last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AcceptedServer {
    address: String,
    kind: String,
    #[serde(default)]
    pub(super) model: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct AcceptedServersFile {
    /// The most recently chosen one comes first.
    #[serde(default)]
    servers: Vec<AcceptedServer>,
}

impl AcceptedServers {
    pub(crate) fn at(file: PathBuf) -> Self {
        Self { file: Arc::new(file) }
    }

    /// Returns the servers, the most recently chosen one first. Entries that can't be read don't count: the server is
    /// offered again.
    pub(super) fn servers(&self) -> Vec<AcceptedServer> {
        let text = fs::read_to_string(&*self.file).unwrap_or_default();
        let file: AcceptedServersFile = serde_json::from_str(&text).unwrap_or_default();
        // Somebody else may have written the file: only local servers can be accepted.
        file.servers.into_iter().filter(|server| is_loopback(&server.address)).collect()
    }

    pub(super) fn contains(&self, found: &DiscoveredServer) -> bool {
        self.servers().iter().any(|server| server.matches(found))
    }

    /// Records that a server was accepted.
    pub(super) fn add(&self, found: &DiscoveredServer, model: &str) -> std::io::Result<()> {
        let mut servers = self.servers();
        servers.retain(|server| !server.matches(found));
        let server = AcceptedServer {
            address: found.base_url.clone(),
            kind: found.kind.engine_name().to_owned(),
            model: model.to_owned(),
        };
        servers.insert(0, server);
        servers.truncate(32);
        if let Some(folder) = self.file.parent() {
            private::create_dir(folder)?;
        }
        let part = self.file.with_extension("part");
        let text = serde_json::to_string_pretty(&AcceptedServersFile { servers })?;
        private::create_file(&part)?.write_all(text.as_bytes())?;
        fs::rename(&part, &*self.file)
    }
}

impl AcceptedServer {
    fn matches(&self, found: &DiscoveredServer) -> bool {
        self.address == found.base_url && self.kind == found.kind.engine_name()
    }

    /// Returns where to probe for it.
    pub(super) fn candidate(&self) -> Option<ServerCandidate> {
        let kind = ServerKind::ALL.into_iter().find(|kind| kind.engine_name() == self.kind)?;
        let base_url = self.address.strip_suffix("/v1").unwrap_or(&self.address).to_owned();
        Some(ServerCandidate { kind, base_url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::discover::Readiness;

    fn found(kind: ServerKind, base_url: &str) -> DiscoveredServer {
        DiscoveredServer { kind, base_url: base_url.into(), models: Vec::new(), readiness: Readiness::Ready }
    }

    #[test]
    fn a_yes_is_remembered_for_one_address_and_one_kind() {
        let folder = tempfile::tempdir().unwrap();
        let agreed = || AcceptedServers::at(folder.path().join("state/servers.json"));
        let llama = found(ServerKind::LlamaCpp, "http://127.0.0.1:8080/v1");
        assert!(!agreed().contains(&llama));
        agreed().add(&llama, "a").unwrap();
        agreed().add(&found(ServerKind::Ollama, "http://127.0.0.1:11434"), "q").unwrap();
        agreed().add(&llama, "b").unwrap();
        assert!(agreed().contains(&llama));
        assert!(
            !agreed().contains(&found(ServerKind::Vllm, "http://127.0.0.1:8080/v1")),
            "another server took the port"
        );
        assert!(!agreed().contains(&found(ServerKind::LlamaCpp, "http://127.0.0.1:8081/v1")));
        let models: Vec<String> = agreed().servers().into_iter().map(|server| server.model).collect();
        assert_eq!(models, ["b", "q"], "the one chosen last comes first");
        let place = agreed().servers()[0].candidate().unwrap();
        assert_eq!((place.kind, place.base_url.as_str()), (ServerKind::LlamaCpp, "http://127.0.0.1:8080"));
    }

    #[test]
    fn a_file_that_says_anything_else_says_no() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("servers.json");
        for text in ["", "nonsense", "[]", r#"{"servers":[{"address":"http://evil.example/v1","kind":"llamacpp"}]}"#] {
            fs::write(&file, text).unwrap();
            assert_eq!(AcceptedServers::at(file.clone()).servers(), [], "{text}");
        }
    }
}
