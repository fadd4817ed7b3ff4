//! Suggests the name that was probably meant.

/// Longer names are not compared: they are unlikely to be typos, and the cost is the product of the lengths.
const MAX_COMPARED_CHARS: usize = 64;

/// Returns the candidate closest to `name`, if close enough to be a typo: one edit, or one for each three characters. A
/// swap of neighbors counts once; of equally close ones it is the first in the alphabet.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().take(MAX_COMPARED_CHARS + 1).count();
    if length > MAX_COMPARED_CHARS {
        return None;
    }
    let allowed = (length / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns the places of the candidates, those closest to `name` first; equally close ones stay in their order.
pub fn nearest_first<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let cut = |text: &str| text.chars().take(MAX_COMPARED_CHARS).collect::<String>().to_lowercase();
    let name = cut(name);
    let mut places: Vec<(f64, usize)> = candidates
        .into_iter()
        .enumerate()
        .map(|(place, candidate)| (strsim::jaro_winkler(&name, &cut(candidate)), place))
        .collect();
    places.sort_by(|(one, a), (other, b)| other.total_cmp(one).then(a.cmp(b)));
    places.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closest_comes_first() {
        assert_eq!(nearest_first("tinny", ["gpt-4o", "tiny", "Tinny"]), [2, 1, 0]);
        assert_eq!(nearest_first("", ["b", "a"]), [0, 1]);
    }

    #[test]
    fn typing_errors_find_their_name() {
        let names = ["ui.theme", "ui.mouse", "tools.timeout", "tools.shell_timeout", "model", "mode", "?"];
        for (name, expected) in [
            ("ui.them", Some("ui.theme")),
            ("ui.tehme", Some("ui.theme")),
            ("modle", Some("mode")),
            ("mdoel", Some("model")),
            ("tool.timeout", Some("tools.timeout")),
            ("x", None),
            ("nothing.alike.at.all", None),
            ("", None),
        ] {
            assert_eq!(suggest(name, names), expected, "{name}");
        }
        assert_eq!(suggest(&"x".repeat(100_000), names), None);
    }
}
