use std::fmt::Write as _;

use super::language::LanguageTable;
use super::*;
use proptest::prelude::*;

/// Reads lines and writes each piece that isn't plain as `role(text)`.
fn classified(label: &str, code: &str) -> String {
    let mut syntax = Syntax::named(label);
    let lines = code.lines().map(|line| {
        let mut out = String::new();
        syntax.line(line, &mut |text, role| match role {
            Role::Source => out.push_str(text),
            role => _ = write!(out, "{role:?}({text})"),
        });
        out
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn words_have_their_roles() {
    let cases = [
        (
            "rust",
            "pub fn a(x: u32) -> Vec<T> {",
            "Keyword(pub) Keyword(fn) Function(a)(x: Type(u32)) -> Type(Vec)<Type(T)> {",
        ),
        ("rs", "let c = 'x'; // why", "Keyword(let) c = Literal('x'); Comment(// why)"),
        (
            "rust",
            "fn f<'a>(s: &'a str) { println!(\"{s}\\\"\"); }",
            "Keyword(fn) f<Attribute('a)>(s: &Attribute('a) Type(str)) { Function(println)!(Literal(\"{s}\\\"\")); }",
        ),
        ("rust", "0..10 1.5e-3 0xff_u8 x.0", "Number(0)..Number(10) Number(1.5e-3) Number(0xff_u8) x.Number(0)"),
        ("rust", "#[derive(Debug)]", "Attribute(#[derive(Debug)])"),
        (
            "python",
            "@app.get\ndef f(): return f'{x}' # no",
            "Attribute(@app.get)\nKeyword(def) Function(f)(): Keyword(return) Literal(f'{x}') Comment(# no)",
        ),
        (
            "js",
            "const x = null ?? /* c */ `a",
            "Keyword(const) x = Number(null) ?? Comment(/*)Comment( c */) Literal(`a)",
        ),
        (
            "sh",
            "if [ -f \"$x\" ]; then echo $HOME # hi",
            "Keyword(if) [ -f Literal(\"$x\") ]; Keyword(then) Keyword(echo) Attribute($HOME) Comment(# hi)",
        ),
        ("bash", "echo a#b ${x}", "Keyword(echo) a#b Attribute(${x})"),
        ("sql", "SELECT a FROM t -- x", "Keyword(SELECT) a Keyword(FROM) t Comment(-- x)"),
        ("json", "{\"a\": [1, true, \"b\"]}", "{Attribute(\"a\"): [Number(1), Number(true), Literal(\"b\")]}"),
        ("yaml", "- name: x # c\nurl: http://a", "- Attribute(name): x Comment(# c)\nAttribute(url): http://a"),
        ("toml", "[a.b]\nk = \"v\"", "Heading([a.b])\nAttribute(k) = Literal(\"v\")"),
        ("ini", "; c\nk=v", "Comment(; c)\nAttribute(k)=v"),
        (
            "html",
            "<a href=\"x\">t &amp; u</a>",
            "Keyword(<a) Attribute(href)=Literal(\")Literal(x\")Keyword(>)t Number(&amp;) uKeyword(</a)Keyword(>)",
        ),
        ("css", ".a {\n  color: #fff;\n}", "Type(.a ){\n  Attribute(color): Number(#fff);\n}"),
        ("dockerfile", "FROM a AS b\nRUN x", "Keyword(FROM) a Keyword(AS) b\nKeyword(RUN) x"),
        ("make", "all: b\n\tcc $(X)", "Function(all): b\n\tcc Attribute($(X))"),
        (
            "diff",
            "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n c",
            "Dim(--- a/x)\nDim(+++ b/x)\nInfo(@@ -1 +1 @@)\nRemoved(-a)\nAdded(+b)\n c",
        ),
        ("console", "$ ls -la\nout", "Dim($ )ls -la\nout"),
        (
            "c",
            "#include <a.h>\nint main(void) { return 0; }",
            "Attribute(#include)Literal( <a.h>)\nType(int) Function(main)(Type(void)) { Keyword(return) Number(0); }",
        ),
        ("md", "# t\n**b** `c`", "Heading(# t)\nType(**b**) Literal(`c`)"),
        ("lua", "-- c\nlocal x = [[a\nb]]", "Comment(-- c)\nKeyword(local) x = Literal([[a)\nLiteral(b]])"),
        ("nothing", "fn x", "fn x"),
        ("", "fn x", "fn x"),
    ];
    for (label, code, expected) in cases {
        assert_eq!(classified(label, code), expected, "{label}: {code}");
    }
}

#[test]
fn strings_and_comments_go_on_over_lines() {
    let cases = [
        ("rust", "/* a /* b */\nc */ d", "Comment(/*)Comment( a /* b */)\nComment(c */) d"),
        ("rust", "r#\"a\n\"b\"# c", "Literal(r#\")Literal(a)\nLiteral(\"b\"#) c"),
        ("python", "\"\"\"a\nb\"\"\" c", "Literal(\"\"\"a)\nLiteral(b\"\"\") c"),
        ("c", "\"a\nb", "Literal(\"a)\nb"),
        ("c", "\"a\\\nb\" d", "Literal(\"a\\)\nLiteral(b\") d"),
        ("html", "<!-- a\nb --> c", "Comment(<!--)Comment( a)\nComment(b -->) c"),
        (
            "html",
            "<script>\nlet x\n</script>",
            "Keyword(<script)Keyword(>)\nKeyword(let) x\nKeyword(</script)Keyword(>)",
        ),
        ("md", "```sh\n# x\n```\n# y", "Dim(```sh)\nLiteral(# x)\nDim(```)\nHeading(# y)"),
    ];
    for (label, code, expected) in cases {
        assert_eq!(classified(label, code), expected, "{label}: {code}");
    }
}

#[test]
fn a_label_names_its_language_in_many_ways() {
    for label in ["rust", "Rust", "rs", "rust,ignore", "rust title=x", "{.rust}", "src/main.rs", "language-rust"] {
        assert_eq!(Syntax::named(label), Syntax::named("rust"), "{label}");
        assert!(!Syntax::named(label).is_none());
    }
    for label in ["", "text", "plain", "none", &"x".repeat(99)] {
        assert!(Syntax::named(label).is_none(), "{label}");
    }
}

#[test]
fn a_line_of_any_length_is_cut_off_not_read() {
    let line = "\"".to_owned() + &"é".repeat(100_000);
    let mut syntax = Syntax::named("python");
    let mut length = 0;
    syntax.line(&line, &mut |text, _| length += text.len());
    assert_eq!((length, syntax.state), (line.len(), LexerState::default()));
}

proptest! {
    #[test]
    fn the_pieces_are_the_line(row in 0..LANGUAGES.len(), code in "([a-z]{1,4}|[-#@$<>/*'\"`\\\\(){}\\[\\]:;=.!&| ]{1,3}|\"\"\"|<!--|-->|\\{-|/\\*|\\*/|r#\"|[0-9.eE+-]{1,4}|é|漢|\n){0,60}") {
        let mut syntax = Syntax { language: row as u8 + 1, state: LexerState::default() };
        for line in code.lines() {
            let mut joined = String::new();
            syntax.line(line, &mut |text, _| joined.push_str(text));
            prop_assert_eq!(joined, line);
        }
    }

    #[test]
    fn advancing_is_reading(row in 0..LANGUAGES.len(), code in "([a-z ]{1,4}|[/*'\"`<>!-]{1,3}|\n){0,40}") {
        let start = Syntax { language: row as u8 + 1, state: LexerState::default() };
        let (mut read, mut advanced) = (start, start);
        for line in code.lines() {
            read.line(line, &mut |_, _| {});
        }
        advanced.advance(&code);
        prop_assert_eq!(read, advanced);
    }
}

#[test]
fn every_language_is_read_and_has_names_of_its_own() {
    for table in LANGUAGES.iter() {
        assert!(!table.language().names.is_empty(), "{:?} can't be read", table.names().next());
        assert!(table.names().eq(table.language().names.iter().map(String::as_str)), "names stand in the first line");
    }
    let names: Vec<&str> = LANGUAGES.iter().flat_map(LanguageTable::names).collect();
    assert!(LANGUAGES.len() > 50 && LANGUAGES.len() < 256, "{}", LANGUAGES.len());
    for (nth, name) in names.iter().enumerate() {
        assert!(!names[..nth].contains(name), "{name} is named twice");
    }
    assert_eq!(Syntax::named("rust"), Syntax::named("language-rs"));
}
