//! Where links go: which targets may be opened, and where a text holds one.
//!
//! Not for opening. The invariant: what [`safe_target`] returns is printable ASCII with a scheme that no program on
//! this machine runs, so that it may be put between a terminal's escape sequences.

use std::fmt::Write as _;
use std::ops::Range;

/// What a click may open. `file` isn't here: a model's text must not open what is on this machine.
const ALLOWED_SCHEMES: [&str; 3] = ["http", "https", "mailto"];
/// Addresses in one text; more are text.
const MAX_LINKS: usize = 256;
/// Characters before the sign of a mail address.
const MAX_MAIL_NAME_CHARS: usize = 64;
/// Terminals take no longer ones.
const MAX_URL_BYTES: usize = 2000;

/// Returns a target as a terminal may have it; none where it may not.
pub fn safe_target(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    let hostile = url.chars().any(char::is_control);
    if rest.is_empty()
        || hostile
        || url.len() > MAX_URL_BYTES
        || !ALLOWED_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        if matches!(byte, b'!'..=b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Some(out)
}

/// Returns whether a text reads like the address itself, so that it must not name another one.
pub fn looks_like_url(text: &str) -> bool {
    let text = text.trim();
    let host = text.split(['/', '?', '#']).next().unwrap_or("");
    let dotted = host
        .rsplit_once('.')
        .is_some_and(|(name, end)| !name.is_empty() && end.len() >= 2 && end.chars().all(|c| c.is_ascii_alphabetic()));
    text.contains("://") || (!text.contains(char::is_whitespace) && (dotted || text.contains('@')))
}

/// Returns whether a text is its target, give or take the scheme and a slash at the end.
pub fn matches_url(text: &str, url: &str) -> bool {
    let bare = |text: &str| -> String {
        let text = text.trim().trim_end_matches('/');
        let text =
            ["mailto:", "https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        text.to_owned()
    };
    bare(text) == bare(url)
}

/// Finds the addresses in a text as GFM does: `http://`, `https://` and `www.` at the start of a word, and mail.
pub fn find_links(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    // Where each mark comes next, so that a text without one is searched for it once.
    let mut next = ["http://", "https://", "www."].map(|mark| (mark, text.find(mark)));
    while found.len() < MAX_LINKS {
        for (mark, at) in &mut next {
            if at.is_some_and(|at| at < from) {
                *at = text.get(from..).and_then(|rest| rest.find(*mark)).map(|at| from + at);
            }
        }
        let Some(start) = next.iter().filter_map(|(_, at)| *at).min() else { break };
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let stops = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`');
        let end = text.get(start..).and_then(|rest| rest.find(stops)).map_or(text.len(), |end| start + end);
        let whole = text.get(start..end).unwrap_or("");
        let url = trim_punctuation(whole);
        let host = url.split_once("://").map_or(url, |(_, host)| host);
        let plausible = host.len() > 3 && host.starts_with(|c: char| c.is_alphanumeric() || c == '[');
        if plausible
            && before.is_none_or(|c| c.is_whitespace() || matches!(c, '*' | '_' | '~' | '(' | '[' | '"' | '\''))
        {
            found.push(start..start + url.len());
        }
        from = end.max(start + 1);
    }
    let known = found.len();
    find_mail_addresses(text, &mut found);
    if found.len() > known {
        found.sort_by_key(|range| range.start);
    }
    found
}

/// Returns what an address that was found in a text leads to.
pub fn to_url(found: &str) -> String {
    if found.contains("://") {
        found.to_owned()
    } else if found.starts_with("www.") {
        format!("http://{found}")
    } else {
        format!("mailto:{found}")
    }
}

/// Finds mail addresses as GFM does, but for those of hosts that a path follows, as in `git@host:path`.
fn find_mail_addresses(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let known = found.len();
    let mut from = 0;
    for at in memchr::memchr_iter(b'@', bytes) {
        if at < from || found.len() >= MAX_LINKS {
            continue;
        }
        let name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._+-".contains(byte);
        let host = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let before = bytes.get(from..at).unwrap_or(&[]).iter().rev().take(MAX_MAIL_NAME_CHARS).take_while(name).count();
        let after = bytes.get(at + 1..).unwrap_or(&[]).iter().take_while(host).count();
        let (start, end) = (at - before, at + 1 + after);
        from = end;
        let address = text.get(start..end).unwrap_or("").trim_end_matches('.');
        let domain = address.get(before + 1..).unwrap_or("");
        let follows = bytes.get(start + address.len()..).unwrap_or(&[]);
        let path = follows.first() == Some(&b'/')
            || (follows.first() == Some(&b':') && follows.get(1).is_some_and(|next| !next.is_ascii_whitespace()));
        let parts = domain.split('.').count() > 1 && domain.split('.').all(|part| !part.is_empty());
        let taken = || found.iter().take(known).any(|range| range.start < end && start < range.end);
        if before > 0 && parts && domain.ends_with(|c: char| c.is_ascii_alphanumeric()) && !path && !taken() {
            found.push(start..start + address.len());
        }
    }
}

/// Punctuation at the end belongs to the sentence, a bracket that nothing opened likewise.
fn trim_punctuation(url: &str) -> &str {
    let mut url = url;
    // How many brackets of each kind more are closed than opened.
    let surplus = |open: char, close: char| url.matches(close).count().saturating_sub(url.matches(open).count());
    let mut surplus = [(')', surplus('(', ')')), (']', surplus('[', ']'))];
    loop {
        let trimmed = url.trim_end_matches(['?', '!', '.', ',', ':', ';', '*', '_', '~', '\'', '。', '、', '，']);
        let unopened = surplus.iter_mut().find(|(close, surplus)| *surplus > 0 && trimmed.ends_with(*close));
        let shorter = match unopened {
            Some((_, surplus)) => {
                *surplus -= 1;
                &trimmed[..trimmed.len() - 1]
            }
            None => trimmed,
        };
        if shorter.len() == url.len() {
            return url;
        }
        url = shorter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_harmless_schemes_are_targets() {
        for (url, expected) in [
            ("https://x.y/a?b#c", Some("https://x.y/a?b#c")),
            ("HTTP://x", Some("HTTP://x")),
            ("mailto:a@b.c", Some("mailto:a@b.c")),
            ("https://x/é b", Some("https://x/%C3%A9%20b")),
            ("https://x/\x1b]8;;\x07", None),
            ("javascript:alert(1)", None),
            ("file:///etc/passwd", None),
            ("/relative", None),
            ("data:text/html,x", None),
            ("https:", None),
            ("", None),
        ] {
            assert_eq!(safe_target(url).as_deref(), expected, "{url}");
        }
        assert_eq!(safe_target(&format!("https://{}", "x".repeat(9999))), None);
    }

    #[test]
    fn a_text_that_reads_like_an_address_is_told() {
        for text in ["https://bank.example", "bank.example", "www.x.org/a", "me@x.y"] {
            assert!(looks_like_url(text), "{text}");
        }
        for text in ["the docs", "here.", "v1.2", "see x.rs today", "Node.js is", ""] {
            assert!(!looks_like_url(text), "{text}");
        }
        assert!(
            matches_url("x.y/a", "https://x.y/a/")
                && matches_url("me@x.y", "mailto:me@x.y")
                && !matches_url("x.y", "https://z.y")
        );
    }

    #[test]
    fn addresses_are_found_without_their_sentence() {
        for (text, expected) in [
            ("see https://x.y/a_b?c=1&d, then", vec!["https://x.y/a_b?c=1&d"]),
            ("(http://x.y/a_(b)) www.x.org.", vec!["http://x.y/a_(b)", "www.x.org"]),
            ("https://x.y。ok <http://z>", vec!["https://x.y。ok"]),
            ("xhttp://a.b www. http://", vec![]),
            ("mail ada+x@example.org, or <b@c.de>.", vec!["ada+x@example.org", "b@c.de"]),
            ("git@host.org:a/b @you a@b a@.b https://u@x.yz/p 漢a@b.c_", vec!["https://u@x.yz/p"]),
            ("", vec![]),
        ] {
            let found: Vec<&str> = find_links(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        assert_eq!(find_links(&"http://x.yz ".repeat(10_000)).len(), MAX_LINKS);
        find_links(&"http:// www.".repeat(10_000));
        find_links(&"a@b.".repeat(50_000));
        find_links(&"@".repeat(50_000));
        let found = find_links(&format!("http://a.bc/{}", ").]".repeat(50_000)));
        assert_eq!(found.first().map(|range| (found.len(), range.end)), Some((1, 12)));
    }

    proptest! {
        #[test]
        fn any_text_is_searched(text in "(http://|www\\.|@|[a-z().,é*]{0,3}| ){0,20}") {
            let mut at = 0;
            for range in find_links(&text) {
                prop_assert!(range.start >= at && text.get(range.clone()).is_some_and(|url| !url.is_empty()));
                at = range.end;
            }
        }
    }
}
