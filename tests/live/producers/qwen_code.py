"""Qwen Code, `--output-format stream-json`."""

from model import Script

from .base import Program


HIDDEN = "managed memory extraction subagent"


class QwenCode(Program):
    name, title, version = "qwen-code", "Qwen Code", "0.24.4"
    script = Script(boom="status", boom_after_call=True, hidden=HIDDEN)
    streams = False

    def start(self):
        self.program = self.place.npm(f"@qwen-code/qwen-code@{self.version}") / "node_modules/.bin/qwen"

    def environment(self, home):
        return {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"{self.model.url(self.name)}/v1",
            "OPENAI_MODEL": "scripted",
            "QWEN_CODE_NO_RELAUNCH": "true",
            "NO_BROWSER": "1",
        }

    def call(self, work):
        return "read_file", {"file_path": str(work / "notes.txt")}

    def command(self, prompt, resume):
        return [
            str(self.program),
            *(["--continue"] if resume else []),
            "-p",
            prompt,
            "--output-format",
            "stream-json",
            "--yolo",
        ]


class Partial(QwenCode):
    name, title = "qwen-code-partial", "Qwen Code, partial messages"
    script = Script(boom="status", boom_after_call=True, hidden=HIDDEN)
    streams = True

    def command(self, prompt, resume):
        return [*super().command(prompt, resume), "--include-partial-messages"]


PRODUCERS = [QwenCode, Partial]
