#!/usr/bin/env bash
# Claude Code (npm @anthropic-ai/claude-code) 2.1.332: after a plain HTTP 400 `invalid_request_error` it asks five times
# more before it gives up, though the error's words name none of its features. These are no retries of the SDK
# (`x-stainless-retry-count` is 0 each time): each request leaves out more of its own beta features, first one flag of
# `anthropic-beta`, then `display` of `thinking`, then the deferred tools, which makes the body about 40 kB LONGER, as
# every tool is then written out, and with those the first two come back and are dropped again. So a gateway that
# refuses a request on purpose (a bad model, a policy) is asked six times for one prompt. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @anthropic-ai/claude-code@2.1.332
PLACE=$place python3 - <<'PYTHON'
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked = []

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        asked.append((self.headers, body))
        error = {"type": "invalid_request_error", "message": "refused on purpose"}
        answer = json.dumps({"type": "error", "error": error})
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
place = os.environ["PLACE"]
done = subprocess.run(
    [f"{place}/node_modules/.bin/claude", "-p", "hello", "--output-format", "stream-json", "--verbose", "--model",
     "claude-sonnet-4-5"], cwd=place, capture_output=True, text=True,
    env={"PATH": os.environ["PATH"], "HOME": place, "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
         "ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"})
end = [line for line in map(json.loads, done.stdout.splitlines()) if line.get("type") == "result"]
print(f"exit {done.returncode}, {len(asked)} requests, said {end[0]['result']!r}")
everything = set().union(*(set(headers["anthropic-beta"].split(",")) for headers, _ in asked))
for headers, body in asked:
    left_out = ", ".join(sorted(everything - set(headers["anthropic-beta"].split(",")))) or "nothing"
    print(f"retry count {headers['x-stainless-retry-count']}, {len(body):6} bytes, without {left_out}")
assert len(asked) == 6, "another number of requests"
assert {headers["x-stainless-retry-count"] for headers, _ in asked} == {"0"}
assert len({headers["anthropic-beta"] for headers, _ in asked}) == 6, "requests that are alike"
assert len(asked[-1][1]) > len(asked[0][1]) + 20_000, "the last body is not the longer one"
PYTHON
