#!/usr/bin/env bash
# gptme 0.35.1, server API v2: `step_complete` is no end of a turn. Its type tells clients to hold queued messages back until
# it comes, rather than until `generation_complete`, but where a tool is confirmed by itself (`auto_confirm`) it comes between
# `tool_pending` and `tool_executing`: a client that stops listening there misses the tool, what it gave and the answer. The
# turn is over with a `step_complete` for which no tool of `auto_confirm: true` is left to run; a tool that waits for its
# person ends it too. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @copilotkit/aimock@1.43.0 >/dev/null
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check uv
"$place/venv/bin/uv" pip install --quiet --python "$place/venv/bin/python" "gptme[server]==0.35.1"
cat > "$place/mock.mjs" <<'JS'
import { LLMock } from "@copilotkit/aimock";
const mock = new LLMock({ port: 0 });
const isOver = (request) => /Ran (allowlisted )?command/.test(JSON.stringify(request.messages.slice(-2)));
mock.on({ userMessage: "use the shell", predicate: isOver }, { content: "It printed hello." });
mock.on({ userMessage: "use the shell" }, { content: "Let me run it.\n\n```shell\necho hello\n```\n" });
await mock.start();
console.log(mock.url);
JS
node "$place/mock.mjs" > "$place/url" &
while ! [ -s "$place/url" ]; do sleep 0.1; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$place/home"
(cd "$place/home" && exec env HOME="$place/home" GPTME_DISABLE_AUTH=true OPENAI_API_KEY=x OPENAI_BASE_URL="$(cat "$place/url")/v1" \
    "$place/venv/bin/gptme-server" serve --model local/m --host 127.0.0.1 --port "$port" > "$place/log" 2>&1) &
"$place/venv/bin/python" - "$port" <<'PYTHON'
import http.client
import json
import sys
import time

def call(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    connection.request(method, "/api/v2" + path, json.dumps(body) if body else None, {"content-type": "application/json"})
    return connection.getresponse()

while True:
    try:
        call("GET", "").read()
        break
    except OSError:
        time.sleep(0.5)
call("PUT", "/conversations/c", {"messages": [{"role": "user", "content": "use the shell"}]}).read()
events = call("GET", "/conversations/c/events")
seen = []
while "It printed hello." not in seen or seen[-1] != "step_complete":
    line = events.readline().decode()
    if not line.startswith("data: "):
        continue
    event = json.loads(line[6:])
    if event["type"] == "connected":
        call("POST", "/conversations/c/step", {"session_id": event["session_id"], "auto_confirm": True, "stream": True}).read()
    if event["type"] == "generation_complete":
        seen.append(event["message"]["content"])
    if event["type"] in ("tool_pending", "tool_executing", "tool_complete", "step_complete"):
        seen.append(event["type"])
print(seen)
first = seen.index("step_complete")
assert seen.index("tool_pending") < first < seen.index("tool_executing"), seen
assert seen.count("step_complete") == 2, seen
PYTHON
