//! What a command line is read as, held against what bash runs.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use jarvis_tui::event::command_line::CommandLine;
use proptest::prelude::*;

/// Programs that only note that they ran. Nothing else can be found in the path of the shell.
const PROGRAMS: &[&str] = &["alpha", "beta", "gamma", "env", "sudo", "timeout", "xargs", "find", "cat"];

/// Writes the programs, which write their names into `log`.
fn write_programs(folder: &Path, bash: &Path) {
    let run_rest = |skipped: usize| format!("shift {skipped}; [ $# = 0 ] || \"$@\"\n");
    for name in PROGRAMS {
        let mut script = format!("#!{}\necho {name} >> \"$LOG\"\n", bash.display());
        match *name {
            "sudo" | "xargs" => script.push_str(&run_rest(0)),
            "timeout" => script.push_str(&run_rest(1)),
            "env" => script.push_str("while [[ $1 == *=* ]]; do shift; done\n[ $# = 0 ] || \"$@\"\n"),
            "find" => script.push_str("[[ $2 != -exec ]] || ${@:3:$#-3}\n"),
            "cat" => script.push_str("while IFS= read -r line; do printf '%s\\n' \"$line\"; done\n"),
            _ => {}
        }
        let path = folder.join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for shell in ["sh", "bash"] {
        std::os::unix::fs::symlink(bash, folder.join(shell)).unwrap();
    }
}

/// Pieces of which lines are made; most lines make sense, some don't.
fn line() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "alpha",
        "beta",
        "gamma",
        "alpha",
        "beta",
        "'gamma'",
        "al\\pha",
        "\"beta\"",
        "x",
        "'a b'",
        "\"$(beta)\"",
        "$(gamma x)",
        "`alpha`",
        ";",
        "&&",
        "||",
        "|",
        "&",
        "\n",
        "(",
        ")",
        "{",
        "}",
        "; }",
        "! ",
        "if",
        "; then",
        "; fi",
        "for i in 1",
        "; do",
        "; done",
        "FOO=1",
        "env A=1",
        "sudo",
        "timeout 5",
        "xargs",
        "sh -c 'alpha; beta'",
        "bash -c",
        "\"gamma x\"",
        "eval",
        "| sh",
        "<<< 'alpha'",
        "<<E\nbeta\nE\n",
        "<<'E'\n$(alpha)\nE\n",
        "<<E\n$(alpha)\nE\n",
        "echo",
        "printf",
        "'beta\\n'",
        "find .",
        "-exec",
        "{} \\;",
        "trap",
        "'gamma' EXIT",
        "# ",
        "\\\n",
        "$x",
        "$'\\x61lpha'",
        "f() { alpha; }",
        "f",
        "case a in a)",
        ";; esac",
        "[[ -n x ]]",
        "2>&1",
        "> /dev/null",
        "<(alpha)",
        "cat",
        "command",
        "exec",
        "builtin",
        "time",
        "coproc",
        "{alpha,x}",
        "a=$(beta)",
        "export",
        "'",
        "\"",
        "\\",
    ]);
    prop::collection::vec((piece, prop::bool::weighted(0.9)), 1..9).prop_map(|pieces| {
        pieces.into_iter().fold(String::new(), |mut line, (piece, spaced)| {
            let _ = write!(line, "{piece}{}", if spaced { " " } else { "" });
            line
        })
    })
}

/// A line that is read whole runs no program of ours that isn't among its parts.
#[test]
fn bash_runs_nothing_that_was_not_read() {
    let Some(bash) =
        ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].map(Path::new).into_iter().find(|path| path.exists())
    else {
        println!("skipped: there is no bash");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    write_programs(&programs, bash);
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&line(), |line| {
        let read = CommandLine::read(&line);
        if read.unread.is_some() {
            return Ok(());
        }
        // A log of its own: what was left in the background may still write.
        let log = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        let mut shell = Command::new(bash);
        shell.arg("-c").arg(&line).env_clear().env("PATH", &programs).env("LOG", log.path()).current_dir(folder.path());
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().unwrap();
        for program in fs::read_to_string(log.path()).unwrap().lines() {
            let is_read = read.is_denied_by(&format!("{program} *"));
            prop_assert!(is_read, "{line:?} ran {program}, and its parts are {:?}", read.parts);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
