"""opencode's bus, `opencode serve` and GET /event: it is watched while a client of its own asks."""

import threading

import harness
import judge
from harness import PROMPTS
from judge import none
from model import Script

from .base import Served
from .opencode_run import SETTINGS, TITLE, configure


class OpencodeEvent(Served):
    name, title, version = "opencode-event", "opencode serve, /event", "1.18.33"
    script = Script(boom="status", boom_after_call=True, hidden=TITLE)
    route = "/event"

    def settings(self):
        return SETTINGS

    def serve(self, port, home):
        folder = home / ".config/opencode"
        folder.mkdir(parents=True)
        (folder / "opencode.json").write_text(configure(self.model.url(self.name)))
        self.home = home
        program = self.place.npm(f"opencode-ai@{self.version}") / "node_modules/.bin/opencode"
        return [str(program), "serve", "--hostname", "127.0.0.1", "--port", str(port)]

    def start(self):
        super().start()
        # A request that comes while it is still starting may never be answered: it is asked anew.
        for _ in range(12):
            try:
                return harness.post(self.url + "/session", {}, seconds=10)
            except OSError as reason:
                last = reason
        raise harness.Skipped(f"it does not answer: {last}")

    def watch(self, case, prompts, ready):
        """Watches while a client asks the prompts in one session."""
        since = self.model.begin()
        (self.home / "notes.txt").write_text(f"code-{self.model.code}\n")
        self.script.call = ("read", {"filePath": str(self.home / "notes.txt")})
        home, env = self.fresh(case)

        def ask(events):
            self.model.wait(lambda: any(event["type"] == "noticed" for event in events), 15)
            session = harness.post(self.url + "/session", {})["id"]
            for prompt in prompts:
                harness.post(f"{self.url}/session/{session}/message", {"parts": [{"type": "text", "text": prompt}]})

        asking = threading.Thread(target=lambda: suppress(ask, self.events), daemon=True)

        def begin(events):
            self.events = events
            asking.start()

        shown = harness.run_until(self.place, home, self.arguments(), env, home, ready, begin)
        asking.join(40)
        return self.keep(case, shown, self.model.seen(since))

    def one(self, case):
        shown, told = self.watch(case, [PROMPTS[case]], lambda events: harness.ended(events))
        # The watch itself never ends: what counts is the turn, not the exit code of what was stopped by us.
        shown.code = 0 if shown.outcome == "completed" else 1
        return shown, told

    def cut(self):
        return self.watch("slow", [PROMPTS["slow"]], lambda events: any(one["type"] == "text_delta" for one in events))

    def second(self):
        prompts = [PROMPTS["text"], PROMPTS["again"]]
        shown, told = self.watch("again", prompts, lambda events: len(harness.ended(events)) > 1)
        return judge.judge_second(harness.turns_of(shown.events), told, prompts)

    def table(self):
        for case, verdict in super().table():
            yield case, none("it is only watched") if case == "cancel" else verdict


def suppress(work, *arguments):
    """The client's own failures are judged by what the model saw."""
    try:
        work(*arguments)
    except OSError:
        pass


PRODUCERS = [OpencodeEvent]
