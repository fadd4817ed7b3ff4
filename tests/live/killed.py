#!/usr/bin/env python3
"""Kills a client, the server and the agent program that it serves, each at every event of a turn.

    cargo build && python3 tests/live/killed.py

One session of many turns: in each, one of the three is killed with SIGKILL after so many events of the turn, and what
was killed comes back. At the end every prompt stands in the log once, the agent got none twice, each event reached the
client once and in its order, and no two turns ran at once. Only the standard library is needed.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_LIMIT = 60


class Server:
    def __init__(self, program, home):
        self.program, self.home = program, home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self):
        env = {"PATH": os.environ["PATH"], "JARVIS_TUI_HOME": str(self.home), "AGENT_STATE": str(self.home / "agent")}
        command = [self.program, "serve", "--port", str(self.port), "--", sys.executable, str(HERE / "servers/kept_agent.py")]
        self.process = subprocess.Popen(command, cwd=self.home, env=env, stdout=subprocess.PIPE, text=True)
        assert "listening" in self.process.stdout.readline(), "it does not listen"

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
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
    """Follows the session; what it has are the events so far."""

    def __init__(self, server, session):
        self.server, self.session, self.events = server, session, []
        self.connection = None

    def connect(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=TIME_LIMIT)
        self.connection.request("GET", f"/v1/sessions/{self.session}/events?from={len(self.events) + 1}")
        self.lines = self.connection.getresponse()

    def kill(self):
        self.connection.sock and self.connection.sock.close()
        self.lines.close()
        self.connection.close()

    def next(self):
        """The next event; none where the stream ended."""
        while True:
            try:
                line = self.lines.readline().decode()
            except (OSError, ValueError, http.client.HTTPException):
                return None
            if not line:
                return None
            data = json.loads(line[6:]) if line.startswith("data: ") else {}
            if "seq" in data:
                assert data["seq"] == len(self.events) + 1, f"event {data['seq']} follows {len(self.events)}"
                self.events.append(data["event"])
                return data["event"]

    def command(self, **what):
        return self.server.ask("POST", f"/v1/sessions/{self.session}/commands", what)


def kill_agent(state):
    """Kills the agent, as soon as there is one."""
    end = time.monotonic() + TIME_LIMIT
    while True:
        try:
            return os.kill(int((state / "pid").read_text()), signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError, ValueError):
            assert time.monotonic() < end, "there is no agent"
            time.sleep(0.01)


def kill(what, server, client, state):
    if what == "server":
        server.kill()
        server.start()
    elif what == "agent":
        kill_agent(state)
    if what != "agent":
        client.kill()
        client.connect()


def turn(server, client, state, text, what, after):
    """One turn, in which something is killed after so many of its events. Tells whether it was."""
    status, _ = client.command(type="prompt", text=text)
    assert status == 202
    count, killed, begun, decided = 0, False, False, set()
    end = time.monotonic() + TIME_LIMIT
    while time.monotonic() < end:
        if count == after and not killed:
            kill(what, server, client, state)
            killed = True
            if what == "server" and not begun:
                # What was accepted and is not in the log waits for a word of the person.
                client.command(type="send_queued")
        event = client.next()
        if event is None:
            client.kill()
            client.connect()
            continue
        kind = event["type"]
        begun |= kind == "user_message" and event["text"] == text
        count += begun or kind == "turn_started"
        if kind == "approval_requested" and event["call"] not in decided:
            decided.add(event["call"])
            status, told = client.command(type="decide", call=event["call"], decision={"offered": {"id": "y", "allows": True}})
            # It may be over: the agent was killed, or the server.
            assert status in (200, 202, 404, 409, 410), told
        if kind == "turn_finished" and begun:
            return killed
    raise AssertionError(f"the turn {text!r} does not end")


def check(client, state, prompts, log):
    lines = [json.loads(line) for line in log.read_text().splitlines()[1:]]
    kept = [line["event"] for line in lines if "event" in line]
    while len(client.events) < len(kept):
        assert client.next(), "the client has fewer events than the log"
    assert kept == client.events, "the client has other events than the log"
    said = [event["text"] for event in kept if event["type"] == "user_message"]
    assert said == prompts, "prompts are lost, doubled or out of order"
    running = 0
    for event in kept:
        running += {"turn_started": 1, "turn_finished": -1}.get(event["type"], 0)
        assert running in (0, 1), "two turns in the log at once"
    heard = (state / "prompts").read_text().splitlines()
    assert len(heard) == len(set(heard)), "the agent got a prompt twice"
    assert not (state / "overlaps").exists(), "two turns of the agent at once"
    ends = {}
    for event in kept:
        if event["type"] == "turn_finished":
            name = event["end"] if isinstance(event["end"], str) else next(iter(event["end"]))
            ends[name] = ends.get(name, 0) + 1
    return len(kept), len(heard), ends


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(HERE.parents[1] / "target/debug/jarvis-tui"))
    parser.add_argument("--events", type=int, default=18, help="how many events of a turn come in turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        state = home / "agent"
        state.mkdir()
        server = Server(options.program, home)
        try:
            session = server.ask("POST", "/v1/sessions", {})[1]["id"]
            client = Client(server, session)
            client.connect()
            prompts, kills = [], {}
            for what in ("client", "agent", "server"):
                for after in range(options.events):
                    prompts.append(f"{what}-{after}")
                    if turn(server, client, state, prompts[-1], what, after):
                        kills[what] = kills.get(what, 0) + 1
            log = next(home.glob(f"sessions/**/{session}*.jsonl"))
            events, heard, ends = check(client, state, prompts, log)
        finally:
            server.process.kill()
    print(f"{events} events of {len(prompts)} turns, {heard} heard by the agent; killed: {kills}; turns: {ends}")
    print("0 lost, 0 doubled, never two turns at once")


if __name__ == "__main__":
    main()
