//! All keys and commands, generated from the keymap and the table of commands. What can be done where the person is
//! comes first; nothing is cut, a long text wraps.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::action::Context;
use crate::store::overlay::approval::ApprovalDialog;
use crate::store::overlay::help::HelpText;
use crate::store::pane::Pane;
use crate::store::slash::{CommandOffer, TYPED_PREFIXES, commands};
use crate::store::user_commands::UserCommand;
use crate::text::width::str_width;
use crate::text::wrap::wrap;
use crate::ui::key_hints::KeyHints;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

/// Most cells for the keys of one action: what they do matters more than the third way to do it.
const MAX_KEYS_CELLS: usize = 18;
/// Between the keys and what they do.
const COLUMN_GAP_CELLS: usize = 2;

enum HelpEntry<'a> {
    Heading(&'a str),
    Key(String, Cow<'a, str>),
}

/// One row: keys, what they do.
enum HelpRow {
    Heading(String),
    Pair(String, String),
    Gap,
}

pub fn draw(text: &HelpText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let count = if area.width >= 96 { 2 } else { 1 };
    let wide = area.width.saturating_sub(2).min(if count > 1 { 132 } else { 76 });
    let each = wide.saturating_sub(4 + 3 * (count - 1)) / count;
    let (columns, keys) = wrap_groups(
        groups(labels, current_context(store), &store.user_commands),
        usize::from(count),
        usize::from(each),
    );
    let longest = columns.iter().map(Vec::len).max().unwrap_or_default();
    let place = centered(area, wide, (longest + 2).min(usize::from(area.height)) as u16);
    let rows_shown = usize::from(place.height.saturating_sub(2));
    let most = longest.saturating_sub(rows_shown);
    let scroll = text.scroll.min(most);
    let footer = match most {
        0 => format!("{} closes", labels.close),
        _ => format!("{}–{} of {longest} · ↑↓ · {} closes", scroll + 1, scroll + rows_shown, labels.close),
    };
    let inner = draw_box("Help", &footer, Role::BorderFocused, theme, place, buf);
    for (nth, column) in (0..).zip(&columns) {
        let x = inner.x + nth * (each + 3);
        let part = Rect { x, width: each.min(inner.right().saturating_sub(x)), ..inner };
        for (row, entry) in (0..).zip(column.iter().skip(scroll).take(rows_shown)) {
            let mut pen = RowWriter::new(buf, part, row);
            match entry {
                HelpRow::Gap => {}
                HelpRow::Heading(text) => {
                    pen.write_truncated(text, 0, theme.style(Role::Heading));
                }
                HelpRow::Pair(key, what) => {
                    pen.skip(1).write(key, theme.style(Role::Key));
                    pen.skip((keys + COLUMN_GAP_CELLS).saturating_sub(str_width(key)))
                        .write(what, theme.style(Role::Text));
                }
            }
        }
    }
    DrawnOverlay::with_scroll_end(most)
}

/// Returns the context that the help was asked for in.
fn current_context(store: &Store) -> Context {
    match store.focus.pane {
        _ if let Some(dialog) = store.focus.find::<ApprovalDialog>() => {
            if dialog.is_reviewing() {
                Context::Hunks
            } else {
                Context::Approval
            }
        }
        Pane::Composer if store.session.capabilities().seek => Context::Replay,
        Pane::Composer => Context::Global,
        pane => Context::Pane(pane),
    }
}

/// Wraps entries into rows, in so many columns of that width; also returns the cells that keys take.
fn wrap_groups(groups: Vec<Vec<HelpEntry<'_>>>, columns: usize, width: usize) -> (Vec<Vec<HelpRow>>, usize) {
    let keys = groups.iter().flatten().map(|entry| if let HelpEntry::Key(key, _) = entry { str_width(key) } else { 0 });
    let keys = keys.max().unwrap_or_default().min(MAX_KEYS_CELLS).min(width * 2 / 5).max(1);
    let room = width.saturating_sub(1 + keys + COLUMN_GAP_CELLS).max(1);
    let rows = |entry: HelpEntry<'_>| match entry {
        HelpEntry::Heading(text) => vec![HelpRow::Heading(text.to_owned())],
        HelpEntry::Key(key, what) => {
            let (mut left, mut right) = (wrapped(&key, keys), wrapped(&what, room));
            let rows = left.len().max(right.len());
            left.resize(rows, String::new());
            right.resize(rows, String::new());
            left.into_iter().zip(right).map(|(key, what)| HelpRow::Pair(key, what)).collect()
        }
    };
    let groups = groups.into_iter().map(|group| group.into_iter().flat_map(rows).collect()).collect();
    (balance(groups, columns), keys)
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    wrap(text, width).into_iter().map(|row| row.slice(text).to_owned()).collect()
}

/// Returns what there is to say, the group of a context first.
fn groups<'a>(labels: &'a KeyHints, first: Context, own: &[UserCommand]) -> Vec<Vec<HelpEntry<'a>>> {
    let mut groups: Vec<Vec<HelpEntry<'_>>> = Vec::new();
    let mut last = None;
    let mut here = 0;
    for (context, key, what) in labels.help() {
        if last.replace(*context) != Some(*context) {
            if *context == first {
                here = groups.len();
            }
            groups.push(vec![HelpEntry::Heading(context.title())]);
        }
        if let Some(group) = groups.last_mut() {
            group.push(HelpEntry::Key(key.clone(), Cow::from(*what)));
        }
    }
    let mut told = vec![HelpEntry::Heading("Commands")];
    told.extend(commands().map(|command| {
        let name = format!("/{} {}", command.name, command.argument.hint());
        if name.len() <= MAX_KEYS_CELLS {
            return HelpEntry::Key(name.trim_end().to_owned(), command.about.into());
        }
        // Broken in the narrow column nobody could read it.
        let hint = command.argument.hint();
        let argument = hint.trim_matches(['[', ']']).replace('|', ", ");
        HelpEntry::Key(format!("/{}", command.name), format!("{}: {argument}", command.about).into())
    }));
    told.extend(own.iter().map(CommandOffer::own).map(|command| {
        let about = match command.argument.as_str() {
            "" => command.about,
            argument => format!("{}: {argument}", command.about),
        };
        HelpEntry::Key(format!("/{}", command.name), about.into())
    }));
    told.extend(TYPED_PREFIXES.iter().map(|(typed, what)| HelpEntry::Key((*typed).to_owned(), Cow::from(*what))));
    if let Some(before) = groups.get_mut(..=here) {
        before.rotate_right(1);
    }
    groups.insert(groups.len().min(1), told);
    groups
}

/// Puts whole groups into columns of about the same length, in order.
fn balance(groups: Vec<Vec<HelpRow>>, columns: usize) -> Vec<Vec<HelpRow>> {
    let total: usize = groups.iter().map(|group| group.len() + 1).sum();
    let mut done: Vec<Vec<HelpRow>> = vec![Vec::new()];
    for group in groups {
        let open = done.len();
        if let Some(column) = done.last_mut() {
            let half_over = column.len() + group.len() / 2 > total.div_ceil(columns);
            if column.is_empty() {
                column.extend(group);
            } else if half_over && open < columns {
                done.push(group);
            } else {
                column.push(HelpRow::Gap);
                column.extend(group);
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::Theme;

    fn shown(width: u16, scroll: usize) -> (String, usize) {
        let area = Rect::new(0, 0, width, 12);
        let mut buf = Buffer::empty(area);
        let (store, key_hints) = (Store::default(), KeyHints::default());
        let screen = OverlayScreen {
            store: &store,
            key_hints: &key_hints,
            theme: Theme::default(),
            stage: area,
            input: Rect::ZERO,
        };
        let drawn = draw(&HelpText { scroll }, &screen, &mut buf);
        let row = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>();
        ((0..12).map(row).collect::<Vec<_>>().join("\n"), drawn.scroll_end)
    }

    #[test]
    fn nothing_is_cut_at_any_width() {
        for width in [40, 61, 80, 95, 96, 140] {
            let (_, most) = shown(width, 0);
            let whole: String = (0..=most).map(|scroll| shown(width, scroll).0).collect();
            assert!(!whole.contains('…'), "{width}");
        }
        let words: Vec<String> = (0..=shown(40, 0).1).map(|scroll| shown(40, scroll).0).collect();
        for word in ["Anywhere", "Commands", "Approval", "Replay", "fields", "forces"] {
            assert!(words.iter().any(|screen| screen.contains(word)), "{word}");
        }
    }

    #[test]
    fn what_can_be_done_here_comes_first() {
        let labels = KeyHints::default();
        let heads = |first| -> Vec<&str> {
            let heading = |group: Vec<HelpEntry<'_>>| match group.first() {
                Some(HelpEntry::Heading("Replay")) => "Replay",
                Some(HelpEntry::Heading("Commands")) => "Commands",
                Some(HelpEntry::Heading("Anywhere")) => "Anywhere",
                _ => "",
            };
            groups(&labels, first, &[]).into_iter().map(heading).take(3).collect()
        };
        assert_eq!(heads(Context::Replay), ["Replay", "Commands", "Anywhere"]);
        assert_eq!(heads(Context::Global), ["Anywhere", "Commands", ""]);
    }
}
