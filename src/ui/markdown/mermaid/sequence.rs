//! Draws sequences: a column for each who takes part, and a row for each message.

use super::canvas::{Canvas, LINE_DOWN, LINE_RIGHT, LINE_UP};
use super::{DrawnRow, label_lines};
use crate::text::width::str_width;
use crate::ui::theme::Role;

const MAX_MEMBERS: usize = 16;
const MAX_STEPS: usize = 100;
/// Cells between two columns at least.
const MIN_GAP: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sequence {
    /// Short name and label.
    members: Vec<(String, String)>,
    steps: Vec<Step>,
    /// Messages have numbers; the last one's.
    number: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Message {
        from: usize,
        to: usize,
        text: String,
        is_dotted: bool,
        head: &'static str,
    },
    /// Over the columns from one to another.
    Note {
        from: usize,
        to: usize,
        side: NoteSide,
        text: String,
    },
    /// The beginning, the middle or the end of a part that has a name.
    Section(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoteSide {
    Over,
    Left,
    Right,
}

/// The kinds of arrows, longer ones first, and the head of each.
const ARROWS: [(&str, bool, &str); 8] = [
    ("-->>", true, "►"),
    ("->>", false, "►"),
    ("--x", true, "x"),
    ("--)", true, ")"),
    ("-x", false, "x"),
    ("-)", false, ")"),
    ("-->", true, ""),
    ("->", false, ""),
];
/// What begins a part with a name, and what goes on in one.
const SECTIONS: [&str; 9] = ["loop", "alt", "else", "opt", "par", "and", "critical", "option", "break"];
/// What is about looks.
const LOOKS: [&str; 4] = ["activate", "deactivate", "accTitle", "accDescr"];

pub(super) fn draw<'a>(lines: impl Iterator<Item = &'a str>, room: usize) -> Option<Vec<DrawnRow>> {
    let mut sequence = Sequence::default();
    for line in lines {
        sequence.add_line(line.trim_end_matches(';').trim())?;
        if sequence.steps.len() > MAX_STEPS {
            return None;
        }
    }
    if sequence.members.is_empty() { None } else { sequence.draw(room) }
}

impl Sequence {
    fn member(&mut self, name: &str) -> Option<usize> {
        let name = name.trim();
        if let Some(known) = self.members.iter().position(|(known, _)| known == name) {
            return Some(known);
        }
        if name.is_empty() || name.contains(['<', '>']) || self.members.len() == MAX_MEMBERS {
            return None;
        }
        self.members.push((name.to_owned(), label_lines(name).join(" ")));
        Some(self.members.len() - 1)
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "participant" | "actor" => {
                let (name, label) = rest.split_once(" as ").unwrap_or((rest, rest));
                let at = self.member(name)?;
                self.members.get_mut(at)?.1 = label_lines(label).join(" ");
            }
            "Note" | "note" => self.add_note(rest)?,
            "autonumber" => self.number = Some(0),
            "end" => self.steps.push(Step::Section(String::new())),
            _ if SECTIONS.contains(&word) => {
                self.steps.push(Step::Section(label_lines(line).join(" ")));
            }
            _ if LOOKS.contains(&word) => {}
            _ => self.add_message(line)?,
        }
        Some(())
    }

    fn add_note(&mut self, rest: &str) -> Option<()> {
        let (place, text) = rest.split_once(':')?;
        let (side, names) = [("over ", NoteSide::Over), ("left of ", NoteSide::Left), ("right of ", NoteSide::Right)]
            .into_iter()
            .find_map(|(words, side)| Some((side, place.trim().strip_prefix(words)?)))?;
        let (one, other) = names.split_once(',').unwrap_or((names, names));
        let (one, other) = (self.member(one)?, self.member(other)?);
        let text = label_lines(text).join(" ");
        self.steps.push(Step::Note { from: one.min(other), to: one.max(other), side, text });
        Some(())
    }

    fn add_message(&mut self, line: &str) -> Option<()> {
        let (names, text) = line.split_once(':').unwrap_or((line, ""));
        let (at, (arrow, is_dotted, head)) =
            ARROWS.iter().filter_map(|arrow| Some((names.find(arrow.0)?, arrow))).min_by_key(|(at, _)| *at)?;
        // What begins at the same place is the longest of them: they stand in that order.
        let to = names[at + arrow.len()..].trim_start_matches(['+', '-']);
        let (from, to) = (self.member(&names[..at])?, self.member(to)?);
        let mut text = label_lines(text).join(" ");
        if let Some(number) = &mut self.number {
            *number += 1;
            text = format!("{number}. {text}");
        }
        self.steps.push(Step::Message { from, to, text, is_dotted: *is_dotted, head });
        Some(())
    }

    /// Returns the middle of each column, and the whole width.
    fn columns(&self) -> (Vec<usize>, usize) {
        let half = |at: usize| (str_width(&self.members[at].1) + 4).div_ceil(2);
        let last = self.members.len() - 1;
        let mut middles = vec![self.left_edge()];
        for at in 1..=last {
            middles.push(middles[at - 1] + half(at - 1) + half(at) + 1);
        }
        // What is said between two has to fit between them; what is shorter was seen to first.
        let mut spans: Vec<(usize, usize, usize)> = self.steps.iter().filter_map(Step::span).collect();
        spans.sort_by_key(|(from, to, _)| to - from);
        for (from, to, cells) in spans {
            let missing = (middles[from] + cells).saturating_sub(middles.get(to).copied().unwrap_or(usize::MAX));
            for middle in middles.iter_mut().skip(to) {
                *middle += missing;
            }
        }
        let behind = self.steps.iter().filter_map(|step| match step {
            Step::Message { from, to, text, .. } if from == to => Some(middles[*to] + str_width(text).max(3) + 4),
            Step::Note { to, side: NoteSide::Right, text, .. } => Some(middles[*to] + str_width(text) + 6),
            Step::Note { from, to, side: NoteSide::Over, text } => {
                Some(usize::midpoint(middles[*from], middles[*to]) + (str_width(text) + 4).div_ceil(2) + 1)
            }
            _ => None,
        });
        let section = self.steps.iter().filter_map(|step| match step {
            Step::Section(text) => Some(str_width(text) + 6),
            _ => None,
        });
        let width = behind.chain(section).max().unwrap_or(0).max(middles[last] + half(last));
        (middles, width)
    }

    /// Returns where the first column stands: notes may lie before it.
    fn left_edge(&self) -> usize {
        let before = self.steps.iter().filter_map(|step| match step {
            Step::Note { from: 0, side: NoteSide::Left, text, .. } => Some(str_width(text) + 6),
            Step::Note { from: 0, to: 0, side: NoteSide::Over, text } => Some(str_width(text) / 2 + 3),
            _ => None,
        });
        before.max().unwrap_or(0).max(str_width(&self.members[0].1) / 2 + 2)
    }

    fn draw(&self, room: usize) -> Option<Vec<DrawnRow>> {
        let (middles, width) = self.columns();
        if width > room {
            return None;
        }
        let rows: usize = self.steps.iter().map(Step::rows).sum();
        let height = 3 + rows + 1;
        let mut canvas = Canvas::new(width, height)?;
        for (middle, (_, label)) in middles.iter().zip(&self.members) {
            let cells = str_width(label) + 4;
            canvas.frame((middle - cells / 2, 0), (cells, 3), ["┌", "┐", "└", "┘"], Role::Border);
            canvas.write(middle - cells / 2 + 2, 1, label, Role::User);
            canvas.sign(*middle, 2, "┬", Role::Border);
            canvas.down(*middle, 3, height - 1);
            canvas.join(*middle, 3, LINE_UP);
        }
        let mut y = 3;
        for step in &self.steps {
            step.draw(&mut canvas, &middles, width, y);
            y += step.rows();
        }
        Some(canvas.into_rows())
    }
}

impl Step {
    fn rows(&self) -> usize {
        match self {
            Self::Message { from, to, .. } if from == to => 3,
            Self::Message { text, .. } if text.is_empty() => 1,
            Self::Message { .. } => 2,
            Self::Note { .. } => 3,
            Self::Section(_) => 1,
        }
    }

    /// Returns the columns between which it needs so many cells.
    fn span(&self) -> Option<(usize, usize, usize)> {
        match self {
            Self::Message { from, to, text, .. } if from == to => Some((*from, *to + 1, str_width(text).max(3) + 6)),
            Self::Message { from, to, text, .. } => {
                Some((*from.min(to), *from.max(to), str_width(text).max(1) + MIN_GAP))
            }
            Self::Note { to, side: NoteSide::Right, text, .. } => Some((*to, *to + 1, str_width(text) + 8)),
            Self::Note { from, side: NoteSide::Left, text, .. } if *from > 0 => {
                Some((*from - 1, *from, str_width(text) + 8))
            }
            Self::Note { from, to, side: NoteSide::Over, text } if from != to => {
                Some((*from, *to, str_width(text).saturating_sub(1)))
            }
            Self::Note { .. } | Self::Section(_) => None,
        }
    }

    fn draw(&self, canvas: &mut Canvas, middles: &[usize], width: usize, y: usize) {
        match self {
            Self::Message { from, to, text, is_dotted, head } if from == to => {
                let x = middles[*from];
                canvas.write(x + 2, y, text, Role::Text);
                canvas.join(x, y + 1, LINE_RIGHT);
                canvas.across(y + 1, x, x + 3);
                canvas.join(x + 3, y + 1, LINE_DOWN);
                canvas.join(x + 3, y + 2, LINE_UP);
                canvas.across(y + 2, x + 1, x + 3);
                draw_dots(canvas, *is_dotted, y + 1, (x + 1, x + 2));
                canvas.sign(x + 1, y + 2, if head.is_empty() { "─" } else { flipped(head) }, Role::Border);
            }
            Self::Message { from, to, text, is_dotted, head } => {
                let (left, right) = (middles[*from.min(to)], middles[*from.max(to)]);
                let line = y + self.rows() - 1;
                if !text.is_empty() {
                    let blank = (right - left - 1).saturating_sub(str_width(text));
                    canvas.write(left + 1 + blank / 2, y, text, Role::Text);
                }
                canvas.across(line, left, right);
                draw_dots(canvas, *is_dotted, line, (left + 1, right - 1));
                if from < to && !head.is_empty() {
                    canvas.sign(right - 1, line, head, Role::Border);
                } else if !head.is_empty() {
                    canvas.sign(left + 1, line, flipped(head), Role::Border);
                }
            }
            Self::Note { from, to, side, text } => {
                let cells = str_width(text) + 4;
                let x = match side {
                    NoteSide::Over => usize::midpoint(middles[*from], middles[*to]).saturating_sub(cells / 2),
                    NoteSide::Left => middles[*from].saturating_sub(cells + 2),
                    NoteSide::Right => middles[*to] + 2,
                };
                canvas.frame((x, y), (cells, 3), ["┌", "┐", "└", "┘"], Role::Dim);
                canvas.write(x + 2, y + 1, text, Role::Dim);
            }
            Self::Section(text) => {
                for x in 0..width {
                    if !middles.contains(&x) {
                        canvas.sign(x, y, "╌", Role::Dim);
                    }
                }
                if !text.is_empty() {
                    canvas.write(1, y, &format!(" {text} "), Role::Keyword);
                }
            }
        }
    }
}

fn draw_dots(canvas: &mut Canvas, is_dotted: bool, y: usize, (from, to): (usize, usize)) {
    for x in from..=to {
        if is_dotted {
            canvas.dot(x, y);
        }
    }
}

/// Returns a head that points to the left.
fn flipped(head: &str) -> &str {
    match head {
        "►" => "◄",
        ")" => "(",
        other => other,
    }
}
