"""One file for each producer; `ALL` is the order of the table."""

from . import (
    a2a,
    acp,
    adk,
    agno,
    ai_sdk,
    aimock,
    chatkit,
    claude_code,
    codex,
    gemini_cli,
    langgraph,
    mastra,
    opencode_event,
    opencode_run,
    pi,
    poe_bot,
    pydantic_ai,
    qwen_code,
)

MODULES = (
    claude_code,
    codex,
    gemini_cli,
    opencode_run,
    opencode_event,
    qwen_code,
    pi,
    acp,
    ai_sdk,
    pydantic_ai,
    langgraph,
    adk,
    agno,
    mastra,
    chatkit,
    poe_bot,
    a2a,
    aimock,
)
ALL = [kind for module in MODULES for kind in module.PRODUCERS]
