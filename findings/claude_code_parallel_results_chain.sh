#!/usr/bin/env bash
# Claude Code (npm @anthropic-ai/claude-code) 2.1.332, the session that it saves below ~/.claude/projects: where a model
# makes three calls at once, walking `parentUuid` from the last line to the first meets one of the calls and one of the
# results. Each call stands on a line of its own, each result names the line of its call as its parent, and the next
# answer hangs on one of the results: a tree, of which the walk sees one branch. The API gets all three. A reader that
# takes the chain for the conversation loses two calls of three; it has to join the lines of one `message.id` and look
# for results by `tool_use_id`. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @anthropic-ai/claude-code@2.1.332
for name in a b c; do echo "text of $name" >"$place/$name.txt"; done
PLACE=$place python3 - <<'PYTHON'
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

place = Path(os.environ["PLACE"])
asked = []


def events(blocks, reason):
    usage = {"input_tokens": 9, "output_tokens": 3}
    message = {"id": f"msg_{len(asked)}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
               "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        results = [part for message in body["messages"] if isinstance(message["content"], list)
                   for part in message["content"] if part["type"] == "tool_result"]
        if body.get("tools"):
            asked.append(results)
        if body.get("tools") and not results:
            blocks = [{"type": "tool_use", "id": f"toolu_{name}", "name": "Read",
                       "input": {"file_path": str(place / f"{name}.txt")}} for name in "abc"]
            answer = events(blocks, "tool_use")
        else:
            answer = events([{"type": "text", "text": "All three."}], "end_turn")
        data = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in answer)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(
    [place / "node_modules/.bin/claude", "-p", "Read the three files.", "--model", "claude-sonnet-4-5"], cwd=place, check=True,
    stdin=subprocess.DEVNULL, capture_output=True,
    env={"PATH": os.environ["PATH"], "HOME": str(place), "ANTHROPIC_API_KEY": "none",
         "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}", "DISABLE_TELEMETRY": "1",
         "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"})
assert len(asked[-1]) == 3, "the model got all three"

saved = [log for log in (place / ".claude/projects").glob("*/*.jsonl")]
lines = [json.loads(line) for log in saved for line in log.read_text().splitlines()]
lines = {line["uuid"]: line for line in lines if "uuid" in line}


def parts(lines, kind):
    return sorted(part.get("id") or part.get("tool_use_id") for line in lines if isinstance(line.get("message", {}).get("content"), list)
                  for part in line["message"]["content"] if part["type"] == kind)


parents = {line["parentUuid"] for line in lines.values()}
everything = {kind: parts(lines.values(), kind) for kind in ("tool_use", "tool_result")}
last = list(lines.values())[-1]
walked, at = [], last
while at:
    walked.append(at)
    at = lines.get(at["parentUuid"])
chain = {kind: parts(walked, kind) for kind in ("tool_use", "tool_result")}
print("in the file:", everything)
print("along parentUuid:", chain)
print("leaves:", sorted(line["type"] for line in lines.values() if line["uuid"] not in parents))
assert len(everything["tool_use"]) == len(everything["tool_result"]) == 3
assert len(chain["tool_result"]) == 1, "the chain holds every result now"
PYTHON
