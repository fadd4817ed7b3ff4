//! What the connections of all clients share.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, broadcast, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ledger::AhpLedger;
use super::names::{SessionNames, append_line};
use super::origins::Origins;
use crate::event::Json;
use crate::serve::state::ServerState;

/// Clients that are remembered after they went.
const MAX_PARKED_CLIENTS: usize = 256;
/// How long a connection may take to end for the next one of its client.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Notifications that may wait for a client; one that is slower misses some, as the protocol allows.
const MAX_WAITING_NEWS: usize = 64;

pub(super) struct AhpHost {
    pub(super) names: SessionNames,
    are_names_loaded: OnceCell<()>,
    pub(super) origins: Origins,
    clients: Mutex<ClientTable>,
    /// Notifications on the root channel, for everybody.
    news: broadcast::Sender<Json>,
}

#[derive(Default)]
struct ClientTable {
    /// Connected ones: ends the connection, whose ledger then goes to who asked for it.
    connected: HashMap<String, ConnectedClient>,
    parked: HashMap<String, AhpLedger>,
    /// The parked ones, the oldest first.
    order: VecDeque<String>,
    connection_count: u64,
}

struct ConnectedClient {
    connection: u64,
    end: CancellationToken,
    heir: Option<oneshot::Sender<AhpLedger>>,
}

impl Default for AhpHost {
    fn default() -> Self {
        Self {
            names: SessionNames::default(),
            are_names_loaded: OnceCell::new(),
            origins: Origins::default(),
            clients: Mutex::default(),
            news: broadcast::Sender::new(MAX_WAITING_NEWS),
        }
    }
}

impl AhpHost {
    /// Reads the names that sessions were given in earlier runs.
    pub(super) async fn load_names(&self, state: &ServerState) {
        self.are_names_loaded
            .get_or_init(|| async {
                let Some(path) = names_path(state) else { return };
                // It is read once, before anything else is served here.
                if let Err(error) = self.names.load(&path) {
                    tracing::warn!("the names of AHP sessions can't be read: {error}");
                }
            })
            .await;
    }

    /// Writes the line that names a session.
    pub(super) fn keep_name(state: &ServerState, line: String) {
        let Some(path) = names_path(state) else { return };
        state.spawn(async move {
            let written = tokio::task::spawn_blocking(move || append_line(&path, &line)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!("the name of an AHP session can't be written: {error}");
            }
        });
    }

    /// Tells all clients something on the root channel.
    pub(super) fn announce(&self, notification: Json) {
        // Nobody may be there.
        let _ = self.news.send(notification);
    }

    pub(super) fn news(&self) -> broadcast::Receiver<Json> {
        self.news.subscribe()
    }

    /// Records that a client is connected; `end` ends its connection. Returns the connection's number.
    pub(super) fn connect(&self, client: &str, end: CancellationToken) -> u64 {
        let mut table = self.lock();
        table.connection_count += 1;
        let connection = table.connection_count;
        table.connected.insert(client.to_owned(), ConnectedClient { connection, end, heir: None });
        connection
    }

    /// Takes over what a client was sent, from a connection that may still seem to be open.
    pub(super) async fn take_ledger(&self, client: &str) -> Option<AhpLedger> {
        let inherited = {
            let mut table = self.lock();
            if let Some(ledger) = table.parked.remove(client) {
                table.order.retain(|parked| parked != client);
                return Some(ledger);
            }
            let connected = table.connected.get_mut(client)?;
            let (heir, inherited) = oneshot::channel();
            connected.heir = Some(heir);
            connected.end.cancel();
            inherited
        };
        timeout(TAKEOVER_TIMEOUT, inherited).await.ok()?.ok()
    }

    /// Keeps what a client was sent for its next connection.
    pub(super) fn park(&self, client: &str, connection: u64, ledger: AhpLedger) {
        let mut table = self.lock();
        // A later connection began without asking for it.
        if table.connected.get(client).is_none_or(|connected| connected.connection != connection) {
            return;
        }
        let heir = table.connected.remove(client).and_then(|connected| connected.heir);
        let ledger = match heir {
            Some(heir) => match heir.send(ledger) {
                Ok(()) => return,
                Err(ledger) => ledger,
            },
            None => ledger,
        };
        if table.order.len() >= MAX_PARKED_CLIENTS
            && let Some(oldest) = table.order.pop_front()
        {
            table.parked.remove(&oldest);
        }
        table.order.push_back(client.to_owned());
        table.parked.insert(client.to_owned(), ledger);
    }

    fn lock(&self) -> MutexGuard<'_, ClientTable> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names_path(state: &ServerState) -> Option<PathBuf> {
    Some(state.factory().storage_dir()?.join("ahp_sessions.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_comes_back_has_its_ledger_though_its_connection_seemed_open() {
        let host = AhpHost::default();
        assert!(host.take_ledger("c").await.is_none());
        let end = CancellationToken::new();
        let connection = host.connect("c", end.clone());
        let (taken, ()) = tokio::join!(host.take_ledger("c"), async {
            end.cancelled().await;
            host.park("c", connection, AhpLedger::behind(3));
        });
        assert_eq!(taken.unwrap().last(), 3);
        let connection = host.connect("c", CancellationToken::new());
        host.park("c", connection, AhpLedger::behind(4));
        assert_eq!(host.take_ledger("c").await.unwrap().last(), 4);
        assert!(host.take_ledger("c").await.is_none(), "it was taken");
    }
}
