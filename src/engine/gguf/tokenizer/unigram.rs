//! PURE. The split of a text with the highest sum of scores.

use super::merges::Symbol;

/// What a character without a token costs, below any score.
const UNKNOWN_SCORE: f32 = -1e4;

pub(super) fn best_split(text: &str, longest: usize, find: impl Fn(&str) -> Option<(u32, f32)>) -> Vec<Symbol> {
    // The best way to reach each byte: its score, where its last piece begins, and that piece's token.
    let mut best: Vec<Option<(f32, usize, Option<u32>)>> = vec![None; text.len() + 1];
    if let Some(first) = best.first_mut() {
        *first = Some((0.0, 0, None));
    }
    for (start, c) in text.char_indices() {
        let Some((sum, _, _)) = best.get(start).copied().flatten() else { continue };
        let mut offer = |end: usize, score: f32, id: Option<u32>| {
            if let Some(place) = best.get_mut(end)
                && place.is_none_or(|(known, _, _)| sum + score > known)
            {
                *place = Some((sum + score, start, id));
            }
        };
        offer(start + c.len_utf8(), UNKNOWN_SCORE, None);
        for end in start + 1..=text.len().min(start + longest) {
            if let Some((id, score)) = text.get(start..end).and_then(&find) {
                offer(end, score, Some(id));
            }
        }
    }
    let mut out = Vec::new();
    let mut end = text.len();
    while end > 0 {
        let Some((_, start, id)) = best.get(end).copied().flatten() else { break };
        out.push(Symbol { start, end, id });
        end = start;
    }
    out.reverse();
    out
}
