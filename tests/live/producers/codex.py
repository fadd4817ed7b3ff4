"""Codex, `codex exec --json`."""

import judge
from model import Script

from .base import Program


class Codex(Program):
    name, title, version = "codex-exec", "Codex exec", "0.171.0"
    script = Script(boom="status", boom_after_call=True)
    streams = keeps = False

    def start(self):
        self.program = self.place.npm(f"@openai/codex@{self.version}") / "node_modules/.bin/codex"

    def environment(self, home):
        return {"CODEX_HOME": str(home / "codex"), "SCRIPTED_KEY": "none"}

    def prepare(self, home, work):
        settings = home / "codex/config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(
            'model = "scripted"\nmodel_provider = "scripted"\napproval_policy = "never"\n'
            'sandbox_mode = "danger-full-access"\n[model_providers.scripted]\nname = "scripted"\n'
            f'base_url = "{self.model.url(self.name)}/v1"\nenv_key = "SCRIPTED_KEY"\nwire_api = "responses"\n'
            "request_max_retries = 0\nstream_max_retries = 0\n"
        )

    def call(self, work):
        return "exec_command", {"cmd": "cat notes.txt"}

    def command(self, prompt, resume):
        return [
            str(self.program),
            "exec",
            *(["resume", "--last"] if resume else []),
            "--json",
            "--skip-git-repo-check",
            prompt,
        ]

    def judge_calls(self, shown, told):
        return judge.judge_calls(
            shown, told, "command_execution", lambda said: "cat notes.txt" in said.get("command", "")
        )


PRODUCERS = [Codex]
