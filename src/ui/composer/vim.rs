//! Vim's modes in the composer: a machine that takes keys and changes a text, and knows no terminal and no widget.
//!
//! ```text
//! insert ──Esc──► normal ──v──► visual
//!    ▲              │ i a o c …    │ d y c, v, Esc
//!    └──────────────┴──────────────┘
//! ```
//!
//! What is typed in insert mode is no business of it: the composer's own keys hold there. Not here: search, registers with
//! names, macros, and commands that begin with a colon.

mod command;
mod text;

use self::command::{Find, InsertPlace, Motion, Operator, OperatorTarget, Parsed, VimCommand, parse, parse_motion};
use self::text::Span;
pub use self::text::VimText;

/// Steps that can be undone.
const MAX_UNDO_STEPS: usize = 200;
/// Characters that a repeated command may make of a text.
const MAX_TEXT_UNITS: usize = 1 << 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VimMode {
    #[default]
    Insert,
    Normal,
    Visual,
}

impl VimMode {
    /// Returns the name for the status line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Normal => "NORMAL",
            Self::Visual => "VISUAL",
        }
    }
}

/// A key that means something in normal mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VimKey {
    Char(char),
    Esc,
    /// Ctrl+R.
    Redo,
}

/// What came of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VimOutcome {
    Done,
    /// It means nothing here: somebody else may know it.
    Unknown,
    /// Up in the first line, or down in the last one.
    BeyondStart,
    BeyondEnd,
}

/// Everything that is remembered from key to key.
#[derive(Clone, Debug, Default)]
pub struct Vim {
    mode: VimMode,
    /// The keys of a command that is not whole yet.
    keys: Vec<char>,
    register: Register,
    last_find: Option<Find>,
    last_change: Option<RepeatableChange>,
    /// Where the selection began.
    anchor: usize,
    insertion: Insertion,
    undo: Vec<VimText>,
    redo: Vec<VimText>,
}

/// What was deleted or yanked last.
#[derive(Clone, Debug, Default)]
struct Register {
    units: Vec<String>,
    has_lines: bool,
}

/// A change that `.` makes again, with what was typed after it.
#[derive(Clone, Debug)]
struct RepeatableChange {
    command: VimCommand,
    count: Option<usize>,
    typed: Vec<String>,
}

/// What is being typed in insert mode.
#[derive(Clone, Debug, Default)]
struct Insertion {
    /// The text before the command that began it, which `u` brings back.
    before: VimText,
    /// The text as the typing began.
    start: Vec<String>,
    times: usize,
    is_repeatable: bool,
}

impl Vim {
    /// Begins in that mode, with this text.
    pub fn new(mode: VimMode, text: &VimText) -> Self {
        let mut vim = Self { mode, ..Self::default() };
        vim.begin_insertion(text.clone(), text, 1, false);
        vim
    }

    pub fn mode(&self) -> VimMode {
        self.mode
    }

    /// Returns the keys of a command that is not whole yet.
    pub fn pending(&self) -> String {
        self.keys.iter().collect()
    }

    /// Returns the range that is selected.
    pub fn selection(&self, text: &VimText) -> Option<(usize, usize)> {
        let (from, to) = (self.anchor.min(text.cursor), self.anchor.max(text.cursor));
        (self.mode == VimMode::Visual).then(|| (from, (to + 1).min(text.units.len())))
    }

    /// The text is another one: what was undone or begun belongs to the old one.
    pub fn restart(&mut self, mode: VimMode, text: &VimText) {
        self.keys.clear();
        (self.undo, self.redo) = (Vec::new(), Vec::new());
        self.mode = mode;
        self.begin_insertion(text.clone(), text, 1, false);
    }

    /// Something was written into the text that was not typed as a command: typing goes on there.
    pub fn insert_mode(&mut self, text: &VimText) {
        self.keys.clear();
        if self.mode != VimMode::Insert {
            self.mode = VimMode::Insert;
            self.begin_insertion(text.clone(), text, 1, false);
        }
    }

    /// Takes a key. In insert mode only Esc means something.
    pub fn key(&mut self, key: VimKey, text: &mut VimText) -> VimOutcome {
        match (self.mode, key) {
            (VimMode::Insert, VimKey::Esc) => self.end_insertion(text),
            (VimMode::Insert, _) => return VimOutcome::Unknown,
            (_, VimKey::Esc) if !self.keys.is_empty() => self.keys.clear(),
            (VimMode::Visual, VimKey::Esc) => self.mode = VimMode::Normal,
            (VimMode::Normal, VimKey::Esc) => return VimOutcome::Unknown,
            (_, VimKey::Redo) => self.redo(text),
            (VimMode::Visual, VimKey::Char(c)) => self.visual_key(c, text),
            (VimMode::Normal, VimKey::Char(c)) => return self.normal_key(c, text),
        }
        VimOutcome::Done
    }

    fn normal_key(&mut self, c: char, text: &mut VimText) -> VimOutcome {
        self.keys.push(c);
        match parse(&self.keys, self.last_find) {
            Parsed::Incomplete => VimOutcome::Done,
            Parsed::Nothing => {
                let was_alone = self.keys.len() == 1;
                self.keys.clear();
                if was_alone { VimOutcome::Unknown } else { VimOutcome::Done }
            }
            Parsed::Whole((command, count)) => {
                self.keys.clear();
                self.run(command, count, text)
            }
        }
    }

    /// Runs a command of normal mode, and remembers what `u` and `.` need of it.
    fn run(&mut self, command: VimCommand, count: Option<usize>, text: &mut VimText) -> VimOutcome {
        match command {
            VimCommand::Move(motion) => return self.go(motion, count, text),
            VimCommand::Undo => self.undo(count.unwrap_or(1), text),
            VimCommand::Visual => (self.mode, self.anchor) = (VimMode::Visual, text.cursor),
            VimCommand::Repeat => self.repeat(count, text),
            command => {
                let before = text.clone();
                let begins_insertion = self.change(command, count, text);
                self.settle(command, count, before, begins_insertion, text);
            }
        }
        VimOutcome::Done
    }

    fn settle(
        &mut self,
        command: VimCommand,
        count: Option<usize>,
        before: VimText,
        begins_insertion: bool,
        text: &mut VimText,
    ) {
        let is_change = begins_insertion || before.units != text.units;
        if is_change {
            self.last_change = Some(RepeatableChange { command, count, typed: Vec::new() });
        }
        if begins_insertion {
            let times = if matches!(command, VimCommand::Insert(_)) { count.unwrap_or(1) } else { 1 };
            self.begin_insertion(before, text, times, true);
            self.mode = VimMode::Insert;
            return;
        }
        if before.units != text.units {
            self.push_undo(before);
        }
        text.clamp();
    }

    fn go(&mut self, motion: Motion, count: Option<usize>, text: &mut VimText) -> VimOutcome {
        self.remember_find(motion);
        match text.target(motion, count) {
            Some((to, _)) => text.cursor = to,
            None if motion == Motion::Up => return VimOutcome::BeyondStart,
            None if motion == Motion::Down => return VimOutcome::BeyondEnd,
            None => {}
        }
        text.clamp();
        VimOutcome::Done
    }

    fn remember_find(&mut self, motion: Motion) {
        if let Motion::Find(find) = motion {
            self.last_find = Some(find);
        }
    }

    /// Changes the text; returns whether typing goes on from there.
    fn change(&mut self, command: VimCommand, count: Option<usize>, text: &mut VimText) -> bool {
        let (at, times) = (text.cursor, count.unwrap_or(1));
        let (start, end) = (text.line_start(at), text.line_end(at));
        match command {
            VimCommand::Operate(operator, target) => return self.operate(operator, target, count, text),
            VimCommand::Insert(place) => {
                begin_at(place, text);
                return true;
            }
            VimCommand::DeleteChars => self.delete((at, (at + times).min(end)), text),
            VimCommand::DeleteCharsBefore => self.delete((at.saturating_sub(times).max(start), at), text),
            VimCommand::Replace(with) if at + times <= end => {
                text.units.iter_mut().skip(at).take(times).for_each(|unit| *unit = with.to_string());
                text.cursor = at + times - 1;
            }
            VimCommand::ToggleCase => {
                let to = (at + times).min(end);
                text.units.iter_mut().take(to).skip(at).for_each(|unit| *unit = toggle_case(unit));
                text.cursor = to;
            }
            VimCommand::JoinLines => (1..times.max(2)).for_each(|_| join_lines(text)),
            VimCommand::PutBehind => self.put(times, false, text),
            VimCommand::PutBefore => self.put(times, true, text),
            VimCommand::Replace(_)
            | VimCommand::Move(_)
            | VimCommand::Undo
            | VimCommand::Repeat
            | VimCommand::Visual => {}
        }
        false
    }

    fn operate(
        &mut self,
        operator: Operator,
        target: OperatorTarget,
        count: Option<usize>,
        text: &mut VimText,
    ) -> bool {
        let at = text.cursor;
        let times = count.unwrap_or(1);
        let on_word = !text.is_line_end(at) && text.units.get(at).is_some_and(|unit| !unit.trim().is_empty());
        let (to, span) = match target {
            OperatorTarget::Lines => {
                let below = text.target(Motion::Down, Some(times.saturating_sub(1).max(1)));
                (below.filter(|_| times > 1).map_or(at, |(to, _)| to), Span::Lines)
            }
            OperatorTarget::Word { around } => {
                let Some((from, to)) = text.word_object(around) else { return false };
                text.cursor = from;
                (to, Span::Exclusive)
            }
            // `cw` leaves the blanks behind the word.
            OperatorTarget::Motion(Motion::Word { big }) if operator == Operator::Change && on_word => {
                let (to, _) = text.target(Motion::WordEnd { big }, count).unwrap_or((at, Span::Inclusive));
                let is_last_of_word = text.word_object(false).is_some_and(|(_, end)| end == at + 1);
                (if is_last_of_word && times == 1 { at } else { to }, Span::Inclusive)
            }
            OperatorTarget::Motion(Motion::Word { big }) => (text.word_for_operator(big, times), Span::Exclusive),
            OperatorTarget::Motion(motion) => {
                self.remember_find(motion);
                let Some(target) = text.target(motion, count) else { return false };
                target
            }
        };
        let (from, to) = (text.cursor.min(to), text.cursor.max(to));
        match span {
            Span::Lines => self.operate_on_lines(operator, from, to, text),
            Span::Exclusive => self.operate_on_range(operator, (from, to), text),
            Span::Inclusive => self.operate_on_range(operator, (from, to + 1), text),
        }
        operator == Operator::Change
    }

    fn operate_on_range(&mut self, operator: Operator, (from, to): (usize, usize), text: &mut VimText) {
        if operator == Operator::Yank {
            let units = text.units.get(from..to.min(text.units.len())).unwrap_or_default().to_vec();
            self.register = Register { units, has_lines: false };
            text.cursor = from;
        } else {
            self.delete((from, to), text);
        }
    }

    fn operate_on_lines(&mut self, operator: Operator, from: usize, to: usize, text: &mut VimText) {
        let (start, end) = (text.line_start(from), text.line_end(to));
        self.register = Register { units: text.units.get(start..end).unwrap_or_default().to_vec(), has_lines: true };
        match operator {
            Operator::Yank => text.cursor = text.cursor.min(from),
            Operator::Change => {
                text.cut(start, end);
            }
            // A line goes with its end, the last one with the one before.
            Operator::Delete if end < text.units.len() => {
                text.cut(start, end + 1);
                text.cursor = text.first_non_blank(start);
            }
            Operator::Delete => {
                text.cut(start.saturating_sub(1), end);
                text.cursor = text.first_non_blank(text.line_start(text.cursor));
            }
        }
    }

    fn delete(&mut self, (from, to): (usize, usize), text: &mut VimText) {
        let units = text.cut(from, to);
        if !units.is_empty() {
            self.register = Register { units, has_lines: false };
        }
    }

    fn put(&mut self, times: usize, is_before: bool, text: &mut VimText) {
        let Register { units, has_lines } = &self.register;
        if units.is_empty() && !has_lines || units.len().saturating_mul(times) > MAX_TEXT_UNITS {
            return;
        }
        let (at, line_end) = (text.cursor, "\n".to_owned());
        if *has_lines && is_before {
            let lines: Vec<String> = units.iter().cloned().chain([line_end]).collect();
            let start = text.line_start(at);
            text.insert(start, &repeated(&lines, times));
            text.cursor = text.first_non_blank(start);
        } else if *has_lines {
            let lines: Vec<String> = [line_end].into_iter().chain(units.iter().cloned()).collect();
            let end = text.line_end(at);
            text.insert(end, &repeated(&lines, times));
            text.cursor = text.first_non_blank(end + 1);
        } else {
            let place = if is_before || text.is_line_end(at) { at } else { at + 1 };
            let units = repeated(units, times);
            text.insert(place, &units);
            text.cursor = (place + units.len()).saturating_sub(1);
        }
    }

    /// In visual mode motions move the other end of the selection.
    fn visual_key(&mut self, c: char, text: &mut VimText) {
        self.keys.push(c);
        let (count, rest) = command::parse_count(&self.keys);
        let Some(range) = self.selection(text) else { return };
        let command = match rest {
            [] => return,
            ['d' | 'x'] => Some(Operator::Delete),
            ['y'] => Some(Operator::Yank),
            ['c' | 's'] => Some(Operator::Change),
            _ => None,
        };
        if let Some(operator) = command {
            self.keys.clear();
            self.mode = VimMode::Normal;
            return self.operate_on_selection(operator, range, text);
        }
        match rest {
            ['v'] => self.mode = VimMode::Normal,
            ['o'] => std::mem::swap(&mut self.anchor, &mut text.cursor),
            ['~'] => {
                self.push_undo(text.clone());
                let (from, to) = range;
                text.units.iter_mut().take(to).skip(from).for_each(|unit| *unit = toggle_case(unit));
                (self.mode, text.cursor) = (VimMode::Normal, from);
            }
            rest => match parse_motion(rest, self.last_find) {
                Parsed::Incomplete => return,
                Parsed::Nothing => {}
                Parsed::Whole(motion) => {
                    self.go(motion, count, text);
                }
            },
        }
        self.keys.clear();
    }

    fn operate_on_selection(&mut self, operator: Operator, range: (usize, usize), text: &mut VimText) {
        let before = text.clone();
        self.operate_on_range(operator, range, text);
        if operator == Operator::Change {
            self.begin_insertion(before, text, 1, false);
            self.mode = VimMode::Insert;
            return;
        }
        if before.units != text.units {
            self.push_undo(before);
        }
        text.clamp();
    }

    fn begin_insertion(&mut self, before: VimText, text: &VimText, times: usize, is_repeatable: bool) {
        self.insertion = Insertion { before, start: text.units.clone(), times, is_repeatable };
    }

    /// Esc: what was typed is one step, and `.` types it again.
    fn end_insertion(&mut self, text: &mut VimText) {
        let Insertion { before, start, times, is_repeatable } = std::mem::take(&mut self.insertion);
        let typed = typed_since(&start, &text.units);
        let more = times.saturating_sub(1);
        if more > 0 && typed.len().saturating_mul(more) <= MAX_TEXT_UNITS {
            let again = repeated(&typed, more);
            text.insert(text.cursor, &again);
            text.cursor += again.len();
        }
        if let Some(change) = self.last_change.as_mut().filter(|_| is_repeatable) {
            change.typed = typed;
        }
        if before.units != text.units {
            self.push_undo(before);
        }
        self.mode = VimMode::Normal;
        self.keys.clear();
        text.cursor = text.cursor.saturating_sub(1).max(text.line_start(text.cursor));
        text.clamp();
    }

    /// `.`: a count takes the place of the one there was.
    fn repeat(&mut self, count: Option<usize>, text: &mut VimText) {
        let Some(mut change) = self.last_change.clone() else { return };
        change.count = count.or(change.count);
        let before = text.clone();
        let begins_insertion = self.change(change.command, change.count, text);
        if begins_insertion {
            let is_insert = matches!(change.command, VimCommand::Insert(_));
            let times = if is_insert { change.count.unwrap_or(1) } else { 1 };
            if change.typed.len().saturating_mul(times) <= MAX_TEXT_UNITS {
                let typed = repeated(&change.typed, times);
                text.insert(text.cursor, &typed);
                text.cursor += typed.len();
            }
            text.cursor = text.cursor.saturating_sub(1).max(text.line_start(text.cursor));
        }
        if before.units != text.units {
            self.push_undo(before);
        }
        self.last_change = Some(change);
        text.clamp();
    }

    fn push_undo(&mut self, before: VimText) {
        self.redo.clear();
        self.undo.push(before);
        let over = self.undo.len().saturating_sub(MAX_UNDO_STEPS);
        self.undo.drain(..over);
    }

    fn undo(&mut self, times: usize, text: &mut VimText) {
        for _ in 0..times {
            let Some(before) = self.undo.pop() else { break };
            self.redo.push(std::mem::replace(text, before));
        }
        text.clamp();
    }

    fn redo(&mut self, text: &mut VimText) {
        self.keys.clear();
        if let Some(after) = self.redo.pop() {
            self.undo.push(std::mem::replace(text, after));
        }
        text.clamp();
    }
}

fn repeated(units: &[String], times: usize) -> Vec<String> {
    std::iter::repeat_n(units, times).flatten().cloned().collect()
}

fn begin_at(place: InsertPlace, text: &mut VimText) {
    let at = text.cursor;
    let line_end = ["\n".to_owned()];
    match place {
        InsertPlace::Here => {}
        InsertPlace::Behind => text.cursor = if text.is_line_end(at) { at } else { at + 1 },
        InsertPlace::FirstNonBlank => text.cursor = text.first_non_blank(at),
        InsertPlace::LineEnd => text.cursor = text.line_end(at),
        InsertPlace::LineBelow => {
            let end = text.line_end(at);
            text.insert(end, &line_end);
            text.cursor = end + 1;
        }
        InsertPlace::LineAbove => {
            text.cursor = text.line_start(at);
            text.insert(text.cursor, &line_end);
        }
    }
}

/// The blanks at the beginning of the line below become one.
fn join_lines(text: &mut VimText) {
    let end = text.line_end(text.cursor);
    if end >= text.units.len() {
        return;
    }
    let next = text.line_end(end + 1);
    let blanks = text.units.iter().take(next).skip(end + 1).take_while(|unit| unit.trim().is_empty()).count();
    text.cut(end, end + 1 + blanks);
    text.insert(end, &[" ".to_owned()]);
}

fn toggle_case(unit: &str) -> String {
    // More than a character is a chip, which stays as it is.
    let is_letter = unit.chars().nth(1).is_none();
    let toggle = |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
    if is_letter { unit.chars().map(toggle).collect() } else { unit.to_owned() }
}

/// Returns what stands in a text that was not there before, in one piece.
fn typed_since(before: &[String], after: &[String]) -> Vec<String> {
    let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let (before, after) = (before.get(same..).unwrap_or_default(), after.get(same..).unwrap_or_default());
    let same_end = before.iter().rev().zip(after.iter().rev()).take_while(|(one, other)| one == other).count();
    after.get(..after.len() - same_end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests;
