#!/usr/bin/env bash
# fasta2a 2.1.1 with pydantic-ai-slim 2.68.0: `tasks/cancel` for a running task of an agent served by `agent_to_a2a` is
# answered only when the task has come to its own end, and then with the state `completed`. The one worker of the broker
# in memory takes the cancel after the task that it runs, and `AgentWorker.cancel_task` is empty anyway. So a client that
# waits for that answer waits for the whole run, and one that does not leaves a model that goes on to its last word.
# Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check 'fasta2a[pydantic-ai]==2.1.1' \
    pydantic-ai-slim==2.68.0 httpx==0.28.1
"$place/venv/bin/python" - <<'PYTHON'
import asyncio

import httpx
from fasta2a.pydantic_ai import agent_to_a2a
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel

WORDS = 20
said = []


async def speak(messages, info):
    for number in range(WORDS):
        said.append(number)
        yield f"w{number} "
        await asyncio.sleep(0.05)


app = agent_to_a2a(Agent(FunctionModel(stream_function=speak)))


async def call(client, method, params):
    answer = await client.post("/", json={"jsonrpc": "2.0", "id": "1", "method": method, "params": params})
    return answer.json()


async def main():
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        message = {"kind": "message", "role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "go"}]}
        configuration = {"acceptedOutputModes": [], "blocking": False}
        sent = await call(client, "message/send", {"message": message, "configuration": configuration})
        while len(said) < 3:
            await asyncio.sleep(0.01)
        print("cancelled after", len(said), "words")
        assert len(said) < WORDS
        task = await call(client, "tasks/cancel", {"id": sent["result"]["task"]["id"]})
        state = task["result"]["status"]["state"]
        print("answered after", len(said), "words:", state)
        assert (state, len(said)) == ("completed", WORDS), "a cancel stops the task now"


asyncio.run(main())
PYTHON
