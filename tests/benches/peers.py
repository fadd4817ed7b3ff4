#!/usr/bin/env python3
"""Measures jarvis-tui, the floor program and other clients in turn, on one machine, and prints the README's table.

    python3 tests/benches/peers.py [--clients jarvis-tui,floor,codex,claude] [--rounds 3] [--program FILE]

For Linux with Rust and, for the other clients, npm: their pinned packages are put under `target/peers`. Every client is
a fresh process in a terminal of 120x40 with an empty home, and asks one model server of ours on this machine. In each
round every client is measured once, so that what disturbs one disturbs all. The table has medians of the rounds.

- start: from starting the program until its prompt is painted; memory (PSS of all its processes) 3 s later.
- stream: an answer of 1,000 tokens in Markdown, 100 a second. CPU (user and system, all processes) from Enter until the
  screen is quiet; bytes written to the terminal; lag: from the server's write of a marked word to its last byte on the
  terminal. Memory afterwards.
- keys: single characters typed during such a stream, from the write to the first read with that character.
- burst: an answer of 20,000 tokens as fast as they are taken, from the server's first byte to the last word on screen.
"""

import argparse
import bisect
import collections
import contextlib
import fcntl
import json
import multiprocessing
import os
import pathlib
import pty
import random
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "target/peers"
ROWS, COLUMNS = 40, 120
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
WORDS = "the of and to in is that for it as was with be by on not he his but at are this have from or had they which".split()
ASKED = re.compile(r"tokens (\d+) rate (\d+) number (\d+)")
ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[()][0-9A-B]|\x1b[=>78]")


# The model server.

def capitals(number, length):
    """A word of consonants in capitals that no other number has in any place alike."""
    return "".join(LETTERS[(number * step + place * 3) % 20] for place, step in zip(range(length), (1, 3, 7, 9, 11, 13, 17, 19)))


def answer(tokens, number):
    """Pieces of Markdown, each with the mark that it ends with, where it has one; the last has a mark of its own."""
    chance, pieces = random.Random(number % 7), []
    while len(pieces) < tokens:
        words = [" " + chance.choice(WORDS) for _ in range(90)]
        words[16], words[36] = " **" + words[16][1:] + "**", " `" + words[36][1:] + "`"
        pieces += ["## ", "A", " title", "\n\n", *words, ".\n\n"]
        for _ in range(5):
            pieces += ["- ", *(chance.choice(WORDS) + " " for _ in range(9)), "\n"]
        pieces += ["\n```rust", "\n", *("    let ", "a", " = ", "call", "(", "1", ");", "\n") * 6, "```", "\n\n"]
        pieces += ["| a", " | b", " | c |\n", "|---|---|---|\n", *("| one", " | 2", " | three |\n") * 4, "\n"]
    pieces = pieces[: tokens - 1]
    marks, inside = {}, False
    for place, piece in enumerate(pieces):
        inside ^= "```" in piece
        if place % 10 == 5 and not inside and piece.strip().isalpha() and piece.strip().islower():
            value = (number * 4000 + place) * 1234577 % 20**5
            mark = "".join(LETTERS[value // 20**digit % 20] for digit in range(5))
            pieces[place], marks[place] = piece.replace(piece.strip(), mark), mark
    pieces.append(("\n```" if inside else "") + "\n\n" + capitals(number, 8) + "\n")
    return pieces, marks


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sent, served = {}, set()

    def do_HEAD(self):
        self.whole(200, {})

    def do_GET(self):
        if self.path.startswith("/sent/"):
            return self.whole(200, Model.sent.get(int(self.path[6:])))
        models = [{"id": name, "object": "model", "type": "model"} for name in ("mock", "mock-small")]
        found = self.path.split("?")[0].endswith("/models")
        self.whole(200 if found else 404, {"object": "list", "data": models} if found else {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            return self.whole(200, {"input_tokens": 100})
        kinds = {"/chat/completions": Chat, "/responses": Responses, "/messages": Messages}
        kind = next((kind for end, kind in kinds.items() if path.endswith(end)), None)
        if kind is None:
            return self.whole(404, {})
        asked = ASKED.findall(json.dumps(body.get("messages") or body.get("input")))
        tokens, rate, number = map(int, asked[-1]) if asked else (0, 0, 0)
        if not asked or number in Model.served or not body.get("stream"):
            pieces, marks, rate, number = ["a", " title"], {}, 0, None
        else:
            Model.served.add(number)
            pieces, marks = answer(tokens, number)
        if not body.get("stream"):
            return self.whole(200, kind.whole("".join(pieces)))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        chunk = lambda text: b"%x\r\n%s\r\n" % (len(text.encode()), text.encode())
        frames, times = [chunk(kind.piece(piece)) for piece in pieces], {}
        with contextlib.suppress(OSError):
            self.wfile.write(b"".join(map(chunk, kind.head())))
            began = time.monotonic()
            if rate:
                for place, frame in enumerate(frames):
                    time.sleep(max(0, began + place / rate - time.monotonic()))
                    if place in marks:
                        times[marks[place]] = time.monotonic()
                    self.wfile.write(frame)
            else:
                for place in range(0, len(frames), 32):
                    self.wfile.write(b"".join(frames[place : place + 32]))
            self.wfile.write(b"".join(map(chunk, kind.tail("".join(pieces)))) + b"0\r\n\r\n")
        if number is not None:
            Model.sent[number] = {"began": began, "marks": times}

    def whole(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


def serve(ready):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    ready.send(server.server_port)
    server.serve_forever()


def sent(port, number):
    """When the answer of the number was begun and each of its marks was written."""
    for _ in range(100):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/sent/{number}") as reply:
            if found := json.load(reply):
                return found
        time.sleep(0.1)
    raise RuntimeError("the answer was never asked for, or not taken to its end")


def event(value, named=True):
    return (f"event: {value['type']}\n" if named else "") + "data: " + json.dumps(value, separators=(",", ":")) + "\n\n"


class Chat:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "mock"}

    @classmethod
    def choice(cls, delta, end=None):
        return event({**cls.base, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}, named=False)

    @classmethod
    def head(cls):
        return [cls.choice({"role": "assistant", "content": ""})]

    @classmethod
    def piece(cls, text):
        return cls.choice({"content": text})

    @classmethod
    def tail(cls, _):
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        return [cls.choice({}, "stop"), event({**cls.base, "choices": [], "usage": usage}, named=False), "data: [DONE]\n\n"]

    @classmethod
    def whole(cls, text):
        message = {"role": "assistant", "content": text}
        return {**cls.base, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


class Responses:
    @staticmethod
    def response(status, output):
        usage = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 50,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 150}
        return {"id": "r", "object": "response", "created_at": 1, "status": status, "model": "mock", "output": output,
                "usage": usage if output else None}

    @staticmethod
    def item(text):
        content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
        status = "completed" if text else "in_progress"
        return {"id": "m", "type": "message", "status": status, "role": "assistant", "content": content}

    @classmethod
    def head(cls):
        part = {"type": "output_text", "text": "", "annotations": []}
        place = {"item_id": "m", "output_index": 0, "content_index": 0}
        return [event({"type": "response.created", "sequence_number": 0, "response": cls.response("in_progress", [])}),
                event({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": cls.item("")}),
                event({"type": "response.content_part.added", "sequence_number": 2, **place, "part": part})]

    @classmethod
    def piece(cls, text):
        return event({"type": "response.output_text.delta", "sequence_number": 3, "item_id": "m", "output_index": 0,
                      "content_index": 0, "delta": text})

    @classmethod
    def tail(cls, text):
        place, item = {"item_id": "m", "output_index": 0, "content_index": 0}, cls.item(text)
        return [event({"type": "response.output_text.done", "sequence_number": 4, **place, "text": text}),
                event({"type": "response.content_part.done", "sequence_number": 5, **place, "part": item["content"][0]}),
                event({"type": "response.output_item.done", "sequence_number": 6, "output_index": 0, "item": item}),
                event({"type": "response.completed", "sequence_number": 7, "response": cls.response("completed", [item])})]

    @classmethod
    def whole(cls, text):
        return cls.response("completed", [cls.item(text)])


class Messages:
    @staticmethod
    def message(text):
        return {"id": "m", "type": "message", "role": "assistant", "model": "mock", "stop_reason": "end_turn" if text else None,
                "content": [{"type": "text", "text": text}] if text else [], "stop_sequence": None,
                "usage": {"input_tokens": 100, "output_tokens": 50}}

    @classmethod
    def head(cls):
        return [event({"type": "message_start", "message": cls.message("")}),
                event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})]

    @classmethod
    def piece(cls, text):
        return event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})

    @classmethod
    def tail(cls, _):
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        return [event({"type": "content_block_stop", "index": 0}),
                event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 50}}), event({"type": "message_stop"})]

    @classmethod
    def whole(cls, text):
        return cls.message(text)


# The clients. {port} and {home} are filled in.

CODEX = """model = "mock"
model_provider = "mock"
check_for_update_on_startup = false
approval_policy = "never"
sandbox_mode = "read-only"
model_context_window = 4000000
[analytics]
enabled = false
[feedback]
enabled = false
[features]
daemon_auto_start = false
apps = false
plugins = false
remote_plugin = false
in_app_updates = false
[model_providers.mock]
name = "mock"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
[projects."{home}"]
trust_level = "trusted"
"""
CLAUDE = """{"hasCompletedOnboarding":true,"theme":"dark","numStartups":10,"autoUpdates":false,
"projects":{"{home}":{"hasTrustDialogAccepted":true,"hasCompletedProjectOnboarding":true,"projectOnboardingSeenCount":4}}}"""
QUIET = {name: "1" for name in ("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING", "DISABLE_AUTO_COMPACT",
                                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "IS_SANDBOX")}
CLIENTS = {
    "jarvis-tui": {
        "args": ["-m", "openai/mock"],
        "env": {"OPENAI_API_KEY": "a-key-for-nobody", "OPENAI_BASE_URL": "http://127.0.0.1:{port}/v1"},
        "ready": "[›❯]",
    },
    "floor": {"args": ["{port}"], "ready": "›"},
    "codex": {
        "package": ("@openai/codex", "0.171.0"), "program": "vendor/*/*/codex", "args": [], "ready": "›",
        "env": {"CODEX_HOME": "{home}/.codex"}, "files": {".codex/config.toml": CODEX},
    },
    "claude": {
        "package": ("@anthropic-ai/claude-code", "2.1.332"), "program": "claude-code*/claude", "args": [], "ready": r"❯|\? for shortcuts",
        "env": {**QUIET, "ANTHROPIC_BASE_URL": "http://127.0.0.1:{port}", "ANTHROPIC_AUTH_TOKEN": "a-key-for-nobody",
                "ANTHROPIC_MODEL": "claude-sonnet-4-5", "ANTHROPIC_DEFAULT_HAIKU_MODEL": "mock-small"},
        "files": {".claude.json": CLAUDE},
    },
}


def built(args, name):
    """Builds one of our programs and returns where it is."""
    made = subprocess.run(["cargo", *args, "--locked", "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found = [json.loads(line) for line in made.stdout.splitlines()]
    return next(line["executable"] for line in found if line.get("executable") and line["target"]["name"] == name)


def installed(package, version, pattern):
    """Installs a package of npm and returns its native program, or None."""
    folder = PEERS / f"{package.replace('/', '_')}@{version}"
    if not folder.exists():
        folder.mkdir(parents=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, f"{package}@{version}"],
                       check=True, stdout=subprocess.DEVNULL)
    scope = folder / "node_modules"
    found = [file for file in scope.rglob(pattern) if file.is_file() and file.read_bytes()[:4] == b"\x7fELF"]
    return str(found[0]) if found else None


def program(name, given):
    """The client's program and version, or None for both and why."""
    client = CLIENTS[name]
    try:
        if name == "jarvis-tui":
            path = os.path.abspath(given) if given else built(["build", "--release"], "jarvis-tui")
        elif name == "floor":
            path = built(["build", "--release", "--manifest-path", "tests/benches/floor/Cargo.toml", "--target-dir", "target/floor"], "floor")
        else:
            path = installed(*client["package"], client["program"])
    except (OSError, subprocess.CalledProcessError) as error:
        return None, str(error)
    if path is None:
        return None, "its package has no program for this machine"
    return path, client["package"][1] if "package" in client else ""


# The terminal.

ANSWERS = [
    (re.compile(rb"\x1b\[0?c"), b"\x1b[?62;22c"), (re.compile(rb"\x1b\[>0?c"), b"\x1b[>1;10;0c"),
    (re.compile(rb"\x1b\[5n"), b"\x1b[0n"), (re.compile(rb"\x1b\[6n"), b"\x1b[1;1R"), (re.compile(rb"\x1b\[\?u"), b"\x1b[?0u"),
    (re.compile(rb"\x1b\[\?2026\$p"), b"\x1b[?2026;2$y"), (re.compile(rb"\x1b\[\?996n"), b"\x1b[?997;1n"),
    (re.compile(rb"\x1b\]11;\?(?:\x07|\x1b\\)"), b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\"),
    (re.compile(rb"\x1b\]10;\?(?:\x07|\x1b\\)"), b"\x1b]10;rgb:d4d4/d4d4/d4d4\x1b\\"),
]


class Run:
    """One client in a terminal. All that it writes is kept, with the times at which it was read."""

    def __init__(self, path, client, port, home):
        fill = lambda text: text.replace("{port}", str(port)).replace("{home}", home)
        for name, text in client.get("files", {}).items():
            file = pathlib.Path(home, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fill(text))
        env = {"PATH": os.environ["PATH"], "HOME": home, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        env |= {name: fill(value) for name, value in client.get("env", {}).items()}
        self.data, self.ends, self.times, self.change = bytearray(), [], [], threading.Condition()
        self.began = time.monotonic()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * 8, ROWS * 20))
            os.chdir(home)
            os.execve(path, [path, *map(fill, client["args"])], env)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        rest = b""
        while True:
            try:
                piece = os.read(self.terminal, 1 << 16)
            except OSError:
                return
            now = time.monotonic()
            with self.change:
                self.data += piece
                self.ends.append(len(self.data))
                self.times.append(now)
                self.change.notify_all()
            asked, last = rest + piece, 0
            for question, reply in ANSWERS if b"\x1b" in asked else ():
                for found in question.finditer(asked):
                    last = max(last, found.end())
                    os.write(self.terminal, reply)
            rest = asked[last:][-32:]

    def shown_at(self, start, text, limit=60):
        """The time at which the text was whole on the terminal, if it came."""
        until, looked = time.monotonic() + limit, start
        while time.monotonic() < until:
            with self.change:
                size = len(self.data)
                piece = bytes(self.data[max(start, looked - 400) :])
                if size == looked:
                    self.change.wait(0.2)
                    continue
            place = piece.find(text)
            if place >= 0:
                return self.time_of(size - len(piece) + place + len(text))
            if text in ESCAPES.sub(b"", piece):
                return self.time_of(size)
            looked = size
        return None

    def time_of(self, end):
        return self.times[bisect.bisect_left(self.ends, end)]

    def ready(self, pattern, limit=60):
        pattern, until = re.compile(pattern), time.monotonic() + limit
        while time.monotonic() < until:
            with self.change:
                if self.times and pattern.search(ESCAPES.sub(b"", bytes(self.data)).decode(errors="replace")):
                    return self.times[-1] - self.began
                self.change.wait(0.2)
        raise RuntimeError("no prompt was painted")

    def quiet(self, seconds, limit=30):
        until = time.monotonic() + limit
        while time.monotonic() < until and time.monotonic() - (self.times or [self.began])[-1] < seconds:
            time.sleep(0.05)

    def type(self, text, pause=0.01):
        for char in text:
            os.write(self.terminal, char.encode())
            time.sleep(pause)

    def processes(self):
        parents = collections.defaultdict(list)
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                parents[int(pathlib.Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()[1])].append(int(entry))
        found, todo = [], [self.pid]
        while todo:
            found.append(todo.pop())
            todo += parents[found[-1]]
        return found

    def cpu(self):
        """Milliseconds of all threads of the living processes and of children that ended."""
        spent = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                spent += time.clock_gettime(~pid << 3 | 2) * 1000
                ended = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[13:15]
                spent += sum(map(int, ended)) * 1000 / os.sysconf("SC_CLK_TCK")
        return spent

    def pss(self):
        """Megabytes."""
        kilobytes = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kilobytes / 1000

    def ask(self, tokens, rate, number):
        start = len(self.data)
        self.type(f"tokens {tokens} rate {rate} number {number}")
        time.sleep(0.5)
        before = self.cpu(), len(self.data)
        os.write(self.terminal, b"\r")
        return start, before

    def end(self):
        for pid in reversed(self.processes()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


def measure(path, client, port, number):
    """One round of one client: figures by name. Numbers of answers from `number` on are its own."""
    figures = {}
    with tempfile.TemporaryDirectory() as home:
        run = Run(path, client, port, home)
        try:
            figures["start_ms"] = run.ready(client["ready"]) * 1000
            time.sleep(3)
            figures["start_mb"] = run.pss()
            start, (cpu, written) = run.ask(1000, 100, number)
            run.shown_at(start, capitals(number, 8).encode())
            run.quiet(1)
            figures["stream_cpu_ms"] = run.cpu() - cpu
            figures["token_bytes"] = (len(run.data) - written) / 1000
            figures["turn_mb"] = run.pss()
            lags = []
            for mark, written_at in sent(port, number)["marks"].items():
                place = run.data.find(mark.encode(), written)
                if place >= 0:
                    lags.append((run.time_of(place + len(mark)) - written_at) * 1000)
            figures["lag_p50_ms"], figures["lag_p95_ms"] = percentile(lags, 0.5), percentile(lags, 0.95)
            start, _ = run.ask(600, 100, number + 1)
            echoes, pause = [], random.Random(number)
            time.sleep(1)
            for code in range(0x100, 0x118):
                char, at, typed = chr(code), len(run.data), time.monotonic()
                run.type(char, 0)
                echoed = run.shown_at(at, char.encode(), 2)
                if echoed:
                    echoes.append((echoed - typed) * 1000)
                time.sleep(pause.uniform(0.12, 0.25))
            figures["key_p95_ms"] = percentile(echoes, 0.95)
        finally:
            run.end()
    with tempfile.TemporaryDirectory() as home:
        run = Run(path, client, port, home)
        try:
            run.ready(client["ready"])
            run.quiet(1)
            start, _ = run.ask(20_000, 0, number + 2)
            shown = run.shown_at(start, capitals(number + 2, 8).encode(), 120)
            run.quiet(1)
            figures["burst_ms"] = (shown - sent(port, number + 2)["began"]) * 1000 if shown else None
        finally:
            run.end()
    return figures


ROWS_OF_TABLE = [
    ("start to painted prompt", ["start_ms"], "ms"),
    ("memory (PSS) at start", ["start_mb"], "MB"),
    ("memory (PSS) after an answer of 1,000 tokens", ["turn_mb"], "MB"),
    ("CPU for 1,000 tokens at 100 tokens/s", ["stream_cpu_ms"], "ms"),
    ("bytes to the terminal, a token", ["token_bytes"], ""),
    ("a token on the screen, p50 / p95", ["lag_p50_ms", "lag_p95_ms"], "ms"),
    ("echo of a key while it streams, p95", ["key_p95_ms"], "ms"),
    ("20,000 tokens as fast as possible", ["burst_ms"], "ms"),
]


def shown(value):
    return "–" if value is None else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def table(names, titles, rounds):
    """Markdown: medians, and in brackets how many times that of the first client."""
    lines = ["| what | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(names)]
    for title, keys, unit in ROWS_OF_TABLE:
        cells, first = [], None
        for name in names:
            values = [[figures[key] for figures in rounds[name] if figures.get(key) is not None] for key in keys]
            medians = [statistics.median(value) if value else None for value in values]
            times = f" ({shown(medians[0] / first)}×)" if first and medians[0] is not None else ""
            first = first or medians[0]
            cells.append(f"{' / '.join(map(shown, medians))} {unit}".strip() + times)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", help="our program, already built")
    options = parser.parse_args()
    programs = {}
    for name in options.clients.split(","):
        if name not in CLIENTS:
            parser.error(f"unknown client {name!r}; there are {', '.join(CLIENTS)}")
        path, version = program(name, options.program)
        if path is None:
            print(f"{name} is left out: {version}", file=sys.stderr)
        else:
            programs[name] = path, version
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=serve, args=(theirs,), daemon=True).start()
    port = ours.recv()
    rounds, number = collections.defaultdict(list), 1
    for turn in range(options.rounds):
        for name, (path, _) in programs.items():
            figures = measure(path, CLIENTS[name], port, number)
            number += 3
            rounds[name].append(figures)
            print(turn + 1, name, {key: value and round(value, 1) for key, value in figures.items()}, file=sys.stderr)
    PEERS.mkdir(parents=True, exist_ok=True)
    (PEERS / "figures.json").write_text(json.dumps(rounds, indent=1))
    titles = [f"{name} {version}".strip() for name, (_, version) in programs.items()]
    print(table(list(programs), titles, rounds))


if __name__ == "__main__":
    main()
