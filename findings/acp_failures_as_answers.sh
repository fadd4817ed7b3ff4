#!/usr/bin/env bash
# Copilot CLI 1.0.102 (`copilot --acp`) and the ACP adapter of Codex, @agentclientprotocol/codex-acp 2.6.0: where the
# model refuses a request with a 400, the prompt is answered with stopReason "end_turn" and no error. The failure is told
# as a message of the agent: "Error: 400 WORDS" by the first, the body of the response as it came, JSON and all, by the
# second. The protocol has an error for the answer of a prompt (opencode, Gemini CLI, Qwen Code and the adapter of Claude
# Code use it), so a client that looks at stopReason counts these turns as done, and scripts that wait for the exit code
# go on. Both send the message without a messageId, unlike the model's own of Codex. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @github/copilot@1.0.102 \
    @agentclientprotocol/codex-acp@2.6.0 >"$place/npm.log" 2>&1
PLACE=$place python3 - <<'PYTHON'
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

place = Path(os.environ["PLACE"])
BODY = {"error": {"message": "no such thing", "type": "invalid_request_error", "code": 400}}

class Refuse(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, body = (400, BODY) if self.command == "POST" else (200, {"object": "list", "data": []})
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}/v1"

def prompt(command, env):
    work = place / "work"
    work.mkdir(exist_ok=True)
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             cwd=work, env={**kept, "HOME": str(place), **env})
    said, session = [], ""
    requests = iter([
        ("initialize", lambda: {"protocolVersion": 1, "clientCapabilities": {}}),
        ("session/new", lambda: {"cwd": str(work), "mcpServers": []}),
        ("session/prompt", lambda: {"sessionId": session, "prompt": [{"type": "text", "text": "hello"}]}),
    ])

    def send(number):
        method, params = next(requests)
        agent.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params()}) + "\n")
        agent.stdin.flush()

    send(0)
    for line in agent.stdout:
        message = json.loads(line)
        update = message.get("params", {}).get("update", {})
        if update.get("sessionUpdate") == "agent_message_chunk":
            said.append((update["content"]["text"], update.get("messageId")))
        if "method" not in message:
            session = message.get("result", {}).get("sessionId", session)
            if message["id"] == 2:
                agent.kill()
                return message, said
            send(message["id"] + 1)

codex = place / "codex"
codex.mkdir()
(codex / "config.toml").write_text(
    'model = "gpt-6.1-sol"\nmodel_provider = "here"\n[model_providers.here]\nname = "here"\n'
    f'base_url = "{base}"\nenv_key = "KEY"\nwire_api = "responses"\nrequest_max_retries = 0\nstream_max_retries = 0\n')
copilot = {"COPILOT_PROVIDER_BASE_URL": base, "COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_API_KEY": "none",
           "COPILOT_MODEL": "none", "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
for name, command, env in (("copilot", ["copilot", "--acp"], copilot),
                           ("codex-acp", ["codex-acp"], {"CODEX_HOME": str(codex), "KEY": "none", "NO_BROWSER": "1"})):
    answer, said = prompt([str(place / "node_modules/.bin" / command[0]), *command[1:]], env)
    text = "".join(piece for piece, _ in said)
    print(f"{name}: {answer.get('result', {}).get('stopReason')}, error {answer.get('error')}, said {text!r}")
    assert answer["result"]["stopReason"] == "end_turn" and "error" not in answer, answer
    assert "no such thing" in text and [key for _, key in said if key] == [], said
    if name == "codex-acp":
        assert json.loads(text) == BODY, text
PYTHON
