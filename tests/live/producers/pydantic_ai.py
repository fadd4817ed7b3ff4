"""Pydantic AI: one agent, served as AG-UI and as the AI SDK's UI message stream."""

from model import Script

from .base import Served

VERSION = "2.68.0"


class AgUi(Served):
    name, title, version = "pydantic-ai-ag-ui", "Pydantic AI, AG-UI", VERSION
    script = Script()
    packages = (f"pydantic-ai-slim[ag-ui,openai]=={VERSION}", "uvicorn==0.35.0")
    file, route, request = "pydantic_routes.py", "/ag-ui", "ag-ui"
    usage = ()


class AiSdk(AgUi):
    name, title = "pydantic-ai-ai-sdk", "Pydantic AI, AI SDK stream"
    script = Script()
    route, request = "/api/chat", None


PRODUCERS = [AgUi, AiSdk]
