"""The official client with chats: a loop over the calls of a Python function, always streaming."""

from ollama import Client
from said import MODEL, PROMPTS, URL, Answer, read_notes, say

client = Client(host=URL)
messages = []


def ask(step):
    messages.append({"role": "user", "content": PROMPTS[step]})
    shown = ""
    while True:
        calls = []

        def pieces():
            for part in client.chat(model=MODEL, messages=messages, tools=[read_notes], stream=True):
                calls.extend(part.message.tool_calls or [])
                yield part.message.content

        answer = Answer().read(pieces())
        shown += answer.text
        messages.append({"role": "assistant", "content": answer.text, "tool_calls": calls})
        if answer.broke or not calls:
            return say(step, shown, answer.broke)
        for call in calls:
            result = read_notes(**call.function.arguments)
            messages.append({"role": "tool", "tool_name": call.function.name, "content": result})


for step in ("tool", "slow", "again"):
    ask(step)
