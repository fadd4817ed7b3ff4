//! Blanks out secrets in what comes back: servers like to repeat the key they refuse, and models what they were told.
//!
//! Not for: secrets that nobody gave us, and keys that are none, such as `ollama`: those are words (see `text::secrets`).
//! Invariant: what is told of a call never holds a secret of its headers, nor one that was
//! [remembered](register_secret), whole or cut off at the end. A `Redactor` looks at one text; `events` and `bytes`
//! find a secret that comes in pieces.

pub(super) mod bytes;
pub(super) mod events;
mod located_bytes;
mod mark;
mod policy;
mod scan;

use std::fmt;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

pub use self::events::EventRedactor;
pub use self::mark::{secret_mark, set_key_file};
pub use self::policy::{
    configure, redact_crash, redact_json, redact_json_text, redact_secrets, redact_secrets_in_json, redact_text,
    secret_rules,
};
use super::request::{HttpHeaderValue, HttpRequest};
use crate::event::Json;
use crate::text::secrets::is_secret;

/// So much of a secret is none by chance.
const MIN_PARTIAL_SECRET_BYTES: usize = 6;
const REDACTION_MARK: &str = "•••";

/// The secrets of the settings, whichever call they are for.
static REGISTERED_SECRETS: RwLock<Vec<SecretString>> = RwLock::new(Vec::new());

/// Has a secret blanked out from now on in whatever comes back from anybody.
pub fn register_secret(secret: &SecretString) {
    let text = secret.expose_secret().trim();
    if !is_secret(text) {
        return;
    }
    let mut known = REGISTERED_SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    if known.iter().all(|known| known.expose_secret() != text) {
        known.push(SecretString::from(text));
        policy::add_known(&SecretString::from(text));
    }
}

/// The same for the secrets in these headers.
pub fn register_secrets_of(headers: &[(String, HttpHeaderValue)]) {
    for (_, value) in headers {
        if let HttpHeaderValue::Secret(secret) = value {
            register_secret(&bare_key(secret.expose_secret()).into());
        }
    }
}

/// Returns a header's value without the scheme before it: "Bearer KEY" is also known by its key.
fn bare_key(value: &str) -> &str {
    let whole = value.trim();
    whole.split_once(' ').filter(|(scheme, _)| !scheme.contains('=')).map_or(whole, |(_, key)| key)
}

/// Knows the secrets of one call and those that were remembered.
pub(super) struct Redactor {
    /// The longest first, so that what holds another goes whole.
    secrets: Vec<SecretString>,
}

impl Redactor {
    pub(super) fn for_request(call: &HttpRequest) -> Self {
        let mut secrets = Vec::new();
        for (_, value) in &call.headers {
            let HttpHeaderValue::Secret(secret) = value else { continue };
            let whole = secret.expose_secret().trim();
            let key = bare_key(whole);
            if is_secret(key) {
                secrets.extend([whole, key].map(SecretString::from));
            }
        }
        Self::with_registered(secrets)
    }

    /// Knows only the secrets that were remembered.
    pub(super) fn for_registered() -> Self {
        Self::with_registered(Vec::new())
    }

    fn with_registered(mut secrets: Vec<SecretString>) -> Self {
        secrets.extend(REGISTERED_SECRETS.read().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        secrets.sort_by(|one, other| {
            let (one, other) = (one.expose_secret(), other.expose_secret());
            other.len().cmp(&one.len()).then_with(|| one.cmp(other))
        });
        secrets.dedup_by(|one, other| one.expose_secret() == other.expose_secret());
        Self { secrets }
    }

    /// Returns what blanks them out of decoded events.
    pub(super) fn event_redactor(&self) -> EventRedactor {
        EventRedactor::new(self.bare_secrets())
    }

    /// Returns what blanks them out of bytes.
    pub(super) fn byte_redactor(&self) -> bytes::ByteRedactor {
        bytes::ByteRedactor::new(self.bare_secrets())
    }

    /// The same for bytes that are kept in a file: also without secrets that nobody told us.
    pub(super) fn file_redactor(&self) -> bytes::ByteRedactor {
        bytes::ByteRedactor::with_rules(self.bare_secrets(), secret_rules())
    }

    /// The secrets without a scheme before them: nobody waits for a key because a text ends in "Bearer".
    fn bare_secrets(&self) -> Vec<SecretString> {
        self.secrets.iter().filter(|secret| !secret.expose_secret().contains(' ')).cloned().collect()
    }

    /// Blanks out every secret in `text`.
    pub(super) fn redact(&self, text: &mut String) {
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            if text.contains(secret) {
                *text = text.replace(secret, REDACTION_MARK);
            }
        }
    }

    /// The same for every text of an answer that is one JSON value.
    pub(super) fn redact_json(&self, json: &mut Json) {
        self.event_redactor().redact_json(json);
    }

    /// The same for a text that may have been cut off in the middle of a secret.
    pub(super) fn redact_truncated(&self, text: &mut String) {
        self.redact(text);
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            let longest = secret.len().min(text.len());
            let cut = (MIN_PARTIAL_SECRET_BYTES..=longest)
                .rev()
                .find(|length| secret.as_bytes().get(..*length).is_some_and(|start| text.as_bytes().ends_with(start)));
            if let Some(length) = cut
                && text.is_char_boundary(text.len() - length)
            {
                text.truncate(text.len() - length);
                text.push_str(REDACTION_MARK);
            }
        }
    }
}

/// Returns what blanks the remembered secrets out of the events of a stream that no call of ours began.
pub fn registered_event_redactor() -> EventRedactor {
    Redactor::for_registered().event_redactor()
}

/// Blanks the remembered secrets out of a text.
pub fn redact_registered(text: &mut String) {
    Redactor::for_registered().redact(text);
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::request::{Framing, HttpMethod};

    fn redactor(secret: &str) -> Redactor {
        let headers = vec![("authorization".to_owned(), HttpHeaderValue::Secret(SecretString::from(secret)))];
        let url = "http://h/".to_owned();
        Redactor::for_request(&HttpRequest { method: HttpMethod::Get, url, headers, body: None, framing: Framing::Sse })
    }

    fn blanked(secret: &str, text: &str) -> String {
        let mut text = text.to_owned();
        redactor(secret).redact_truncated(&mut text);
        text
    }

    #[test]
    fn a_repeated_key_is_blanked_out_with_or_without_its_scheme() {
        assert_eq!(blanked("Bearer sk-12345678", "wrong: sk-12345678, sorry"), "wrong: •••, sorry");
        assert_eq!(blanked("Bearer sk-12345678", "{\"sent\":\"Bearer sk-12345678\"}"), "{\"sent\":\"•••\"}");
        assert_eq!(blanked("short", "short words stay"), "short words stay");
    }

    #[test]
    fn a_word_that_stands_for_no_key_stays_in_the_answer() {
        for (header, text) in [
            ("Bearer ollama", "run `ollama serve`, or send Bearer ollama"),
            ("Bearer lm-studio", "lm-studio"),
            ("Bearer sk-no-key-required", "--api-key sk-no-key-required"),
            ("EMPTY", "the list is EMPTY"),
        ] {
            assert_eq!(blanked(header, text), text);
        }
        register_secret(&SecretString::from("placeholder"));
        assert_eq!(blanked("x", "a placeholder"), "a placeholder");
    }

    #[test]
    fn a_key_that_is_cut_off_is_blanked_out_wherever_it_is_cut() {
        let (secret, said) = ("Bearer sk-é12345678", "you sent sk-é12345678");
        for end in (0..=said.len()).filter(|end| said.is_char_boundary(*end)) {
            let told = blanked(secret, &said[..end]);
            assert!(!told.contains("sk-é1"), "{told}");
        }
    }

    #[test]
    fn a_listing_that_repeats_the_key_is_told_without_it() {
        let mut json = serde_json::json!({"data": [{"id": "m-sk-12345678", "n": 1}, "sk-12345678"]});
        redactor("Bearer sk-12345678").redact_json(&mut json);
        assert_eq!(json, serde_json::json!({"data": [{"id": "m-•••", "n": 1}, "•••"]}));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", redactor("Bearer sk-12345678")), "Redactor");
    }

    #[test]
    fn a_secret_of_another_call_is_blanked_out_too() {
        let others = SecretString::from("another-calls-key-7");
        register_secret(&others);
        register_secret(&SecretString::from("tiny"));
        assert_eq!(blanked("Bearer sk-12345678", "another-calls-key-7 tiny"), "••• tiny");
    }
}
