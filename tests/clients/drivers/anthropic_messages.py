"""The official client with Messages: a loop over the calls of its own tool, always streaming."""

import anthropic
from said import DESCRIPTION, MODEL, PARAMETERS, PROMPTS, URL, Answer, read_notes, say

client = anthropic.Anthropic(base_url=URL, api_key="none")
tools = [{"name": "read_notes", "description": DESCRIPTION, "input_schema": PARAMETERS}]
messages = []


def ask(step):
    messages.append({"role": "user", "content": PROMPTS[step]})
    shown = ""
    while True:
        with client.messages.stream(model=MODEL, max_tokens=4000, messages=messages, tools=tools) as stream:
            answer = Answer().read(stream.text_stream)
            shown += answer.text
            if answer.broke:
                messages.append({"role": "assistant", "content": answer.text})
                return say(step, shown, answer.broke)
            message = stream.get_final_message()
        messages.append({"role": "assistant", "content": message.content})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return say(step, shown)
        results = [{"type": "tool_result", "tool_use_id": one.id, "content": read_notes(**one.input)} for one in calls]
        messages.append({"role": "user", "content": results})


for step in ("tool", "slow", "again"):
    ask(step)
