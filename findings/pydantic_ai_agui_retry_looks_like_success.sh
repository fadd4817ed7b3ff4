#!/usr/bin/env bash
# pydantic-ai-slim 2.68.0 over AG-UI 1.0: a tool that raises ModelRetry has failed, and the same agent says so over the
# AI SDK's stream (`tool-output-error`). Over AG-UI its TOOL_CALL_RESULT is that of a success: no error field, the words
# of the retry as content. That it failed stands only in the event behind it, REASONING_ENCRYPTED_VALUE, whose
# `encryptedValue` is no cipher but JSON with `"outcome": "retried"`, under the id of the result. AG-UI's own clients keep
# that value unread, so a client that wants to mark the call as failed has to read a value that is named encrypted.
# Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check "pydantic-ai-slim[ag-ui]==2.68.0" \
    starlette==1.10.0 httpx==0.28.1
"$place/venv/bin/python" - <<'PYTHON'
import asyncio
import json

import httpx
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.ui.ag_ui import AGUIAdapter
from pydantic_ai.ui.vercel_ai import VercelAIAdapter
from starlette.applications import Starlette
from starlette.routing import Route

async def model(messages, info):
    if any(part.part_kind in ("tool-return", "retry-prompt") for part in messages[-1].parts):
        yield "done"
    else:
        yield {0: DeltaToolCall(name="picky", json_args='{"x": 1}', tool_call_id="c1")}

agent = Agent(FunctionModel(stream_function=model))

@agent.tool_plain
def picky(x: int) -> str:
    raise ModelRetry("try another x")

def route(path, adapter):
    async def answer(request):
        return await adapter.dispatch_request(request, agent=agent)
    return Route(path, answer, methods=["POST"])

app = Starlette(routes=[route("/agui", AGUIAdapter), route("/chat", VercelAIAdapter)])
user = {"id": "u", "role": "user"}
bodies = {
    "/agui": {"threadId": "t", "runId": "r", "messages": [{**user, "content": "go"}]},
    "/chat": {"trigger": "submit-message", "id": "t", "messages": [{**user, "parts": [{"type": "text", "text": "go"}]}]},
}

async def frames(path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
        answer = await client.post(path, json=bodies[path])
    lines = [line[5:].strip() for line in answer.text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]

async def main():
    agui, chat = await frames("/agui"), await frames("/chat")
    result = next(frame for frame in agui if frame["type"] == "TOOL_CALL_RESULT")
    kept = next(frame for frame in agui if frame["type"] == "REASONING_ENCRYPTED_VALUE")
    print("AG-UI: ", {key: result[key] for key in ("type", "content")}, "error" in result)
    print("AG-UI: ", {key: kept[key] for key in ("type", "encryptedValue")})
    print("AI SDK:", [frame["type"] for frame in chat if frame["type"].startswith("tool-output")])
    assert "error" not in result and result["content"] == "try another x", result
    assert kept["entityId"] == result["messageId"], kept
    assert json.loads(kept["encryptedValue"])["pydantic_ai"]["outcome"] == "retried", kept
    assert any(frame["type"] == "tool-output-error" for frame in chat), chat

asyncio.run(main())
PYTHON
