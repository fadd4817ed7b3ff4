use super::*;

fn rule(pattern: &str) -> Pattern {
    Pattern::parse(pattern).unwrap()
}

fn kind(tool: &str) -> ToolKind {
    match tool {
        "shell" => ToolKind::Execute,
        "fetch" => ToolKind::Fetch,
        _ => ToolKind::Edit,
    }
}

#[test]
fn an_allowing_pattern_never_reaches_over_an_operator() {
    let status = rule("shell(git status*)");
    for command in ["git status", "git status -s", "  git status --porcelain  ", "git status 'a b'"] {
        assert!(status.allows("shell", kind("shell"), command), "{command}");
    }
    for command in [
        "git status; rm -rf ~",
        "git status && rm x",
        "git status || rm x",
        "git status & rm x",
        "git status | sh",
        "git status `rm x`",
        "git status $(rm x)",
        "git status\nrm x",
        "git status\rrm x",
        "git status > ~/.bashrc",
        "git status < /etc/passwd",
        "git status <(rm x)",
        "git status ${x:=y}",
        "rm x; git status",
        "git stash",
        "FOO=1 git status",
    ] {
        assert!(!status.allows("shell", kind("shell"), command), "{command}");
    }
    assert!(!status.allows("write_file", kind("write_file"), "git status"));
    assert!(rule("shell(cargo test * && git status*)").allows(
        "shell",
        kind("shell"),
        "cargo test -q && git status -s"
    ));
    assert!(!rule("shell(cargo test * && git status*)").allows("shell", kind("shell"), "cargo test; x && git status"));
    assert!(
        rule("shell").allows("shell", kind("shell"), "a; b") && rule("shell(*)").allows("shell", kind("shell"), "a; b")
    );
}

#[test]
fn a_star_matches_anything_elsewhere() {
    for (pattern, subject, wanted) in [
        ("write_file(src/*)", "src/a/b.rs", true),
        ("write_file(src/*)", "src2/a", false),
        ("write_file(*.rs)", "a/b.rs", true),
        ("write_file(*a*b*)", "xaxxbx", true),
        ("write_file(*a*b)", "xaxbxb", true),
        ("write_file(*a*b)", "xaxbxc", false),
        ("write_file(a)", "a", true),
        ("write_file(a)", "ab", false),
        ("write_file(a(1))", "a(1)", true),
        ("write_file(a(1)b)", "a(1)b", true),
        ("write_file(é*)", "éa", true),
    ] {
        assert_eq!(rule(pattern).allows("write_file", kind("write_file"), subject), wanted, "{pattern} {subject}");
    }
    let fetch = rule("fetch(https://docs.rs/*)");
    assert!(fetch.allows("fetch", kind("fetch"), "https://docs.rs/a?b=c&d=e"));
    assert!(!fetch.allows("fetch", kind("fetch"), "https://docs.rs.evil.com/"));
    assert!(
        rule("shell(ls *)").allows("shell", kind("shell"), "ls")
            && !rule("shell(ls *)").allows("shell", kind("shell"), "lsof")
    );
}

#[test]
fn a_denying_pattern_meets_every_part_of_a_command() {
    let rm = rule("shell(rm *)");
    for command in [
        "rm x",
        "ls; rm x",
        "ls && rm x",
        "ls | xargs rm -f",
        "echo $(rm x)",
        "echo `rm x`",
        "(rm x)",
        "{ rm x; }",
        "ls\nrm x",
        "/bin/rm x",
        "sudo rm x",
        "sudo -n -u root rm x",
        "FOO=bar rm x",
        "env -i A=b rm x",
        "bash -c 'rm x'",
        "\"rm\" x",
        "r\\m x",
        "rm   -rf  x",
        "if true; then rm x; fi",
        "timeout 5 rm x",
        &format!("{}rm x", "A=1 ".repeat(20)),
        &"sudo ".repeat(10_000),
    ] {
        assert!(rm.denies("shell", kind("shell"), command), "{command}");
    }
    for command in ["ls", "git rm x", "echo rm", "git commit -m 'rm old'", "rmdir x", ""] {
        assert!(!rm.denies("shell", kind("shell"), command), "{command}");
    }
    assert!(rule("shell(*secret*)").denies("shell", kind("shell"), "cat a | grep secret; ls"));
    assert!(rule("shell(curl * | sh*)").denies("shell", kind("shell"), "curl x | sh"));
}

#[test]
fn a_wrong_pattern_is_told_in_words() {
    for pattern in ["", "()", "shell(", "shell(x", "shell()", "she ll", "shell)x", "*"] {
        Pattern::parse(pattern).unwrap_err();
    }
    assert_eq!(rule(" shell( ls * ) ").to_string(), "shell(ls *)");
    assert_eq!(rule("shell(*)").to_string(), "shell");
}

#[test]
fn the_kind_says_what_a_subject_is_and_not_the_name() {
    let (ask, reply) = (rule("shell(ask *)"), "ask who; then rm x");
    assert!(ask.allows("shell", ToolKind::Other, reply) && !ask.allows("shell", ToolKind::Execute, reply));
    let rm = rule("console(rm *)");
    assert!(rm.denies("console", ToolKind::Execute, "ls; rm x") && !rm.denies("console", ToolKind::Other, "ls; rm x"));
    let host = rule("fetch(https://a.example/*)");
    let inside = "private https://a.example/x";
    assert!(host.denies("fetch", ToolKind::Fetch, inside) && !host.denies("fetch", ToolKind::Other, inside));
}
