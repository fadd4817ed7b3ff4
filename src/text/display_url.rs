//! Addresses as they may be shown, alone or in a text: without what only their owner should see.

use std::borrow::Cow;

use super::address::authority_of;

const REDACTED: &str = "••••";

/// Ends of the names of values in an address that let somebody in.
const SECRET_NAME_SUFFIXES: [&str; 10] =
    ["key", "token", "tkn", "secret", "password", "passwd", "auth", "signature", "sig", "credential"];

/// Returns scheme, host and port: what may be shown of an address, which can hold a password or a key.
pub fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = authority_of(rest);
    format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or_default())
}

/// Returns the address with user name and password as dots, and what [`redact_credentials`] hides as well; it need not
/// have a scheme.
pub fn redact_login(url: &str) -> String {
    let (head, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let authority = authority_of(rest);
    let rest = match authority.rsplit_once('@') {
        Some((_, host)) => format!("://••••@{host}{}", rest.get(authority.len()..).unwrap_or_default()),
        None => format!("://{rest}"),
    };
    let shown = redact_credentials(&rest);
    format!("{head}{}", shown.strip_prefix("://").unwrap_or(&shown))
}

/// Returns whether an address holds a user name or password.
pub fn has_login(url: &str) -> bool {
    authority_of(url.split_once("://").map_or(url, |(_, rest)| rest)).contains('@')
}

/// Returns the text with user name and password of every address in it as dots, and with the values of queries and
/// fragments whose names say that they are secret.
pub fn redact_credentials(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    // Up to where the text is in `out`.
    let mut done = 0;
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + found + 3;
        let rest = text.get(start..).unwrap_or_default();
        let end = start + rest.find(is_url_end).unwrap_or(rest.len());
        from = end;
        let url = text.get(start..end).unwrap_or_default();
        let shown = redact_url(url);
        if shown != url {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(&shown);
            done = end;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Returns whether a character ends an address in a text.
fn is_url_end(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '\\' | '|')
}

/// An address from behind its scheme.
fn redact_url(url: &str) -> String {
    let (authority, tail) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
    let mut out = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{REDACTED}@{host}"),
        None => authority.to_owned(),
    };
    let (path, values) = tail.split_at(tail.find(['?', '#']).unwrap_or(tail.len()));
    out.push_str(path);
    for value in values.split_inclusive(['?', '#', '&', ';']) {
        // The sign stands at the end of the piece before.
        let (value, sign) = match value.char_indices().next_back() {
            Some((at, sign @ ('?' | '#' | '&' | ';'))) => (&value[..at], Some(sign)),
            _ => (value, None),
        };
        match value.split_once('=') {
            Some((name, secret)) if !secret.is_empty() && is_secret_name(name) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            _ => out.push_str(value),
        }
        out.extend(sign);
    }
    out
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAME_SUFFIXES.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_shown_without_what_lets_somebody_in() {
        for (text, shown) in [
            ("no prompt for http://me:pw@host:1/x: give a prompt", "no prompt for http://••••@host:1/x: give a prompt"),
            ("https://h/v1?api_key=abc&max_tokens=5", "https://h/v1?api_key=••••&max_tokens=5"),
            ("\"wss://h?access_token=a%20b#x\", sent", "\"wss://h?access_token=••••#x\", sent"),
            ("https://h/#id_token=abc&state=1", "https://h/#id_token=••••&state=1"),
            ("two: http://a@b, http://c:d@e/f", "two: http://••••@b, http://••••@e/f"),
            ("http://a@b@c/", "http://••••@c/"),
        ] {
            assert_eq!(redact_credentials(text), shown);
        }
    }

    #[test]
    fn what_is_shown_of_an_address_holds_no_login() {
        assert_eq!(redact_login("https://me:pw@host/v1"), "https://••••@host/v1");
        assert_eq!(redact_login("https://host/@x"), "https://host/@x");
        assert!(has_login("https://me:pw@host/v1") && has_login("me@host"));
        assert!(!has_login("https://host/@x") && !has_login("https://host/v1?to=me@example.com"));
        assert_eq!(redact_login("me:pw@host/v1?api_key=abc&q=1"), "••••@host/v1?api_key=••••&q=1");
        assert_eq!(redact_login("https://host/v1?token=abc"), "https://host/v1?token=••••");
        assert_eq!(redact_login("host:8000/v1"), "host:8000/v1");
        assert_eq!(redact_login("env:NAME"), "env:NAME");
        assert_eq!(origin("https://me:secret@example.org:8443/v1?key=abc"), "https://example.org:8443");
    }

    #[test]
    fn a_text_without_credentials_is_the_same() {
        for text in ["", "://", "a@b", "http://host/@x", "http://h?key=", "http://h?q=a@b", "mail me@host about ://x"] {
            assert!(matches!(redact_credentials(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_shown_and_shown_again(text in "[a:/@?#&=key ü]{0,60}") {
            let shown = redact_credentials(&text).into_owned();
            prop_assert_eq!(redact_credentials(&shown), shown.as_str());
        }
    }
}
