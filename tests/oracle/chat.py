"""The official client against a served port: `python3 tests/oracle/chat.py http://127.0.0.1:PORT/v1 [QUIET]`.

The server is the one of tests/it/serve_chat.rs, which answers by what it is asked. Prints one line a check; the first
that fails ends it. QUIET is a server that answers with a stream that was quiet for a while.
"""

import json
import sys

import openai



def connect(url):
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=30)


client = connect(sys.argv[1])
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def user(text):
    return [{"role": "user", "content": text}]


def same(name, got, wanted):
    if got != wanted:
        sys.exit(f"{name}: {got!r} is not {wanted!r}")
    print(f"ok {name}")


def stream(text, by=client, **more):
    """Reads a stream to its end. Whatever the client can't make a chunk of is seen here."""
    chunks = list(by.chat.completions.create(**{"model": "any", **more}, messages=user(text), stream=True))
    for chunk in chunks:
        if chunk.object != "chat.completion.chunk" or not chunk.id.startswith("chatcmpl-"):
            sys.exit(f"{text}: not a chunk: {chunk!r}")
    if len({chunk.id for chunk in chunks}) != 1 or len({chunk.created for chunk in chunks}) != 1:
        sys.exit(f"{text}: chunks of several answers")
    return chunks


def words(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def reasons(chunks):
    return [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]


def failure(text, **more):
    try:
        answer = client.chat.completions.create(model="any", messages=user(text), **more)
        if more.get("stream"):
            list(answer)
    except openai.APIError as error:
        return type(error).__name__, error.code
    sys.exit(f"{text}: nothing failed")


# Text.
answer = client.chat.completions.create(model="any", messages=user("hello"))
same("whole", (answer.object, answer.model, len(answer.id)), ("chat.completion", "any", len("chatcmpl-") + 12))
choice = answer.choices[0]
same("whole.text", (choice.message.role, choice.message.content, choice.finish_reason), ("assistant", "Hello, you.", "stop"))
same("whole.usage", (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens), (7, 3, 10))

chunks = stream("hello")
same("stream.role", chunks[0].choices[0].delta.role, "assistant")
same("stream.text", (words(chunks), reasons(chunks)), ("Hello, you.", ["stop"]))
same("stream.usage", [chunk.usage.total_tokens for chunk in chunks if chunk.usage], [10])
chunks = stream("hello", stream_options={"include_usage": True})
same("stream.include_usage", (chunks[-1].choices, chunks[-1].usage.total_tokens, words(chunks)), ([], 10, "Hello, you."))

chunks = stream("think")
thought = "".join(getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks if chunk.choices)
same("stream.reasoning", (thought, words(chunks)), ("Let me see.", "Yes."))

# The agent's own tools run under its name alone, are not shown, and nothing is named.
chunks = stream("use your tools", model="jarvis-tui")
same("own tools", (words(chunks), reasons(chunks)), ("One moment.\n\nIt is noon.", ["stop"]))

# Keep-alives: a blank line after each would be an empty event to this client.
quiet = connect(sys.argv[2]) if len(sys.argv) > 2 else client
same("keep-alive", words(stream("be quiet for a while", by=quiet)), "so … there")

# An answer in one piece comes in words.
chunks = stream("in one piece")
same("words", (words(chunks), len(chunks) > 10), ("this whole answer came in one piece after  a long time of thinking", True))

# Roles and contents of every kind.
messages = [
    {"role": "developer", "content": [{"type": "text", "text": "be "}, {"type": "text", "text": "brief"}]},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": [{"type": "text", "text": "re"}, {"type": "text", "text": "peat"}]},
]
answer = client.chat.completions.create(model="any", messages=messages, temperature=0.2, seed=1, user="me", top_p=0.9)
same("history", answer.choices[0].message.content, "be brief | one | two | repeat")

# Its own tools: the calls come back, it runs them, the answer goes on.
answer = client.chat.completions.create(model="any", messages=user("weather"), tools=[TOOL])
call = answer.choices[0].message.tool_calls[0]
same("call", (answer.choices[0].finish_reason, call.type, call.function.name), ("tool_calls", "function", "get_weather"))
same("call.arguments", json.loads(call.function.arguments), {"city": "Oslo"})
follow = user("weather") + [
    answer.choices[0].message.model_dump(exclude_none=True),
    {"role": "tool", "tool_call_id": call.id, "content": "rain"},
]
answer = client.chat.completions.create(model="any", messages=follow, tools=[TOOL])
same("call.result", (answer.choices[0].message.content, answer.choices[0].finish_reason), ("It says rain.", "stop"))

calls = {}
for chunk in stream("weather", tools=[TOOL]):
    for piece in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
        one = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
        one["id"] += piece.id or ""
        one["name"] += piece.function.name or ""
        one["arguments"] += piece.function.arguments or ""
same("fragments", [(one["name"], json.loads(one["arguments"])) for one in calls.values()], [("get_weather", {"city": "Oslo"})])
with client.chat.completions.stream(model="any", messages=user("weather"), tools=[TOOL]) as events:
    kinds = [event.type for event in events]
    final = events.get_final_completion()
same("helper", "tool_calls.function.arguments.done" in kinds, True)
same("helper.final", final.choices[0].message.tool_calls[0].function.name, "get_weather")

# What goes wrong.
same("length", client.chat.completions.create(model="any", messages=user("too much")).choices[0].finish_reason, "length")
same("filter", reasons(stream("something bad")), ["content_filter"])
same("failed", failure("fail upstream"), ("InternalServerError", "upstream"))
same("limited", failure("fail rate_limited"), ("RateLimitError", "rate_limit_exceeded"))
same("too long", failure("fail context_too_long"), ("BadRequestError", "context_length_exceeded"))
same("failed midway", failure("fail upstream", stream=True), ("APIError", "upstream"))
same("model", failure("no such model"), ("NotFoundError", "model_not_found"))
same("image", failure([{"type": "image_url", "image_url": {"url": "x:"}}]), ("BadRequestError", "unsupported_content"))
same("field", failure("hello", max_tokens=-1), ("BadRequestError", "invalid_request"))
print("all well with openai", openai.__version__)
