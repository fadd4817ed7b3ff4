#!/usr/bin/env bash
# openai-chatkit 1.6.5 with openai-agents 0.24.0 (the version it installs): what ChatKit's `simple_to_agent_input` makes
# of a thread can be sent with the Agents SDK's Responses model only. Its Chat Completions model, which is what one uses
# for a server that is only compatible with OpenAI, raises `UserError: Unknown content` for the assistant's own last
# message, as that comes with content of type `output_text`, which the converter knows in other kinds of items alone. So
# a first turn works, and each later turn of the same thread fails; a client sees just `stream.error`. Fails if that
# changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openai-chatkit==1.6.5 openai-agents==0.24.0 \
    openai==3.57.0
"$place/venv/bin/python" - <<'PYTHON'
import asyncio
import datetime
import json

from agents.exceptions import UserError
from agents.models.chatcmpl_converter import Converter
from chatkit.agents import simple_to_agent_input
from chatkit.types import AssistantMessageContent, AssistantMessageItem, InferenceOptions
from chatkit.types import UserMessageItem, UserMessageTextContent

common = {"thread_id": "thr_1", "created_at": datetime.datetime(2026, 11, 29)}
first = UserMessageItem(id="msg_1", content=[UserMessageTextContent(text="hello")], attachments=[],
                        inference_options=InferenceOptions(), **common)
answer = AssistantMessageItem(id="msg_2", content=[AssistantMessageContent(text="hello to you")], **common)
second = UserMessageItem(id="msg_3", content=[UserMessageTextContent(text="again")], attachments=[],
                         inference_options=InferenceOptions(), **common)

def messages(*items):
    return Converter.items_to_messages(asyncio.run(simple_to_agent_input(list(items))))

print("first turn: ", json.dumps(messages(first)))
try:
    print("second turn:", json.dumps(messages(first, answer, second)))
except UserError as error:
    print("second turn: UserError:", error)
    assert "output_text" in str(error)
else:
    raise SystemExit("the second turn is converted now")
PYTHON
