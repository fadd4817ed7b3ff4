"""aimock's model interfaces, asked directly. Its calls are for the client, so our own tools run them."""

import json
import shlex

import harness
import judge
from harness import PROMPTS
from judge import no, yes
from model import Request

from .base import Served


class AimockChat(Served):
    name, title, version = "aimock-chat", "aimock, OpenAI chat", "1.43.0"
    packages = (f"@copilotkit/aimock@{version}",)
    file, route, request = "aimock.mjs", "/v1/chat/completions", None
    usage = ("input", "output")
    model_name = "gpt-4o"

    def start(self):
        self.journal = self.place.folder(f"{self.name}-journal") / "journal.jsonl"
        self.journal.touch()
        super().start()

    def settings(self):
        return {"JOURNAL": str(self.journal)}

    def arguments(self):
        return [*super().arguments(), "-m", self.model_name, "--local-tools", "--approval-mode", "full"]

    def told(self, since):
        """The requests of a run, from the journal."""
        requests = {}
        for line in self.journal.read_text().splitlines():
            entry = json.loads(line)
            if "case" in entry:
                called = entry.get("called")
                requests[entry["number"]] = Request(
                    self.name,
                    entry["case"],
                    [tuple(one) for one in entry["history"]],
                    entry["text"],
                    (called["name"], json.loads(called["arguments"])) if called else (),
                    entry["usage"],
                )
            elif entry["number"] in requests:
                requests[entry["number"]].end = entry["closed"]
        return [request for number, request in requests.items() if number > since]

    def fresh(self, case):
        self.since = max((json.loads(line)["number"] for line in self.journal.read_text().splitlines()), default=0)
        home, env = super().fresh(case)
        (home / "notes.txt").write_text(f"code-{self.model.code}\n")
        return home, env

    def one(self, case):
        shown, _ = super().one(case)
        return self.keep(case, shown, self.told(self.since))

    def cut(self):
        shown, _ = super().cut()
        self.wait_closed()
        return self.keep("slow", shown, self.told(self.since))

    def wait_closed(self):
        self.model.wait(lambda: (told := self.told(self.since)) and told[-1].end != "running", 8)

    def second(self):
        self.model.begin()
        home, env = self.fresh("again")
        prompts = [PROMPTS["text"], PROMPTS["again"]]
        shown = harness.run_screen(self.place, home, self.arguments(), env, home, prompts)
        told = self.told(self.since)
        self.keep("again", shown, told)
        return judge.judge_second(harness.turns_of(shown.events), told, prompts)

    def judge_error(self, shown, told):
        """The stream breaks off: what came is kept, and the turn counts as interrupted."""
        text = "".join(shown.texts)
        if shown.outcome != "interrupted" or shown.code != 5:
            return no(
                f"outcome {shown.outcome}, exit {shown.code} for a stream that breaks off ({shlex.quote(text[:60])})"
            )
        whole = "".join(request.text for request in told)
        return yes() if text and whole.startswith(text) else no(f"shown {text[:60]!r}, said {whole[:60]!r}")


class AimockResponses(AimockChat):
    name, title, route = "aimock-responses", "aimock, OpenAI Responses", "/v1/responses"


class AimockAnthropic(AimockChat):
    name, title, route, model_name = "aimock-anthropic", "aimock, Anthropic", "/v1/messages", "claude-sonnet-4-5"


class AimockGemini(AimockChat):
    name, title = "aimock-gemini", "aimock, Gemini"
    route, model_name = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "gemini-2.5-flash"


class AimockOllama(AimockChat):
    name, title, route, model_name = "aimock-ollama", "aimock, Ollama", "/api/chat", "llama3"
    usage = ()
    why_no_usage = "its counts are zero, whatever the fixture says"


class AimockInteractions(AimockChat):
    name, title, route = "aimock-interactions", "aimock, Gemini Interactions", "/v1beta/interactions"
    model_name = "gemini-2.5-flash"


class AimockCohere(AimockChat):
    name, title, route, model_name = "aimock-cohere", "aimock, Cohere", "/v2/chat", "command-r-plus"


class AimockBedrock(AimockChat):
    name, title = "aimock-bedrock", "aimock, Bedrock"
    route, model_name = "/model/anthropic.claude-3-5-sonnet/converse-stream", "anthropic.claude-3-5-sonnet"


PRODUCERS = [
    AimockChat,
    AimockResponses,
    AimockAnthropic,
    AimockGemini,
    AimockInteractions,
    AimockOllama,
    AimockCohere,
    AimockBedrock,
]
