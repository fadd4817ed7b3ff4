"""The official client against a served port: `python3 tests/oracle/responses.py http://127.0.0.1:PORT/v1`.

The server is the one of tests/it/serve_responses.rs, whose model answers by what it is asked. Every event and object is
held against the client's own types, strictly: a field that is missing or None where the type wants one fails.
"""

import json
import sys
import time

import openai
from openai.types.conversations import Conversation
from openai.types.responses import Response

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=30)
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def same(name, got, wanted):
    if got != wanted:
        sys.exit(f"{name}: {got!r} is not {wanted!r}")
    print(f"ok {name}")


def strict(model):
    """Validates what the client only reads: it never checks types by itself."""
    type(model).model_validate(model.to_dict(mode="json"))
    return model


def ask(text, **more):
    return strict(client.responses.create(input=text, **more))


def events_of(stream):
    events = [strict(event) for event in stream]
    same("numbers", [event.sequence_number for event in events], list(range(len(events))))
    return events


def kinds(events):
    """The types in order; how many pieces a text comes in is a matter of time."""
    types = [event.type.removeprefix("response.") for event in events]
    return [kind for kind, before in zip(types, [None, *types]) if kind != before]


def failure(name, status, code, call):
    try:
        call()
    except openai.APIStatusError as error:
        same(name, (error.status_code, error.code), (status, code))
        return error
    sys.exit(f"{name}: did not fail")


# Not streamed, and streamed.
answer = ask("hello", metadata={"for": "a test"}, instructions="be kind")
same("text", answer.output_text, "Hello, you.")
same("status", (answer.status, answer.error, answer.metadata), ("completed", None, {"for": "a test"}))
same("usage", (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens), (7, 3, 10))
events = events_of(client.responses.create(input="hello", stream=True))
same(
    "order",
    kinds(events),
    ["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"]
    + ["output_text.done", "content_part.done", "output_item.done", "completed"],
)
same("deltas", "".join(e.delta for e in events if e.type == "response.output_text.delta"), "Hello, you.")
same("whole", events[-1].response.output_text, "Hello, you.")

# The helper keeps a picture of the answer by itself and fails where events don't fit.
with client.responses.stream(model="mock/m", input="hello") as stream:
    for _ in stream:
        pass
    same("helper", stream.get_final_response().output_text, "Hello, you.")

# Reasoning, and our own tools.
events = events_of(client.responses.create(input="think", stream=True))
thought = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
same("reasoning", (thought, events[-1].response.output[0].type), ("Let me see.", "reasoning"))
events = events_of(client.responses.create(input="use your tools", stream=True))
calls = [item for item in events[-1].response.output if item.type == "mcp_call"]
same("our tools", [(c.name, c.status, c.output, c.error) for c in calls][0], ("calculator", "completed", "42", None))
same("one failed", (calls[1].name, calls[1].status, calls[1].output), ("read_file", "failed", None))
same("why", (calls[1].error.type, "no such file" in str(calls[1].error.content)), ("mcp_tool_execution_error", True))
same("after tools", events[-1].response.output_text, "I see 42.")

# The client's tools: calls go out, outputs come back, by id or with everything that was said.
answer = ask("weather", tools=[TOOL])
call = answer.output[-1]
same("a call", (call.type, call.name, json.loads(call.arguments)), ("function_call", "get_weather", {"city": "Oslo"}))
output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
after = ask([output], tools=[TOOL], previous_response_id=answer.id)
same("its output", (after.output_text, after.previous_response_id), ("It says rain.", answer.id))
items = [{"role": "user", "content": "weather"}, *[item.to_dict() for item in answer.output], output]
same("all items", ask(items, tools=[TOOL]).output_text, "It says rain.")
events = events_of(client.responses.create(input="weather", tools=[TOOL], stream=True))
same("streamed arguments", [e.arguments for e in events if e.type.endswith("arguments.done")], ['{"city":"Oslo"}'])
with client.responses.stream(model="mock/m", input="weather", tools=[TOOL]) as stream:
    for _ in stream:
        pass
    same("helper's call", stream.get_final_response().output[-1].name, "get_weather")

# Going on.
first = ask("my name is Ada")
second = ask("all of it", previous_response_id=first.id)
same("goes on", second.output_text, "user: my name is Ada | assistant: Noted. | user: all of it")
third = ask("all of it", previous_response_id=second.id)
# Five messages, and the second answer among them had two of these itself.
same("and on", third.output_text.count(" | "), 6)

# Stored ones.
same("retrieved", strict(client.responses.retrieve(second.id)).output_text, second.output_text)
for after in range(0, 8):
    again = list(client.responses.retrieve(second.id, stream=True, starting_after=after))
    same(f"from {after}", [strict(e).sequence_number for e in again], list(range(after + 1, len(again) + after + 1)))
same("the end", again[-1].type, "response.completed")
same("input", [strict(i).content[0].text for i in client.responses.input_items.list(second.id)], ["all of it"])
client.responses.delete(second.id)
failure("deleted", 404, "not_found", lambda: client.responses.retrieve(second.id))
hidden = ask("hello", store=False)
failure("not stored", 404, "not_found", lambda: client.responses.retrieve(hidden.id))

# In the background.
begun = ask("wait", background=True)
same("begun", (begun.status, begun.background), ("in_progress", True))
same("in progress", strict(client.responses.retrieve(begun.id)).status, "in_progress")
ended = strict(client.responses.cancel(begun.id))
same("cancelled", ended.status, "cancelled")
same("stays so", client.responses.retrieve(begun.id).status, "cancelled")
begun = ask("hello", background=True)
while begun.status == "in_progress":
    time.sleep(0.05)
    begun = client.responses.retrieve(begun.id)
same("done behind our back", begun.output_text, "Hello, you.")

# Conversations.
talk = strict(client.conversations.create(metadata={"of": "us"}, items=[{"role": "user", "content": "I am Bob"}]))
same("answer in it", ask("all of it", conversation=talk.id).output_text, "user: I am Bob | user: all of it")
again = ask("all of it", conversation={"id": talk.id})
same("it grows", again.output_text.count(" | "), 4)
same("named", again.conversation.id, talk.id)
items = [strict(item) for item in client.conversations.items.list(talk.id, order="asc")]
same("items", [item.role for item in items], ["user", "user", "assistant", "user", "assistant"])
strict(client.conversations.items.create(talk.id, items=[{"role": "user", "content": "and more"}]))
one = client.conversations.items.retrieve(items[1].id, conversation_id=talk.id)
same("one item", one.content[0].text, "all of it")
client.conversations.items.delete(items[0].id, conversation_id=talk.id)
same("taken out", len(list(client.conversations.items.list(talk.id))), 5)
same("renamed", strict(client.conversations.update(talk.id, metadata={"of": "you"})).metadata, {"of": "you"})
same("removed", strict(client.conversations.delete(talk.id)).deleted, True)
failure("gone", 404, "not_found", lambda: client.conversations.retrieve(talk.id))

# Ends that are not good.
short = ask("too long")
same("cut", (short.status, short.incomplete_details.reason), ("incomplete", "max_output_tokens"))
events = events_of(client.responses.create(input="fail 400", stream=True))
same("failed", (events[-1].type, events[-1].response.status), ("response.failed", "failed"))
same("its error", events[-1].response.error.code, "invalid_prompt")
failure("failed whole", 400, "invalid_prompt", lambda: ask("fail 400"))
failure("slow down", 429, "rate_limit_exceeded", lambda: ask("fail 429"))
same("unknown model", ask("hello", model="nowhere/m").output_text, "Hello, you.")
unknown = failure("unknown past", 400, "previous_response_not_found", lambda: ask("x", previous_response_id="resp_0"))
same("which field", unknown.param, "previous_response_id")
same("hosted tools", ask("hello", tools=[{"type": "web_search"}]).output_text, "Hello, you.")
failure("no such call", 400, "invalid_request", lambda: ask([{**output, "call_id": "call_0"}]))
