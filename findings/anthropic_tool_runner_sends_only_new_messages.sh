#!/usr/bin/env bash
# The Python package anthropic 2.14.0: `client.beta.messages.tool_runner` adds `"thread": {"type": "create"}` to its first
# request and takes any answer without an error for a promise to keep the conversation. The second request is
# `"thread": {"type": "continue", "previous_message_id": …}` with the tool's result alone: no first prompt, no `tool_use`,
# no `tools`, no `system`. So a server of the Messages API that ignores fields it does not know, as most do, gets a result
# of a call that nobody made, and a loop that worked with earlier versions fails in its second round, or the model answers
# without having read the question. A server that answers 400 with
# `error.details.error_code: "thread_unsupported_request"` gets the same request again without `thread`, and then the
# whole conversation each time. `messages.create` and `messages.stream` are not concerned. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check anthropic==2.14.0
"$place/venv/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic

asked = []

class Server(BaseHTTPRequestHandler):
    says_so = False

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append(body)
        if self.says_so and "thread" in body:
            details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
            error = {"type": "invalid_request_error", "message": "not kept here", "details": details}
            return self.say(400, {"type": "error", "error": error})
        is_result = isinstance(body["messages"][-1]["content"], list)
        call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
        content = [{"type": "text", "text": "rain"}] if is_result else [call]
        self.say(200, {"id": f"msg_{len(asked)}", "type": "message", "role": "assistant", "model": "scripted",
                       "content": content, "stop_reason": "end_turn" if is_result else "tool_use",
                       "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}})

    def say(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.server_port}", api_key="none")

@anthropic.beta_tool
def weather(city: str) -> str:
    """The weather.

    Args:
        city: a city
    """
    return f"rain in {city}"

def run():
    asked.clear()
    runner = client.beta.messages.tool_runner(
        model="scripted", max_tokens=9, system="Be brief.", tools=[weather],
        messages=[{"role": "user", "content": "How is the weather?"}])
    text = [message.content[-1] for message in runner][-1].text
    told = [(body.get("thread"), [message["role"] for message in body["messages"]], "tools" in body) for body in asked]
    for one in told:
        print("thread {}, messages {}, tools {}".format(*one))
    assert text == "rain", text
    return told

create, go_on = {"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}
assert run() == [(create, ["user"], True), (go_on, ["user"], False)]
print("with the error:")
Server.says_so = True
assert run() == [(create, ["user"], True), (None, ["user"], True), (None, ["user", "assistant", "user"], True)]
PYTHON
