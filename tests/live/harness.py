"""What every producer needs: installing pinned packages, starting programs, running ours, and comparing."""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = ("text", "calls", "usage", "error", "interrupt", "second turn", "cancel")
PROMPTS = {
    "text": "Say hello, please. live-text",
    "tool": "What is in notes.txt? live-tool",
    "boom": "Begin and fail. live-boom",
    "slow": "Count for long. live-slow",
    "again": "Once more, please. live-again",
}


class Skipped(Exception):
    """The producer can't be installed or started here; the words say why."""


@dataclass
class Shown:
    """What our program said in a run."""

    command: str
    code: int
    object: dict
    events: list = field(default_factory=list)
    stderr: str = ""

    @property
    def texts(self):
        return [
            one["text"] for one in self.object.get("messages", []) if one["role"] == "assistant" and one["text"].strip()
        ]

    @property
    def outcome(self):
        return self.object.get("outcome")

    @property
    def calls(self):
        return self.object.get("tool_calls") or []

    @property
    def words(self):
        error = self.object.get("error") or {}
        return " ".join([str(error.get("message", "")), *(one["message"] for one in self.object.get("notices") or [])])


class Place:
    """Where packages are kept, and where a run has its own files."""

    def __init__(self, cache, program):
        self.cache, self.program = Path(cache), Path(program).resolve()
        self.runs = Path(tempfile.mkdtemp(prefix="live-"))
        self.logs = self.runs / "logs"
        self.logs.mkdir()
        self.number = 0

    def folder(self, name):
        self.number += 1
        path = self.runs / f"{self.number}-{name}"
        path.mkdir(parents=True)
        return path

    def npm(self, *packages, node=None):
        """Installs pinned packages from npm and returns the folder with `node_modules`."""
        if not shutil.which("npm"):
            raise Skipped("npm is not installed")
        return self.install(
            "npm",
            packages,
            lambda folder: [
                ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
            ],
        )

    def pip(self, *packages):
        """Installs pinned packages from PyPI into an environment of their own and returns its folder."""
        return self.install(
            "py",
            packages,
            lambda folder: [
                [sys.executable, "-m", "venv", str(folder)],
                [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *packages],
            ],
        )

    def crate(self, source, program):
        """Builds a crate of this repository in a folder of its own and returns the path of its program."""
        if not shutil.which("cargo"):
            raise Skipped("cargo is not installed")
        folder = self.cache / f"crate-{program}"
        target = ["--manifest-path", str(source / "Cargo.toml"), "--target-dir", str(folder), "--quiet"]
        done = subprocess.run(["cargo", "build", *target], capture_output=True, text=True)
        if done.returncode:
            raise Skipped(f"{program}: " + last_line(done.stderr))
        return folder / "debug" / program

    def install(self, kind, packages, commands):
        name = re.sub(r"[^a-z0-9.]+", "-", f"{kind}-{packages[0]}".lower()).strip("-")
        folder, wanted = self.cache / name, "\n".join(packages) + "\n"
        stamp = folder / "installed.txt"
        if stamp.exists() and stamp.read_text() == wanted:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for command in commands(folder):
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                raise Skipped(f"{packages[0]}: " + last_line(done.stderr or done.stdout))
        stamp.write_text(wanted)
        return folder

    def node22(self):
        """The path of a Node of version 22 or later."""
        node = shutil.which("node")
        if (
            node
            and int(
                subprocess.run(
                    [node, "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True
                ).stdout
                or 0
            )
            >= 22
        ):
            return node
        return str(self.npm("node@22.23.3") / "node_modules/node/bin/node")

    def environment(self, home, **more):
        """An environment without the caller's settings and keys."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE") if key in os.environ}
        return {
            **kept,
            "HOME": str(home),
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "XDG_CACHE_HOME": f"{home}/.cache",
            "JARVIS_TUI_HOME": f"{home}/jarvis",
            "NO_COLOR": "1",
            "TERM": "xterm-256color",
            **more,
        }


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """A server process: started, waited for and stopped with all that it started."""

    def __init__(self, place, name, command, env, cwd, port, seconds=90):
        self.log = place.logs / f"{name}.log"
        self.out = open(self.log, "wb")
        self.process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self.out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.port = port
        end = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise Skipped("the server did not start: " + last_line(self.log.read_text(errors="replace")))
                time.sleep(0.2)

    def stop(self):
        end_group(self.process)
        self.out.close()


def end_group(process):
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def run(command, env, cwd, seconds):
    """Runs a program to its end: its exit code, and what it wrote."""
    process = subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end_group(process)
        out, err = process.communicate()
        err += f"\n(did not end in {seconds} s)"
    return process.returncode, out, err


def run_ours(place, home, arguments, env, cwd, seconds=120):
    """Runs our program until it ends by itself and reads its JSON object."""
    command = [str(place.program), "attach", "--output-format", "json", *arguments]
    code, out, err = run(command, env, cwd, seconds)
    try:
        said = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = {}
    return Shown(shlex.join(command[1:]), code, said, stderr=err)


def run_until(place, home, arguments, env, cwd, ready, after, seconds=60):
    """Runs our program with an event a line, sends SIGINT once `ready(events)`, and reads all that it said.

    `after` is called as soon as the program runs. The object is made of the log by a replay.
    """
    command = [str(place.program), "attach", "--json", *arguments]
    process = subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    events, errors = [], []
    changed = threading.Condition()

    def read():
        for line in process.stdout:
            with changed:
                try:
                    events.append(json.loads(line)["event"])
                except (ValueError, KeyError):
                    pass
                changed.notify_all()

    readers = [threading.Thread(target=read), threading.Thread(target=lambda: errors.extend(process.stderr))]
    for reader in readers:
        reader.start()
    after(events)
    end = time.monotonic() + seconds
    with changed:
        while not ready(events) and time.monotonic() < end and process.poll() is None:
            changed.wait(0.1)
    interrupted = time.monotonic()
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        errors.append(f"(still running {time.monotonic() - interrupted:.0f} s after SIGINT)")
    end_group(process)
    for reader in readers:
        reader.join()
    return Shown(shlex.join(command[1:]), process.returncode, summary(place, home, env, cwd), events, "".join(errors))


def newest_log(home):
    logs = sorted(Path(home, "jarvis").rglob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else None


def summary(place, home, env, cwd):
    log = newest_log(home)
    if log is None:
        return {}
    done = subprocess.run(
        [str(place.program), "replay", str(log), "--headless", "--output-format", "json"],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def events_of(home):
    log = newest_log(home)
    lines = log.read_text().splitlines() if log else []
    return [one["event"] for one in map(json.loads, lines) if "event" in one]


def ended(events):
    return [event["end"] for event in events if event["type"] == "turn_finished"]


def run_screen(place, home, arguments, env, cwd, prompts, seconds=60):
    """Types prompts into our program in a terminal, each after the end of the turn before; the log tells what came."""
    command = [str(place.program), "attach", *arguments]
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(cwd)
        os.execve(command[0], command, env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def drain(until, limit):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    if not os.read(terminal, 65536):
                        return until()
                except OSError:
                    return until()
            if until():
                return True
        return until()

    try:
        drain(lambda: any(event["type"] == "session_opened" for event in events_of(home)), 15)
        drain(lambda: False, 1)
        for number, prompt in enumerate(prompts, 1):
            os.write(terminal, prompt.encode())
            drain(lambda: False, 0.5)
            os.write(terminal, b"\r")
            if not drain(lambda: len(ended(events_of(home))) >= number, seconds):
                break
        os.write(terminal, b"\x04")
        drain(lambda: False, 1)
    finally:
        try:
            os.kill(process, signal.SIGTERM)
        except ProcessLookupError:
            pass
        os.close(terminal)
        os.waitpid(process, 0)
    return Shown(shlex.join(command[1:]), 0, {}, events_of(home))


def turns_of(events):
    """The texts of each turn: a list of messages of the assistant, joined by what the message was."""
    turns, messages = [], {}
    for event in events:
        if event["type"] == "turn_started":
            turns.append([])
        elif event["type"] == "message_started" and event.get("role") == "assistant" and turns:
            messages[event["message"]] = [""]
            turns[-1].append(messages[event["message"]])
        elif event["type"] == "text_delta" and event["message"] in messages:
            messages[event["message"]][0] += event["text"]
    return [[one[0] for one in turn if one[0].strip()] for turn in turns]


def post(url, body, headers=None, seconds=120):
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        return json.loads(answer.read() or b"null")


def matrix_options(description, noun, kinds):
    """Reads the command line of a matrix; `--list` ends it."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--program", default=str(HERE.parents[1] / "target/debug/jarvis-tui"))
    parser.add_argument("--cache", help="where packages are installed and kept; by default a temporary folder")
    parser.add_argument("--only", action="append", default=[], help=f"a {noun}; repeatable")
    parser.add_argument("--but", action="append", default=[], help=f"leave out a {noun}; repeatable")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the runs, and print where they are")
    parser.add_argument("--list", action="store_true", help=f"print the names of the {noun}s")
    options = parser.parse_args()
    if options.list:
        print("\n".join(kind.name for kind in kinds))
        sys.exit(0)
    if not Path(options.program).is_file():
        parser.error(f"{options.program} is not there: build it, or name it with --program")
    options.kinds = [kind for kind in kinds if kind.name in (options.only or [kind.name]) and kind.name not in options.but]
    return options


@contextmanager
def matrix_place(options):
    """The folders of a matrix, taken away afterwards."""
    cache = options.cache or tempfile.mkdtemp(prefix="matrix-cache-")
    place = Place(cache, options.program)
    try:
        yield place
    finally:
        if options.keep:
            print(f"kept: {place.runs}", file=sys.stderr)
        else:
            shutil.rmtree(place.runs, ignore_errors=True)
        if not options.cache:
            shutil.rmtree(cache, ignore_errors=True)
