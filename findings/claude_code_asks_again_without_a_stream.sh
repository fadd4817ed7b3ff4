#!/usr/bin/env bash
# Claude Code (npm @anthropic-ai/claude-code) 2.1.332, `-p --output-format stream-json`: when the model's stream ends
# with `event: error` (`api_error`), the second request has no `stream` in its body, so a gateway or test server that
# can only stream is asked for one JSON object. Nothing in the output tells that there were two requests: the turn
# counts as one, no line of an error or a retry is printed, `is_error` is false. But the usage and the cost of `result`
# are those of both requests, the abandoned one with the counts of its `message_start`, so they are more than the sum
# over the messages that were printed. A 529 before the stream is another matter: there the same request comes again as
# it was. Fails if that changes.
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

def message(name, tokens, content, reason):
    return {"id": name, "type": "message", "role": "assistant", "model": "scripted", "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": tokens, "output_tokens": 1}}

class Server(BaseHTTPRequestHandler):
    overloaded = False

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append(body.get("stream", False))
        if self.overloaded and len(asked) == 1:
            error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
            return self.say(529, "application/json", json.dumps(error))
        if not asked[-1]:
            whole = message("msg_2", 20, [{"type": "text", "text": "The whole answer."}], "end_turn")
            return self.say(200, "application/json", json.dumps(whole))
        frames = [
            {"type": "message_start", "message": message("msg_1", 1000, [], None)},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "The whole"}},
        ]
        if self.overloaded:
            frames += [{"type": "content_block_stop", "index": 0},
                       {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
                       {"type": "message_stop"}]
        else:
            frames += [{"type": "error", "error": {"type": "api_error", "message": "it broke"}}]
        body = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in frames)
        self.say(200, "text/event-stream", body)

    def say(self, status, kind, body):
        self.send_response(status)
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
    done = subprocess.run(
        [f"{place}/node_modules/.bin/claude", "-p", "hello", "--output-format", "stream-json", "--verbose", "--model",
         "claude-sonnet-4-5"], cwd=place, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": place, "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
             "ANTHROPIC_API_KEY": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"})
    return [json.loads(line) for line in done.stdout.splitlines()]

lines = run()
kinds = [line.get("subtype") or line["type"] for line in lines]
end = next(line for line in lines if line["type"] == "result")
said = [line["message"] for line in lines if line["type"] == "assistant"]
print(f"stream in the requests: {asked}; lines: {kinds}; turns {end['num_turns']}, error {end['is_error']}")
print(f"input tokens: result {end['usage']['input_tokens']}, messages {[one['usage']['input_tokens'] for one in said]}")
assert asked == [True, False], asked
assert kinds == ["init", "assistant", "success"] and not end["is_error"] and end["num_turns"] == 1, kinds
assert end["result"] == "The whole answer."
assert end["usage"]["input_tokens"] == 1020 and [one["usage"]["input_tokens"] for one in said] == [20]
Server.overloaded = True
run()
print(f"after a 529, stream in the requests: {asked}")
assert asked == [True, True], asked
PYTHON
