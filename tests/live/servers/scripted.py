"""Asks the scripted model for an answer and yields it in pieces; a failure in the stream is raised."""

import json
import os

import httpx


async def answer(history):
    """Pieces of the answer to a list of pairs of role and text."""
    body = {
        "model": "scripted",
        "stream": True,
        "messages": [{"role": role, "content": text} for role, text in history],
    }
    async with httpx.AsyncClient(timeout=None) as client:
        async with client.stream("POST", os.environ["MODEL_URL"] + "/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                data = line.removeprefix("data: ")
                if line == data or data == "[DONE]":
                    continue
                chunk = json.loads(data)
                if "error" in chunk:
                    raise RuntimeError(chunk["error"]["message"])
                for choice in chunk["choices"]:
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]
