//! Mathematics as a person would type it: `\frac{a}{b}` is a/b, `x_1^2` is x₁², `\alpha \le \beta` is α ≤ β.
//!
//! Not a typesetter: all stands on one line, or one a row of an aligned block. The invariant: what isn't known is shown
//! as it was written, nothing is dropped but marks of layout, and any text is read in time linear in its length.

mod symbols;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use symbols::{Kind, accent, letter, script, symbol};

/// Groups inside each other; deeper ones are shown as they are written.
const DEEPEST: u32 = 24;
/// Longer formulas are shown as they are written.
const LONGEST: usize = 16 * 1024;
/// Between TeX's own brackets there is no more than that.
const LONGEST_BRACKETS: usize = 4 * 1024;

/// Returns a formula as readable text. Rows of an aligned one are lines.
pub(super) fn readable(tex: &str) -> String {
    if tex.len() > LONGEST {
        return tex.to_owned();
    }
    let mut reader = Reader { tex, at: 0, depth: 0 };
    let mut out = String::new();
    while !reader.rest().is_empty() {
        out.push_str(&reader.list(End::Text));
        // A bracket that nothing opened.
        if let Some(c) = reader.next() {
            out.push(c);
        }
    }
    let lines = out.split('\n').map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Returns a text as it is written small above or below the line, if all of it can be.
pub(super) fn small(text: &str, up: bool) -> Option<String> {
    text.chars().map(|c| script(c, up)).collect::<Option<String>>().filter(|small| !small.is_empty())
}

/// Writes `\\( … \\)` and `\\[ … \\]` with dollars, as the parser knows formulas. `code` is where they mean themselves.
pub(super) fn dollars<'a>(text: &'a str, code: &[Range<usize>]) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let in_code =
        |at: usize| code.get(code.partition_point(|range| range.end <= at)).is_some_and(|range| range.start <= at);
    // Where each bracket closes next, so that a text without one is searched for it once.
    let mut closes = [("\\)", "$"), ("\\]", "$$")].map(|(close, mark)| (close, mark, text.find(close)));
    let (mut out, mut done, mut from) = (String::new(), 0, 0);
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let start = from + at;
        // Whatever a backslash stands before, it is no opening for a second one.
        from = start + 2;
        let kind = match bytes.get(start + 1) {
            Some(b'(') => 0,
            Some(b'[') => 1,
            _ => continue,
        };
        let (close, mark, next) = &mut closes[kind];
        if next.is_some_and(|next| next < from) {
            *next = text.get(from..).and_then(|rest| rest.find(*close)).map(|at| from + at);
        }
        let Some(end) = next.filter(|end| end - from <= LONGEST_BRACKETS) else { continue };
        let inside = text.get(from..end).unwrap_or("");
        let blank = !inside.contains(char::is_alphanumeric) || inside.contains("\n\n");
        if blank || inside.contains('$') || in_code(start) || in_code(end) {
            continue;
        }
        out.push_str(text.get(done..start).unwrap_or(""));
        out.push_str(mark);
        out.push_str(if kind == 0 { inside.trim_matches([' ', '\t']) } else { inside });
        out.push_str(mark);
        done = end + 2;
        from = done;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Cow::Owned(out)
}

/// Tells text between two prices from a formula.
pub(super) fn is_money(tex: &str) -> bool {
    let formula = tex.contains(['\\', '^', '_', '=', '{', '<', '>', '+', '*']);
    let digit = tex.starts_with(|c: char| c.is_ascii_digit());
    digit && !formula && tex.contains(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | ',' | '/'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Text,
    Brace,
    Bracket,
    /// `\end`, `\\` and `&` are left for whoever asked.
    Cell,
    /// `\right`.
    Right,
}

struct Reader<'a> {
    tex: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
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
    fn list(&mut self, end: End) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            let ends = match c {
                '}' => true,
                ']' => end == End::Bracket,
                '&' => end == End::Cell,
                '\\' => match self.command() {
                    "end" | "\\" | "cr" => end == End::Cell,
                    "right" => end == End::Right,
                    _ => false,
                },
                _ => false,
            };
            if ends {
                return out;
            }
            self.piece(&mut out);
        }
        out
    }

    /// Reads the next thing and what hangs on it.
    fn piece(&mut self, out: &mut String) {
        match self.next() {
            Some('^') => self.scripted(true, out),
            Some('_') => self.scripted(false, out),
            Some('{') => out.push_str(&self.braced()),
            Some('\\') => self.commanded(out),
            Some('&' | '~') => out.push(' '),
            Some('\'') => out.push('′'),
            Some('-') => out.push('−'),
            Some(c) if c.is_whitespace() => out.push(' '),
            Some(c) => out.push(c),
            None => {}
        }
    }

    /// Reads the rest of a group in braces.
    fn braced(&mut self) -> String {
        if self.depth >= DEEPEST {
            return String::from("{");
        }
        self.depth += 1;
        let inside = self.list(End::Brace);
        self.depth -= 1;
        if self.eat("}") { inside } else { format!("{{{inside}") }
    }

    /// Reads one argument: a group, a command or a character.
    fn argument(&mut self) -> String {
        self.skip_blanks();
        let mut out = String::new();
        if !matches!(self.peek(), Some('}' | '&') | None) && self.depth < DEEPEST {
            self.depth += 1;
            self.piece(&mut out);
            self.depth -= 1;
        }
        out.trim().to_owned()
    }

    /// Reads one argument as it is written.
    fn verbatim(&mut self) -> &'a str {
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
    fn option(&mut self) -> Option<String> {
        self.skip_blanks();
        if !self.eat("[") {
            return None;
        }
        let inside = self.list(End::Bracket);
        self.eat("]");
        Some(inside)
    }

    fn scripted(&mut self, up: bool, out: &mut String) {
        let argument = self.argument();
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

    fn commanded(&mut self, out: &mut String) {
        let name = self.name();
        match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => {
                let (above, below) = (self.argument(), self.argument());
                spaced_word(out);
                out.push_str(&bracketed(&above, false));
                out.push('/');
                out.push_str(&bracketed(&below, true));
            }
            "sqrt" => {
                let root = self.option().unwrap_or_default();
                let under = self.argument();
                let small: Option<String> = root.trim().chars().map(|c| script(c, true)).collect();
                match small {
                    Some(small) => out.push_str(&small),
                    None => _ = write!(out, "({})", root.trim()),
                }
                out.push('√');
                out.push_str(&bracketed(&under, true));
            }
            "binom" | "dbinom" | "tbinom" => {
                let (n, k) = (self.argument(), self.argument());
                _ = write!(out, "C({n}, {k})");
            }
            "text" | "textrm" | "textbf" | "textit" | "texttt" | "textsf" | "mbox" | "hbox" | "operatorname"
            | "operatorname*" => {
                let words = self.verbatim();
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
                let argument = self.argument();
                out.extend(argument.chars().map(|c| letter(name, c)));
            }
            "label" | "hspace" | "vspace" | "color" | "phantom" | "hphantom" => {
                self.verbatim();
            }
            "tag" => {
                let tag = self.verbatim();
                _ = write!(out, "  ({tag})");
            }
            "boxed" | "fbox" => {
                let inside = self.argument();
                _ = write!(out, "[ {inside} ]");
            }
            "underbrace" | "overbrace" | "underline" | "smash" => {
                let inside = self.argument();
                out.push_str(&inside);
            }
            "overset" | "stackrel" | "underset" => {
                let (small, base) = (self.argument(), self.argument());
                let mark = if name == "underset" { '_' } else { '^' };
                _ = write!(out, "{base}{mark}({small})");
            }
            "xrightarrow" | "xleftarrow" => {
                let over = self.argument();
                _ = write!(out, " ─{over}{} ", if name == "xrightarrow" { '→' } else { '←' });
            }
            "pmod" => {
                let n = self.argument();
                _ = write!(out, " (mod {n})");
            }
            "not" => {
                self.skip_blanks();
                let before = out.len();
                self.piece(out);
                if let Some((at, last)) = out.char_indices().next_back().filter(|(at, _)| *at >= before) {
                    out.insert(at + last.len_utf8(), '\u{338}');
                }
            }
            "left" => self.delimited(out),
            "right" => self.delimiter(out),
            "begin" => self.environment(out),
            "end" => {
                let name = self.verbatim();
                _ = write!(out, "\\end{{{name}}}");
            }
            "\\" | "cr" | "newline" => {
                self.option();
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
            let inside = self.argument();
            for c in inside.chars() {
                out.push(c);
                if !c.is_whitespace() {
                    out.push(mark);
                }
            }
            return;
        }
        match symbol(name) {
            Some((text, Kind::Relation)) => {
                if !out.is_empty() && !out.ends_with([' ', '\n', '(']) {
                    out.push(' ');
                }
                out.push_str(text);
                out.push(' ');
                self.skip_blanks();
            }
            Some((text, Kind::Word)) => {
                spaced_word(out);
                out.push_str(text);
                if self.peek().is_some_and(char::is_alphanumeric) || self.rest().starts_with('\\') {
                    out.push(' ');
                }
            }
            Some((text, Kind::Plain)) => out.push_str(text),
            None => {
                out.push('\\');
                out.push_str(name);
            }
        }
    }

    /// `\left( … \right)`.
    fn delimited(&mut self, out: &mut String) {
        self.delimiter(out);
        if self.depth >= DEEPEST {
            return;
        }
        self.depth += 1;
        let inside = self.list(End::Right);
        self.depth -= 1;
        out.push_str(inside.trim());
        if self.command() == "right" {
            self.at += "\\right".len();
            self.delimiter(out);
        }
    }

    /// One bracket, where a dot stands for none.
    fn delimiter(&mut self, out: &mut String) {
        self.skip_blanks();
        if !self.eat(".") && !matches!(self.peek(), Some('^' | '_' | '}' | '&')) {
            self.piece(out);
        }
    }

    fn environment(&mut self, out: &mut String) {
        let name = self.verbatim();
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
            self.verbatim();
        }
        if self.depth >= DEEPEST {
            return;
        }
        self.depth += 1;
        let mut rows = vec![Vec::new()];
        while !self.rest().is_empty() {
            let cell = self.list(End::Cell);
            if let Some(row) = rows.last_mut() {
                row.push(cell.trim().to_owned());
            }
            match (self.peek(), self.command()) {
                (Some('&'), _) => self.at += 1,
                (_, "\\" | "cr") => {
                    self.next();
                    self.name();
                    self.option();
                    rows.push(Vec::new());
                }
                (_, "end") => {
                    self.at += "\\end".len();
                    self.verbatim();
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
    let sums = text.contains([' ', '+', '−', '±', '/', '=', '·', '×', ',']);
    let digits = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let letters = text.chars().filter(|c| c.is_alphanumeric() && script_of(*c)).count();
    if wrapped || !(sums || (below && !digits && letters > 1)) { text.to_owned() } else { format!("({text})") }
}

/// Tells a letter on the line from a small one that hangs on it.
fn script_of(c: char) -> bool {
    !matches!(c, '\u{2070}'..='\u{209f}' | '\u{1d2c}'..='\u{1d7f}' | '²' | '³' | '¹')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_read_like_typed_ones() {
        let cases = [
            ("x^2 + y^2 = z^2", "x² + y² = z²"),
            (r"\frac{a}{b}", "a/b"),
            (r"\frac{a+b}{2a}", "(a+b)/(2a)"),
            (r"\frac{1}{n^2}", "1/n²"),
            (r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x = (−b ± √(b² − 4ac))/(2a)"),
            (r"\sum_{i=1}^{n} i = \frac{n(n+1)}{2}", "∑ᵢ₌₁ⁿ i = (n(n+1))/2"),
            (r"\int_0^\infty e^{-x^2}\,dx", "∫₀^∞ e^(−x²) dx"),
            (r"\alpha\le\beta \to \infty", "α ≤ β → ∞"),
            (r"\forall x \in \mathbb{R}: x \neq \emptyset", "∀ x ∈ ℝ: x ≠ ∅"),
            (r"\lim_{x\to0} \sin x", "lim_(x → 0) sin x"),
            (r"\sqrt[3]{x} \sqrt{2}", "³√x √2"),
            (r"\hat{x} \vec v \overline{AB}", "x\u{302} v\u{20d7} A\u{305}B\u{305}"),
            (r"\left( \frac{a}{b} \right)^2", "(a/b)²"),
            (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a b; c d)"),
            (r"f(x) = \begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}", "f(x) = { 1 x > 0; 0 otherwise"),
            ("\\begin{aligned} a &= b \\\\ &= c \\end{aligned}", "a = b\n= c"),
            (r"\text{if } x \text{ then}", "if x then"),
            (r"P(A \mid B) \cdot 2", "P(A ∣ B) · 2"),
            (r"O(n \log n)", "O(n log n)"),
            (r"x_{ij} + x_{max}", "xᵢⱼ + xₘₐₓ"),
            (r"x_{Q}", "x_Q"),
            (r"\{1, 2\} \unknown{y}", r"{1, 2} \unknowny"),
            (r"a \not= b", "a =\u{338} b"),
            ("f'(x)", "f′(x)"),
            (r"10\%", "10%"),
            ("{", "{"),
            ("}", "}"),
            (r"\", r"\"),
            (r"\frac", "/"),
            ("", ""),
        ];
        for (tex, expected) in cases {
            assert_eq!(readable(tex), expected, "{tex}");
        }
    }

    #[test]
    fn prices_are_no_formula() {
        for text in ["5 and ", "10-", "5, then "] {
            assert!(is_money(text), "{text}");
        }
        for tex in ["x", "5", "2x", "5 + 3", "1 \\le n", "n - 1"] {
            assert!(!is_money(tex), "{tex}");
        }
    }

    #[test]
    fn brackets_become_dollars_where_they_are_no_code() {
        let cases = [
            (r"a \( x \) b \[ y \]", "a $x$ b $$ y $$"),
            (r"\\(x\\) \() \(", r"\\(x\\) \() \("),
            (r"\(\) \(a$\)", r"\(\) \(a$\)"),
        ];
        for (text, expected) in cases {
            assert_eq!(dollars(text, &[]), expected, "{text}");
        }
        let code = Range { start: 0, end: 7 };
        assert_eq!(dollars(r"`\(x\)`", std::slice::from_ref(&code)), r"`\(x\)`");
        dollars(&r"\(".repeat(100_000), &[]);
        dollars(&format!("{}\\)", r"\(".repeat(100_000)), &[]);
    }

    #[test]
    fn depth_and_length_are_bounded() {
        readable(&"{".repeat(10_000));
        readable(&r"\frac{".repeat(2_000));
        readable(&r"\left(".repeat(2_000));
        readable(&r"\begin{matrix}".repeat(1_000));
        readable(&"x_".repeat(8_000));
        assert_eq!(readable(&"x".repeat(100_000)).len(), 100_000);
    }

    proptest! {
        #[test]
        fn any_text_is_read(tex in r"(\\[a-z]{1,6}|[{}\[\]()^_&~'$%]|\\\\|[a-zA-Z0-9 =+-]|\\begin\{cases\}|\\end\{cases\}|\\left|\\right|é){0,60}") {
            let out = readable(&tex);
            prop_assert!(out.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
