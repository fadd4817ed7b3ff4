//! What stays in the shell once the chat was left: what it was, and how to come back.

use crate::event::SessionId;
use crate::store::Store;
use crate::store::transcript::ItemKind;
use crate::text::display_url::redact_credentials;
use crate::text::{clean, one_line};
use crate::ui::format::{count, money};

const MAX_TITLE_CELLS: usize = 60;
const MAX_LINE_CELLS: usize = 200;

/// Returns its two lines; none of a session in which nothing was asked.
pub fn farewell(store: &Store, session: &SessionId) -> Option<String> {
    let turns = store.usage.turns();
    if turns == 0 {
        return None;
    }
    // Of a session that was resumed the first prompt may not have been read yet.
    let is_whole = store.history_progress.is_none();
    let given = store.session.title.as_deref().map(title);
    let first_prompt = store.transcript.items().iter().find_map(|item| match item.kind {
        ItemKind::Prompt { text } => Some(title(text)),
        _ => None,
    });
    let mut parts = Vec::new();
    if is_whole {
        parts.extend(given.or(first_prompt));
        parts.push(if turns == 1 { "1 turn".into() } else { format!("{turns} turns") });
        let usage = store.usage.session();
        parts.push(format!("↑{} ↓{} tokens", count(usage.input_tokens), count(usage.output_tokens)));
        parts.extend(store.usage.cost().map(money));
    }
    let about = if parts.is_empty() { String::new() } else { parts.join(" · ") + "\n" };
    Some(format!("{about}Go on with: jarvis-tui -r {}\n", one_line(session.as_str(), MAX_LINE_CELLS)))
}

/// Returns the source of the last answer, cleaned, with an empty line behind it; none where nothing was answered.
pub fn last_answer(store: &Store) -> Option<String> {
    let answer = store.transcript.items().iter().rev().find_map(|item| match item.kind {
        ItemKind::Answer { text, .. } if !text.trim().is_empty() => Some(text),
        _ => None,
    })?;
    let text = clean(answer);
    // Blanks that begin a line may mean something: only empty lines go.
    let text = text.trim_end().trim_start_matches('\n');
    (!text.is_empty()).then(|| format!("{text}\n\n"))
}

fn title(prompt: &str) -> String {
    let first = prompt.trim_start().lines().next().unwrap_or_default();
    one_line(&redact_credentials(first), MAX_TITLE_CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FinishReason, TurnOutcome};
    use crate::testkit::events::{
        message_finished, message_started, opened, text_delta, turn_finished, turn_started, user_message,
    };
    use crate::testkit::store::fold;

    #[test]
    fn it_names_the_first_prompt_and_the_way_back_and_nothing_hostile_gets_through() {
        let mut store = Store::default();
        let events = [
            opened(),
            turn_started("t1"),
            user_message("m1", "Mend \u{1b}[31mthe parser\nand more"),
            message_started("m2"),
            text_delta("m2", "Done."),
            message_finished("m2", FinishReason::End),
            turn_finished("t1", TurnOutcome::Completed),
        ];
        fold(&mut store, events);
        let text = farewell(&store, &"20261129-1951-7f3a".into()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("Mend ") && lines[0].contains("the parser · 1 turn · ↑"), "{text}");
        assert_eq!(lines[1..], ["Go on with: jarvis-tui -r 20261129-1951-7f3a"]);
        assert!(!text.contains('\u{1b}'));
        store.history_progress = Some(40);
        let text = farewell(&store, &"s1".into()).unwrap();
        assert_eq!(text, "Go on with: jarvis-tui -r s1\n");
    }

    #[test]
    fn a_session_without_a_turn_says_nothing() {
        assert_eq!(farewell(&Store::default(), &"s1".into()), None);
    }

    #[test]
    fn the_last_answer_is_its_source_without_what_would_act_on_the_terminal() {
        let mut store = Store::default();
        assert_eq!(last_answer(&store), None);
        let answer = "\n    let x = 1;\n\n- **bold** \u{1b}[2Jand \u{1b}]52;c;aGk=\u{7}`code`\n\n";
        fold(&mut store, [opened(), turn_started("t1"), user_message("m1", "go"), message_started("m2")]);
        fold(&mut store, [text_delta("m2", "The first."), message_finished("m2", FinishReason::End)]);
        fold(&mut store, [message_started("m3"), text_delta("m3", answer), message_finished("m3", FinishReason::End)]);
        fold(&mut store, [message_started("m4"), text_delta("m4", " \n"), message_finished("m4", FinishReason::End)]);
        fold(&mut store, [turn_finished("t1", TurnOutcome::Completed)]);
        let printed = last_answer(&store).unwrap();
        assert_eq!(printed, "    let x = 1;\n\n- **bold** and `code`\n\n");
    }
}
