#!/usr/bin/env bash
# Gemini CLI (npm @google/gemini-cli) 0.61.0, `--output-format stream-json`: an error object that the model's server
# sends in the middle of its stream (`data: {"error": {"code": 500, …}}`, in the form of the API's own errors) is not
# taken for one. The program waits for a finish reason, finds none, and asks again, four times in all; the beginnings of
# all four answers stand one after the other in the output, as pieces of one message, and nothing marks where a new try
# begins. The server's words are nowhere, neither in the output nor on standard error; the reason given is "Model stream
# ended without a finish reason.", in a line of its own, as `result` has only the status `error`. The exit code is 0.
# With a 400 before the stream it is 144 instead (400 modulo 256). A reader of these lines has to look at `status`, and
# can't rely on the text of a failed turn. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @google/gemini-cli@0.61.0
mkdir -p "$place/.gemini"
echo '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' >"$place/.gemini/settings.json"
PLACE=$place python3 - <<'PYTHON'
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = "the server ran out of luck"
asked = []

def error(code, status):
    return {"error": {"code": code, "message": WORDS, "status": status}}

class Server(BaseHTTPRequestHandler):
    refuses = False

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        asked.append(self.path)
        if self.refuses:
            body, kind = json.dumps(error(400, "INVALID_ARGUMENT")), "application/json"
        else:
            half = {"candidates": [{"content": {"role": "model", "parts": [{"text": "half an answer. "}]}, "index": 0}]}
            body = "".join(f"data: {json.dumps(one)}\n\n" for one in (half, error(500, "INTERNAL")))
            kind = "text/event-stream"
        self.send_response(400 if self.refuses else 200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
place = os.environ["PLACE"]

def run():
    asked.clear()
    return subprocess.run(
        [f"{place}/node_modules/.bin/gemini", "-p", "hello", "--output-format", "stream-json", "-m", "gemini-2.5-flash",
         "--skip-trust"], cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": place, "GEMINI_API_KEY": "none", "GEMINI_CLI_NO_RELAUNCH": "true",
             "GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{server.server_port}"})

done = run()
lines = [json.loads(line) for line in done.stdout.splitlines()]
text = "".join(line["content"] for line in lines if line["type"] == "message" and line["role"] == "assistant")
result = next(line for line in lines if line["type"] == "result")
reasons = [line["message"] for line in lines if line["type"] == "error"]
print(f"in the stream: {len(asked)} requests, exit {done.returncode}, status {result['status']}, reasons {reasons}")
print(f"text {text!r}; the server's words: {'told' if WORDS in done.stdout + done.stderr else 'not told'}")
assert (len(asked), done.returncode, result["status"]) == (4, 0, "error")
assert text == "half an answer. " * 4
assert reasons == ["Model stream ended without a finish reason."]
assert WORDS not in done.stdout + done.stderr
Server.refuses = True
done = run()
print(f"before the stream: exit {done.returncode}; the words: {'told' if WORDS in done.stdout else 'not told'}")
assert done.returncode == 400 % 256 and WORDS in done.stdout
PYTHON
