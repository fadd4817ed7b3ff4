"""Mastra's agent routes."""

from model import Script

from .base import Served


class Mastra(Served):
    name, title, version = "mastra", "Mastra", "1.71.0"
    script = Script()
    packages = (
        f"@mastra/core@{version}",
        "@mastra/hono@1.7.9",
        "hono@4.13.19",
        "@hono/node-server@1.19.19",
        "zod@4.6.7",
    )
    file, route = "mastra.mjs", "/api/agents/scripted/stream"


PRODUCERS = [Mastra]
