"""One file for each producer; `ALL` is the order of the table."""

from . import claude_code, codex

ALL = [kind for module in (claude_code, codex) for kind in module.PRODUCERS]
