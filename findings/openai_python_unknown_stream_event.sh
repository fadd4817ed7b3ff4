#!/usr/bin/env bash
# openai (Python) 2.8.1: an event of a Responses stream whose type the package does not know is handed out as an
# instance of an unrelated class, ResponseAudioDeltaEvent (the first of the union). OpenAI's own `keepalive` event is
# such a type. A program that tells events apart with isinstance takes a sign of life for audio; `event.type` is right.
# A server that wants to be seen alive by every client therefore does better to repeat `response.in_progress`, which
# the package knows. Fails if the package begins to do otherwise.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openai==2.8.1
"$place/venv/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai
from openai.types.responses import ResponseAudioDeltaEvent, ResponseInProgressEvent

RESPONSE = ('{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"m","output":[],'
            '"parallel_tool_calls":true,"tool_choice":"auto","tools":[]}')
EVENTS = [
    ("response.created", '{"type":"response.created","sequence_number":0,"response":%s}' % RESPONSE),
    ("keepalive", '{"type":"keepalive","sequence_number":1}'),
    ("response.in_progress", '{"type":"response.in_progress","sequence_number":2,"response":%s}' % RESPONSE),
]

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for name, data in EVENTS:
            self.wfile.write(f"event: {name}\ndata: {data}\n\n".encode())

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="x", max_retries=0)
events = list(client.responses.create(model="m", input="hi", stream=True))
print("openai", openai.__version__)
for event in events:
    print(f"{event.type:22} {type(event).__name__}")
assert [event.type for event in events] == [name for name, _ in EVENTS]
assert isinstance(events[1], ResponseAudioDeltaEvent), "the unknown type is handed out as something else now"
assert isinstance(events[2], ResponseInProgressEvent)
PYTHON
