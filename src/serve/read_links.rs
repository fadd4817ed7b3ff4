//! Links that show one session to whoever has them, and nothing else of this server.
//!
//! Off unless the settings say how long they are good. A client with full access makes one and may take all of a session
//! back. A link's token has 128 random bits, of which only the hash is kept, in memory; it is sent like any other token,
//! and a page changes it for a cookie. A restart ends them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link_table::{SecretHash, hash_of, new_secret};
use crate::event::SessionId;

/// Links at once; the one that ends first makes room.
const MAX_LINKS: usize = 1024;

/// The links that are good.
#[derive(Debug, Default)]
pub(super) struct ReadLinks(Mutex<HashMap<SecretHash, ReadLink>>);

#[derive(Debug)]
struct ReadLink {
    session: SessionId,
    expires_at: Instant,
}

/// The session that a request may see, where it may see one only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OnlySession(pub(super) SessionId);

impl ReadLinks {
    /// Keeps a link and returns its token, which is kept nowhere.
    pub(super) fn add(&self, session: SessionId, lifetime: Duration) -> Result<String, &'static str> {
        let secret = new_secret()?;
        let mut links = self.lock();
        if links.len() >= MAX_LINKS {
            let first = links.iter().min_by_key(|(_, link)| link.expires_at).map(|(hash, _)| *hash);
            first.and_then(|first| links.remove(&first));
        }
        links.insert(hash_of(&secret), ReadLink { session, expires_at: Instant::now() + lifetime });
        Ok(secret)
    }

    /// Returns which link a token is of, if of any that is good.
    pub(super) fn find(&self, token: &str) -> Option<SecretHash> {
        let hash = hash_of(token);
        self.session_of(&hash).map(|_| hash)
    }

    /// Returns what a link shows; none once it is over.
    pub(super) fn session_of(&self, link: &SecretHash) -> Option<OnlySession> {
        let mut links = self.lock();
        let now = Instant::now();
        links.retain(|_, link| link.expires_at > now);
        links.get(link).map(|link| OnlySession(link.session.clone()))
    }

    /// Takes all links of a session back; returns how many there were.
    pub(super) fn revoke(&self, session: &SessionId) -> usize {
        let mut links = self.lock();
        let before = links.len();
        links.retain(|_, link| link.session != *session);
        before - links.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SecretHash, ReadLink>> {
        // Every change is one step, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnlySession {
    /// Returns whether a path that is read shows this session and nothing else. The list has only it.
    pub(super) fn may_read(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix("/v1/sessions") else { return false };
        let rest = rest.strip_prefix('/').map(|rest| rest.strip_prefix(self.0.as_str()));
        matches!(rest, None | Some(Some("" | "/events" | "/stream"))) && (rest.is_some() || path == "/v1/sessions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_link_shows_its_session_until_it_is_over_or_taken_back() {
        let links = ReadLinks::default();
        let (one, other) = (
            links.add("s1".into(), Duration::from_mins(1)).unwrap(),
            links.add("s2".into(), Duration::from_mins(2)).unwrap(),
        );
        assert!(one.len() == 32 && one != other);
        assert!(!format!("{links:?}").contains(&one), "only the hash is kept");
        let shows = |token: &str| links.find(token).and_then(|link| links.session_of(&link)).map(|only| only.0);
        assert_eq!((shows(&one), shows(&other), shows("x")), (Some("s1".into()), Some("s2".into()), None));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!((shows(&one), shows(&other)), (None, Some("s2".into())));
        assert_eq!((links.revoke(&"s2".into()), links.revoke(&"s2".into())), (1, 0));
        assert_eq!(shows(&other), None);
    }

    #[test]
    fn no_other_path_is_of_the_session() {
        let only = OnlySession("s1".into());
        for path in ["/v1/sessions", "/v1/sessions/s1", "/v1/sessions/s1/events", "/v1/sessions/s1/stream"] {
            assert!(only.may_read(path), "{path}");
        }
        for path in [
            "/",
            "/v1/sessions/",
            "/v1/sessions/s12",
            "/v1/sessions/s2",
            "/v1/sessions/s1/",
            "/v1/sessions/s1/links",
            "/v1/sessions/s1/events/x",
            "/v1/sessionss1",
            "/v1/models",
            "/metrics",
            "/v1/sessions/s1%2fevents",
        ] {
            assert!(!only.may_read(path), "{path}");
        }
    }
}
