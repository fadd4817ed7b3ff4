"""The four wire formats of the scripted model: what a request says, and the frames of an answer."""

import json
import secrets
import time


def text_of(content):
    """The text in any vendor's content."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(text_of, content)))
    if isinstance(content, dict):
        for key in ("text", "content", "output", "parts"):
            if key in content:
                return text_of(content[key])
        return json.dumps(content)
    return str(content)


def chat_history(body):
    return [(message["role"], text_of(message.get("content"))) for message in body.get("messages", [])]


def responses_history(body):
    items = body.get("input", [])
    if isinstance(items, str):
        return [("user", items)]
    history = []
    for item in items:
        if item.get("type", "message") == "message":
            history.append((item.get("role", ""), text_of(item.get("content"))))
        elif item["type"].endswith("_output"):
            history.append(("tool", text_of(item.get("output"))))
    return history


def anthropic_history(body):
    history = []
    for message in body.get("messages", []):
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        results = [block for block in blocks if block.get("type") == "tool_result"]
        texts = [block.get("text", "") for block in blocks if block.get("type") == "text"]
        history += [("tool", text_of(block.get("content"))) for block in results]
        if texts and not results:
            history.append((message["role"], "\n".join(texts)))
    return history


def gemini_history(body):
    history = []
    for content in body.get("contents", []):
        role = "assistant" if content.get("role") == "model" else "user"
        for part in content.get("parts", []):
            if "functionResponse" in part:
                history.append(("tool", json.dumps(part["functionResponse"].get("response"), ensure_ascii=False)))
            elif part.get("text"):
                history.append((role, part["text"]))
    return history


def tool_names(body):
    names = []
    for tool in body.get("tools") or []:
        for one in tool.get("functionDeclarations") or [tool]:
            names.append(one.get("name") or one.get("function", {}).get("name") or one.get("type", ""))
    return names


class Chat:
    history = staticmethod(chat_history)

    def __init__(self, usage):
        self.usage = {
            "prompt_tokens": usage["input"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["cached"]},
        }
        self.id = "chatcmpl-" + secrets.token_hex(6)

    def chunk(self, delta, reason=None, **more):
        return [
            (
                "",
                {
                    "id": self.id,
                    "object": "chat.completion.chunk",
                    "created": int(time.time()),
                    "model": "scripted",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                    **more,
                },
            )
        ]

    def start(self):
        return self.chunk({"role": "assistant", "content": ""})

    def piece(self, text):
        return self.chunk({"content": text})

    def call(self, name, arguments):
        text, call = json.dumps(arguments), "call_" + secrets.token_hex(6)
        first = {"index": 0, "id": call, "type": "function", "function": {"name": name, "arguments": ""}}
        half = len(text) // 2
        rest = [{"index": 0, "function": {"arguments": piece}} for piece in (text[:half], text[half:])]
        return [frame for one in [first, *rest] for frame in self.chunk({"tool_calls": [one]})]

    def end(self, why):
        last = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": "scripted",
            "choices": [],
            "usage": self.usage,
        }
        return [*self.chunk({}, {"tool": "tool_calls"}.get(why, why)), ("", last), ("", "[DONE]")]

    def error(self, words):
        return [("", {"error": {"message": words, "type": "server_error", "code": "500"}})]

    def whole(self, text):
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "scripted",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": self.usage,
        }


class Responses:
    history = staticmethod(responses_history)

    def __init__(self, usage):
        self.usage = {
            "input_tokens": usage["input"],
            "input_tokens_details": {"cached_tokens": usage["cached"]},
            "output_tokens": usage["output"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["input"] + usage["output"],
        }
        self.id, self.item, self.text, self.number = "resp_" + secrets.token_hex(6), None, "", -1
        self.items = []

    def event(self, kind, **fields):
        self.number += 1
        return (kind, {"type": kind, "sequence_number": self.number, **fields})

    def response(self, status, **more):
        return {
            "id": self.id,
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "model": "scripted",
            "output": self.items,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            **more,
        }

    def start(self):
        return [self.event("response.created", response=self.response("in_progress"))]

    def piece(self, text):
        frames = []
        if self.item is None:
            self.item = "msg_" + secrets.token_hex(6)
            frames = [
                self.event(
                    "response.output_item.added",
                    output_index=0,
                    item={
                        "id": self.item,
                        "type": "message",
                        "role": "assistant",
                        "status": "in_progress",
                        "content": [],
                    },
                ),
                self.event(
                    "response.content_part.added",
                    item_id=self.item,
                    output_index=0,
                    content_index=0,
                    part={"type": "output_text", "text": "", "annotations": []},
                ),
            ]
        self.text += text
        return [
            *frames,
            self.event(
                "response.output_text.delta",
                item_id=self.item,
                output_index=0,
                content_index=0,
                delta=text,
                logprobs=[],
            ),
        ]

    def finish(self):
        if self.item is None:
            return []
        part = {"type": "output_text", "text": self.text, "annotations": []}
        item = {"id": self.item, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        self.items.append(item)
        frames = [
            self.event(
                "response.output_text.done",
                item_id=self.item,
                output_index=0,
                content_index=0,
                text=self.text,
                logprobs=[],
            ),
            self.event("response.content_part.done", item_id=self.item, output_index=0, content_index=0, part=part),
            self.event("response.output_item.done", output_index=0, item=item),
        ]
        self.item = None
        return frames

    def call(self, name, arguments):
        frames = self.finish()
        text, key = json.dumps(arguments), "fc_" + secrets.token_hex(6)
        item = {
            "id": key,
            "type": "function_call",
            "call_id": "call_" + secrets.token_hex(6),
            "name": name,
            "arguments": text,
            "status": "completed",
        }
        self.items.append(item)
        return [
            *frames,
            self.event(
                "response.output_item.added", output_index=1, item={**item, "arguments": "", "status": "in_progress"}
            ),
            self.event("response.function_call_arguments.delta", item_id=key, output_index=1, delta=text),
            self.event("response.function_call_arguments.done", item_id=key, output_index=1, arguments=text),
            self.event("response.output_item.done", output_index=1, item=item),
        ]

    def end(self, why):
        return [*self.finish(), self.event("response.completed", response=self.response("completed", usage=self.usage))]

    def error(self, words):
        return [
            self.event(
                "response.failed", response=self.response("failed", error={"code": "invalid_prompt", "message": words})
            )
        ]

    def whole(self, text):
        self.piece(text)
        self.finish()
        return self.response("completed", usage=self.usage)


class Anthropic:
    history = staticmethod(anthropic_history)

    def __init__(self, usage):
        self.output = usage["output"]
        self.usage = {
            "input_tokens": usage["input"] - usage["cached"],
            "cache_read_input_tokens": usage["cached"],
            "cache_creation_input_tokens": 0,
            "output_tokens": 1,
        }
        self.id, self.index, self.open = "msg_" + secrets.token_hex(6), -1, False

    def message(self, content, reason):
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": "scripted",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": self.usage,
        }

    def start(self):
        return [("message_start", {"type": "message_start", "message": self.message([], None)})]

    def block(self, content):
        frames = self.close()
        self.index, self.open = self.index + 1, True
        return [
            *frames,
            ("content_block_start", {"type": "content_block_start", "index": self.index, "content_block": content}),
        ]

    def close(self):
        if not self.open:
            return []
        self.open = False
        return [("content_block_stop", {"type": "content_block_stop", "index": self.index})]

    def delta(self, delta):
        return ("content_block_delta", {"type": "content_block_delta", "index": self.index, "delta": delta})

    def piece(self, text):
        frames = [] if self.open else self.block({"type": "text", "text": ""})
        return [*frames, self.delta({"type": "text_delta", "text": text})]

    def call(self, name, arguments):
        text = json.dumps(arguments)
        half = len(text) // 2
        return [
            *self.block({"type": "tool_use", "id": "toolu_" + secrets.token_hex(8), "name": name, "input": {}}),
            *[self.delta({"type": "input_json_delta", "partial_json": piece}) for piece in (text[:half], text[half:])],
        ]

    def end(self, why):
        reason = "tool_use" if why == "tool" else "end_turn"
        return [
            *self.close(),
            (
                "message_delta",
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": reason, "stop_sequence": None},
                    "usage": {"output_tokens": self.output},
                },
            ),
            ("message_stop", {"type": "message_stop"}),
        ]

    def error(self, words):
        return [("error", {"type": "error", "error": {"type": "api_error", "message": words}})]

    def whole(self, text):
        return {
            **self.message([{"type": "text", "text": text}], "end_turn"),
            "usage": {**self.usage, "output_tokens": self.output},
        }


class Gemini:
    history = staticmethod(gemini_history)

    def __init__(self, usage):
        self.usage = {
            "promptTokenCount": usage["input"],
            "candidatesTokenCount": usage["output"],
            "totalTokenCount": usage["input"] + usage["output"],
            "cachedContentTokenCount": usage["cached"],
        }

    def chunk(self, parts, reason=None):
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        return {
            "candidates": [candidate],
            "modelVersion": "scripted",
            **({"usageMetadata": self.usage} if reason else {}),
        }

    def start(self):
        return []

    def piece(self, text):
        return [("", self.chunk([{"text": text}]))]

    def call(self, name, arguments):
        return [("", self.chunk([{"functionCall": {"name": name, "args": arguments}}]))]

    def end(self, why):
        return [("", self.chunk([{"text": ""}], "STOP"))]

    def error(self, words):
        return [("", {"error": {"code": 500, "message": words, "status": "INTERNAL"}})]

    def whole(self, text):
        return self.chunk([{"text": text}], "STOP")


KINDS = {
    "chat/completions": Chat,
    "responses": Responses,
    "v1/messages": Anthropic,
    ":streamGenerateContent": Gemini,
    ":generateContent": Gemini,
}
