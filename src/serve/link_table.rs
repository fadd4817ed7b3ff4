//! One-time links for approvals: how they are made, which are good, by the hashes of their secrets, and which were.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::Instant;

use crate::event::{ApprovalRequest, CallId, DecidedBy, Decision, SessionId};

/// Bytes of a secret: 128 random bits.
const SECRET_BYTES: usize = 16;
/// Links that are kept; the oldest makes room.
const MAX_LINKS: usize = 1024;
/// How long it is still said of a link what became of it.
const KEPT_AFTER: Duration = Duration::from_hours(1);
/// Wrong guesses in that time, by all together; more are not looked at.
const MAX_GUESSES: usize = 30;
const GUESS_WINDOW: Duration = Duration::from_mins(1);

pub(super) type SecretHash = [u8; 32];

/// How links are made, and who brings them.
#[derive(Clone, Debug)]
pub struct ApprovalLinkSettings {
    /// Where the server is reached, such as `https://chat.example`.
    pub origin: String,
    /// How long a link is good: at most as long as its approval waits.
    pub lifetime: Duration,
    /// The program that gets them, and its arguments.
    pub command: Arc<[String]>,
    /// Variables with keys, which the program does not get.
    pub hidden_variables: Arc<[String]>,
}

/// What a link decides.
#[derive(Clone, Debug)]
pub(super) struct ApprovalLink {
    pub(super) session: SessionId,
    pub(super) call: CallId,
    pub(super) request: ApprovalRequest,
    pub(super) expires_at: Instant,
    pub(super) state: LinkState,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum LinkState {
    Open,
    /// It was used, and what came of it is on its way.
    Used,
    Decided(Decision, DecidedBy),
    Expired,
    /// The session is gone.
    Gone,
}

/// What a secret leads to.
#[derive(Debug)]
pub(super) enum LinkLookup {
    Open(Box<ApprovalLink>),
    Over(LinkState),
    Unknown,
    TooManyGuesses,
}

#[derive(Debug, Default)]
pub(super) struct ApprovalLinks(Mutex<LinkTable>);

#[derive(Debug, Default)]
struct LinkTable {
    links: HashMap<SecretHash, ApprovalLink>,
    /// The oldest first.
    order: VecDeque<SecretHash>,
    guesses: VecDeque<Instant>,
}

impl ApprovalLinks {
    /// Keeps a link and returns its secret, which is kept nowhere.
    pub(super) fn add(&self, link: ApprovalLink) -> Result<String, &'static str> {
        let secret = new_secret()?;
        let hash = hash_of(&secret);
        let mut table = self.lock();
        table.forget_old();
        if table.order.len() >= MAX_LINKS
            && let Some(oldest) = table.order.pop_front()
        {
            table.links.remove(&oldest);
        }
        table.order.push_back(hash);
        table.links.insert(hash, link);
        Ok(secret)
    }

    /// Returns what a secret leads to.
    pub(super) fn find(&self, secret: &str) -> LinkLookup {
        let mut table = self.lock();
        let now = Instant::now();
        table.forget_old();
        if let Some(link) = table.links.get(&hash_of(secret)) {
            return match &link.state {
                LinkState::Open if link.expires_at <= now => LinkLookup::Over(LinkState::Expired),
                LinkState::Open => LinkLookup::Open(Box::new(link.clone())),
                over => LinkLookup::Over(over.clone()),
            };
        }
        while table.guesses.front().is_some_and(|at| now.duration_since(*at) >= GUESS_WINDOW) {
            table.guesses.pop_front();
        }
        if table.guesses.len() >= MAX_GUESSES {
            return LinkLookup::TooManyGuesses;
        }
        table.guesses.push_back(now);
        LinkLookup::Unknown
    }

    /// Uses a link up; returns false if somebody else did.
    pub(super) fn take(&self, secret: &str) -> bool {
        let mut table = self.lock();
        let link = table.links.get_mut(&hash_of(secret));
        let open = link.filter(|link| link.state == LinkState::Open && link.expires_at > Instant::now());
        open.map(|link| link.state = LinkState::Used).is_some()
    }

    /// Records that an approval was decided, by a link or otherwise.
    pub(super) fn settle(&self, session: &SessionId, call: &CallId, decision: &Decision, by: DecidedBy) {
        for link in self.lock().links.values_mut().filter(|link| link.session == *session && link.call == *call) {
            link.state = LinkState::Decided(decision.clone(), by);
        }
    }

    /// Records that a session is gone.
    pub(super) fn drop_session(&self, session: &SessionId) {
        for link in self.lock().links.values_mut().filter(|link| link.session == *session) {
            if matches!(link.state, LinkState::Open | LinkState::Used) {
                link.state = LinkState::Gone;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkTable> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkTable {
    fn forget_old(&mut self) {
        let now = Instant::now();
        while let Some(oldest) = self.order.front()
            && self.links.get(oldest).is_none_or(|link| now.saturating_duration_since(link.expires_at) > KEPT_AFTER)
        {
            let Some(oldest) = self.order.pop_front() else { return };
            self.links.remove(&oldest);
        }
    }
}

/// Returns 128 random bits, as digits.
pub(super) fn new_secret() -> Result<String, &'static str> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "there are no random numbers")?;
    let mut secret = String::with_capacity(2 * SECRET_BYTES);
    for byte in bytes {
        // Writing to a string doesn't fail.
        let _ = write!(secret, "{byte:02x}");
    }
    Ok(secret)
}

pub(super) fn hash_of(secret: &str) -> SecretHash {
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    hash.as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::events::shell_approval;

    fn link(call: &str) -> ApprovalLink {
        ApprovalLink {
            session: "s".into(),
            call: call.into(),
            request: shell_approval("ls"),
            expires_at: Instant::now() + Duration::from_mins(10),
            state: LinkState::Open,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_good_for_one_call_once_and_for_a_while() {
        let links = ApprovalLinks::default();
        let (one, other) = (links.add(link("c1")).unwrap(), links.add(link("c2")).unwrap());
        assert_eq!((one.len(), one == other), (32, false));
        assert!(!format!("{links:?}").contains(&one), "only the hash is kept");
        assert!(matches!(links.find(&one), LinkLookup::Open(link) if link.call.as_str() == "c1"));
        assert!(links.take(&one) && !links.take(&one), "once");
        assert!(matches!(links.find(&one), LinkLookup::Over(LinkState::Used)));
        links.settle(&"s".into(), &"c1".into(), &Decision::Once, DecidedBy::Link);
        assert!(matches!(links.find(&one), LinkLookup::Over(LinkState::Decided(Decision::Once, DecidedBy::Link))));
        assert!(matches!(links.find(&other), LinkLookup::Open(_)), "the other call is open");
        tokio::time::advance(Duration::from_mins(10)).await;
        assert!(matches!(links.find(&other), LinkLookup::Over(LinkState::Expired)));
        assert!(!links.take(&other), "it is too late");
        tokio::time::advance(KEPT_AFTER + Duration::from_secs(1)).await;
        assert!(matches!(links.find(&other), LinkLookup::Unknown), "it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_are_limited_and_right_links_are_not() {
        let links = ApprovalLinks::default();
        let right = links.add(link("c1")).unwrap();
        for guess in 0..MAX_GUESSES {
            assert!(matches!(links.find(&format!("{guess:032x}")), LinkLookup::Unknown));
        }
        assert!(matches!(links.find("0"), LinkLookup::TooManyGuesses));
        assert!(matches!(links.find(&right), LinkLookup::Open(_)));
        tokio::time::advance(GUESS_WINDOW).await;
        assert!(matches!(links.find("0"), LinkLookup::Unknown));
    }
}
