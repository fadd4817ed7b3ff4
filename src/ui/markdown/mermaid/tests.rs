use super::*;
use crate::ui::theme::Role;

fn drawn(source: &str, room: usize) -> Option<Vec<String>> {
    let rows = draw(source, room)?;
    Some(rows.iter().map(|row| row.iter().map(|(text, _)| text.as_str()).collect()).collect())
}

fn assert_drawn(source: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim_matches('\n').lines().collect();
    let found = drawn(source, 80).unwrap_or_else(|| panic!("not drawn: {source}"));
    assert_eq!(found, expected, "\n{}", found.join("\n"));
}

#[test]
fn a_flowchart_leads_down_and_back() {
    assert_drawn(
        "flowchart TD\n    A[Start] --> B{Is it working?}\n    B -->|Yes| C[Great]\n    B -- No --> D[Debug it]\n    \
         D --> B\n    C --> E((End))\n",
        r"
        ┌───────┐
        │ Start │
        └───┬───┘
            │
            ▼
   ╱────────────────╲
   │ Is it working? │
   ╲───────┬────────╱
           │ ▲
    ┌──────┴─┼─┐
    │        └─┼─────┐
    │ Yes      │ No  │
    ▼          ▼     │
┌───────┐    ┌──────────┐
│ Great │    │ Debug it │
└───┬───┘    └──────────┘
    │
    ▼
 ╭─────╮
 │ End │
 ╰─────╯
",
    );
}

#[test]
fn a_flowchart_leads_to_the_right_and_downwards_where_that_is_too_wide() {
    let source =
        "graph LR; A[Client] -->|HTTP| B(Load Balancer); B --> C & D; C & D --> E[(Database)]; style A fill:#f9f";
    assert_drawn(
        source,
        r"
                                         ┌───┐
                                     ┌──►│ C ├─┐     ╭──────────╮
┌────────┐         ╭───────────────╮ │   └───┘ └────►│ Database │
│ Client ├─ HTTP ─►│ Load Balancer ├─┤           ┌──►│          │
└────────┘         ╰───────────────╯ │   ┌───┐   │   ╰──────────╯
                                     └──►│ D ├───┘
                                         └───┘
",
    );
}

#[test]
fn lines_have_looks_and_heads() {
    let rows = drawn("graph LR\nA -.-> B\nC <--> D\nE --- F", 80).unwrap().join("\n");
    for piece in ["┄►│ B │", "│ C │◄", "►│ D │", "│ E ├", "─│ F │"] {
        assert!(rows.contains(piece), "{piece}\n{rows}");
    }
}

#[test]
fn messages_go_between_columns() {
    assert_drawn(
        "sequenceDiagram\n  participant U as User\n  U->>API: POST /login\n  API-->>U: 200\n  loop hourly\n  \
         API->>API: clean\n  end\n  Note over U: done\n",
        r"
 ┌──────┐        ┌─────┐
 │ User │        │ API │
 └───┬──┘        └──┬──┘
     │ POST /login  │
     ├─────────────►┤
     │     200      │
     ├◄┄┄┄┄┄┄┄┄┄┄┄┄┄┤
╌ loop hourly ╌╌╌╌╌╌│╌╌╌╌╌╌╌╌
     │              │ clean
     │              ├──┐
     │              │◄─┘
╌╌╌╌╌│╌╌╌╌╌╌╌╌╌╌╌╌╌╌│╌╌╌╌╌╌╌╌
 ┌──────┐           │
 │ done │           │
 └──────┘           │
     ╵              ╵
",
    );
}

#[test]
fn states_and_pies_are_drawn() {
    let states = drawn("stateDiagram-v2\n[*] --> Idle\nIdle --> Busy : start\nBusy --> [*]\n", 40).unwrap().join("\n");
    for piece in ["│ ● │", "│ Idle │", "│ start", "│ Busy │", "│ ◉ │"] {
        assert!(states.contains(piece), "{piece}\n{states}");
    }
    let pie = drawn("pie title Pets\n\"Dogs\" : 3\n\"Cats\" : 1\n", 60).unwrap();
    assert_eq!(pie[0], "Pets");
    assert!(pie[1].starts_with("Dogs ███") && pie[1].ends_with(" 75.0%"), "{pie:?}");
}

#[test]
fn what_is_not_understood_or_does_not_fit_stays_code() {
    for source in [
        "",
        "mindmap\n root",
        "graph TD\nsubgraph one\nA --> B\nend",
        "graph TD\nA[open --> B",
        "graph TD\nA --> A",
        "graph XY\nA --> B",
        "graph TD\nA ~~~ B",
        "sequenceDiagram\nbox Aqua\nA->>B: hi\nend",
        "stateDiagram-v2\nstate A {\nB --> C\n}",
        "pie\n\"a\" : -1",
        "pie\n\"a\" : 0",
    ] {
        assert_eq!(drawn(source, 80), None, "{source}");
    }
    assert_eq!(drawn("graph TD\nA[a label that takes some room] --> B", 20), None);
    let nodes = (0..=graph::MAX_NODES).map(|n| format!("n{n}")).collect::<Vec<_>>().join("\n");
    assert_eq!(drawn(&format!("graph TD\n{nodes}"), 10_000), None);
    let edges: Vec<String> = (0..=graph::MAX_EDGES).map(|n| format!("A{} --> B{}", n % 9, n % 7)).collect();
    let edges = edges.join("\n");
    assert_eq!(drawn(&format!("graph TD\n{edges}"), 10_000), None);
    assert_eq!(drawn(&format!("graph TD\nA --> B\n%%{}", "x".repeat(MAX_SOURCE_BYTES)), 80), None);
}

#[test]
fn labels_are_clean_measured_and_broken() {
    let rows = drawn("graph TD\nA[\"日本<br/>#quot;x#quot;\u{1b}[2J\"] --> B", 80).unwrap();
    assert!(rows[1].contains("日本") && rows[2].contains("\"x\""), "{rows:?}");
    let width = |row: &String| crate::text::width::str_width(row.trim());
    assert_eq!(width(&rows[0]), width(&rows[1]), "{rows:?}");
    assert!(rows.iter().all(|row| !row.contains('\u{1b}')), "{rows:?}");
    let styled = draw("graph TD\nA[text]", 80).unwrap();
    assert!(styled[1].iter().any(|(text, style)| text == "text" && *style == TextStyle::new(Role::Text)), "{styled:?}");
}

/// Any text does: whatever comes out, nothing breaks and nothing is wider than its room.
#[test]
fn damaged_diagrams_never_break_anything() {
    const PIECES: [&str; 24] = [
        "-->",
        "---",
        "-.->",
        "==>",
        "-- x -->",
        "|a|",
        "&",
        "A",
        "B",
        "[x",
        "x]",
        "{",
        "}",
        "((",
        "\"",
        ";",
        "\n",
        "<br/>",
        "日本",
        "->>",
        ": hi",
        "[*]",
        "end",
        "\"a\" : 3",
    ];
    let heads = [
        "graph TD\nA --> B\n",
        "graph LR\nA --> B\n",
        "sequenceDiagram\nA->>B: m\n",
        "stateDiagram\nA --> B\n",
        "pie\n",
    ];
    let mut seed = 7_u32;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    let mut drawings = 0;
    for round in 0..2000 {
        let mut text = heads[round % heads.len()].to_owned();
        for _ in 0..next(12) {
            text.push_str(PIECES[next(PIECES.len())]);
        }
        let room = [0, 9, 30, 80][next(4)];
        for row in drawn(&text, room).into_iter().flatten() {
            drawings += 1;
            assert!(crate::text::width::str_width(&row) <= room, "{row} in {room}, of {text}");
        }
    }
    assert!(drawings > 500, "some of it is drawn: {drawings}");
}
