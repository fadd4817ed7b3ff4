//! Paths in little room: what is cut off is their beginning, for the name at the end says what they lead to.

use std::borrow::Cow;

use super::width::{str_width, truncate_with_ellipsis};

/// Returns a path in at most `max` cells: leading folders give way to `…/`, and only a name that is too long by itself
/// is cut.
pub fn short_path(path: &str, max: usize) -> Cow<'_, str> {
    if str_width(path) <= max {
        return Cow::Borrowed(path);
    }
    let starts = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0 && at + 1 < path.len());
    let mut name = path;
    for start in starts {
        let rest = &path[start..];
        if str_width(rest) < max {
            return Cow::Owned(format!("…{rest}"));
        }
        name = &rest[1..];
    }
    Cow::Owned(truncate_with_ellipsis(name, max).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stays() {
        let path = "/home/me/editor/src/ui/panes/transcript.rs";
        for (max, expected) in [
            (99, path),
            (40, "…/me/editor/src/ui/panes/transcript.rs"),
            (21, "…/panes/transcript.rs"),
            (20, "…/transcript.rs"),
            (15, "…/transcript.rs"),
            (14, "transcript.rs"),
            (8, "transcr…"),
            (1, "…"),
            (0, ""),
        ] {
            assert_eq!(short_path(path, max), expected, "{max}");
        }
        assert_eq!(short_path("~/src/", 5), "src/");
        assert_eq!(short_path("漢字漢字", 5), "漢字…");
    }
}
