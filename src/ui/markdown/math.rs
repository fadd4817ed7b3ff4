//! Mathematics as a person would type it: `\frac{a}{b}` is a/b, `x_1^2` is x₁², `\alpha \le \beta` is α ≤ β.
//!
//! Not a typesetter: all stands on one line, or one a row of an aligned block. The invariant: what isn't known is shown
//! as it was written, nothing is dropped but marks of layout, and any text is read in time linear in its length.

mod dollars;
mod symbols;

use std::fmt::Write as _;

pub(super) use dollars::{brackets_to_dollars, is_price};
use symbols::{SymbolKind, accent, letter, script, symbol};

/// Groups inside each other; deeper ones are shown as they are written.
const MAX_DEPTH: u32 = 24;
/// Longer formulas are shown as they are written.
const MAX_FORMULA_BYTES: usize = 16 * 1024;

/// Returns a formula as readable text. Rows of an aligned one are lines.
pub(super) fn to_unicode(tex: &str) -> String {
    if tex.len() > MAX_FORMULA_BYTES {
        return tex.to_owned();
    }
    let mut reader = TexReader { tex, at: 0, depth: 0 };
    let mut out = String::new();
    while !reader.rest().is_empty() {
        out.push_str(&reader.read_until(GroupEnd::Text));
        // A bracket that nothing opened.
        if let Some(c) = reader.next() {
            out.push(c);
        }
    }
    let lines = out.split('\n').map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Returns a text as it is written small above or below the line, if all of it can be.
pub(super) fn to_script(text: &str, up: bool) -> Option<String> {
    text.chars().map(|c| script(c, up)).collect::<Option<String>>().filter(|small| !small.is_empty())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupEnd {
    Text,
    Brace,
    Bracket,
    /// `\end`, `\\` and `&` are left for whoever asked.
    Cell,
    /// `\right`.
    Right,
}

struct TexReader<'a> {
    tex: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> TexReader<'a> {
    fn rest(&self) -> &'a str {
        self.tex.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Reads a command's name after the backslash: letters, or one character that is none.
    fn name(&mut self) -> &'a str {
        let rest = self.rest();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let length = if letters > 0 { letters } else { rest.chars().next().map_or(0, char::len_utf8) };
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    /// Looks at the command that comes next.
    fn command(&self) -> &'a str {
        let Some(rest) = self.rest().strip_prefix('\\') else { return "" };
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if letters > 0 { rest.get(..letters).unwrap_or("") } else { rest.get(..1).unwrap_or("") }
    }

    /// Reads up to an end, which stays unread.
    fn read_until(&mut self, end: GroupEnd) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            let ends = match c {
                '}' => true,
                ']' => end == GroupEnd::Bracket,
                '&' => end == GroupEnd::Cell,
                '\\' => match self.command() {
                    "end" | "\\" | "cr" => end == GroupEnd::Cell,
                    "right" => end == GroupEnd::Right,
                    _ => false,
                },
                _ => false,
            };
            if ends {
                return out;
            }
            self.read_piece(&mut out);
        }
        out
    }

    /// Reads the next thing and what hangs on it.
    fn read_piece(&mut self, out: &mut String) {
        match self.next() {
            Some('^') => self.read_script(true, out),
            Some('_') => self.read_script(false, out),
            Some('{') => out.push_str(&self.read_group()),
            Some('\\') => self.read_command(out),
            Some('&' | '~') => out.push(' '),
            Some('\'') => out.push('′'),
            Some('-') => out.push('−'),
            Some(c) if c.is_whitespace() => out.push(' '),
            Some(c) => out.push(c),
            None => {}
        }
    }

    /// Reads the rest of a group in braces.
    fn read_group(&mut self) -> String {
        if self.depth >= MAX_DEPTH {
            return String::from("{");
        }
        self.depth += 1;
        let inside = self.read_until(GroupEnd::Brace);
        self.depth -= 1;
        if self.eat("}") { inside } else { format!("{{{inside}") }
    }

    /// Reads one argument: a group, a command or a character.
    fn read_argument(&mut self) -> String {
        self.skip_blanks();
        let mut out = String::new();
        if !matches!(self.peek(), Some('}' | '&') | None) && self.depth < MAX_DEPTH {
            self.depth += 1;
            self.read_piece(&mut out);
            self.depth -= 1;
        }
        out.trim().to_owned()
    }

    /// Reads one argument as it is written.
    fn read_verbatim(&mut self) -> &'a str {
        self.skip_blanks();
        if !self.eat("{") {
            return "";
        }
        let rest = self.rest();
        let mut open = 1;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                self.at += at + 1;
                return rest.get(..at).unwrap_or("");
            }
        }
        self.at = self.tex.len();
        rest
    }

    /// `[…]` after a command.
    fn read_option(&mut self) -> Option<String> {
        self.skip_blanks();
        if !self.eat("[") {
            return None;
        }
        let inside = self.read_until(GroupEnd::Bracket);
        self.eat("]");
        Some(inside)
    }

    fn read_script(&mut self, up: bool, out: &mut String) {
        let argument = self.read_argument();
        let bare: String = argument.chars().filter(|c| !c.is_whitespace()).collect();
        let small: Option<String> = bare.chars().map(|c| script(c, up)).collect();
        let mark = if up { '^' } else { '_' };
        match small {
            Some(small) if !small.is_empty() => {
                while out.ends_with(' ') {
                    out.pop();
                }
                out.push_str(&small);
            }
            _ if bare.chars().count() <= 1 => {
                out.push(mark);
                out.push_str(&bare);
            }
            _ => {
                out.push(mark);
                out.push('(');
                out.push_str(&argument);
                out.push(')');
            }
        }
    }

    fn read_command(&mut self, out: &mut String) {
        let name = self.name();
        match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => {
                let (above, below) = (self.read_argument(), self.read_argument());
                spaced_word(out);
                out.push_str(&bracketed(&above, false));
                out.push('/');
                out.push_str(&bracketed(&below, true));
            }
            "sqrt" => {
                let root = self.read_option().unwrap_or_default();
                let under = self.read_argument();
                let small: Option<String> = root.trim().chars().map(|c| script(c, true)).collect();
                match small {
                    Some(small) => out.push_str(&small),
                    None => _ = write!(out, "({})", root.trim()),
                }
                out.push('√');
                out.push_str(&bracketed(&under, true));
            }
            "binom" | "dbinom" | "tbinom" => {
                let (n, k) = (self.read_argument(), self.read_argument());
                _ = write!(out, "C({n}, {k})");
            }
            "text" | "textrm" | "textbf" | "textit" | "texttt" | "textsf" | "mbox" | "hbox" | "operatorname"
            | "operatorname*" => {
                let words = self.read_verbatim();
                if name.starts_with("operator") {
                    spaced_word(out);
                }
                out.push_str(words);
            }
            "mathrm" | "mathbf" | "mathit" | "mathsf" | "mathtt" | "boldsymbol" | "bm" | "mathop" | "mathord"
            | "mathbin" | "mathrel" | "displaystyle" | "textstyle" | "limits" | "nolimits" | "scriptstyle" | "big"
            | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr" | "biggl" | "biggr" | "middle"
            | "nonumber" | "notag" | "!" => {}
            "mathbb" | "mathcal" | "mathscr" | "mathfrak" => {
                let argument = self.read_argument();
                out.extend(argument.chars().map(|c| letter(name, c)));
            }
            "label" | "hspace" | "vspace" | "color" | "phantom" | "hphantom" => {
                self.read_verbatim();
            }
            "tag" => {
                let tag = self.read_verbatim();
                _ = write!(out, "  ({tag})");
            }
            "boxed" | "fbox" => {
                let inside = self.read_argument();
                _ = write!(out, "[ {inside} ]");
            }
            "underbrace" | "overbrace" | "underline" | "smash" => {
                let inside = self.read_argument();
                out.push_str(&inside);
            }
            "overset" | "stackrel" | "underset" => {
                let (small, base) = (self.read_argument(), self.read_argument());
                let mark = if name == "underset" { '_' } else { '^' };
                _ = write!(out, "{base}{mark}({small})");
            }
            "xrightarrow" | "xleftarrow" => {
                let over = self.read_argument();
                _ = write!(out, " ─{over}{} ", if name == "xrightarrow" { '→' } else { '←' });
            }
            "pmod" => {
                let n = self.read_argument();
                _ = write!(out, " (mod {n})");
            }
            "not" => {
                self.skip_blanks();
                let before = out.len();
                self.read_piece(out);
                if let Some((at, last)) = out.char_indices().next_back().filter(|(at, _)| *at >= before) {
                    out.insert(at + last.len_utf8(), '\u{338}');
                }
            }
            "left" => self.read_delimited(out),
            "right" => self.read_delimiter(out),
            "begin" => self.read_environment(out),
            "end" => {
                let name = self.read_verbatim();
                _ = write!(out, "\\end{{{name}}}");
            }
            "\\" | "cr" | "newline" => {
                self.read_option();
                out.push('\n');
            }
            "," | ";" | ":" | ">" | " " | "quad" | "qquad" | "enspace" | "thinspace" => out.push(' '),
            "{" | "}" | "$" | "%" | "#" | "&" | "_" => out.push_str(name),
            "|" => out.push('‖'),
            _ => self.symbol(name, out),
        }
    }

    fn symbol(&mut self, name: &str, out: &mut String) {
        if let Some(mark) = accent(name) {
            let inside = self.read_argument();
            for c in inside.chars() {
                out.push(c);
                if !c.is_whitespace() {
                    out.push(mark);
                }
            }
            return;
        }
        match symbol(name) {
            Some((text, SymbolKind::Relation)) => {
                if !out.is_empty() && !out.ends_with([' ', '\n', '(']) {
                    out.push(' ');
                }
                out.push_str(text);
                out.push(' ');
                self.skip_blanks();
            }
            Some((text, SymbolKind::Word)) => {
                spaced_word(out);
                out.push_str(text);
                if self.peek().is_some_and(char::is_alphanumeric) || self.rest().starts_with('\\') {
                    out.push(' ');
                }
            }
            Some((text, SymbolKind::Plain)) => out.push_str(text),
            None => {
                out.push('\\');
                out.push_str(name);
            }
        }
    }

    /// `\left( … \right)`.
    fn read_delimited(&mut self, out: &mut String) {
        self.read_delimiter(out);
        if self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        let inside = self.read_until(GroupEnd::Right);
        self.depth -= 1;
        out.push_str(inside.trim());
        if self.command() == "right" {
            self.at += "\\right".len();
            self.read_delimiter(out);
        }
    }

    /// One bracket, where a dot stands for none.
    fn read_delimiter(&mut self, out: &mut String) {
        self.skip_blanks();
        if !self.eat(".") && !matches!(self.peek(), Some('^' | '_' | '}' | '&')) {
            self.read_piece(out);
        }
    }

    fn read_environment(&mut self, out: &mut String) {
        let name = self.read_verbatim();
        let plain = name.trim_end_matches('*');
        let (open, close, between, ends) = match plain {
            "matrix" | "array" | "smallmatrix" => ("[", "]", " ", "; "),
            "pmatrix" => ("(", ")", " ", "; "),
            "bmatrix" | "Bmatrix" => ("[", "]", " ", "; "),
            "vmatrix" => ("|", "|", " ", "; "),
            "Vmatrix" => ("‖", "‖", " ", "; "),
            "cases" | "dcases" => ("{ ", "", " ", "; "),
            "substack" => ("", "", " ", ", "),
            _ => ("", "", " ", "\n"),
        };
        if plain == "array" || plain == "alignat" {
            self.read_verbatim();
        }
        if self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        let mut rows = vec![Vec::new()];
        while !self.rest().is_empty() {
            let cell = self.read_until(GroupEnd::Cell);
            if let Some(row) = rows.last_mut() {
                row.push(cell.trim().to_owned());
            }
            match (self.peek(), self.command()) {
                (Some('&'), _) => self.at += 1,
                (_, "\\" | "cr") => {
                    self.next();
                    self.name();
                    self.read_option();
                    rows.push(Vec::new());
                }
                (_, "end") => {
                    self.at += "\\end".len();
                    self.read_verbatim();
                    break;
                }
                // A bracket of someone around.
                _ => break,
            }
        }
        self.depth -= 1;
        let rows: Vec<String> = rows
            .iter()
            .map(|row| row.iter().filter(|cell| !cell.is_empty()).map(String::as_str).collect::<Vec<_>>().join(between))
            .filter(|row| !row.is_empty())
            .collect();
        out.push_str(open);
        out.push_str(&rows.join(ends));
        out.push_str(close);
    }
}

/// Parts a word from a letter before it.
fn spaced_word(out: &mut String) {
    if out.ends_with(char::is_alphanumeric) {
        out.push(' ');
    }
}

/// Puts brackets around what would be read wrongly without them.
fn bracketed(text: &str, below: bool) -> String {
    let text = text.trim();
    let wrapped = text.starts_with('(') && text.ends_with(')') && text.matches('(').count() == 1;
    let mut depth = 0u32;
    let sums = text.chars().any(|c| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // What stands in brackets holds together already.
        (below || depth == 0) && matches!(c, ' ' | '+' | '−' | '±' | '/' | '=' | '·' | '×' | ',')
    });
    let digits = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let letters = text.chars().filter(|c| c.is_alphanumeric() && is_on_baseline(*c)).count();
    if wrapped || !(sums || (below && !digits && letters > 1)) { text.to_owned() } else { format!("({text})") }
}

/// Tells a letter on the line from a small one that hangs on it.
fn is_on_baseline(c: char) -> bool {
    !matches!(c, '\u{2070}'..='\u{209f}' | '\u{1d2c}'..='\u{1d7f}' | '²' | '³' | '¹')
}

#[cfg(test)]
mod tests;
