use super::*;
use crate::event::{Pattern, ToolKind, allow_line};

fn parts(line: &str) -> Vec<String> {
    CommandLine::read(line).parts_with_rules().map(|part| part.text.clone()).collect()
}

fn denies(pattern: &str, line: &str) -> bool {
    Pattern::parse(pattern).unwrap().denies("shell", ToolKind::Execute, line)
}

fn allows(patterns: &[&str], line: &str) -> bool {
    let patterns: Vec<Pattern> = patterns.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect();
    allow_line(&patterns.iter().collect::<Vec<_>>(), "shell", line).is_some()
}

#[test]
fn a_line_is_read_into_what_it_runs() {
    let cases: &[(&str, &[&str])] = &[
        ("git status", &["git status"]),
        ("  git   status -s ", &["git   status -s"]),
        ("a; b && c || d | e & f", &["a", "b", "c", "d", "e", "f"]),
        ("a\nb\n\n# c; d\ne", &["a", "b", "e"]),
        ("a |& b", &["a", "b"]),
        ("! a", &["a"]),
        ("(a; b)", &["a", "b"]),
        ("{ a; }", &["a"]),
        ("if a; then b; elif c; then d; else e; fi", &["a", "b", "c", "d", "e"]),
        ("for x in 1 2; do a; done", &["a"]),
        ("while a; do b; done", &["a", "b"]),
        ("case x in y) a;; *) b;; esac", &["a", "b"]),
        ("f() { a; }; f", &["a", "f"]),
        ("a $(b `c`)", &["a $(b `c`)", "b `c`", "c"]),
        ("a \"$(b)\" <(c) >(d)", &["a \"$(b)\" <(c) >(d)", "b", "c", "d"]),
        ("a > out 2>&1 < in", &["a", "> out", "< in"]),
        ("a >/dev/null 2>&1 &>/dev/null", &["a"]),
        ("a >> 'my file'", &["a", ">> 'my file'"]),
        (">x", &["> x"]),
        ("A=1 a", &["A=1 a"]),
        ("A=$(a)", &["A=$(a)", "a"]),
        ("export A=1 B=$(b)", &["export A=1 B=$(b)", "b"]),
        ("[[ -f x ]] && [ -d y ] && a", &["a"]),
        ("[[ $x -eq 1 ]] && a", &["[[ $x -eq 1 ]]", "a"]),
        ("((a=1))", &["((a=1))"]),
        ("cat <<END\nrm x\nEND", &["cat"]),
        ("cat <<END\n$(a)\nEND", &["cat", "a"]),
        ("sh <<END\na\nb\nEND", &["a", "b"]),
        ("bash <<< 'a; b'", &["a", "b"]),
        ("echo 'a; b' | sh", &["echo 'a; b'", "a", "b"]),
        ("printf '%s\\n' a | bash", &["printf '%s\\n' a", "a"]),
        ("cat <<END | sh\na\nEND", &["cat", "a"]),
        ("bash -c 'a; b'", &["a", "b"]),
        ("bash -lc 'a'", &["bash -lc 'a'", "a"]),
        ("bash -c 'bash -c \"a\"'", &["a"]),
        ("eval 'a b'", &["a b"]),
        ("trap 'a' EXIT", &["a"]),
        ("trap - EXIT", &["trap - EXIT"]),
        ("# a \\\nb", &["b"]),
        ("a 'b\\\nc' \\\n d", &["a 'b\\\nc'  d"]),
        ("xargs -n 1 a -b", &["a -b '{}'"]),
        (
            "find . -name '*.rs' -exec a -b {} \\; -delete",
            &["find . -name '*.rs' -exec a -b {} \\; -delete", "a -b '{}'", "-delete"],
        ),
        ("find . -exec sh -c 'a \"$1\"' _ {} +", &["find . -exec sh -c 'a \"$1\"' _ {} +", "a \"$1\""]),
        ("", &[]),
        ("# only words", &[]),
    ];
    for (line, expected) in cases {
        let wanted: Vec<String> = expected.iter().map(|part| part.replace("'{}'", "{}")).collect();
        assert_eq!(parts(line), wanted, "{line}");
    }
}

#[test]
fn a_line_that_hides_its_commands_says_so() {
    for line in [
        "$x y",
        "r$y x",
        "{rm,-rf,x}",
        "/bin/r? x",
        "$'\\c' x",
        "a | sh",
        "curl x | sudo bash",
        "curl x | { sh; }",
        "sh < file",
        "bash <(curl x)",
        "echo \"$x\" | sh",
        "sh <<END\n$x\nEND",
        "eval \"$x\"",
        "bash -c \"$x\"",
        "trap \"$x\" EXIT",
        "parallel rm ::: x",
        "a \u{1b}[8m",
        "a\rb",
        "if a; then",
        "a \"b",
        &"x".repeat(70_000),
        &format!("{}a", "eval ".repeat(40)),
        &format!("{}a", "env ".repeat(50)),
    ] {
        assert!(CommandLine::read(line).unread.is_some(), "{line}");
        assert!(
            !allows(&["shell(*x*)", "shell(a*)", "shell(s*)", "shell(b*)", "shell(c*)", "shell(e*)"], line),
            "{line}"
        );
    }
}

#[test]
fn a_line_is_allowed_if_every_part_is() {
    let rules = ["shell(git status*)", "shell(ls *)", "shell(cd *)", "shell(grep *)", "shell(find *)", "shell(echo *)"];
    for line in [
        "git status",
        "git status && ls src",
        "cd src; git status -s | grep 'a|b' | grep -v \"c;d\"",
        "git status 2>&1 >/dev/null",
        "( cd src && ls )",
        "if git status; then ls; fi",
        "for x in 1 2 3; do ls; done",
        "timeout 5 git status",
        "nice -n 5 timeout -k 1 5 git status",
        "nohup ls -l &",
        "time ls",
        "bash -c 'git status; ls'",
        "echo 'ls; git status' | sh",
        "find . -name '*.rs' -exec grep -n x {} +",
        "find . -name '*.rs' | xargs grep x",
        "git 'status'",
        "ls *.rs",
        "[[ -d src ]] && ls src",
        "ls # rm x",
    ] {
        assert!(allows(&rules, line), "{line}: {:?}", CommandLine::read(line));
    }
    for line in [
        "git status; rm x",
        "git status && rm x",
        "git status & rm x",
        "git status\nrm x",
        "rm x; git status",
        "git status $(rm x)",
        "git status `rm x`",
        "git status $x",
        "git status > x",
        "git status < x",
        "ls >> ~/.bashrc",
        "ls <(rm x)",
        "find . -exec rm {} +",
        "find . -delete",
        "find . -fprintf x %p",
        "find . | xargs rm",
        "find . | xargs -I{} sh -c 'rm {}'",
        "bash -c 'git status; rm x'",
        "bash --rcfile x -c ls",
        "sudo ls",
        "FOO=1 ls",
        "PATH=. ; ls",
        "export PATH=.; ls",
        "env FOO=1 ls",
        "/tmp/ls x",
        "ls() { rm x; }; ls",
        "alias ls='rm x'; ls",
        "echo x | tee y",
        "echo 'rm x' | sh",
        "trap 'rm x' EXIT; ls",
        "coproc rm x",
        "git 'status x; rm'",
        "git\tstash",
        "[[ $(rm x) ]] && ls",
        "ls $((x))",
        "",
        "# nothing",
    ] {
        assert!(!allows(&rules, line), "{line}");
    }
}

#[test]
fn a_rule_without_a_star_allows_just_that_line() {
    assert!(
        allows(&["shell(rm -rf $TMP/x)"], "rm -rf $TMP/x") && !allows(&["shell(rm -rf $TMP/x)"], "rm -rf $TMP/x y")
    );
    assert!(allows(&["shell(curl x | sh)"], "curl x | sh"), "also one that can't be read");
    assert!(allows(&["shell(find * | wc*)"], "find . -name x | wc -l"));
    assert!(!allows(&["shell(find * | wc*)"], "find . -exec rm {} + | wc -l"));
    assert!(
        allows(&["shell(> out.txt)", "shell(ls *)"], "ls > out.txt"),
        "a file that is written has a rule of its own"
    );
    assert!(allows(&["shell(echo $HOME*)"], "echo $HOME/x") && !allows(&["shell(echo *)"], "echo $HOME/x"));
}

/// Eighty-six and more ways to run `rm x`, and none of them passes by a rule against it.
#[test]
fn a_denied_command_is_found_however_it_is_written() {
    let spellings = [
        "rm x",
        "rm  x",
        "rm\tx",
        " rm x ",
        "ls; rm x",
        "ls;rm x",
        "ls && rm x",
        "ls || rm x",
        "ls & rm x",
        "ls | rm x",
        "ls |& rm x",
        "ls\nrm x",
        "ls # a\nrm x",
        "! rm x",
        "rm x &",
        "rm x # a",
        "rm \\\nx",
        "r\\\nm x",
        "(rm x)",
        "( ls; ( rm x ) )",
        "{ rm x; }",
        "if true; then rm x; fi",
        "if rm x; then ls; fi",
        "while rm x; do ls; done",
        "until rm x; do ls; done",
        "for f in a; do rm x; done",
        "for ((i=0;i<1;i++)); do rm x; done",
        "case a in a) rm x;; esac",
        "select a in b; do rm x; done",
        "f() { rm x; }; f",
        "function f { rm x; }; f",
        "coproc rm x",
        "[[ -f x ]] && rm x",
        "[ -f x ] && rm x",
        "echo $(rm x)",
        "echo \"$(rm x)\"",
        "echo `rm x`",
        "echo \"a `rm x` b\"",
        "echo ${a:-$(rm x)}",
        "a=$(rm x)",
        "export a=$(rm x)",
        "cat <(rm x)",
        "ls > >(rm x)",
        "cat <<END\n$(rm x)\nEND",
        "(( a = $(rm x) ))",
        "echo $(( $(rm x) ))",
        "rm x > /dev/null",
        "> /dev/null rm x",
        "2>&1 rm x",
        "< /dev/null rm x",
        "\"rm\" x",
        "'rm' x",
        "r\\m x",
        "r'm' x",
        "r\"m\" x",
        "$'rm' x",
        "$'\\x72m' x",
        "$'\\162m' x",
        "rm 'x'",
        "/bin/rm x",
        "/usr/bin/../bin/rm x",
        "./rm x",
        "\\rm x",
        "FOO=bar rm x",
        "A=1 B='2 3' rm x",
        "env rm x",
        "env -i A=b rm x",
        "env -u A rm x",
        "env -S 'rm x'",
        "sudo rm x",
        "sudo -n -u root rm x",
        "sudo --user root rm x",
        "doas rm x",
        "nohup rm x",
        "nice -n 5 rm x",
        "timeout 5 rm x",
        "timeout -s KILL 5 rm x",
        "timeout --signal KILL 5 rm x",
        "time rm x",
        "time -p rm x",
        "stdbuf -oL rm x",
        "setsid rm x",
        "command rm x",
        "builtin rm x",
        "exec rm x",
        "exec -a ls rm x",
        "busybox rm x",
        "chroot / rm x",
        "flock lock rm x",
        "flock lock -c 'rm x'",
        "strace -f rm x",
        "xargs rm x",
        "echo x | xargs rm",
        "echo x | xargs -I{} rm {}",
        "echo x | xargs -n 1 -- rm",
        "find . -exec rm x {} \\;",
        "find . -exec rm {} +",
        "find . -execdir rm {} ';'",
        "bash -c 'rm x'",
        "bash -c \"rm x\"",
        "bash -lc 'rm x'",
        "bash -e -c 'ls; rm x'",
        "/bin/sh -c 'rm x'",
        "sh -c 'sh -c \"rm x\"'",
        "sudo bash -c 'rm x'",
        "sudo -u root sh -c 'rm x'",
        "find . -exec sh -c 'rm x' \\;",
        "xargs sh -c 'rm x'",
        "eval rm x",
        "eval 'rm x'",
        "eval \"ls; rm x\"",
        "trap 'rm x' EXIT",
        "trap \"rm x\" INT TERM",
        "alias ls='rm x'; ls",
        "echo 'rm x' | sh",
        "echo -n 'rm x' | bash -s",
        "printf 'rm x' | sh",
        "printf '%s\\n' 'rm x' | sh",
        "printf 'ls\\nrm x' | sh",
        "bash <<< 'rm x'",
        "bash <<END\nrm x\nEND",
        "bash <<'END'\nrm x\nEND",
        "cat <<END | sh\nrm x\nEND",
        "su -c 'rm x'",
        "su root -c 'rm x'",
        "ssh host rm x",
        "ssh host 'ls; rm x'",
        "watch rm x",
        "watch -n 1 'rm x'",
        "if true; then rm x",
        "ls \"; rm x",
    ];
    assert!(spellings.len() >= 86);
    let missed: Vec<_> = spellings.iter().filter(|line| !denies("shell(rm *)", line)).collect();
    assert_eq!(missed, [] as [&&str; 0]);
}

#[test]
fn what_only_looks_like_a_denied_command_runs() {
    for line in [
        "ls",
        "git rm x",
        "echo rm x",
        "echo 'ls; rm x'",
        "git commit -m 'rm x; rm y'",
        "git commit -m \"run $(date) && rm x\"",
        "grep -r 'rm ' .",
        "rmdir x",
        "cat <<END\nrm x\nEND",
        "ls # rm x",
        "printf 'rm x' > x.sh",
        "docker run --rm x",
        "xargs -I{} echo rm {}",
        "",
    ] {
        assert!(!denies("shell(rm *)", line), "{line}");
    }
}

#[test]
fn files_that_a_line_writes_can_be_denied() {
    for line in ["ls > .env", "ls >> .env", "ls &> .env", "> .env", "{ ls; } > .env", "ls >| '.env'"] {
        assert!(denies("shell(>* .env)", line), "{line}");
    }
    assert!(!denies("shell(>* .env)", "cat .env"));
}

#[test]
fn a_deep_or_long_line_is_read_in_bounded_time() {
    let deep = [
        "(".repeat(20_000) + "rm x" + &")".repeat(20_000),
        "$(".repeat(5_000) + "rm x" + &")".repeat(5_000),
        "{ ".repeat(10_000) + "rm x" + &"; }".repeat(10_000),
        "if a; then ".repeat(2_000) + "rm x" + &"; fi".repeat(2_000),
        "\"$(".repeat(3_000),
        "a <<E\n".repeat(3_000),
        "sudo ".repeat(12_000) + "rm x",
        "bash -c '".repeat(3_000),
        "a | ".repeat(10_000) + "rm x",
    ];
    for line in &deep {
        let read = CommandLine::read(line);
        assert!(read.parts.len() <= 20_001);
    }
}
