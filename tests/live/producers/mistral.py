"""Mistral's conversations, as a stand-in serves them with the types of the official SDK. Our own tools run its calls."""

from model import Script

from .base import Served


class Mistral(Served):
    name, title, version = "mistral", "Mistral conversations, a stand-in by its SDK", "3.7.0"
    script = Script()
    packages = (f"mistralai=={version}", "httpx==0.28.1", "starlette==1.0.0", "uvicorn==0.35.0")
    file, route = "mistral_conversations.py", "/v1/conversations"
    usage = ("input", "output")

    def arguments(self):
        return [*super().arguments(), "-m", "scripted", "--local-tools", "--approval-mode", "full"]

    def fresh(self, case):
        home, env = super().fresh(case)
        (home / "notes.txt").write_text(f"code-{self.model.code}\n")
        self.script.call = ("read_file", {"path": "notes.txt"})
        return home, env


PRODUCERS = [Mistral]
