//! Which files with instructions the agent was given, which not and why, and the skills.

use ratatui::buffer::Buffer;

use super::status::draw_facts;
use crate::store::overlay::memory::{MemoryReport, MemoryText};
use crate::text::{one_line, visible_line};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};

const MAX_NAME_CELLS: usize = 40;
const MAX_NOTE_CELLS: usize = 300;

pub fn draw(shown: &MemoryText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    draw_facts("Instructions for the agent", &facts(&shown.report), shown.scroll, screen, buf)
}

fn facts(report: &MemoryReport) -> Vec<(String, String)> {
    let clean = |text: &str, cells| one_line(&visible_line(text), cells);
    let row = |name: &str, note: &str| (clean(name, MAX_NAME_CELLS), clean(note, MAX_NOTE_CELLS));
    let mut facts: Vec<_> = report.files.iter().map(|file| row(&file.path, &file.note)).collect();
    if facts.is_empty() {
        facts.push(row("No instructions", "there is no AGENTS.md here or among your settings; /init drafts one"));
    }
    facts.extend(report.skills.iter().map(|(name, note)| row(&format!("skill {name}"), note)));
    if report.needs_trust {
        facts.push(row("To trust it", "read the files, then /memory trust or `jarvis-tui config trust`"));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::overlay::memory::MemoryFile;

    #[test]
    fn hidden_characters_of_names_are_shown_and_what_is_missing_is_told() {
        let file = MemoryFile { path: "a\u{202e}b".into(), note: "12 B".into() };
        let report =
            MemoryReport { files: vec![file], skills: vec![("pdf".into(), "reads".into())], needs_trust: true };
        let told = facts(&report);
        assert!(!told[0].0.contains('\u{202e}') && told[0].1 == "12 B", "{told:?}");
        assert_eq!((told[1].0.as_str(), told[2].0.as_str()), ("skill pdf", "To trust it"));
        assert!(facts(&MemoryReport::default())[0].1.contains("/init"));
    }
}
