"""opencode, `opencode serve` by its bare address: a session that is ours. It asks before it reads."""

import json

import harness
import judge
from harness import PROMPTS
from model import Script

from .opencode_event import OpencodeEvent
from .opencode_run import TITLE


class OpencodeServe(OpencodeEvent):
    name, title = "opencode-serve", "opencode serve"
    script = Script(boom="status", boom_after_call=True, hidden=TITLE)
    route = ""

    def serve(self, port, home):
        command = super().serve(port, home)
        settings = home / ".config/opencode/opencode.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "permission": {"bash": "ask"}}))
        return command

    def arguments(self):
        return [*super().arguments(), "--approval-mode", "full"]

    def fresh(self, case):
        home, env = super().fresh(case)
        notes = self.home / "notes.txt"
        notes.write_text(f"code-{self.model.code}\n")
        self.script.call = ("bash", {"command": f"cat {notes}", "description": "Reads the notes"})
        return home, env

    def one(self, case):
        since = self.model.begin()
        home, env = self.fresh(case)
        shown = harness.run_ours(self.place, home, [*self.arguments(), "-p", PROMPTS[case]], env, home)
        shown.events = harness.events_of(home)
        return self.keep(case, shown, self.model.seen(since))

    def cut(self):
        since = self.model.begin()
        home, env = self.fresh("slow")

        def ready(events):
            return any(event["type"] == "text_delta" for event in events)

        arguments = [*self.arguments(), "-p", PROMPTS["slow"]]
        shown = harness.run_until(self.place, home, arguments, env, home, ready, lambda events: None)
        return self.keep("slow", shown, self.model.seen(since))

    def second(self):
        since = self.model.begin()
        home, env = self.fresh("again")
        prompts = [PROMPTS["text"], PROMPTS["again"]]
        shown = harness.run_screen(self.place, home, self.arguments(), env, home, prompts)
        told = self.model.seen(since)
        self.keep("again", shown, told)
        return judge.judge_second(harness.turns_of(shown.events), told, prompts)

    def table(self):
        yield from super(OpencodeEvent, self).table()

    def judge_calls(self, shown, told):
        verdict = super().judge_calls(shown, told)
        asked = any(event["type"] == "approval_requested" for event in shown.events)
        return verdict if asked else judge.no("no permission was asked for")


PRODUCERS = [OpencodeServe]
