//! Names that secrets are given to: `DB_PASSWORD`, `clientSecret`, `x-api-key`.

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameStrength {
    /// The settings say so.
    Certain,
    /// Hardly anything else stands there: passwords, API keys.
    Strong,
    /// Also pagers, lexers and lock files have such names: tokens.
    Weak,
    /// A header with a scheme before the secret.
    Header,
}

/// How names of secrets end, without what joins their words, and what the secret is called.
const STRONG: &[(&str, &str)] = &[
    ("password", "password"),
    ("passwd", "password"),
    ("pwd", "password"),
    ("passphrase", "password"),
    ("secret", "secret"),
    ("apikey", "api-key"),
    ("secretkey", "secret-key"),
    ("accesskey", "access-key"),
    ("privatekey", "private-key"),
    ("signingkey", "secret-key"),
    ("encryptionkey", "secret-key"),
    ("masterkey", "secret-key"),
    ("accountkey", "access-key"),
    ("authkey", "api-key"),
    ("accesstoken", "token"),
    ("refreshtoken", "token"),
    ("authtoken", "token"),
    ("sessiontoken", "token"),
    ("bearertoken", "token"),
    ("apitoken", "token"),
    ("bottoken", "token"),
    ("secrettoken", "token"),
    ("securitytoken", "token"),
];

const WEAK: &[(&str, &str)] =
    &[("token", "token"), ("credential", "credential"), ("credentials", "credential"), ("auth", "token")];

const HEADERS: &[&str] = &["authorization", "proxyauthorization"];

/// Names that end as those of secrets do and are of pagers, forms and lexers.
const HARMLESS: &[&str] = &[
    "pagetoken",
    "nexttoken",
    "continuationtoken",
    "paginationtoken",
    "synctoken",
    "canceltoken",
    "starttoken",
    "endtoken",
    "bostoken",
    "eostoken",
    "padtoken",
    "unktoken",
    "septoken",
    "clstoken",
    "masktoken",
    "stoptoken",
    "imagetoken",
    "oldpwd",
];

/// Returns whether a name, as of a variable, is that of a secret.
pub fn is_secret_name(name: &str) -> bool {
    matches!(strength(name.as_bytes()), Some(NameStrength::Strong | NameStrength::Weak))
}

pub(super) fn strength(name: &[u8]) -> Option<NameStrength> {
    // Most names end otherwise.
    if !matches!(name.last()?.to_ascii_lowercase(), b'd' | b'e' | b't' | b'y' | b'n' | b'h' | b'l' | b's') {
        return None;
    }
    let flat = flat(name);
    // A working folder.
    if flat == "pwd" {
        return None;
    }
    if HEADERS.iter().any(|header| flat.ends_with(header)) {
        return Some(NameStrength::Header);
    }
    if HARMLESS.iter().any(|end| flat.ends_with(end)) {
        return None;
    }
    let ends = |table: &[(&str, &str)]| table.iter().any(|(end, _)| flat.ends_with(end));
    if ends(STRONG) {
        return Some(NameStrength::Strong);
    }
    ends(WEAK).then_some(NameStrength::Weak)
}

/// Returns what the secret of a name is called.
pub(super) fn kind(name: &[u8]) -> &'static str {
    let flat = flat(name);
    let known = STRONG.iter().chain(WEAK).find(|(end, _)| flat.ends_with(end));
    known.map_or("secret", |(_, kind)| kind)
}

/// Returns a name in small letters, without what joins its words.
pub(super) fn flat(name: &[u8]) -> String {
    name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| byte.to_ascii_lowercase() as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_their_words_are_joined() {
        for name in [
            "DB_PASSWORD",
            "clientSecret",
            "x-api-key",
            "api.key",
            "AWS_SECRET_ACCESS_KEY",
            "spring.datasource.password",
        ] {
            assert_eq!(strength(name.as_bytes()), Some(NameStrength::Strong), "{name}");
        }
        for name in ["GITHUB_TOKEN", "_auth", "//registry/:_authToken"] {
            assert!(is_secret_name(name), "{name}");
        }
        assert_eq!(strength(b"Proxy-Authorization"), Some(NameStrength::Header));
        assert_eq!((kind(b"DB_PASSWORD"), kind(b"apiKey"), kind(b"other")), ("password", "api-key", "secret"));
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "max_tokens",
            "nextPageToken",
            "eos_token",
            "author",
            "checksum",
            "integrity",
            "key",
            "publicKey",
            "PWD",
            "",
        ] {
            assert_eq!(strength(name.as_bytes()), None, "{name}");
        }
    }
}
