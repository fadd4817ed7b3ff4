#!/usr/bin/env python3
"""Codex as the agent that `serve` hosts: `serve -- codex app-server`, with a scripted model behind.

    cargo build && python3 tests/live/hosted_codex.py --cache DIR

A turn with a command that a person allows, over the native surface and followed by number; then Codex is killed in
mid-turn and its session goes on with all that was said; then the server is killed, and it goes on again; last an OpenAI
client asks the same agent. Only what Codex itself did to the model counts as done.
"""

import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402
from harness import PROMPTS  # noqa: E402
from model import Model, Script  # noqa: E402
from producers.codex import Codex  # noqa: E402

SECONDS = 90


class Server:
    def __init__(self, command, env, work, port):
        self.command, self.env, self.work, self.port = command, env, work, port
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command, env=self.env, cwd=self.work, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert "listening" in self.process.stdout.readline()

    def stop(self):
        harness.end_group(self.process)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.request(method, path, body and json.dumps(body))
        answer = connection.getresponse()
        told = json.loads(answer.read() or b"null")
        assert answer.status < 300, (path, answer.status, told)
        return told

    def follow(self, session, after):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.request("GET", f"/v1/sessions/{session}/events?from={after + 1}")
        for line in connection.getresponse():
            told = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if "seq" in told:
                yield told["seq"], told["event"]


class Session:
    def __init__(self, server):
        self.server, self.id, self.events = server, server.ask("POST", "/v1/sessions", {})["id"], []

    def command(self, **what):
        return self.server.ask("POST", f"/v1/sessions/{self.id}/commands", what)

    def turn(self, text, meanwhile=lambda event: None):
        """Sends a prompt and follows it to its end; the events of the turn."""
        begin = len(self.events)
        self.command(type="prompt", text=text)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for seq, event in self.server.follow(self.id, len(self.events)):
                assert seq == len(self.events) + 1, f"event {seq} follows {len(self.events)}"
                self.events.append(event)
                if event["type"] == "approval_requested":
                    self.command(type="decide", call=event["call"], decision="once")
                meanwhile(event)
                if event["type"] == "turn_finished":
                    return self.events[begin:]
        raise AssertionError(f"the turn {text!r} does not end")


def text_of(events):
    return "".join(event.get("text") or event.get("delta") or "" for event in events if event["type"] == "text_delta")


def child_of(process):
    """The process id of Codex itself, which the server started."""
    found = subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True).stdout.split()
    return int(found[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(HERE.parents[1] / "target/debug/jarvis-tui"))
    parser.add_argument("--cache", help="where packages are installed and kept; by default a temporary folder")
    options = parser.parse_args()
    place, model = harness.Place(options.cache or tempfile.mkdtemp(prefix="codex-cache-"), options.program), Model()
    codex = Codex(place, model)
    codex.start()
    home, work, port = place.folder("home"), place.folder("work"), harness.free_port()
    (work / "notes.txt").write_text(f"code-{model.code}\n")
    codex.prepare(home, work)
    settings = home / "codex/config.toml"
    # It asks where the model wants more than the sandbox allows.
    kept = re.sub(r"(?m)^(approval_policy|sandbox_mode).*\n", "", settings.read_text())
    settings.write_text('approval_policy = "on-request"\nsandbox_mode = "read-only"\n' + kept)
    call = {"cmd": "cat notes.txt; true", "sandbox_permissions": "require_escalated", "justification": "to read it"}
    model.scripts[codex.name] = Script(call=("exec_command", call), slow_words=100)
    env = place.environment(home, **codex.environment(home))
    command = [str(place.program), "serve", "--port", str(port), "--", str(codex.program), "app-server"]
    server = Server(command, env, work, port)
    try:
        session = Session(server)
        events = session.turn(PROMPTS["tool"])
        kinds = [event["type"] for event in events]
        output = json.dumps([event for event in events if event["type"].startswith("tool_")])
        assert f"code-{model.code}" in output, f"the command's output is not in {kinds}: {output:.600}"
        assert model.code in json.dumps(events), "the answer is shown"
        asked = kinds.count("approval_requested")
        assert asked == 1, f"{asked} asked in {kinds}"
        print(f"a turn with a command: {len(events)} events, {asked} asked and allowed")

        killed = []

        def kill_codex(event):
            if event["type"] == "text_delta" and "w9 " in json.dumps(event) and not killed:
                killed.append(child_of(server.process))
                os.kill(killed[0], signal.SIGKILL)

        events = session.turn(PROMPTS["slow"], kill_codex)
        assert killed and "failed" in json.dumps(events[-1]), f"{killed}, {events[-1]}"
        since = len(model.requests)
        session.turn(PROMPTS["again"])
        said = model.seen(since)[-1].history
        assert any(PROMPTS["tool"] in text for _, text in said), f"Codex was asked without what came before: {said}"
        print("Codex killed in mid-turn: the turn failed, and the next prompt went on with the conversation")

        server.stop()
        server.start()
        since = len(model.requests)
        session.turn(PROMPTS["again"])
        said = model.seen(since)[-1].history
        assert any(PROMPTS["tool"] in text for _, text in said), "the session begins anew after a restart"
        running = 0
        for event in session.events:
            running += (event["type"] == "turn_started") - (event["type"] == "turn_finished")
            assert running in (0, 1), "two turns at once"
        print(f"the server stopped and started: {len(session.events)} events without a gap, the same conversation")

        answer = server.ask("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": PROMPTS["text"]}]})
        assert model.code in answer["choices"][0]["message"]["content"], answer
        print(f"an OpenAI client is answered by {answer['model']} as well")
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.Skipped as why:
        print(f"skipped: {why}")
