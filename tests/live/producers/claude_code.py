"""Claude Code, whole lines and with partial messages."""

from model import Script

from .base import Program


class ClaudeCode(Program):
    name, title, version = "claude-code", "Claude Code", "2.1.332"
    script = Script(boom="status", boom_after_call=True)
    streams = False
    options = ()

    def start(self):
        self.program = self.place.npm(f"@anthropic-ai/claude-code@{self.version}") / "node_modules/.bin/claude"

    def environment(self, home):
        return {
            "ANTHROPIC_BASE_URL": self.model.url(self.name),
            "ANTHROPIC_API_KEY": "none",
            "DISABLE_TELEMETRY": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
        }

    def call(self, work):
        return "Read", {"file_path": str(work / "notes.txt")}

    def command(self, prompt, resume):
        return [
            str(self.program),
            "-p",
            prompt,
            "--output-format",
            "stream-json",
            "--verbose",
            "--allowedTools=Read",
            "--model",
            "claude-sonnet-4-5",
            *self.options,
            *(["--continue"] if resume else []),
        ]


class Partial(ClaudeCode):
    name, title = "claude-code-partial", "Claude Code, partial messages"
    script = Script(boom="status", boom_after_call=True)
    streams = True
    options = ("--include-partial-messages",)


PRODUCERS = [ClaudeCode, Partial]
