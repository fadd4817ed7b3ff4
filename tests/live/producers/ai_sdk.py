"""The AI SDK's chat route, in three generations. Nobody says that it is no Ollama."""

from model import Script

from .base import Served


class AiSdk7(Served):
    name, title, version = "ai-sdk-7", "AI SDK 7", "7.0.173"
    script = Script()
    packages = (f"ai@{version}", "@ai-sdk/openai-compatible@3.0.92", "zod@4.1.12")
    file, route = "ai_sdk.mjs", "/api/chat"


class AiSdk6(AiSdk7):
    name, title, version = "ai-sdk-6", "AI SDK 6", "6.0.326"
    script = Script()
    packages = (f"ai@{version}", "@ai-sdk/openai-compatible@2.0.92", "zod@4.1.12")


class AiSdk5(AiSdk7):
    name, title, version = "ai-sdk-5", "AI SDK 5", "5.0.277"
    script = Script()
    packages = (f"ai@{version}", "@ai-sdk/openai-compatible@1.0.61", "zod@4.1.12")


PRODUCERS = [AiSdk5, AiSdk6, AiSdk7]
