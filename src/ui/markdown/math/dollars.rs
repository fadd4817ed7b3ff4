//! Which pieces of a text are formulas: TeX's own brackets are written with dollars, and prices are told from formulas.
//!
//! Not for reading a formula. The invariant: code means itself, and any text is looked through once.

use std::borrow::Cow;
use std::ops::Range;

/// Between TeX's own brackets there is no more than that.
const MAX_BRACKETED_BYTES: usize = 4 * 1024;

/// Writes `\\( … \\)` and `\\[ … \\]` with dollars, as the parser knows formulas. `code` is where they mean themselves.
pub(in crate::ui::markdown) fn brackets_to_dollars<'a>(text: &'a str, code: &[Range<usize>]) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let in_code =
        |at: usize| code.get(code.partition_point(|range| range.end <= at)).is_some_and(|range| range.start <= at);
    // Where each bracket closes next, so that a text without one is searched for it once.
    let mut closes = [("\\)", "$"), ("\\]", "$$")].map(|(close, mark)| (close, mark, text.find(close)));
    let (mut out, mut done, mut from) = (String::new(), 0, 0);
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let start = from + at;
        // Whatever a backslash stands before, it is no opening for a second one.
        from = start + 2;
        let kind = match bytes.get(start + 1) {
            Some(b'(') => 0,
            Some(b'[') => 1,
            _ => continue,
        };
        let (close, mark, next) = &mut closes[kind];
        if next.is_some_and(|next| next < from) {
            *next = text.get(from..).and_then(|rest| rest.find(*close)).map(|at| from + at);
        }
        let Some(end) = next.filter(|end| end - from <= MAX_BRACKETED_BYTES) else { continue };
        let inside = text.get(from..end).unwrap_or("");
        let blank = !inside.contains(char::is_alphanumeric) || inside.contains("\n\n");
        if blank || inside.contains('$') || in_code(start) || in_code(end) {
            continue;
        }
        out.push_str(text.get(done..start).unwrap_or(""));
        out.push_str(mark);
        out.push_str(if kind == 0 { inside.trim_matches([' ', '\t']) } else { inside });
        out.push_str(mark);
        done = end + 2;
        from = done;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Cow::Owned(out)
}

/// Tells text between two prices from a formula.
pub(in crate::ui::markdown) fn is_price(tex: &str) -> bool {
    let formula = tex.contains(['\\', '^', '_', '=', '{', '<', '>', '+', '*']);
    let digit = tex.starts_with(|c: char| c.is_ascii_digit());
    digit && !formula && tex.contains(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | ',' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_no_formula() {
        for text in ["5 and ", "10-", "5, then "] {
            assert!(is_price(text), "{text}");
        }
        for tex in ["x", "5", "2x", "5 + 3", "1 \\le n", "n - 1"] {
            assert!(!is_price(tex), "{tex}");
        }
    }

    #[test]
    fn brackets_become_dollars_where_they_are_no_code() {
        let cases = [
            (r"a \( x \) b \[ y \]", "a $x$ b $$ y $$"),
            (r"\\(x\\) \() \(", r"\\(x\\) \() \("),
            (r"\(\) \(a$\)", r"\(\) \(a$\)"),
        ];
        for (text, expected) in cases {
            assert_eq!(brackets_to_dollars(text, &[]), expected, "{text}");
        }
        let code = Range { start: 0, end: 7 };
        assert_eq!(brackets_to_dollars(r"`\(x\)`", std::slice::from_ref(&code)), r"`\(x\)`");
        brackets_to_dollars(&r"\(".repeat(100_000), &[]);
        brackets_to_dollars(&format!("{}\\)", r"\(".repeat(100_000)), &[]);
    }
}
