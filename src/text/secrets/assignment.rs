//! Values that are given to a secret's name, `API_KEY=…`, `"password": "…"`, `Authorization: Bearer …`, and passwords
//! in addresses. The sign between them is the anchor: a name alone holds nothing up.

use super::byte_class::ByteClass;
use super::name::{self, NameStrength};
use super::partial_text::{Finding, PartialText, Verdict, is_boundary};
use super::value::{ValuePlace, is_plausible, is_secret_value};
use super::{CONTEXT_BYTES, SecretRules};

/// The longest value.
const MAX_VALUE_BYTES: usize = 2048;
/// Blanks between a sign and what stands on its sides.
const MAX_BLANKS: usize = 4;
const MAX_NAME_BYTES: usize = 64;
/// The longest user and password in an address.
const MAX_LOGIN_BYTES: usize = 256;
const NAME: ByteClass = ByteClass::of("A-Za-z0-9_.$-");
const CAPITALS: ByteClass = ByteClass::of("A-Z0-9_");
const BARE: ByteClass = ByteClass::of("A-Za-z0-9_+/=.~%-");
const BARE_IN_ENVIRONMENT: ByteClass = ByteClass::of("A-Za-z0-9_+/=.~%!@#$^*?-");
/// Schemes that stand before the secret of a header.
const SCHEMES: &[&[u8]] = &[b"bearer", b"basic", b"token", b"apikey", b"key", b"negotiate"];

/// Returns whether the sign at a place may be followed by a secret. Looks only at what is before it, and at the byte
/// behind it if that is known.
pub(super) fn may_match(rules: &SecretRules, bytes: &[u8], at: usize) -> bool {
    let next = bytes.get(at + 1);
    let begins_address = rules.builtin && bytes[at] == b':' && next.is_none_or(|byte| *byte == b'/');
    (begins_address && at > 0 && bytes[at - 1].is_ascii_alphabetic())
        || bot_number(rules, bytes, at)
        || name_before(bytes, at).is_some_and(|name| rules.strength_of(name).is_some())
}

/// Decides about what stands behind `:` or `=`.
pub(super) fn judge(rules: &SecretRules, text: PartialText<'_>, at: usize) -> Verdict {
    let sign = text.bytes[at];
    match text.get(at + 1) {
        None if !text.is_end => return Verdict::More(None),
        Some(b'/') if sign == b':' && rules.builtin => {
            let verdict = judge_address(text, at);
            if verdict != Verdict::No {
                return verdict;
            }
        }
        // A comparison, a path of modules, or the sign is the next byte.
        Some(b'=') => return Verdict::No,
        Some(b':') if sign == b':' => return Verdict::No,
        _ => {}
    }
    if bot_number(rules, text.bytes, at) {
        let verdict = judge_bot_token(text, at);
        if verdict != Verdict::No {
            return verdict;
        }
    }
    let Some(name) = name_before(text.bytes, at) else { return Verdict::No };
    let Some(strength) = rules.strength_of(name) else { return Verdict::No };
    let from = if sign == b'=' && text.get(at + 1) == Some(b'>') { at + 2 } else { at + 1 };
    let place = if name.len() > 3 && name.iter().all(|byte| CAPITALS.contains(*byte)) {
        ValuePlace::Environment
    } else {
        ValuePlace::Bare
    };
    let kind = if strength == NameStrength::Header { "authorization" } else { name::kind(name) };
    judge_value(text, from, strength, place, kind)
}

/// Decides about the word behind an option of a command line.
pub(super) fn judge_flag(text: PartialText<'_>, _at: usize, after: usize) -> Verdict {
    match text.get(after) {
        None if !text.is_end => Verdict::More(None),
        Some(b' ') => match judge_value(text, after, NameStrength::Strong, ValuePlace::Bare, "") {
            Verdict::Found(found) => Verdict::Found(Finding { kind: None, ..found }),
            other => other,
        },
        _ => Verdict::No,
    }
}

/// Returns the name that a value is given to.
fn name_before(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let earliest = at.saturating_sub(CONTEXT_BYTES);
    let before = |place: usize| place.checked_sub(1).filter(|place| *place >= earliest).map(|place| bytes[place]);
    let mut end = at;
    if bytes[at] == b'=' && before(end) == Some(b':') {
        end -= 1;
    }
    let mut blanks = 0;
    while matches!(before(end), Some(b' ' | b'\t')) && blanks < MAX_BLANKS {
        (end, blanks) = (end - 1, blanks + 1);
    }
    if before(end) == Some(b']') {
        end -= 1;
    }
    if matches!(before(end), Some(b'"' | b'\'' | b'`')) {
        end -= 1;
        while before(end) == Some(b'\\') {
            end -= 1;
        }
    }
    let mut start = end;
    while end - start < MAX_NAME_BYTES && before(start).is_some_and(|byte| NAME.contains(byte)) {
        start -= 1;
    }
    // The name in a mark is followed by a MAC.
    let is_mark = bytes.get(..start).is_some_and(|before| before.ends_with(b"[redacted:"));
    bytes.get(start..end).filter(|name| !name.is_empty() && !is_mark)
}

fn judge_value(
    text: PartialText<'_>,
    from: usize,
    strength: NameStrength,
    place: ValuePlace,
    kind: &'static str,
) -> Verdict {
    let mut at = from;
    while matches!(text.get(at), Some(b' ' | b'\t')) && at - from < MAX_BLANKS {
        at += 1;
    }
    // A string with a letter that says how it is read.
    if matches!(text.get(at), Some(b'b' | b'r' | b'u')) && matches!(text.get(at + 1), Some(b'"' | b'\'')) {
        at += 1;
    }
    let mut escapes = at;
    while text.get(escapes) == Some(b'\\') && escapes - at < 4 {
        escapes += 1;
    }
    match text.get(escapes) {
        None if !text.is_end => Verdict::More(None),
        Some(quote @ (b'"' | b'\'' | b'`')) => judge_quoted(text, escapes + 1, quote, escapes > at, strength, kind),
        _ if escapes > at => Verdict::No,
        _ => judge_bare(text, at, strength, place, kind),
    }
}

fn judge_quoted(
    text: PartialText<'_>,
    from: usize,
    quote: u8,
    is_escaped: bool,
    strength: NameStrength,
    kind: &'static str,
) -> Verdict {
    let start = match skip_scheme(text, from, strength) {
        Ok(start) => start,
        Err(more) => return more,
    };
    let mut end = start;
    while end - start <= MAX_VALUE_BYTES {
        match text.get(end) {
            None if !text.is_end => return Verdict::More(None),
            None => break,
            Some(b'\n' | b'\r') => return Verdict::No,
            Some(byte) if byte == quote => break,
            Some(b'\\') => match text.get(end + 1) {
                None if !text.is_end => return Verdict::More(None),
                Some(next) if is_escaped && (next == quote || next == b'\\') => break,
                _ => end += 2,
            },
            Some(_) => end += 1,
        }
    }
    let end = end.min(text.bytes.len());
    if end - start > MAX_VALUE_BYTES {
        return Verdict::No;
    }
    found(text, start, end, strength, ValuePlace::Quoted, kind)
}

fn judge_bare(
    text: PartialText<'_>,
    from: usize,
    strength: NameStrength,
    place: ValuePlace,
    kind: &'static str,
) -> Verdict {
    let start = match skip_scheme(text, from, strength) {
        Ok(start) => start,
        Err(more) => return more,
    };
    let class = if place == ValuePlace::Environment { BARE_IN_ENVIRONMENT } else { BARE };
    let end = class.run_end(text.bytes, start, start + MAX_VALUE_BYTES + 1);
    if end - start > MAX_VALUE_BYTES {
        return Verdict::No;
    }
    if end == text.bytes.len() && !text.is_end {
        return Verdict::More((end - start < MAX_VALUE_BYTES).then_some(class));
    }
    // A call, an index, a template: the name of something.
    if matches!(text.get(end), Some(b'(' | b'[' | b'{' | b'<' | b'"' | b'\'')) {
        return Verdict::No;
    }
    let value = text.slice(start, end);
    let dots = value.iter().rev().take_while(|byte| **byte == b'.').count();
    found(text, start, end - dots, strength, place, kind)
}

/// Skips the scheme of a header.
fn skip_scheme(text: PartialText<'_>, from: usize, strength: NameStrength) -> Result<usize, Verdict> {
    const LETTERS: ByteClass = ByteClass::of("A-Za-z");
    if strength != NameStrength::Header {
        return Ok(from);
    }
    let end = LETTERS.run_end(text.bytes, from, from + 16);
    if end == text.bytes.len() && !text.is_end {
        return Err(Verdict::More(None));
    }
    let scheme = text.slice(from, end).to_ascii_lowercase();
    let is_scheme = text.get(end) == Some(b' ') && SCHEMES.contains(&scheme.as_slice());
    Ok(if is_scheme { end + 1 } else { from })
}

fn found(
    text: PartialText<'_>,
    start: usize,
    end: usize,
    strength: NameStrength,
    place: ValuePlace,
    kind: &'static str,
) -> Verdict {
    // A header's secret stands without quotes as a password in an environment file does.
    let place = if strength == NameStrength::Header { ValuePlace::Environment } else { place };
    if !is_secret_value(text.slice(start, end), strength, place) {
        return Verdict::No;
    }
    let kind = Some(kind).filter(|kind| !kind.is_empty());
    Verdict::Found(Finding { start, end, kind, rest: None })
}

/// Decides about `scheme://user:password@host`; the password alone is the secret.
fn judge_address(text: PartialText<'_>, at: usize) -> Verdict {
    const LOGIN: ByteClass = ByteClass::of("A-Za-z0-9._~%!$&*+,;=:-");
    if at == 0 || !text.bytes[at - 1].is_ascii_alphabetic() {
        return Verdict::No;
    }
    match text.get(at + 2) {
        Some(b'/') => {}
        None if !text.is_end => return Verdict::More(None),
        _ => return Verdict::No,
    }
    let from = at + 3;
    let end = LOGIN.run_end(text.bytes, from, from + MAX_LOGIN_BYTES + 1);
    if end - from > MAX_LOGIN_BYTES {
        return Verdict::No;
    }
    if end == text.bytes.len() && !text.is_end {
        return Verdict::More((end - from < MAX_LOGIN_BYTES).then_some(LOGIN));
    }
    let login = text.slice(from, end);
    let Some(colon) = memchr::memchr(b':', login) else { return Verdict::No };
    let password = login.get(colon + 1..).unwrap_or_default();
    if text.get(end) != Some(b'@') || !is_password_of_address(password) {
        return Verdict::No;
    }
    Verdict::Found(Finding { start: from + colon + 1, end, kind: Some("password"), rest: None })
}

/// Whether it is a password and no stand-in; what is short is known by having digits.
fn is_password_of_address(password: &[u8]) -> bool {
    const MIN_BYTES: usize = 6;
    let has_digit = password.iter().any(u8::is_ascii_digit);
    let has_capital = password.iter().any(u8::is_ascii_uppercase) && password.iter().any(u8::is_ascii_lowercase);
    password.len() >= MIN_BYTES && !password.starts_with(b"$") && (has_digit || has_capital) && {
        let padded = [password, b"-".as_slice(), password].concat();
        is_plausible(&padded)
    }
}

/// Whether the number of a bot stands before a colon.
fn bot_number(rules: &SecretRules, bytes: &[u8], at: usize) -> bool {
    if !rules.builtin || bytes[at] != b':' {
        return false;
    }
    let digits = bytes[..at].iter().rev().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    (8..=10).contains(&digits) && is_boundary(bytes, at - digits)
}

/// Decides about the 35 characters behind a bot's number.
fn judge_bot_token(text: PartialText<'_>, at: usize) -> Verdict {
    const TOKEN_BYTES: usize = 35;
    let from = at + 1;
    if !text.slice(from, from + 2).iter().all(|byte| *byte == b'A') && text.bytes.len() >= from + 2 {
        return Verdict::No;
    }
    let end = ByteClass::DASHED.run_end(text.bytes, from, from + TOKEN_BYTES + 1);
    if end == text.bytes.len() && !text.is_end && end - from <= TOKEN_BYTES {
        return Verdict::More(None);
    }
    if end - from != TOKEN_BYTES {
        return Verdict::No;
    }
    Verdict::Found(Finding { start: from, end, kind: Some("telegram-token"), rest: None })
}
