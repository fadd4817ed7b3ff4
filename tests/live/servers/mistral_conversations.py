"""A stand-in for Mistral's conversations: requests and events are read and written by the types of its official SDK.

The server keeps nothing (`store: false`), as it is asked here; what the scripted model says is handed on.
"""

import json
import os

import httpx
import uvicorn
from mistralai.client import models
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route


def messages_of(request):
    """The entries of a request as messages of chat completions."""
    messages = []
    for entry in request.inputs if not isinstance(request.inputs, str) else []:
        if isinstance(entry, models.FunctionCallEntry):
            function = {"name": entry.name, "arguments": entry.arguments}
            call = {"id": entry.tool_call_id, "type": "function", "function": function}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif isinstance(entry, models.FunctionResultEntry):
            messages.append({"role": "tool", "tool_call_id": entry.tool_call_id, "content": entry.result})
        else:
            messages.append({"role": entry.role, "content": entry.content})
    if isinstance(request.inputs, str):
        messages.append({"role": "user", "content": request.inputs})
    return messages


def frame(event):
    data = event.model_dump_json(by_alias=True, exclude_unset=False)
    return f"event: {event.type}\ndata: {data}\n\n"


async def events(request):
    yield frame(models.ResponseStartedEvent(conversation_id="conv_0"))
    usage, calls = {}, {}
    body = {"model": "scripted", "stream": True, "messages": messages_of(request)}
    async with httpx.AsyncClient(timeout=None) as client:
        async with client.stream("POST", os.environ["MODEL_URL"] + "/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                data = line.removeprefix("data: ")
                if line == data or data == "[DONE]":
                    continue
                chunk = json.loads(data)
                if "error" in chunk:
                    yield frame(models.ResponseErrorEvent(message=chunk["error"]["message"], code=500))
                    return
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    delta = choice["delta"]
                    if delta.get("content"):
                        yield frame(models.MessageOutputEvent(id="msg_0", content=delta["content"]))
                    for call in delta.get("tool_calls") or []:
                        known = calls.setdefault(call["index"], {"id": call.get("id"), **call["function"]})
                        yield frame(
                            models.FunctionCallEvent(
                                id=f"fc_{call['index']}",
                                name=known["name"],
                                tool_call_id=known["id"],
                                arguments=call["function"].get("arguments", ""),
                            )
                        )
    counts = {key: usage.get(key, 0) for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
    yield frame(models.ResponseDoneEvent(usage=models.ConversationUsageInfo(**counts)))


async def conversations(request):
    try:
        asked = models.ConversationStreamRequest.model_validate(await request.json())
    except ValueError as reason:
        return JSONResponse({"object": "error", "message": str(reason)}, 422)
    return StreamingResponse(events(asked), media_type="text/event-stream")


app = Starlette(routes=[Route("/v1/conversations", conversations, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
