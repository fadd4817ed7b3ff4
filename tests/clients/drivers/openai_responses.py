"""The official client with stored responses: it comes back for the rest of one that broke."""

import json

import openai
from said import DESCRIPTION, MODEL, PARAMETERS, PROMPTS, URL, Answer, read_notes, say

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none")
tools = [{"type": "function", "name": "read_notes", "description": DESCRIPTION, "parameters": PARAMETERS}]


class Reading:
    """One response: its id, the number of the last event, its calls."""

    def __init__(self):
        self.id, self.last, self.calls = None, None, []

    def pieces(self, stream):
        for event in stream:
            self.last = event.sequence_number
            if event.type == "response.created":
                self.id = event.response.id
            elif event.type == "response.output_text.delta":
                yield event.delta
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                self.calls.append(event.item)


def ask(asked, previous):
    reading = Reading()
    stream = client.responses.create(
        model=MODEL, input=asked, tools=tools, stream=True, **({"previous_response_id": previous} if previous else {})
    )
    return reading, Answer().read(reading.pieces(stream))


first, answer = ask(PROMPTS["tool"], None)
call = first.calls[0]
result = {
    "type": "function_call_output",
    "call_id": call.call_id,
    "output": read_notes(**json.loads(call.arguments)),
}
second, rest = ask([result], first.id)
say("tool", answer.text + rest.text, rest.broke)
slow, answer = ask(PROMPTS["slow"], second.id)
say("slow", answer.text, answer.broke)
back = client.responses.retrieve(slow.id, stream=True, starting_after=slow.last)
rest = Answer().read(slow.pieces(back))
say("rest", answer.text + rest.text, rest.broke)
_, answer = ask(PROMPTS["again"], slow.id)
say("again", answer.text, answer.broke)
