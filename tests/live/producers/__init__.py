"""One file for each producer; `ALL` is the order of the table."""

from . import a2a, agno, aimock, claude_code, codex, gemini_cli, poe_bot, pydantic_ai, qwen_code

MODULES = (claude_code, codex, gemini_cli, qwen_code, pydantic_ai, agno, poe_bot, a2a, aimock)
ALL = [kind for module in MODULES for kind in module.PRODUCERS]
