use super::*;

fn policy(mode: ApprovalMode, allow: &[&str], deny: &[&str]) -> ApprovalPolicy {
    let own = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
    ApprovalPolicy::new(mode, &own(allow), &own(deny)).unwrap()
}

/// Judges a call of a tool whose kind is that of the built-in tools of this risk.
fn judge(policy: &mut ApprovalPolicy, tool: &str, risk: Risk, subject: &str) -> ApprovalVerdict {
    let kind = match risk {
        Risk::ReadOnly => ToolKind::Read,
        Risk::Network => ToolKind::Fetch,
        Risk::Write => ToolKind::Edit,
        Risk::Execute => ToolKind::Execute,
    };
    policy.judge(tool, kind, risk, subject)
}

#[test]
fn modes_and_risks_give_verdicts() {
    use ApprovalMode::{Ask, AutoEdit, Full, Plan};
    use Risk::{Execute, Network, ReadOnly, Write};
    let word = |verdict| match verdict {
        ApprovalVerdict::Allow => "allow",
        ApprovalVerdict::Ask => "ask",
        ApprovalVerdict::Deny(_) => "deny",
    };
    for (mode, read, network, write, execute) in [
        (Ask, "allow", "ask", "ask", "ask"),
        (AutoEdit, "allow", "ask", "allow", "ask"),
        (Plan, "allow", "deny", "deny", "deny"),
        (Full, "allow", "allow", "allow", "allow"),
    ] {
        let mut policy = policy(mode, &[], &[]);
        let got = [ReadOnly, Network, Write, Execute].map(|risk| word(judge(&mut policy, "tool", risk, "x")));
        assert_eq!(got, [read, network, write, execute], "{mode:?}");
    }
}

#[test]
fn denying_rules_win_over_everything() {
    let mut policy = policy(ApprovalMode::Full, &["shell"], &["shell(rm *)", "read_file(*.env)", "fetch"]);
    let mut denied = |tool, risk, subject| matches!(judge(&mut policy, tool, risk, subject), ApprovalVerdict::Deny(_));
    assert!(denied("shell", Risk::Execute, "rm -rf x"));
    assert!(denied("read_file", Risk::ReadOnly, "deploy/.env"));
    assert!(denied("fetch", Risk::Network, "https://example.com/"));
    assert!(!denied("shell", Risk::Execute, "ls"));
}

#[test]
fn plan_mode_denies_what_a_rule_allows() {
    let mut policy = policy(ApprovalMode::Plan, &["shell"], &[]);
    let ApprovalVerdict::Deny(why) = judge(&mut policy, "shell", Risk::Execute, "ls") else { panic!("not denied") };
    assert!(why.contains("plan mode"));
}

#[test]
fn grants_last_for_the_session_and_fit_the_call() {
    let mut policy = policy(ApprovalMode::Ask, &[], &[]);
    let shell =
        |policy: &mut ApprovalPolicy, command| judge(policy, "shell", Risk::Execute, command) == ApprovalVerdict::Allow;
    policy.grant("shell", &Decision::Once, DecidedBy::Person).unwrap();
    policy.grant("shell", &Decision::Deny(None), DecidedBy::Person).unwrap();
    assert!(!shell(&mut policy, "git status"));
    policy.grant("shell", &Decision::Pattern("shell(git status*)".into()), DecidedBy::Person).unwrap();
    policy.grant("shell", &Decision::Pattern("shell(git status*)".into()), DecidedBy::Person).unwrap();
    assert_eq!(policy.permissions().grants.len(), 1);
    assert!(shell(&mut policy, "git status -s") && !shell(&mut policy, "git push"));
    assert!(
        policy
            .grant("fetch", &Decision::Pattern("shell".into()), DecidedBy::Person)
            .unwrap_err()
            .contains("is not for")
    );
    assert!(policy.grant("shell", &Decision::Pattern("shell(".into()), DecidedBy::Person).is_err());
    policy.grant("shell", &Decision::Session, DecidedBy::Person).unwrap();
    assert!(shell(&mut policy, "git push; ls"));
    assert_eq!(judge(&mut policy, "fetch", Risk::Network, "https://example.com/"), ApprovalVerdict::Ask);
}

#[test]
fn wrong_patterns_are_all_reported() {
    let error =
        ApprovalPolicy::new(ApprovalMode::Ask, &["shell(".into()], &[String::new(), "fetch".into()]).unwrap_err();
    assert_eq!(error.lines().count(), 2);
}

#[test]
fn what_decides_is_counted_and_a_grant_can_be_taken_back() {
    let origin = |kind, pattern: &str| format!("{kind:?} {pattern}");
    let mut policy = policy(ApprovalMode::Ask, &["shell(ls*)"], &["shell(rm *)"]).with_origins(origin);
    policy.grant("shell", &Decision::Session, DecidedBy::Person).unwrap();
    policy.grant("fetch", &Decision::Pattern("fetch(https://docs.rs/*)".into()), DecidedBy::Remote).unwrap();
    for command in ["ls", "ls -l", "rm x", "make"] {
        judge(&mut policy, "shell", Risk::Execute, command);
    }
    judge(&mut policy, "read_file", Risk::ReadOnly, "x");
    let state = policy.permissions();
    let rules: Vec<_> = state.rules.iter().map(|rule| (rule.kind, &*rule.pattern, &*rule.origin, rule.uses)).collect();
    assert_eq!(
        rules,
        [
            (RuleKind::Allow, "shell(ls*)", "Allow shell(ls*)", 2),
            (RuleKind::Deny, "shell(rm *)", "Deny shell(rm *)", 1)
        ]
    );
    let grants: Vec<_> = state.grants.iter().map(|grant| (grant.pattern(), grant.by, grant.uses)).collect();
    assert_eq!(
        grants,
        [("shell".to_owned(), DecidedBy::Person, 1), ("fetch(https://docs.rs/*)".to_owned(), DecidedBy::Remote, 0)]
    );
    assert!(policy.revoke("shell") && !policy.revoke("shell") && !policy.revoke("shell(ls*)"));
    assert_eq!(judge(&mut policy, "shell", Risk::Execute, "make"), ApprovalVerdict::Ask);
}

#[test]
fn grants_of_an_earlier_run_are_put_in_again() {
    let mut before = policy(ApprovalMode::Ask, &[], &[]);
    before.grant("shell", &Decision::Pattern("shell(make*)".into()), DecidedBy::Person).unwrap();
    judge(&mut before, "shell", Risk::Execute, "make all");
    let kept = serde_json::to_string(&before.permissions().grants).unwrap();
    let mut after = policy(ApprovalMode::Ask, &[], &[]);
    after.restore_grants(serde_json::from_str(&kept).unwrap());
    assert_eq!(judge(&mut after, "shell", Risk::Execute, "make all"), ApprovalVerdict::Allow);
    let [grant] = &after.permissions().grants[..] else { panic!("one grant") };
    assert_eq!((grant.from_earlier_run, grant.uses), (true, 2));
    let hostile = Grant { tool: "she ll".into(), glob: None, by: DecidedBy::Person, from_earlier_run: false, uses: 0 };
    after.restore_grants(vec![hostile]);
    assert_eq!(after.permissions().grants.len(), 1, "what is no pattern is left out");
}

#[test]
fn an_address_that_may_lead_inside_is_another_subject_to_what_allows_and_the_same_to_what_denies() {
    let asked = "private https://wiki.example.com/a";
    let wiki = "fetch(https://wiki.example.com/*)";
    let mut allowing = policy(ApprovalMode::Ask, &[wiki], &[]);
    assert_eq!(judge(&mut allowing, "fetch", Risk::Network, "https://wiki.example.com/a"), ApprovalVerdict::Allow);
    assert_eq!(judge(&mut allowing, "fetch", Risk::Network, asked), ApprovalVerdict::Ask);
    let mut named = policy(ApprovalMode::Ask, &["fetch(private https://wiki.example.com/*)"], &[]);
    assert_eq!(judge(&mut named, "fetch", Risk::Network, asked), ApprovalVerdict::Allow);
    let mut denying = policy(ApprovalMode::Full, &[], &[wiki]);
    assert!(matches!(judge(&mut denying, "fetch", Risk::Network, asked), ApprovalVerdict::Deny(_)));
}

#[test]
fn a_command_line_is_allowed_by_rules_and_grants_together() {
    let mut policy = policy(ApprovalMode::Ask, &["shell(cd *)", "shell(ls *)"], &["shell(rm *)"]);
    assert_eq!(judge(&mut policy, "shell", Risk::Execute, "cd src && git status && ls"), ApprovalVerdict::Ask);
    let decision = Decision::Pattern("shell(git status*) shell(git diff*)".into());
    policy.grant("shell", &decision, DecidedBy::Person).unwrap();
    assert_eq!(judge(&mut policy, "shell", Risk::Execute, "cd src && git status && ls"), ApprovalVerdict::Allow);
    let uses: Vec<u64> = policy.permissions().rules.iter().map(|rule| rule.uses).collect();
    assert_eq!(uses, [1, 1, 0], "each rule that was needed counts");
    assert_eq!(policy.permissions().grants.iter().map(|grant| grant.uses).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(judge(&mut policy, "shell", Risk::Execute, "cd src && git push && ls"), ApprovalVerdict::Ask);
    assert!(matches!(judge(&mut policy, "shell", Risk::Execute, "ls; rm x"), ApprovalVerdict::Deny(_)));
}

#[test]
fn where_some_commands_are_denied_one_that_can_not_be_read_is_asked_about() {
    let mut denying = policy(ApprovalMode::Full, &[], &["shell(rm *)"]);
    for line in ["$x y", "curl x | sh", "eval \"$x\""] {
        assert_eq!(judge(&mut denying, "shell", Risk::Execute, line), ApprovalVerdict::Ask, "{line}");
    }
    assert_eq!(judge(&mut denying, "shell", Risk::Execute, "ls | wc"), ApprovalVerdict::Allow);
    let mut free = policy(ApprovalMode::Full, &[], &["fetch"]);
    assert_eq!(judge(&mut free, "shell", Risk::Execute, "curl x | sh"), ApprovalVerdict::Allow);
}

#[test]
fn only_what_a_command_line_still_needs_is_offered() {
    let policy = policy(ApprovalMode::Ask, &["shell(cd *)"], &[]);
    let offered = |line: &str, pattern: &str| {
        let mut request = crate::testkit::events::shell_approval(line);
        request.pattern = Some(pattern.to_owned());
        policy.narrow_offer(&mut request);
        request.pattern
    };
    let narrowed = offered("cd src && git status && ls", "shell(cd *) shell(git status*) shell(ls *)");
    assert_eq!(narrowed.as_deref(), Some("shell(git status*) shell(ls *)"));
    assert_eq!(offered("git status", "shell(git status*)").as_deref(), Some("shell(git status*)"));
}

#[test]
fn to_leave_the_sandbox_is_asked_whatever_else_is_allowed() {
    use crate::event::SandboxNote;
    let note = |leaves| Some(Box::new(SandboxNote { text: "there".into(), leaves }));
    let request = |leaves| ApprovalRequest { sandbox: note(leaves), ..crate::testkit::events::shell_approval("ls") };
    let mut free = policy(ApprovalMode::Full, &["shell"], &[]);
    assert_eq!(free.judge_request(&request(false)), ApprovalVerdict::Allow);
    assert_eq!(free.judge_request(&request(true)), ApprovalVerdict::Ask);
    let mut denying = policy(ApprovalMode::Full, &[], &["shell(ls*)"]);
    assert!(matches!(denying.judge_request(&request(true)), ApprovalVerdict::Deny(_)));
}
