"""What a client goes through: a turn with a call, an answer that is cut in the middle, and the next prompt.

The cut is the same for all: the line to the server is reset once, in the middle of the slow answer. What comes then is
the client's own: it comes back for the rest of the same answer, asks once more by itself, or leaves it to the person,
whose next prompt has to continue the conversation.
"""

import json
import sys
from dataclasses import dataclass

import harness
from harness import PROMPTS, run
from judge import flat, no, yes
from model import Script
from served import MODEL, Line, Served, json_lines

SLOW_WORDS = 120
NOTICED = 1.0
"""Seconds in which the server has to notice that a client is gone: two turns may not run beside each other longer."""


@dataclass
class Said:
    """What a client said in one turn."""

    text: str
    """All that it showed."""
    failed: str = ""


class Client:
    name = title = version = surface = ""
    own_tool = True
    """Whether the call is of a tool of the client's, else of the server's."""
    hidden = ""
    """As in the model's script: requests of the client's own."""
    forgets = False
    """Whether it drops a turn that broke from its own history."""
    remark = ""
    seconds = 180

    def __init__(self, place, model):
        self.place, self.model = place, model
        self.since = model.begin()
        self.served = Served(place, model, self.name)
        self.line, self.said = None, {}

    def install(self):
        """Installs what is needed."""

    def call(self):
        """Name and arguments of the call that reads `notes.txt`."""
        return "read_file", {"path": "notes.txt"}

    def start(self):
        self.install()
        self.line = self.connect(self.serve())
        self.model.scripts[self.name] = Script(call=self.call(), hidden=self.hidden, slow_words=SLOW_WORDS)

    def serve(self):
        return self.served.start()

    def connect(self, port):
        return Line(port)

    def stop(self):
        if self.line:
            self.line.stop()
        self.served.stop()

    def was_cut(self):
        return self.line.cut.is_set()

    def talk(self):
        """Goes through it all and yields pairs of a step (`tool`, `slow`, `rest`, `again`) and a `Said`."""
        raise NotImplementedError

    def measure(self):
        """The verdict on the turn with a call, and the verdict on what came after the cut, with its word."""
        for step, said in self.talk():
            self.said[step] = said
        told = self.model.seen(self.since)
        return self.judge_turn(told), *self.judge_cut(told)

    def of(self, told, case):
        return [request for request in told if request.case == case]

    def judge_turn(self, told):
        said, told = self.said.get("tool"), self.of(told, "tool")
        if not said or not told:
            return no(f"the model was never asked: {said.failed if said else 'nothing was said'}")
        if said.failed:
            return no(said.failed)
        asked = next((request for request in told if request.called), None)
        if asked is None or asked.called[0] not in asked.tools:
            return no(f"the model was offered {told[0].tools[:20]}, not {self.call()[0]}")
        results = [text for role, text in told[-1].history if role == "tool"]
        if not any(f"code-{self.model.code}" in text for text in results):
            return no(f"results that the model got: {results!r:.300}")
        if flat(told[-1].text) not in flat(said.text):
            return no(f"shown {said.text!r:.300}, said {told[-1].text!r}")
        return yes()

    def judge_cut(self, told):
        """`resumed` or `asks again`, and whether what came is right."""
        slow, again = self.of(told, "slow"), self.of(told, "again")
        if not self.was_cut() or not slow:
            return "–", no(f"nothing was cut: {self.said.get('slow', Said('', 'nothing was said')).failed}")
        resumed = "rest" in self.said
        if not resumed:
            self.model.wait(lambda: slow[0].end != "running", NOTICED)
            if slow[0].end != "cut":
                return "–", no(f"the answer that nobody reads ended {slow[0].end}")
        if (beside := overlap(told)) > NOTICED:
            return "–", no(f"a turn ran {beside:.1f} s beside the next one")
        if wrong := self.wrong_in_logs():
            return "–", no(wrong)
        if resumed and (wrong := self.wrong_in_rest(slow)):
            return "–", no(wrong)
        word = "resumed" if resumed else "asks again"
        if not again or self.said["again"].failed:
            return word, no(self.said.get("again", Said("", "the next prompt was not sent")).failed or "no next prompt")
        if flat(again[-1].text) not in flat(self.said["again"].text):
            return word, no(f"shown {self.said['again'].text!r:.300}, said {again[-1].text!r}")
        if wrong := self.wrong_in_history(again[-1].history):
            return word, no(wrong)
        return word, yes()

    def wrong_in_rest(self, slow):
        """Who comes back has the whole answer, and nothing was asked twice."""
        rest = self.said["rest"]
        if rest.failed or len(slow) > 1:
            return rest.failed or f"{len(slow)} requests for one answer"
        return "" if flat(rest.text) == flat(slow[0].text) else f"the rest made {rest.text!r:.300} of it"

    def wrong_in_history(self, history):
        """The model has to get each prompt once, in order, and the call's result."""
        got = [case for role, text in history if role == "user" for case in PROMPTS if PROMPTS[case] in text]
        if got != ["tool", *([] if self.forgets else ["slow"]), "again"]:
            return f"the model got the prompts {got}"
        if not any(role == "tool" for role, _ in history):
            return "the history has no result of the call"
        return ""

    def wrong_in_logs(self):
        """Within a session a turn begins when the one before is over."""
        for events in self.served.sessions():
            running = False
            for event in events:
                if event["type"] == "turn_started":
                    if running:
                        return "a session has two turns at once"
                    running = True
                elif event["type"] == "turn_finished":
                    running = False
        return ""

    def remarks(self):
        """What the client did by itself after the cut, before the next prompt."""
        by_itself = len(self.of(self.model.seen(self.since), "slow")) > 1
        return "; ".join(filter(None, ["by itself" if by_itself else "", self.remark]))


def overlap(told):
    """The longest time in which two answers were made at once."""
    pairs = [(one, after) for after in told for one in told if one.began < after.began]
    return max((min(one.ended, after.ended) - after.began for one, after in pairs), default=0.0)


class Package(Client):
    """A package from a registry, used by a script in `drivers/` as its documentation shows it."""

    packages = ()
    driver = ""

    def install(self):
        source = harness.HERE.parent / "clients/drivers" / self.driver
        if source.suffix == ".py":
            self.command = [str(self.place.pip(*self.packages) / "bin/python"), "-B", str(source)]
            return
        beside = self.place.npm(*self.packages) / self.driver
        beside.write_bytes(source.read_bytes())
        self.command = ["node", str(beside)]

    def call(self):
        return ("read_notes", {"path": "notes.txt"}) if self.own_tool else super().call()

    def driver_environment(self):
        return {
            "SERVED_URL": self.line.url,
            "MODEL": MODEL if self.own_tool else "jarvis-tui",
            "PROMPTS": json.dumps(PROMPTS),
        }

    def talk(self):
        env = self.place.environment(self.place.folder(f"{self.name}-home"), **self.driver_environment())
        code, out, err = run(self.command, env, self.served.work, self.seconds)
        (self.place.logs / f"{self.name}.err").write_text(err)
        for line in json_lines(out):
            yield line["step"], Said(line.get("text", ""), line.get("failed", ""))
        if code:
            print(f"{self.title}: exit {code}: {harness.last_line(err)}", file=sys.stderr)
            yield "end", Said("", harness.last_line(err))
