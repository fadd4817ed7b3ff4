"""pi, `--mode json`. It needs Node 22."""

import json

from model import Script

from .base import Program


class Pi(Program):
    name, title, version = "pi", "pi", "1.6.0"
    script = Script(boom="status", boom_after_call=True)

    def start(self):
        self.node = self.place.node22()
        self.program = self.place.npm(f"@earendil-works/pi-coding-agent@{self.version}") / "node_modules/.bin/pi"

    def environment(self, home):
        return {"PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1", "PI_TELEMETRY": "0"}

    def prepare(self, home, work):
        folder = home / ".pi/agent"
        folder.mkdir(parents=True, exist_ok=True)
        cost = {"input": 1, "output": 2, "cacheRead": 0.5, "cacheWrite": 1}
        (folder / "models.json").write_text(
            json.dumps(
                {
                    "providers": {
                        "scripted": {
                            "baseUrl": f"{self.model.url(self.name)}/v1",
                            "apiKey": "none",
                            "api": "openai-completions",
                            "models": [
                                {
                                    "id": "scripted",
                                    "name": "scripted",
                                    "reasoning": False,
                                    "input": ["text"],
                                    "cost": cost,
                                    "contextWindow": 100000,
                                    "maxTokens": 10000,
                                }
                            ],
                        }
                    }
                }
            )
        )

    def call(self, work):
        return "read", {"path": "notes.txt"}

    def command(self, prompt, resume):
        return [
            self.node,
            str(self.program),
            "--mode",
            "json",
            "--provider",
            "scripted",
            "--model",
            "scripted",
            *(["--continue"] if resume else []),
            prompt,
        ]


PRODUCERS = [Pi]
