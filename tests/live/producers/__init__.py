"""One file for each producer; `ALL` is the order of the table."""

from . import aimock, claude_code, codex, gemini_cli, qwen_code

MODULES = (claude_code, codex, gemini_cli, qwen_code, aimock)
ALL = [kind for module in MODULES for kind in module.PRODUCERS]
