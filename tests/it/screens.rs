//! Snapshots of whole screens at three sizes, drawn from a store fed with events.

mod redraws;
mod scene;
mod scenes;

use jarvis_tui::store::approval::ApprovalChoice;
use jarvis_tui::store::overlay::approval::ApprovalDialog;
use jarvis_tui::ui::panes::PanePart;
use ratatui::buffer::Buffer;

use scene::{Scene, styles, text};
use scenes::*;

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (140, 50)];

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// Removes the scroll bar, which is based on estimates of what is out of sight.
fn barless(buf: &Buffer) -> Buffer {
    let mut buf = buf.clone();
    for cell in buf.content.iter_mut().filter(|cell| cell.symbol() == "┃") {
        cell.reset();
    }
    buf
}

/// Draws the scene at the three sizes, twice each: a warm cache must not change a cell.
fn check(name: &str, make: impl Fn() -> Scene) {
    settings().bind(|| {
        for size in SIZES {
            let mut scene = make();
            let (cold, cursor) = scene.draw(size);
            let (warm, _) = scene.draw(size);
            assert_eq!(cold, warm, "{name}: a second frame differs");
            scene.ui.panes.transcript.forget();
            let (again, _) = scene.draw(size);
            assert_eq!(barless(&cold), barless(&again), "{name}: a frame without its cache differs");
            let cursor = cursor.map_or("none".into(), |(x, y)| format!("{x},{y}"));
            let picture = format!("{}cursor {cursor}\n", text(&cold));
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), picture);
        }
    });
}

#[test]
fn an_empty_session_says_what_this_is() {
    check("empty", empty);
}

#[test]
fn a_turn_that_runs_a_tool() {
    check("streaming", streaming);
}

#[test]
fn an_ask_shows_its_diff() {
    check("approval", approval);
    settings().bind(|| {
        let (buf, _) = approval().draw((80, 24));
        insta::assert_snapshot!("approval-80x24-styles", styles(&buf));
    });
}

#[test]
fn sessions_beside_this_one_have_a_row() {
    check("tabs", tabs);
    check("inbox", inbox);
}

#[test]
fn what_came_meanwhile_begins_with_a_line() {
    check("looked-away", looked_away);
}

#[test]
fn a_selected_answer_says_what_it_does() {
    check("approval-selected", approval_selected);
}

#[test]
fn the_whole_of_an_ask_is_shown_on_wish() {
    check("approval-whole", approval_whole);
}

#[test]
fn a_wrong_pattern_is_told_in_the_field() {
    check("wrong-pattern", wrong_pattern);
}

#[test]
fn modes_say_what_they_allow() {
    check("modes", modes);
    check("never-ask", never_ask);
}

#[test]
fn what_is_allowed_is_listed() {
    check("permissions", permitted);
}

/// An approval takes at most half of the screen, whatever it contains, and its choices are visible.
#[test]
fn an_ask_leaves_half_of_the_screen() {
    for (width, height) in [(40, 12), (80, 24), (140, 50)] {
        for make in [approval, approval_selected, hostile_approval, wrong_pattern] {
            let mut scene = make();
            let (buf, _) = scene.draw((width, height));
            let area = PanePart::Approval.area(&scene.ui.layout);
            assert!(area.height <= height / 2 && area.width == width, "{area:?}");
            if scene.store.focus.is_typing() {
                continue;
            }
            let shown = text(&buf);
            let words: Vec<&str> = shown.split_whitespace().collect();
            if scene
                .store
                .focus
                .top_as::<ApprovalDialog>()
                .is_some_and(|request| request.selected == Some(ApprovalChoice::Session))
            {
                let scope = "this session without asking: every change to a file";
                assert!(words.join(" ").contains(scope), "{width}x{height} doesn't say all of it:\n{shown}");
            }
            for key in ["y once", "a session", "p pattern", "n deny", "d ", "v "] {
                assert!(shown.contains(key), "{width}x{height} has no {key}:\n{shown}");
            }
        }
    }
}

#[test]
fn an_ask_shows_what_would_hide() {
    check("hostile-approval", hostile_approval);
}

#[test]
fn an_ask_waits_behind_a_full_composer() {
    check("waiting", waiting);
}

#[test]
fn asks_that_wait_are_counted_once_on_a_screen() {
    let mut scene = approval();
    scene.ask_to_fetch();
    for size in [(140, 50), (80, 24)] {
        let screen = text(&scene.draw(size).0);
        assert!(screen.contains("1 more"), "{screen}");
        assert!(!screen.contains("for you") && !screen.contains("1 approval pending"), "{screen}");
    }
}

#[test]
fn a_failed_turn_and_a_full_disk() {
    check("failed", failed);
}

#[test]
fn help_lists_every_key() {
    check("help", help);
}

#[test]
fn models_can_be_picked() {
    check("models", models);
}

#[test]
fn sessions_can_be_chosen() {
    check("sessions", sessions);
    check("naming", naming);
}

#[test]
fn where_the_tokens_went_can_be_read() {
    check("usage", usage);
    check("context", context);
}

#[test]
fn any_action_can_be_found() {
    check("palette", palette);
}

#[test]
fn raw_frames_are_listed_with_their_times() {
    check("frames", frames);
}

#[test]
fn raw_frames_can_be_looked_back_at_and_filtered() {
    check("frames-filtered", frames_looked_back);
}

#[test]
fn a_raw_frame_is_laid_out_whole() {
    check("frame", a_frame_opened);
}

#[test]
fn what_servers_tell_beside_their_words_is_seen() {
    check("annotated", annotated);
}

#[test]
fn a_replay_has_a_bar() {
    check("replay", replay);
}

#[test]
fn commands_complete() {
    check("completing", completing);
}

#[test]
fn a_search_shows_what_it_finds() {
    check("search", search);
}

#[test]
fn the_outline_lists_prompts_and_headings() {
    check("outline", outline);
}

#[test]
fn a_source_is_shown_with_what_would_hide() {
    check("raw", raw);
}

#[test]
fn links_show_where_they_go() {
    check("links", links);
}

#[test]
fn the_panel_unfolds_the_selected_call() {
    check("panel", panel);
}
