"""opencode, `opencode run --format json`."""

import json

from model import Script

from .base import Program

SETTINGS = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}
TITLE = r"[Gg]enerate a title|title generator"


def configure(url):
    """The settings of opencode that make the scripted model its only one."""
    limits = {"context": 100000, "output": 10000}
    return json.dumps(
        {
            "$schema": "https://opencode.ai/config.json",
            "autoupdate": False,
            "share": "disabled",
            "model": "scripted/scripted",
            "small_model": "scripted/scripted",
            "provider": {
                "scripted": {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "scripted",
                    "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
                    "models": {
                        "scripted": {
                            "name": "scripted",
                            "tool_call": True,
                            "limit": limits,
                            "cost": {"input": 1, "output": 2, "cache_read": 0.5},
                        }
                    },
                }
            },
        }
    )


class OpencodeRun(Program):
    name, title, version = "opencode-run", "opencode run", "1.18.33"
    script = Script(boom="status", boom_after_call=True, hidden=TITLE)
    streams = keeps = False
    seconds = 300

    def start(self):
        self.program = self.place.npm(f"opencode-ai@{self.version}") / "node_modules/.bin/opencode"

    def environment(self, home):
        return SETTINGS

    def prepare(self, home, work):
        folder = home / ".config/opencode"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "opencode.json").write_text(configure(self.model.url(self.name)))

    def call(self, work):
        return "read", {"filePath": str(work / "notes.txt")}

    def command(self, prompt, resume):
        return [str(self.program), "run", *(["--continue"] if resume else []), "--format", "json", prompt]


PRODUCERS = [OpencodeRun]
