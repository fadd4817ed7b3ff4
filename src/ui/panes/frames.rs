//! The raw frames of the streams: a filter, a list with times and gaps, and one frame laid out whole.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::filter_list::tail;
use crate::event::Millis;
use crate::store::frames::{FrameKind, FrameList, FrameRow};
use crate::text::width::str_width;
use crate::text::wrap::wrap_hard;
use crate::text::{clean, one_line};
use crate::ui::format::{count, duration, precise_clock};
use crate::ui::key_hints::KeyHints;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::{Role, Theme};

/// Bytes of a frame that are laid out.
const MAX_FRAME_BYTES: usize = 128 * 1024;
/// Cells of the columns before the data.
const TIME_CELLS: usize = 9;
const GAP_CELLS: usize = 8;
const SIZE_CELLS: usize = 6;
/// Bytes that are worth leaving out because the frame before began with them, too.
const MIN_SHARED_BYTES: usize = 12;

pub fn draw(frames: &FrameList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let place = centered(area, area.width.min(160), area.height);
    match frames.opened_row() {
        Some((number, row)) => {
            DrawnOverlay::with_scroll_end(draw_opened(frames, number, row, labels, theme, place, buf))
        }
        None => DrawnOverlay::with_cursor(list(frames, labels, theme, place, buf)),
    }
}

fn list(frames: &FrameList, labels: &KeyHints, theme: Theme, place: Rect, buf: &mut Buffer) -> (u16, u16) {
    let pause = if frames.is_following() { "stops" } else { "follows" };
    let keys = [
        (&labels.accept, "opens"),
        (&labels.pause_frames, pause),
        (&labels.save_frames, "saves"),
        (&labels.close, "closes"),
    ];
    let keys: Vec<String> =
        keys.iter().filter(|(key, _)| !key.is_empty()).map(|(key, what)| format!("{key} {what}")).collect();
    let inner = draw_box("Frames", &keys.join(" · "), Role::BorderFocused, theme, place, buf);
    let shown = frames.visible_rows();

    let state = list_status(frames, shown.len());
    let line = Rect { height: 1.min(inner.height), ..inner };
    RowWriter::at_right(buf, line, 0, str_width(&state)).write(&state, theme.style(Role::Dim));
    let left = Rect { width: line.width.saturating_sub(str_width(&state) as u16 + 2), ..line };
    let mut pen = RowWriter::new(buf, left, 0);
    pen.write("› ", theme.style(Role::Accent));
    let room = pen.room().saturating_sub(1);
    pen.write(tail(&frames.query, room), theme.style(Role::Text));
    let cursor = (pen.column().min(inner.right().saturating_sub(1)), inner.y);
    if frames.query.is_empty() {
        pen.write_truncated("filter by name, /word for data", 0, theme.style(Role::Dim));
    }

    let body = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    if shown.is_empty() {
        let text = if frames.query.is_empty() { "no frames yet" } else { "no frame matches" };
        RowWriter::new(buf, body, 1).write_truncated(text, 0, theme.style(Role::Dim));
        return cursor;
    }
    let height = usize::from(body.height);
    let selected = frames.selected_index(&shown);
    // What is looked at stays in the middle, so that what came before and after it can be seen.
    let first = (selected + 1).saturating_sub(height.div_ceil(2)).min(shown.len().saturating_sub(height));
    let names = shown.iter().skip(first).take(height).filter_map(|number| match &frames.row(*number)?.kind {
        FrameKind::Frame { name, .. } => Some(str_width(&one_line(name, 28))),
        FrameKind::Began(_) | FrameKind::Ended(_) => None,
    });
    let width = names.max().unwrap_or_default().min(if place.width >= 120 { 40 } else { 28 });
    for (at, number) in shown.iter().enumerate().skip(first).take(height) {
        let Some(row) = frames.row(*number) else { continue };
        let line = Rect { y: body.y + (at - first) as u16, height: 1, ..body };
        let before = number.checked_sub(1).and_then(|before| frames.row(before));
        draw_row((row, before), frames.gap(*number), width, theme, line, buf);
        if at == selected {
            select_row(line, theme, buf);
        }
    }
    cursor
}

/// Says how the list stands: `following · 120 of 5,000 · 12 fell out`.
fn list_status(frames: &FrameList, shown: usize) -> String {
    let mut words = Vec::new();
    if frames.is_paused {
        words.push(match frames.rows_while_paused() {
            0 => "paused".to_owned(),
            waiting => format!("paused, {} more since", count(waiting)),
        });
    } else if !frames.is_following() {
        words.push("looking back".to_owned());
    }
    words.push(format!("{} shown", count(shown as u64)));
    let lost = Some(frames.dropped_rows()).filter(|lost| *lost > 0).map(count);
    let fallen = Some(frames.dropped_bytes).filter(|fallen| *fallen > 0).map(bytes);
    match (lost, fallen) {
        (None, None) => {}
        (Some(lost), Some(fallen)) => words.push(format!("{lost} and {fallen} older ones dropped")),
        (Some(one), None) | (None, Some(one)) => words.push(format!("{one} older dropped")),
    }
    words.join(" · ")
}

fn draw_row(
    (row, before): (&FrameRow, Option<&FrameRow>),
    gap: Option<Millis>,
    width: usize,
    theme: Theme,
    line: Rect,
    buf: &mut Buffer,
) {
    let dim = theme.style(Role::Dim);
    let time = format!("{:>TIME_CELLS$}", precise_clock(row.since_start));
    let mut pen = RowWriter::new(buf, line, 0);
    match &row.kind {
        FrameKind::Began(text) => {
            pen.write(&format!("{:>TIME_CELLS$}", "▶"), theme.style(Role::Accent));
            pen.write("  ", dim).write(&one_line(text, usize::from(line.width)), theme.style(Role::Heading));
        }
        FrameKind::Ended(text) => {
            let role = if text == "eof" { Role::Dim } else { Role::Error };
            let text = if text == "eof" { "the server ended the response" } else { text };
            pen.write(&time, dim).write("  ■ ", theme.style(role));
            pen.write(&one_line(text, usize::from(line.width)), theme.style(role));
        }
        FrameKind::Frame { name, id, data } => {
            let gap = gap.map(|gap| format!("+{}", duration(gap))).unwrap_or_default();
            pen.write(&time, theme.style(Role::Text)).write(&format!("{gap:>GAP_CELLS$}"), dim).skip(2);
            let name = one_line(name, width);
            pen.write(&name, theme.style(Role::Tool)).skip(width.saturating_sub(str_width(&name)) + 1);
            pen.write(&format!("{:>SIZE_CELLS$}  ", bytes(data.len() as u64)), dim);
            if let Some(id) = id {
                pen.write(&format!("#{} ", one_line(id, 12)), dim);
            }
            let room = pen.room();
            let new = new_part(data, before, room);
            pen.write(if new.len() < data.len() { "…" } else { "" }, dim);
            let room = pen.room();
            pen.write(&one_line(new, room), theme.style(Role::Code));
        }
    }
}

/// Returns the data from where it differs from the frame before, where not all of it can be shown.
fn new_part<'a>(data: &'a str, before: Option<&FrameRow>, room: usize) -> &'a str {
    let Some(FrameRow { kind: FrameKind::Frame { data: before, .. }, .. }) = before else { return data };
    if data.len() <= room {
        return data;
    }
    let same = data.bytes().zip(before.bytes()).take_while(|(one, other)| one == other).count();
    let same = data.get(..data.floor_char_boundary(same)).unwrap_or_default();
    // From where a field begins: the first one from which all the rest can be shown, else the one that differs.
    let fits = data.ceil_char_boundary(data.len().saturating_sub(room.saturating_sub(2)));
    let first = same.get(fits..).and_then(|rest| rest.find([',', '{'])).map(|at| fits + at);
    match first.or_else(|| same.rfind([',', '{'])) {
        Some(at) if at >= MIN_SHARED_BYTES => data.get(at + 1..).unwrap_or(data),
        _ => data,
    }
}

/// One frame with all its fields; JSON is laid out.
fn draw_opened(
    frames: &FrameList,
    number: u64,
    row: &FrameRow,
    labels: &KeyHints,
    theme: Theme,
    place: Rect,
    buf: &mut Buffer,
) -> usize {
    let (mut title, text) = match &row.kind {
        FrameKind::Began(text) => ("Request".to_owned(), Cow::Borrowed(text.as_str())),
        FrameKind::Ended(text) => ("End".to_owned(), Cow::Borrowed(text.as_str())),
        FrameKind::Frame { name, id, data } => {
            let mut title = "Frame".to_owned();
            for part in [Some(name.as_str()).filter(|name| !name.is_empty()), id.as_deref()].into_iter().flatten() {
                title = format!("{title} · {}", one_line(part, 40));
            }
            (format!("{title} · {}", bytes(data.len() as u64)), pretty_json(data))
        }
    };
    title = format!("{title} · {} s", precise_clock(row.since_start).trim());
    if let Some(gap) = frames.gap(number) {
        title = format!("{title} (+{})", duration(gap));
    }
    let width = usize::from(place.width.saturating_sub(4));
    let text = clean(&text);
    let rows = wrap_hard(&text, width);
    let height = usize::from(place.height.saturating_sub(2));
    let most = rows.len().saturating_sub(height);
    let scroll = frames.opened_scroll.unwrap_or_default().min(most);
    let footer = match most {
        0 => format!("{} goes back", labels.close),
        _ => format!("{}–{} of {} · ↑↓ · {} goes back", scroll + 1, scroll + height, rows.len(), labels.close),
    };
    let inner = draw_box(&title, &footer, Role::BorderFocused, theme, place, buf);
    for (at, row) in (0..inner.height).zip(rows.iter().skip(scroll)) {
        RowWriter::new(buf, inner, at).write(row.slice(&text), theme.style(Role::Code));
    }
    most
}

fn pretty_json(data: &str) -> Cow<'_, str> {
    if data.len() > MAX_FRAME_BYTES {
        let head = data.get(..data.floor_char_boundary(MAX_FRAME_BYTES)).unwrap_or_default();
        return format!("{head}\n… {} more: save the frames to see all", bytes((data.len() - head.len()) as u64))
            .into();
    }
    let json = serde_json::from_str::<serde_json::Value>(data).ok();
    let laid = json.filter(|json| json.is_object() || json.is_array());
    laid.and_then(|json| serde_json::to_string_pretty(&json).ok()).map_or(Cow::Borrowed(data), Cow::Owned)
}

/// `173`, `4.1k`, `3M`; bytes.
fn bytes(n: u64) -> String {
    format!("{}B", count(n))
}
