//! The sandbox from inside: what a command may attempt, and what becomes of it. Everything happens in folders and among
//! processes of the test's own.

use std::fs;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use jarvis_tui::sandbox::{SandboxPolicy, SandboxRules, SandboxSettings, SandboxSupport};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jarvis-tui");

/// A folder to work in, one beside it that is out of bounds, and a home.
struct Bench {
    _root: tempfile::TempDir,
    root: PathBuf,
    rules: SandboxRules,
    policy: SandboxPolicy,
}

/// Where a test works: not in temp, which every command may write.
fn outside_temp() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

impl Bench {
    /// None where the machine has no sandbox, which is told.
    fn new() -> Option<Self> {
        let support = SandboxSupport::here(Path::new(PROGRAM));
        if let Some(why) = support.why_not() {
            println!("skipped: no sandbox here: {why}");
            return None;
        }
        let root_dir = tempfile::tempdir_in(outside_temp()).unwrap();
        let root = root_dir.path().canonicalize().unwrap();
        for folder in ["work/.git/hooks", "work/.jarvis", "other", "home/.ssh", "home/state"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (file, text) in [
            ("work/.git/config", "[core]\n"),
            ("work/.jarvis/config.toml", "# ours\n"),
            ("work/file", "work\n"),
            ("other/file", "other\n"),
            ("home/.ssh/id", "the key\n"),
            ("home/state/log", "the log\n"),
        ] {
            fs::write(root.join(file), text).unwrap();
        }
        std::os::unix::fs::symlink(root.join("other"), root.join("work/link")).unwrap();
        std::os::unix::fs::symlink(root.join("other/file"), root.join("work/link-to-file")).unwrap();
        let rules = SandboxRules::new(
            SandboxSettings { processes: 64, memory_bytes: 512 << 20, ..SandboxSettings::default() },
            [root.join("home/state")],
            Some(root.join("home")),
            PROGRAM.into(),
        );
        let policy = rules.policy(&root.join("work"), &[], Duration::from_mins(1));
        Some(Self { _root: root_dir, root, rules, policy })
    }

    fn command(&self, script: &str) -> Command {
        let inside = self.rules.command(&self.policy, "bash", ["-c", script]).unwrap();
        let mut command = Command::new(inside.program);
        command.args(inside.arguments).current_dir(self.root.join("work")).env("ROOT", &self.root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.root.join(file)).unwrap_or_else(|_| "absent".to_owned())
    }
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It works as it does outside.
    Works,
    /// It fails.
    Refused,
    /// It fails where there are namespaces; elsewhere the question says that it doesn't.
    RefusedWithNamespaces,
    /// It works where there are namespaces.
    WorksWithNamespaces,
}

use Fate::{Refused, RefusedWithNamespaces, Works, WorksWithNamespaces};

/// What is attempted, in words; how, so that success is exit status 0; and what becomes of it.
const ATTEMPTS: &[(&str, &str, Fate)] = &[
    // Work.
    ("write a file in the folder", "echo x > new && test -s new", Works),
    ("make folders and remove them", "mkdir -p a/b && rmdir a/b a", Works),
    ("rename within the folder", "mv file moved && mv moved file", Works),
    ("link within the folder", "ln file hard && ln -s file soft && rm hard soft", Works),
    ("write to temp", "f=$(mktemp) && echo x > $f && rm $f", Works),
    ("read what belongs to the system", "test -n \"$(cat /etc/passwd)\"", Works),
    ("read a file beside the folder", "test -n \"$(cat $ROOT/other/file)\"", Works),
    ("write to /dev/null", "echo x > /dev/null", Works),
    ("read what git keeps", "test -n \"$(cat .git/config)\"", Works),
    ("use pipes and here-documents", "cat <<< x | grep -q x", Works),
    ("stop a child of its own", "sleep 60 & kill $!; wait $!; test $? = 143", Works),
    ("make a pair of sockets", "python3 -c 'import socket; socket.socketpair()'", Works),
    // Files outside.
    ("write beside the folder", "echo x > $ROOT/other/new", Refused),
    ("append to a file beside the folder", "echo x >> $ROOT/other/file", Refused),
    ("empty a file beside the folder", ": > $ROOT/other/file", Refused),
    ("shorten a file beside the folder", "truncate -s 0 $ROOT/other/file", Refused),
    ("remove a file beside the folder", "rm -f $ROOT/other/file", Refused),
    ("make a folder beside the folder", "mkdir $ROOT/other/folder", Refused),
    ("remove a folder beside the folder", "rm -rf $ROOT/home/.ssh", Refused),
    ("write in the home folder", "echo x > $ROOT/home/.bashrc", Refused),
    ("write through a path with dots", "echo x > ../other/new", Refused),
    ("write through a link to a folder", "echo x > link/new", Refused),
    ("write through a link to a file", "echo x >> link-to-file", Refused),
    ("write through a link of its own", "ln -s $ROOT/other mine && echo x > mine/new", Refused),
    ("write through a hard link to outside", "ln $ROOT/other/file mine && echo x >> mine", Refused),
    ("move a file out", "echo x > y && mv y $ROOT/other/y && ! test -e y", Refused),
    ("move a file in", "mv $ROOT/other/file stolen", Refused),
    ("exchange a folder with one outside", "mkdir d && mv -T d $ROOT/other/d", Refused),
    ("write by a descriptor of its working folder", "cd /proc/self/cwd/../other && echo x > new", Refused),
    ("write by /proc/self/root", "echo x > /proc/self/root$ROOT/other/new", Refused),
    (
        "make a socket beside the folder",
        "python3 -c 'import os,socket; socket.socket(socket.AF_UNIX).bind(os.environ[\"ROOT\"]+\"/other/s\")'",
        Refused,
    ),
    ("make a pipe beside the folder", "mkfifo $ROOT/other/pipe", Refused),
    ("make a device", "mknod null c 1 3", Refused),
    ("change the mode of a program outside by writing it", "cp /bin/true $ROOT/other/true", Refused),
    ("write settings of the kernel", "echo 0 > /proc/sys/kernel/core_uses_pid", Refused),
    ("write to the memory of the machine", "echo x > /dev/mem", Refused),
    // What is closed.
    ("write the configuration of git", "echo x >> .git/config", RefusedWithNamespaces),
    ("put a hook in place", "echo x > .git/hooks/pre-commit", RefusedWithNamespaces),
    ("put another .git in its place", "mv .git old && mkdir .git", RefusedWithNamespaces),
    ("remove .git", "rm -rf .git", RefusedWithNamespaces),
    ("write the settings of the project", "echo x >> .jarvis/config.toml", RefusedWithNamespaces),
    ("read a key", "cat $ROOT/home/.ssh/id", Refused),
    ("read a key through a link", "ln -s $ROOT/home/.ssh s && cat s/id", Refused),
    ("read a key through a hard link", "ln $ROOT/home/.ssh/id mine && cat mine", Refused),
    ("read our logs", "cat $ROOT/home/state/log", Refused),
    ("uncover what is covered", "umount $ROOT/home/.ssh && cat $ROOT/home/.ssh/id", Refused),
    ("make what is read-only writable", "mount -o remount,rw,bind .git", Refused),
    ("mount the folder elsewhere", "mkdir m && mount --bind $ROOT/other m", Refused),
    ("mount a file system", "mkdir m && mount -t tmpfs none m", Refused),
    ("enter namespaces of its own", "unshare -Ur true", Refused),
    ("enter mounts of its own", "unshare -m true", Refused),
    ("change the root", "mkdir r && chroot r true", Refused),
    // Other processes.
    ("signal the program that started it", "kill -0 $PARENT", Refused),
    ("kill its supervisor", "kill -9 $PPID", Refused),
    ("stop its supervisor", "kill -STOP $PPID", Refused),
    ("read the environment of the program", "cat /proc/$PARENT/environ", Refused),
    ("read the memory of the program", "dd if=/proc/$PARENT/mem bs=1 count=1", Refused),
    ("see a file that the program has open", "readlink /proc/$PARENT/fd/0", Refused),
    ("go to the program's folder", "cd /proc/$PARENT/cwd", Refused),
    ("go by the supervisor's root", "ls /proc/$PPID/root/", Refused),
    (
        "trace the program",
        "python3 -c 'import ctypes,os,sys; sys.exit(0 if ctypes.CDLL(None).ptrace(16,int(os.environ[\"PARENT\"]),0,0)==0 else 1)'",
        Refused,
    ),
    ("be spared when memory is short", "echo -1000 > /proc/self/oom_score_adj", Refused),
    // The network.
    ("connect to a server of this machine", "exec 3<>/dev/tcp/127.0.0.1/$PORT", Refused),
    ("send a datagram out", "echo x > /dev/udp/192.0.2.1/9", Refused),
    (
        "talk to its own server",
        "python3 -c 'import socket; s=socket.socket(); s.bind((\"127.0.0.1\",0)); s.listen(); socket.create_connection(s.getsockname())'",
        WorksWithNamespaces,
    ),
    ("open a raw socket", "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'", Refused),
    (
        "open a socket to a host of this virtual machine",
        "python3 -c 'import socket; socket.socket(socket.AF_VSOCK)'",
        Refused,
    ),
    (
        "connect to a socket of another program",
        "python3 -c 'import os,socket; socket.socket(socket.AF_UNIX).connect(os.environ[\"SERVICE\"]+\"/other/service\")'",
        Refused,
    ),
    (
        "connect to an abstract socket",
        "python3 -c 'import os,socket; socket.socket(socket.AF_UNIX).connect(\"\\0\"+os.environ[\"SERVICE\"])'",
        Refused,
    ),
    // The kernel.
    (
        "use io_uring",
        "python3 -c 'import ctypes,sys; b=ctypes.create_string_buffer(120); sys.exit(0 if ctypes.CDLL(None).syscall(425,1,b)>=0 else 1)'",
        Refused,
    ),
    (
        "read the kernel's keys",
        "python3 -c 'import ctypes,sys; sys.exit(0 if ctypes.CDLL(None).syscall(250,0,-3,0)>=0 else 1)'",
        Refused,
    ),
    ("become someone else", "sudo -n true", Refused),
    ("raise its limits", "ulimit -H -v unlimited; ulimit -H -u 100000", Refused),
    ("use more memory than it may", "python3 -c 'bytearray(1 << 30)'", Refused),
];

#[test]
fn what_a_command_attempts_is_held() {
    use std::os::linux::net::SocketAddrExt as _;
    let Some(first) = Bench::new() else { return };
    let support = SandboxSupport::here(Path::new(PROGRAM));
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let _service = UnixListener::bind(first.root.join("other/service")).unwrap();
    let name = std::os::unix::net::SocketAddr::from_abstract_name(first.root.to_str().unwrap()).unwrap();
    let _abstract = UnixListener::bind_addr(&name).unwrap();
    let mut wrong = Vec::new();
    for (what, script, fate) in ATTEMPTS {
        let Some(bench) = Bench::new() else { return };
        let output = bench
            .command(script)
            .env("PARENT", std::process::id().to_string())
            .env("PORT", &port)
            .env("SERVICE", &first.root)
            .output()
            .unwrap();
        let works = match fate {
            Works => true,
            Refused => false,
            RefusedWithNamespaces => !support.has_namespaces(),
            WorksWithNamespaces => support.has_namespaces(),
        };
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() != works {
            wrong.push(format!("{what}: {}, {}", output.status, said.trim()));
        }
        let kept = [("other/file", "other\n"), ("home/.ssh/id", "the key\n"), ("home/state/log", "the log\n")];
        for (file, text) in kept {
            if bench.text(file) != text {
                wrong.push(format!("{what}: {file} is another"));
            }
        }
        if fs::read_dir(bench.root.join("other")).unwrap().count() != 1 {
            wrong.push(format!("{what}: something was left outside"));
        }
        if support.has_namespaces() && bench.text("work/.git/config") != "[core]\n" {
            wrong.push(format!("{what}: .git is another"));
        }
        for secret in ["the key", "the log"] {
            if String::from_utf8_lossy(&output.stdout).contains(secret) {
                wrong.push(format!("{what}: it read {secret}"));
            }
        }
    }
    assert!(wrong.is_empty(), "of {} attempts:\n{}", ATTEMPTS.len(), wrong.join("\n"));
}

/// A pipe that processes of a command hold open: its end is theirs.
fn life_line(bench: &Bench) -> (PathBuf, std::thread::JoinHandle<String>) {
    let path = bench.root.join("work/alive");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reading = path.clone();
    (path, std::thread::spawn(move || fs::read_to_string(reading).unwrap()))
}

#[test]
fn nothing_of_a_command_outlives_it() {
    for (what, script) in [
        ("a child in the background", "sleep 600 9>alive & "),
        ("a child in another session", "exec 9>alive; setsid sleep 600 & "),
        ("a daemon", "exec 9>alive; (setsid bash -c 'sleep 600 & ' & ) "),
        (
            "one that ignores signals",
            "exec 9>alive; setsid bash -c 'trap \"\" TERM HUP INT; while :; do sleep 1; done' & ",
        ),
        (
            "one without a terminal, input or output",
            "exec 9>alive; nohup setsid sleep 600 >/dev/null 2>&1 < /dev/null & ",
        ),
    ] {
        let Some(bench) = Bench::new() else { return };
        let (_path, ended) = life_line(&bench);
        let begun = Instant::now();
        let output = bench.run(&format!("{script}\necho done"));
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        ended.join().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
    }
}

#[test]
fn nothing_of_a_command_outlives_the_program_that_is_killed() {
    let Some(bench) = Bench::new() else { return };
    let (_path, ended) = life_line(&bench);
    let script = "exec 9>alive; (setsid bash -c 'trap \"\" TERM; sleep 600' &); touch ready; sleep 600";
    let inside = bench.rules.command(&bench.policy, "bash", ["-c", script]).unwrap();
    // A program that starts a supervisor and is killed: this one can't be.
    let mut starter = Command::new("python3")
        .args(["-c", "import os,subprocess,sys; a=sys.argv[1:]; a[2]='parent=%d'%os.getpid(); subprocess.run(a)"])
        .arg(PROGRAM)
        .args(inside.arguments)
        .current_dir(bench.root.join("work"))
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !bench.root.join("work/ready").exists() {
        assert!(Instant::now() < deadline, "the command starts");
        std::thread::yield_now();
    }
    starter.kill().unwrap();
    starter.wait().unwrap();
    ended.join().unwrap();
}

#[test]
fn a_command_gets_no_more_processes_than_it_may() {
    let Some(bench) = Bench::new() else { return };
    let (_path, ended) = life_line(&bench);
    let output = bench.run("exec 9>alive; for i in $(seq 200); do sleep 600 & done; jobs -r | wc -l; wait");
    let most: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    let said = String::from_utf8_lossy(&output.stderr);
    // Root is kept from it by its supervisor, which looks now and then; others by the kernel.
    assert!(most < 64 || said.contains("more than 64 processes"), "{most}: {said}");
    ended.join().unwrap();
}

#[test]
fn a_command_that_takes_too_long_is_ended_by_its_supervisor() {
    let Some(mut bench) = Bench::new() else { return };
    bench.policy.limits.time = Duration::from_millis(300);
    let (_path, ended) = life_line(&bench);
    let output = bench.run("exec 9>alive; trap '' TERM; setsid sleep 600 & sleep 600");
    assert_eq!(output.status.signal(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[sandbox: stopped after"));
    ended.join().unwrap();
}

#[test]
fn a_command_ends_as_it_would_outside() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(bench.run("exit 7").status.code(), Some(7));
    assert_eq!(bench.run("kill -9 $$").status.signal(), Some(9));
    assert_eq!(bench.run("kill -SEGV $$").status.signal(), Some(11));
    let output = bench.run("echo out; echo err >&2");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
    let inside = bench.rules.command(&bench.policy, "absent-program", [""; 0]).unwrap();
    let output = Command::new(inside.program).args(inside.arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
}
