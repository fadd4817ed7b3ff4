use super::*;

/// Lays out a text block by block as the transcript does.
fn check(text: &str, width: u16, expected: &[&str]) {
    let definitions = Definitions::parse(text);
    let mut rows = Vec::new();
    for block in Splitter::split(text).stable() {
        let setting = RenderContext { definitions: Some(&definitions), text, width, ..RenderContext::default() };
        let laid = lay_block(block.source(text), block.kind, setting).to_strings();
        if block.gap && !laid.is_empty() {
            rows.push(String::new());
        }
        rows.extend(laid);
    }
    let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
    assert_eq!(rows, expected, "{text:?} at {width}");
}

#[test]
fn paragraphs_and_breaks() {
    check("one\ntwo  \nthree\n\nfour", 20, &["one two", "three", "", "four"]);
    check("a *b* **c** ~~d~~ `e  f`", 20, &["a b c d e  f"]);
}

#[test]
fn headings() {
    check("# One\ntext\n\nTwo\n---\n", 20, &["One", "", "text", "", "Two"]);
}

#[test]
fn lists_nest_and_count() {
    check("- a\n- b\n  - c\n    1. d\n- e", 20, &["• a", "• b", "  ◦ c", "    1. d", "• e"]);
    check("3. a\n3. b\n\n   more\n3. c", 20, &["3. a", "4. b", "", "   more", "5. c"]);
    check("- [x] done\n- [ ] open\n-\n", 20, &["☑ done", "☐ open", "•"]);
    check("- long words wrap here", 12, &["• long words", "  wrap here"]);
    check("1. a\n   ```sh\n   ls\n   ```\n2. b", 20, &["1. a", "   sh", "   │ ls", "2. b"]);
}

#[test]
fn quotes_and_alerts() {
    check("> a\n> b\n>\n> > c\n", 20, &["▎ a b", "▎", "▎ ▎ c"]);
    check("> [!WARNING]\n> hot\n", 20, &["▎ Warning", "▎ hot"]);
    check("> ```\n> x\n> ```\n", 20, &["▎ │ x"]);
}

#[test]
fn code_keeps_its_lines() {
    check("```rust\nfn a() {\n\tb\n}\n```\nafter", 20, &["rust", "│ fn a() {", "│     b", "│ }", "", "after"]);
    check("~~~\n0123456789\n~~~", 8, &["│ 012345", "┊ 6789"]);
    check("    indented\n", 20, &["│ indented"]);
    check("```\n```", 20, &["│"]);
    check("```\nopen", 20, &["│ open"]);
    check("``` c&plus;\\+ x=1\na\n```\n", 20, &["c++ x=1", "│ a"]);
}

#[test]
fn tables_fit_wrap_or_stack() {
    let table = "| Name | Value |\n|:-----|------:|\n| a | 1 |\n| bb | 22 |\n";
    check(table, 20, &["Name │ Value", "─────┼──────", "a    │     1", "bb   │    22"]);
    let wide = "| key | text |\n|---|---|\n| a | many words in one cell |\n";
    check(wide, 20, &["key │ text", "────┼───────────────", "a   │ many words in", "    │ one cell"]);
    check(wide, 8, &["key: a", "text:", "many", "words in", "one cell"]);
}

#[test]
fn links_say_where_they_go() {
    check("[a](https://x.y) <https://x.y/>", 60, &["a https://x.y/"]);
    check("[bank.example](https://x.y) [a](javascript:b)", 60, &["bank.example (https://x.y) a (javascript:b)"]);
    check("[](https://x.y)", 60, &["(https://x.y)"]);
    check("![alt](p.png)", 60, &["[image: alt] (p.png)"]);
    check("![a](data:image/png;base64,iVBORw0K)", 60, &["[image: a] (data: image/png, 6 bytes)"]);
    check("[b](data:,x)", 60, &["b (data: text/plain, 1 byte)"]);
    check("[a][r] [b][none]\n\n[r]: /there\n", 60, &["a (/there) [b][none]"]);
    check("see[^1]\n\n[^1]: the note\n", 60, &["see[1]", "", "[1] the note"]);
    check("see[^2]\n", 60, &["see[^2]"]);
    check("[r]: /there \"title\"\n", 60, &["[r]: /there \"title\""]);
}

#[test]
fn usual_tags_do_what_they_say_and_others_are_shown() {
    check("<div>\n  <b>x</b>\n</div>\n\na <br> b", 30, &["x", "", "a", "b"]);
    check("H<sub>2</sub>O x<sup>2</sup> <kbd>Esc</kbd>", 30, &["H₂O x² Esc"]);
    check("<details>\n<summary>More</summary>\n\ntext\n\n</details>", 30, &["▾ More", "", "text"]);
    check("<ul>\n<li>a &lt; b</li>\n<li>c</li>\n</ul>", 30, &["• a < b", "• c"]);
    check("<thinking>a</thinking> <!-- hidden -->", 60, &["<thinking>a</thinking> <!-- hidden -->"]);
    check("<img src=\"a.png\" alt=\"A\">", 30, &["[image: A] (a.png)"]);
    check("<table><tr><th>a</th><td>b</td></tr><tr><td>c</td></tr></table>", 30, &["a  b", "c"]);
    check("<script>\nlet x\n</script>", 30, &["<script>", "let x", "</script>"]);
}

#[test]
fn formulas_read_like_typed_ones() {
    check("so $x^2$ is \\(\\alpha \\le 1\\).", 60, &["so x² is α ≤ 1."]);
    check("so\n$$\na = b \\\\\nc\n$$\nend", 60, &["so", "  a = b", "  c", "end"]);
    check("\\[ \\frac{1}{2} \\]", 60, &["  1/2"]);
    check("from $5 to $10, $7-$9 and `\\(x\\)` \\\\(y", 60, &["from $5 to $10, $7-$9 and \\(x\\) \\(y"]);
    check("```\n\\(x\\)\n```\n", 60, &["│ \\(x\\)"]);
    check("[\\(x_1\\) a](\\(b\\)) ![c \\(y_1\\)](/\\(d\\))", 60, &["x₁ a ((b)) [image: c y₁] (/(d))"]);
    check("<http://a/\\(b\\)>", 60, &["http://a/\\(b\\)"]);
    check("| $a_1$ | b |\n|-|-|\n| $\\pi$ | 1 |\n", 60, &["a₁ │ b", "───┼──", "π  │ 1"]);
}

#[test]
fn notes_of_numbers_are_expected_while_more_comes() {
    let source = "see[^2], not[^a-z]\n";
    let setting = RenderContext { awaits_footnotes: true, width: 60, ..RenderContext::default() };
    assert_eq!(lay_block(source, BlockKind::Paragraphs, setting).to_strings(), ["see[2], not[^a-z]"]);
}

#[test]
fn of_images_in_images_only_the_outermost_are_links() {
    let depth = 40;
    let text = format!("{}x{}", "![".repeat(depth), "](http://a.b)".repeat(depth));
    let laid = lay_block(
        &text,
        BlockKind::Paragraphs,
        RenderContext { width: 2000, show_link_targets: true, ..RenderContext::default() },
    );
    let shown = laid.to_strings().concat();
    assert_eq!((shown.matches("[image: ").count(), shown.matches("(http://a.b)").count()), (depth, depth));
    let mut links: Vec<usize> = laid.row(0).filter_map(|(_, face)| face.link()).collect();
    links.dedup();
    assert!(links.len() < depth, "{links:?}");
}

#[test]
fn a_rule_fills_the_room() {
    check("a\n\n---\n", 5, &["a", "", "─────"]);
}

#[test]
fn an_entity_can_not_smuggle_a_control_character() {
    check("a&#27;[31mb&#x202e;c `&#27;`", 60, &["a[31mbc &#27;"]);
    check("[x](http://a&#27;b) &#155;", 60, &["x (http://a)"]);
}

#[test]
fn a_growing_table_is_held_back_until_its_columns_are_known() {
    let open = |source: &str| {
        lay_block(source, BlockKind::OpenTable, RenderContext { width: 30, ..RenderContext::default() }).to_strings()
    };
    assert_eq!(open("| a | b |\n|--|--|\n"), ["… table: a, b"]);
    assert_eq!(open("| a | b |\n|--|--|\n| 1 | 2 |\n| 3"), ["… table: a, b · 1 row so far"]);
    let many = format!("| a | b |\n|--|--|\n{}| last", "| 1 | 22 |\n".repeat(13));
    let rows = open(&many);
    assert_eq!((rows.len(), rows[14].as_str()), (15, "1 │ 22"));
}

#[test]
fn a_part_of_tags_begins_inside_of_what_the_part_before_left_open() {
    use super::html::Raw;
    let shown = |inside| {
        let source = "a *b* <i>c</i> --> <i>d</i>\n";
        lay_block(source, BlockKind::Tags { inside }, RenderContext { width: 60, ..RenderContext::default() })
            .to_strings()
    };
    assert_eq!(shown(None), ["a *b* c --> d"]);
    assert_eq!(shown(Some(Raw::Comment)), ["a *b* <i>c</i> --> d"]);
    assert_eq!(shown(Some(Raw::Script)), ["a *b* <i>c</i> --> <i>d</i>"]);
}
