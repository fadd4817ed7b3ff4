//! Globs of patterns: `*` matches anything, every other character itself.

/// Returns whether `c` ends a command, starts another, substitutes, expands or redirects.
pub(super) fn is_operator(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '<' | '>' | '`' | '$' | '(' | ')' | '\n' | '\r')
}

/// What a `*` may stand for.
#[derive(Clone, Copy)]
pub(super) enum MatchScope {
    Anything,
    NoOperators,
}

/// Matches `*` against any run of characters that the scope has. A trailing ` *` also matches nothing at all, so
/// that `ls *` matches `ls`.
///
/// Backtracking to the latest star is enough, even with the restriction: what a star may not skip has to be matched
/// literally and in order. O(glob × text).
pub(super) fn glob_matches(glob: &str, text: &str, scope: MatchScope) -> bool {
    let may_skip = |c| matches!(scope, MatchScope::Anything) || !is_operator(c);
    if glob.strip_suffix(" *") == Some(text) {
        return true;
    }
    let (mut glob, mut text) = (glob.chars(), text.chars());
    // The position after the latest star, and where its match ends so far.
    let mut star = None;
    loop {
        let (mut glob_next, mut text_next) = (glob.clone(), text.clone());
        match (glob_next.next(), text_next.next()) {
            (Some('*'), _) => {
                glob = glob_next;
                star = Some((glob.clone(), text.clone()));
            }
            (Some(wanted), Some(c)) if wanted == c => (glob, text) = (glob_next, text_next),
            (None, None) => return true,
            _ => {
                let Some((behind, mut end)) = star.take() else { return false };
                match end.next() {
                    Some(c) if may_skip(c) => {
                        (glob, text) = (behind.clone(), end.clone());
                        star = Some((behind, end));
                    }
                    _ => return false,
                }
            }
        }
    }
}
