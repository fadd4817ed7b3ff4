#!/usr/bin/env python3
"""The official conformance suite of the Model Context Protocol, with this program as the client.

    tests/live/mcp_conformance.py PROGRAM [WORDS]      WORDS choose scenarios by a part of their name

Packages are installed into a folder of temp, at the versions below; node comes with them, for the suite needs a newer
one than many systems have. Each scenario starts a server on loopback and then this file again, as the client: it writes
settings with that address, logs in as a person's browser would, and has a scripted model call every tool that there is.
The suite judges what went over the wire.

Server scenarios need tools of their own over HTTP and are none for `mcp serve`, which speaks over standard streams.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

PACKAGES = ["@modelcontextprotocol/conformance@0.2.0-alpha.12", "node@22.23.3"]
PLACE = Path(tempfile.gettempdir()) / "jarvis-mcp-conformance"
REVISIONS = ["2025-11-25", "2026-07-28"]
# What is asked of others: a hosted document about the client, a client registered before, extensions.
EXTENSION = "extension"


def install():
    PLACE.mkdir(exist_ok=True)
    (PLACE / "package.json").write_text("{}")
    subprocess.run(["npm", "install", "--silent", "--no-audit", *PACKAGES], cwd=PLACE, check=True)
    return [str(PLACE / "node_modules/.bin/node"), str(PLACE / "node_modules/@modelcontextprotocol/conformance/dist/index.js")]


def value_for(schema):
    """A value that a schema allows."""
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    plain = {"string": "text", "number": 5, "integer": 5, "boolean": True, "array": [], "object": {}, "null": None}
    return plain.get(kind, "text")


class Model(http.server.BaseHTTPRequestHandler):
    """Calls every tool of the server once, then says that it is done."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        tools = [tool["function"] for tool in body.get("tools", []) if tool["function"]["name"].startswith("c__")]
        done = any(message["role"] == "tool" for message in body["messages"])
        if tools and not done:
            calls = []
            for nth, tool in enumerate(tools):
                properties = tool["parameters"].get("properties") or {}
                args = {name: value_for(schema if isinstance(schema, dict) else {}) for name, schema in properties.items()}
                function = {"name": tool["name"], "arguments": json.dumps(args)}
                calls.append({"index": nth, "id": f"c{nth}", "type": "function", "function": function})
            self.say({"tool_calls": calls}, None)
            self.say({}, "tool_calls")
        else:
            self.say({"content": "Done."}, None)
            self.say({}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def say(self, delta, reason):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())


def client(program, url):
    """Does what a person would do with a server at that address."""
    with tempfile.TemporaryDirectory() as home:
        context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
        lines = [f"[mcp.c]\nurl = {json.dumps(url)}\n"]
        for name in ("client_id", "client_secret"):
            if context.get(name):
                lines.append(f"{name} = {json.dumps(context[name])}\n")
        (Path(home) / "config.toml").write_text("".join(lines))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "JARVIS_TUI_HOME": home,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "OPENAI_API_KEY": "x",
        }
        if "auth/" in os.environ.get("MCP_CONFORMANCE_SCENARIO", ""):
            log_in(program, environment, home)
        done = subprocess.run(
            [program, "-m", "openai/m", "-p", "call them all", "--yolo"],
            env=environment, cwd=home, capture_output=True, text=True, timeout=60,
        )
        print(done.stdout, done.stderr, file=sys.stderr)
        return done.returncode


def log_in(program, environment, home):
    words = [program, "mcp", "login", "c"]
    login = subprocess.Popen(words, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in login.stdout:
        print(line, end="", file=sys.stderr)
        if re.match(r"https?://", line):
            try:
                urllib.request.urlopen(line.strip(), timeout=20).read()
            except OSError as error:
                print(error, file=sys.stderr)
    login.wait(timeout=30)


def scenarios(suite):
    """The client scenarios, each with the revisions that it is about."""
    listed = subprocess.run([*suite, "list"], check=True, capture_output=True, text=True).stdout
    part = listed.split("Client scenarios")[1].split("Authorization server scenarios")[0]
    return [(name, revisions.split(",")) for name, revisions in re.findall(r"- (\S+) \[([^\]]*)\]", part)]


def judge(suite, program, name, revision):
    command = f"{sys.executable} {Path(__file__).resolve()} --client {program}"
    words = ["client", "--command", command, "--scenario", name, "--spec-version", revision, "--timeout", "60000"]
    environment = {**os.environ, "PATH": f"{PLACE / 'node_modules/.bin'}:{os.environ['PATH']}"}
    ran = subprocess.run([*suite, *words], capture_output=True, text=True, timeout=180, env=environment)
    said = ran.stdout + ran.stderr
    counts = re.search(r"Passed: (\d+)/(\d+), (\d+) failed, (\d+) warnings", said)
    why = re.findall(r"(?:FAILURE|✗|Error:)[^\n]*", said)
    return ran.returncode == 0, counts.groups() if counts else None, why[:2], said


def main():
    if sys.argv[1:2] == ["--client"]:
        return client(sys.argv[2], sys.argv[3])
    program = str(Path(sys.argv[1]).resolve())
    wanted = sys.argv[2:]
    suite = install()
    passed = total = 0
    for revision in REVISIONS:
        print(f"revision {revision}")
        for name, revisions in scenarios(suite):
            if revision not in revisions or (wanted and not any(word in name for word in wanted)):
                continue
            works, counts, why, said = judge(suite, program, name, revision)
            passed, total = passed + works, total + 1
            checks = "{0} of {1} checks".format(*counts) if counts else "no checks"
            print(f"  {'ok  ' if works else 'FAIL'} {name:<48} {checks}", flush=True)
            if not works:
                if os.environ.get("VERBOSE"):
                    print(said)
                for line in why:
                    print(f"         {line[:160]}")
    print(f"{passed} of {total} scenarios")
    return 0 if passed == total else 1


if __name__ == "__main__":
    sys.exit(main())
