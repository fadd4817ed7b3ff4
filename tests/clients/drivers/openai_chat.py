"""The official client with chat completions: a loop over the calls of its own tool, always streaming."""

import json

import openai
from said import DESCRIPTION, MODEL, PARAMETERS, PROMPTS, URL, Answer, read_notes, say

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none")
tools = [
    {"type": "function", "function": {"name": "read_notes", "description": DESCRIPTION, "parameters": PARAMETERS}}
]
messages = []


def pieces(stream):
    for event in stream:
        if event.type == "content.delta":
            yield event.delta


def ask(step):
    messages.append({"role": "user", "content": PROMPTS[step]})
    shown = ""
    while True:
        with client.chat.completions.stream(model=MODEL, messages=messages, tools=tools) as stream:
            answer = Answer().read(pieces(stream))
            shown += answer.text
            if answer.broke:
                messages.append({"role": "assistant", "content": answer.text})
                return say(step, shown, answer.broke)
            message = stream.get_final_completion().choices[0].message
        messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
        if not message.tool_calls:
            return say(step, shown)
        for call in message.tool_calls:
            result = read_notes(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


for step in ("tool", "slow", "again"):
    ask(step)
