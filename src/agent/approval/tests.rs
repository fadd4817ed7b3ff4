use super::*;

fn rule(pattern: &str) -> Rule {
    Rule::parse(pattern).unwrap()
}

fn policy(mode: Mode, allow: &[&str], deny: &[&str]) -> Policy {
    let own = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
    Policy::new(mode, &own(allow), &own(deny)).unwrap()
}

#[test]
fn modes_and_risks_give_verdicts() {
    use Mode::{Ask, AutoEdit, Full, Plan};
    use Risk::{Execute, Network, ReadOnly, Write};
    let word = |verdict| match verdict {
        Verdict::Allow => "allow",
        Verdict::Ask => "ask",
        Verdict::Deny(_) => "deny",
    };
    for (mode, read, network, write, execute) in [
        (Ask, "allow", "ask", "ask", "ask"),
        (AutoEdit, "allow", "ask", "allow", "ask"),
        (Plan, "allow", "deny", "deny", "deny"),
        (Full, "allow", "allow", "allow", "allow"),
    ] {
        let policy = policy(mode, &[], &[]);
        let got = [ReadOnly, Network, Write, Execute].map(|risk| word(policy.judge("tool", risk, "x")));
        assert_eq!(got, [read, network, write, execute], "{mode:?}");
    }
}

#[test]
fn denying_rules_win_over_everything() {
    let policy = policy(Mode::Full, &["shell"], &["shell(rm *)", "read_file(*.env)", "fetch"]);
    let denied = |tool, risk, subject| matches!(policy.judge(tool, risk, subject), Verdict::Deny(_));
    assert!(denied("shell", Risk::Execute, "rm -rf x"));
    assert!(denied("read_file", Risk::ReadOnly, "deploy/.env"));
    assert!(denied("fetch", Risk::Network, "https://example.com/"));
    assert!(!denied("shell", Risk::Execute, "ls"));
}

#[test]
fn plan_mode_denies_what_a_rule_allows() {
    let policy = policy(Mode::Plan, &["shell"], &[]);
    let Verdict::Deny(why) = policy.judge("shell", Risk::Execute, "ls") else { panic!("not denied") };
    assert!(why.contains("plan mode"));
}

#[test]
fn an_allowing_pattern_never_reaches_over_an_operator() {
    let status = rule("shell(git status*)");
    for command in ["git status", "git status -s", "  git status --porcelain  ", "git status 'a b'"] {
        assert!(status.allows("shell", command), "{command}");
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
        assert!(!status.allows("shell", command), "{command}");
    }
    assert!(!status.allows("write_file", "git status"));
    assert!(rule("shell(cargo test * && git status*)").allows("shell", "cargo test -q && git status -s"));
    assert!(!rule("shell(cargo test * && git status*)").allows("shell", "cargo test; x && git status"));
    assert!(rule("shell").allows("shell", "a; b") && rule("shell(*)").allows("shell", "a; b"));
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
        assert_eq!(rule(pattern).allows("write_file", subject), wanted, "{pattern} {subject}");
    }
    let fetch = rule("fetch(https://docs.rs/*)");
    assert!(fetch.allows("fetch", "https://docs.rs/a?b=c&d=e"));
    assert!(!fetch.allows("fetch", "https://docs.rs.evil.com/"));
    assert!(rule("shell(ls *)").allows("shell", "ls") && !rule("shell(ls *)").allows("shell", "lsof"));
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
        assert!(rm.denies("shell", command), "{command}");
    }
    for command in ["ls", "git rm x", "echo rm", "git commit -m 'rm old'", "rmdir x", ""] {
        assert!(!rm.denies("shell", command), "{command}");
    }
    assert!(rule("shell(*secret*)").denies("shell", "cat a | grep secret; ls"));
    assert!(rule("shell(curl * | sh*)").denies("shell", "curl x | sh"));
}

#[test]
fn grants_last_for_the_session_and_fit_the_call() {
    let mut policy = policy(Mode::Ask, &[], &[]);
    let shell = |policy: &Policy, command| policy.judge("shell", Risk::Execute, command) == Verdict::Allow;
    policy.grant("shell", &Decision::Once).unwrap();
    policy.grant("shell", &Decision::Deny(None)).unwrap();
    assert!(!shell(&policy, "git status"));
    policy.grant("shell", &Decision::Pattern("shell(git status*)".into())).unwrap();
    policy.grant("shell", &Decision::Pattern("shell(git status*)".into())).unwrap();
    assert_eq!(policy.grants().len(), 1);
    assert!(shell(&policy, "git status -s") && !shell(&policy, "git push"));
    assert!(policy.grant("fetch", &Decision::Pattern("shell".into())).unwrap_err().contains("not about"));
    assert!(policy.grant("shell", &Decision::Pattern("shell(".into())).is_err());
    policy.grant("shell", &Decision::Session).unwrap();
    assert!(shell(&policy, "git push; ls"));
    assert_eq!(policy.judge("fetch", Risk::Network, "https://example.com/"), Verdict::Ask);
}

#[test]
fn wrong_patterns_are_all_reported() {
    for pattern in ["", "()", "shell(", "shell(x", "shell()", "she ll", "shell)x", "*"] {
        Rule::parse(pattern).unwrap_err();
    }
    let error = Policy::new(Mode::Ask, &["shell(".into()], &[String::new(), "fetch".into()]).unwrap_err();
    assert_eq!(error.lines().count(), 2);
    assert_eq!(rule(" shell( ls * ) ").to_string(), "shell(ls *)");
    let policy = policy(Mode::Ask, &["shell", "shel(x)"], &["fetch"]);
    assert_eq!(
        policy.unknown(&["shell".into(), "fetch".into()]).map(ToString::to_string).collect::<Vec<_>>(),
        ["shel(x)"]
    );
}
