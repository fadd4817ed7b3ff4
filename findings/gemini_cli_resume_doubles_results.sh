#!/usr/bin/env bash
# Gemini CLI (npm @google/gemini-cli) 0.61.0, `--resume latest`: the history that it sends holds the result of every call
# twice. The turn itself was right, one `functionCall` and one `functionResponse`; after the resume the same response,
# with the same id, stands two times in the parts of one content. The API asks for as many responses as calls, and a
# server that pairs them has to let the second one go rather than refuse the whole conversation. The thought signature
# of the call is lost on the way too. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @google/gemini-cli@0.61.0
mkdir -p "$place/.gemini"
echo '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' >"$place/.gemini/settings.json"
echo hello >"$place/notes.txt"
PLACE=$place python3 - <<'PYTHON'
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALL = {"functionCall": {"name": "run_shell_command", "args": {"command": "cat notes.txt"}}}
asked = []

def chunk(part, reason=None):
    candidate = {"content": {"role": "model", "parts": [part]}, "index": 0}
    return {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}]}

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        contents = json.loads(self.rfile.read(int(self.headers["content-length"])))["contents"]
        asked.append(contents)
        chunks = [chunk(CALL), chunk({"text": ""}, "STOP")] if len(asked) == 1 else [chunk({"text": "done"}, "STOP")]
        body = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
place = os.environ["PLACE"]

def run(*arguments):
    subprocess.run(
        [f"{place}/node_modules/.bin/gemini", *arguments, "--output-format", "stream-json", "-m", "gemini-2.5-flash",
         "--skip-trust", "--approval-mode", "yolo"], cwd=place, check=True, capture_output=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": place, "GEMINI_API_KEY": "none", "GEMINI_CLI_NO_RELAUNCH": "true",
             "GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{server.server_port}"})

def parts(contents, kind):
    return [part for content in contents for part in content["parts"] if kind in part]

run("-p", "What is in notes.txt?")
run("--resume", "latest", "-p", "Thank you")
for name, contents in (("in the turn", asked[1]), ("after the resume", asked[2])):
    calls, results = parts(contents, "functionCall"), parts(contents, "functionResponse")
    signed = sum("thoughtSignature" in call for call in calls)
    print(f"{name}: {len(calls)} call, {signed} of them signed, {len(results)} results")
assert len(asked) == 3
assert [len(parts(one, "functionResponse")) for one in asked] == [0, 1, 2], "the result is sent once now"
first, second = parts(asked[2], "functionResponse")
assert first == second and len(parts(asked[2], "functionCall")) == 1
PYTHON
