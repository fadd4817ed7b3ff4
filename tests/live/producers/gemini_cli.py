"""Gemini CLI, `--output-format stream-json`."""

from model import Script

from .base import Program


class GeminiCli(Program):
    name, title, version = "gemini-cli", "Gemini CLI", "0.61.0"
    script = Script(boom="status", boom_after_call=True)

    def start(self):
        self.program = self.place.npm(f"@google/gemini-cli@{self.version}") / "node_modules/.bin/gemini"

    def environment(self, home):
        return {
            "GEMINI_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": self.model.url(self.name),
            "NO_BROWSER": "1",
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_CLI_HOME": str(home),
        }

    def prepare(self, home, work):
        folder = home / ".gemini"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')

    def call(self, work):
        return "run_shell_command", {"command": "cat notes.txt"}

    def command(self, prompt, resume):
        return [
            str(self.program),
            *(["--resume", "latest"] if resume else []),
            "-p",
            prompt,
            "--output-format",
            "stream-json",
            "-m",
            "gemini-2.5-flash",
            "--skip-trust",
            "--approval-mode",
            "yolo",
        ]


PRODUCERS = [GeminiCli]
