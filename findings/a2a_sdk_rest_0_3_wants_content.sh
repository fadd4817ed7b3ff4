#!/usr/bin/env bash
# a2a-sdk (Python) 1.3.0, REST routes with `enable_v0_3_compat=True`: a 0.3 message as the 0.3 specification writes it,
# with `parts`, is not understood, as this route reads the old protobuf names, where the field is called `content`.
# Unknown fields are ignored, so `message:send` refuses a message that has parts with "message.parts: Field must contain
# at least one element", and `message:stream` is worse: it checks the body after it has begun to answer, so the client
# gets HTTP 200, `text/event-stream`, not one frame, and a body that breaks off. The 1.0 route beside it answers a
# message without parts with a 400. A client of 0.3 over REST has to send `content`, and should take an empty stream
# that breaks off for a refusal, not for a lost connection that is worth another try. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check "a2a-sdk[http-server]==1.3.0" uvicorn==0.35.0 \
    httpx==0.28.1
"$place/venv/bin/python" - <<'PYTHON' 2>&1 | grep -v '^ \|^Traceback\|^During\|^The above\|^ERROR\|^$'
import logging
import threading
import time

import httpx
import uvicorn
from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_rest_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface
from starlette.applications import Starlette

class Echo(AgentExecutor):
    async def execute(self, context, event_queue):
        await event_queue.enqueue_event(new_text_message("heard: " + context.get_user_input()))

    async def cancel(self, context, event_queue):
        pass

logging.disable()
card = AgentCard(name="echo", version="1", capabilities=AgentCapabilities(streaming=True), supported_interfaces=[
    AgentInterface(url="http://127.0.0.1", protocol_binding="HTTP+JSON", protocol_version=version)
    for version in ("1.0", "0.3")])
handler = DefaultRequestHandler(Echo(), InMemoryTaskStore(), card)
app = Starlette(routes=create_rest_routes(handler, enable_v0_3_compat=True))
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.05)
base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

def ask(path, message, headers={}):
    with httpx.stream("POST", base + path, json={"message": message}, headers=headers) as answer:
        status, body, end = answer.status_code, "", "whole"
        try:
            for piece in answer.iter_text():
                body += piece
        except httpx.RemoteProtocolError:
            end = "broken off"
    print(f"{path:22} {'/'.join(message):24} {status} {end:10} {len(body):4} bytes")
    return status, body, end

spec = {"messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
proto = {"messageId": "2", "role": "ROLE_USER", "content": [{"text": "hello"}]}
sent = ask("/v1/message:send", spec)
assert sent[0] == 400 and "message.parts" in sent[1] and "at least one element" in sent[1], sent
assert ask("/v1/message:stream", spec) == (200, "", "broken off")
heard = ask("/v1/message:stream", proto)
assert heard[0] == 200 and heard[2] == "whole" and "heard: hello" in heard[1], heard
new = ask("/message:stream", {"messageId": "3", "role": "ROLE_USER"}, {"A2A-Version": "1.0"})
assert new[0] == 400, new
PYTHON
