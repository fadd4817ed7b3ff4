//! The grammar of normal mode: `[count] command`, `[count] operator [count] motion`, an operator twice for whole lines.

/// A motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    Up,
    Down,
    Word {
        big: bool,
    },
    WordBack {
        big: bool,
    },
    WordEnd {
        big: bool,
    },
    LineStart,
    FirstNonBlank,
    LineEnd,
    FirstLine,
    LastLine,
    Find(Find),
    /// The last one once more; its direction is settled by then.
    FindAgain(Find),
}

/// A character that is looked for in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Find {
    pub target: char,
    pub is_back: bool,
    /// Stops before it.
    pub is_till: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Delete,
    Change,
    Yank,
}

/// What an operator works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OperatorTarget {
    Motion(Motion),
    Lines,
    /// The word at the cursor, perhaps with the blanks around it.
    Word {
        around: bool,
    },
}

/// Where an insertion begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InsertPlace {
    Here,
    Behind,
    FirstNonBlank,
    LineEnd,
    LineBelow,
    LineAbove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VimCommand {
    Move(Motion),
    Operate(Operator, OperatorTarget),
    Insert(InsertPlace),
    DeleteChars,
    DeleteCharsBefore,
    Replace(char),
    ToggleCase,
    JoinLines,
    PutBehind,
    PutBefore,
    Undo,
    Repeat,
    Visual,
}

/// What the keys so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed<T> {
    Whole(T),
    Incomplete,
    Nothing,
}

impl<T> Parsed<T> {
    fn map<U>(self, make: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Whole(value) => Parsed::Whole(make(value)),
            Self::Incomplete => Parsed::Incomplete,
            Self::Nothing => Parsed::Nothing,
        }
    }
}

/// Nobody means more.
const MAX_COUNT: usize = 10_000;

/// Reads the keys of a command in normal mode, and how often it is meant. `last_find` is what `;` goes on with.
pub(super) fn parse(keys: &[char], last_find: Option<Find>) -> Parsed<(VimCommand, Option<usize>)> {
    let (count, rest) = parse_count(keys);
    let Some((first, behind)) = rest.split_first() else { return Parsed::Incomplete };
    if let Some(operator) = operator(*first) {
        return parse_target(*first, behind, last_find).map(|(target, inner)| {
            let count = match (count, inner) {
                (Some(outer), Some(inner)) => Some(outer.saturating_mul(inner).min(MAX_COUNT)),
                (outer, inner) => outer.or(inner),
            };
            (VimCommand::Operate(operator, target), count)
        });
    }
    if let ('r', behind) = (*first, behind) {
        return match behind.first() {
            Some(with) => Parsed::Whole((VimCommand::Replace(*with), count)),
            None => Parsed::Incomplete,
        };
    }
    match simple_command(*first) {
        Some(command) => Parsed::Whole((command, count)),
        None => parse_motion(rest, last_find).map(|motion| (VimCommand::Move(motion), count)),
    }
}

/// Reads the keys of a motion.
pub(super) fn parse_motion(keys: &[char], last_find: Option<Find>) -> Parsed<Motion> {
    let find =
        |target: &char, is_back, is_till| Parsed::Whole(Motion::Find(Find { target: *target, is_back, is_till }));
    match keys {
        ['g' | 'f' | 'F' | 't' | 'T'] => Parsed::Incomplete,
        ['g', 'g'] => Parsed::Whole(Motion::FirstLine),
        ['f', target] => find(target, false, false),
        ['F', target] => find(target, true, false),
        ['t', target] => find(target, false, true),
        ['T', target] => find(target, true, true),
        [';'] => last_find.map_or(Parsed::Nothing, |find| Parsed::Whole(Motion::FindAgain(find))),
        [','] => last_find
            .map_or(Parsed::Nothing, |find| Parsed::Whole(Motion::FindAgain(Find { is_back: !find.is_back, ..find }))),
        [key] => simple_motion(*key).map_or(Parsed::Nothing, Parsed::Whole),
        _ => Parsed::Nothing,
    }
}

pub(super) fn parse_count(keys: &[char]) -> (Option<usize>, &[char]) {
    // A zero alone is a motion.
    let digits = keys.iter().take_while(|key| key.is_ascii_digit()).count();
    if digits == 0 || keys.first() == Some(&'0') {
        return (None, keys);
    }
    let (number, rest) = keys.split_at(digits);
    let count = number
        .iter()
        .filter_map(|digit| digit.to_digit(10))
        .fold(0_usize, |count, digit| count.saturating_mul(10).saturating_add(digit as usize).min(MAX_COUNT));
    (Some(count.max(1)), rest)
}

fn parse_target(operator: char, keys: &[char], last_find: Option<Find>) -> Parsed<(OperatorTarget, Option<usize>)> {
    let (count, rest) = parse_count(keys);
    match rest {
        [] | ['i' | 'a'] => Parsed::Incomplete,
        [same] if *same == operator => Parsed::Whole((OperatorTarget::Lines, count)),
        ['i', 'w'] => Parsed::Whole((OperatorTarget::Word { around: false }, count)),
        ['a', 'w'] => Parsed::Whole((OperatorTarget::Word { around: true }, count)),
        rest => parse_motion(rest, last_find).map(|motion| (OperatorTarget::Motion(motion), count)),
    }
}

fn operator(key: char) -> Option<Operator> {
    Some(match key {
        'd' => Operator::Delete,
        'c' => Operator::Change,
        'y' => Operator::Yank,
        _ => return None,
    })
}

fn simple_command(key: char) -> Option<VimCommand> {
    use OperatorTarget::{Lines, Motion as To};
    Some(match key {
        'i' => VimCommand::Insert(InsertPlace::Here),
        'a' => VimCommand::Insert(InsertPlace::Behind),
        'I' => VimCommand::Insert(InsertPlace::FirstNonBlank),
        'A' => VimCommand::Insert(InsertPlace::LineEnd),
        'o' => VimCommand::Insert(InsertPlace::LineBelow),
        'O' => VimCommand::Insert(InsertPlace::LineAbove),
        'x' => VimCommand::DeleteChars,
        'X' => VimCommand::DeleteCharsBefore,
        'D' => VimCommand::Operate(Operator::Delete, To(Motion::LineEnd)),
        'C' => VimCommand::Operate(Operator::Change, To(Motion::LineEnd)),
        's' => VimCommand::Operate(Operator::Change, To(Motion::Right)),
        'S' => VimCommand::Operate(Operator::Change, Lines),
        'Y' => VimCommand::Operate(Operator::Yank, Lines),
        '~' => VimCommand::ToggleCase,
        'J' => VimCommand::JoinLines,
        'p' => VimCommand::PutBehind,
        'P' => VimCommand::PutBefore,
        'u' => VimCommand::Undo,
        '.' => VimCommand::Repeat,
        'v' => VimCommand::Visual,
        _ => return None,
    })
}

fn simple_motion(key: char) -> Option<Motion> {
    Some(match key {
        'h' => Motion::Left,
        'l' | ' ' => Motion::Right,
        'j' => Motion::Down,
        'k' => Motion::Up,
        'w' => Motion::Word { big: false },
        'W' => Motion::Word { big: true },
        'b' => Motion::WordBack { big: false },
        'B' => Motion::WordBack { big: true },
        'e' => Motion::WordEnd { big: false },
        'E' => Motion::WordEnd { big: true },
        '0' => Motion::LineStart,
        '^' => Motion::FirstNonBlank,
        '$' => Motion::LineEnd,
        'G' => Motion::LastLine,
        _ => return None,
    })
}
