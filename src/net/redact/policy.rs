//! What is kept out of everything that is written: known shapes, names and values, for the whole program.
//!
//! Not for the running turn, which works with the texts as they are. [`configure`] is called once, before anything is
//! written; what becomes known later is added by [`super::register_secret`].

use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};

use super::mark::secret_mark;
use crate::event::Json;
use crate::text::secrets::{KnownSecret, SecretRules, SecretSettings, is_secret};

/// What a secret is called of which only the value is known.
const REGISTERED_KIND: &str = "key";

static POLICY: RwLock<Policy> =
    RwLock::new(Policy { is_off: false, settings: None, registered: Vec::new(), rules: None });

struct Policy {
    is_off: bool,
    /// The built-in rules until they are set.
    settings: Option<SecretSettings>,
    registered: Vec<SecretString>,
    /// Made when they are needed.
    rules: Option<Arc<SecretRules>>,
}

impl Policy {
    fn make_rules(&self) -> SecretRules {
        let builtin = SecretSettings { builtin: true, ..SecretSettings::default() };
        let mut settings = self.settings.clone().unwrap_or(builtin);
        settings.known.retain(|known| is_secret(&known.value));
        for secret in &self.registered {
            let value = secret.expose_secret();
            if settings.known.iter().all(|known| known.value != value) {
                settings.known.push(KnownSecret { kind: REGISTERED_KIND.to_owned(), value: value.to_owned() });
            }
        }
        SecretRules::new(&settings)
    }
}

/// Sets what is looked for; none turns it off.
pub fn configure(settings: Option<SecretSettings>) {
    let mut policy = POLICY.write().unwrap_or_else(PoisonError::into_inner);
    policy.is_off = settings.is_none();
    policy.settings = settings;
    policy.rules = None;
}

/// Adds a secret of which only the value is known.
pub(super) fn add_known(secret: &SecretString) {
    let mut policy = POLICY.write().unwrap_or_else(PoisonError::into_inner);
    policy.registered.push(secret.clone());
    policy.rules = None;
}

/// Returns the rules; none where it is turned off.
pub fn secret_rules() -> Option<Arc<SecretRules>> {
    {
        let policy = POLICY.read().unwrap_or_else(PoisonError::into_inner);
        if policy.is_off {
            return None;
        }
        if let Some(rules) = &policy.rules {
            return Some(Arc::clone(rules));
        }
    }
    let mut policy = POLICY.write().unwrap_or_else(PoisonError::into_inner);
    let rules = Arc::new(policy.make_rules());
    policy.rules = Some(Arc::clone(&rules));
    Some(rules)
}

/// Puts marks in place of the secrets of a whole text; returns whether there were any.
pub fn redact_secrets(text: &mut String) -> bool {
    secret_rules().is_some_and(|rules| redact_text(&rules, text))
}

/// The same for what a crash says: never waits, whatever the crash interrupted.
pub fn redact_crash(text: &str) -> String {
    let known = match POLICY.try_read() {
        Ok(policy) if policy.is_off => return text.to_owned(),
        Ok(policy) => Some(policy.rules.as_ref().map_or_else(|| Arc::new(policy.make_rules()), Arc::clone)),
        Err(_) => None,
    };
    let rules = known
        .unwrap_or_else(|| Arc::new(SecretRules::new(&SecretSettings { builtin: true, ..SecretSettings::default() })));
    let mut text = text.to_owned();
    redact_text(&rules, &mut text);
    text
}

/// The same for every text of a JSON value, and for what stands under a secret's name.
pub fn redact_secrets_in_json(json: &mut Json) -> bool {
    secret_rules().is_some_and(|rules| redact_json(&rules, json))
}

/// The same for a text with given rules.
pub fn redact_text(rules: &SecretRules, text: &mut String) -> bool {
    let replaced = rules.replace(text, &secret_mark);
    let is_any = replaced.is_some();
    if let Some(replaced) = replaced {
        *text = replaced;
    }
    is_any
}

/// The same for a JSON value.
pub fn redact_json(rules: &SecretRules, json: &mut Json) -> bool {
    match json {
        Json::String(text) => redact_json_text(rules, text),
        Json::Array(items) => items.iter_mut().fold(false, |any, item| redact_json(rules, item) | any),
        Json::Object(fields) => {
            let mut any = false;
            for (name, field) in fields.iter_mut() {
                let kind = field.as_str().and_then(|value| rules.kind_of_value(name, value));
                any |= match (kind, &mut *field) {
                    (Some(kind), Json::String(value)) => {
                        *value = secret_mark(kind, value);
                        true
                    }
                    (_, field) => redact_json(rules, field),
                };
            }
            any | redact_names(rules, fields)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Some keep things by their key.
fn redact_names(rules: &SecretRules, fields: &mut serde_json::Map<String, Json>) -> bool {
    if !fields.keys().any(|name| rules.may_match(name.as_bytes())) {
        return false;
    }
    let mut any = false;
    let renamed = std::mem::take(fields).into_iter().map(|(mut name, field)| {
        any |= redact_text(rules, &mut name);
        (name, field)
    });
    *fields = renamed.collect();
    any
}

/// The same for a text that may be JSON, as arguments are: also what is escaped in it.
pub fn redact_json_text(rules: &SecretRules, text: &mut String) -> bool {
    let mut any = redact_text(rules, text);
    if text.contains('\\')
        && text.trim_start().starts_with(['{', '[', '"'])
        && let Ok(mut json) = serde_json::from_str::<Json>(text)
        && redact_json(rules, &mut json)
    {
        *text = json.to_string();
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> SecretRules {
        SecretRules::new(&SecretSettings { builtin: true, ..SecretSettings::default() })
    }

    #[test]
    fn json_stays_json_and_loses_only_its_secrets() {
        let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
        let mut json =
            json!({"env": {"DB_PASSWORD": "hunter2hunter2", "n": 1}, "list": [format!("use {key}")], "ok": true});
        assert!(redact_json(&rules(), &mut json));
        assert_eq!(json["env"]["DB_PASSWORD"], secret_mark("password", "hunter2hunter2"));
        assert_eq!(json["list"][0], format!("use {}", secret_mark("github-token", &key)));
        assert_eq!((&json["env"]["n"], &json["ok"]), (&json!(1), &json!(true)));
        let same = json.clone();
        assert!(!redact_json(&rules(), &mut json), "a mark is no secret");
        assert_eq!(json, same);
    }

    #[test]
    fn escaped_secrets_in_arguments_are_found_and_the_rest_stays_as_it_was() {
        let key = format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu");
        let escaped: String = key.bytes().flat_map(|byte| ["\\u".to_owned(), format!("{byte:04x}")]).collect();
        let mark = secret_mark("github-token", &key);
        for (args, told) in [
            (format!("{{\"a\":\"one\\n{key}\",  \"b\":1}}"), format!("{{\"a\":\"one\\n{mark}\",  \"b\":1}}")),
            (format!("{{\"a\":\"{escaped}\"}}"), format!("{{\"a\":\"{mark}\"}}")),
            ("{\"a\":\"one\\ntwo\",  \"b\":1}".to_owned(), "{\"a\":\"one\\ntwo\",  \"b\":1}".to_owned()),
        ] {
            let mut text = args;
            redact_json_text(&rules(), &mut text);
            assert_eq!(text, told);
            serde_json::from_str::<Json>(&text).unwrap();
        }
    }

    #[test]
    fn a_secret_that_is_registered_is_found_from_then_on() {
        let mut text = "the value is reg1stered-for-policy".to_owned();
        super::super::register_secret(&SecretString::from("reg1stered-for-policy"));
        assert!(redact_secrets(&mut text));
        assert_eq!(text, format!("the value is {}", secret_mark("key", "reg1stered-for-policy")));
    }
}
