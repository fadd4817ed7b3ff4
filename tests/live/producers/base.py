"""The two kinds of producers: programs that are started, and servers that are asked."""

import json

import harness
import judge
from harness import PROMPTS
from judge import none
from model import Script


class Producer:
    name = title = version = ""
    script = Script()
    streams = True
    """Whether text is told while it is said."""
    keeps = True
    """Whether the text of an interrupted answer is told."""
    seconds = 120
    """How long a run may take."""
    usage = ("input", "output", "cached")
    """What its usage tells; empty where it tells none."""
    why_no_usage = "it tells no usage"
    error_words = None
    """Its own words for a failure, where it hides the model's."""

    def __init__(self, place, model):
        self.place, self.model = place, model
        self.shown = {}
        model.scripts[self.name] = self.script

    def start(self):
        """Installs and starts what is needed."""

    def stop(self):
        """Ends what was started."""

    def one(self, case):
        """One run of our program in a case: what it said and what the model was asked."""
        raise NotImplementedError

    def cut(self):
        """A run that is interrupted in mid-answer."""
        raise NotImplementedError

    def second(self):
        raise NotImplementedError

    def table(self):
        """The verdicts of all cases, in the order of `CASES`."""
        shown, told = self.one("text")
        yield "text", judge.judge_text(shown, told)
        shown, told = self.one("tool")
        yield "calls", self.judge_calls(shown, told)
        yield "usage", self.judge_usage(shown, told)
        shown, told = self.one("boom")
        yield "error", self.judge_error(shown, told)
        shown, told = self.cut()
        yield "interrupt", judge.judge_interrupt(shown, told, self.keeps)
        cancelled = judge.judge_cancel(self.model, told)
        yield "second turn", self.second()
        yield "cancel", cancelled

    def judge_calls(self, shown, told):
        return judge.judge_calls(shown, told)

    def judge_usage(self, shown, told):
        if not self.usage:
            return none(self.why_no_usage)
        return judge.judge_usage(shown, told, self.usage)

    def judge_error(self, shown, told):
        return judge.judge_error(shown, told, *([self.error_words] if self.error_words else []))

    def keep(self, case, shown, told):
        self.shown[case] = (shown, told)
        return shown, told


class Program(Producer):
    """An agent program: `attach -- COMMAND`."""

    def command(self, prompt, resume):
        raise NotImplementedError

    def environment(self, home):
        return {}

    def prepare(self, home, work):
        """Writes settings before the program is started."""

    def call(self, work):
        """Name and arguments of the call that reads `notes.txt` in its folder."""
        raise NotImplementedError

    def fresh(self, case):
        home, work = self.place.folder(f"{self.name}-{case}"), self.place.folder(f"{self.name}-{case}-work")
        (work / "notes.txt").write_text(f"code-{self.model.code}\n")
        self.prepare(home, work)
        self.script.call = self.call(work)
        return home, work, self.place.environment(home, **self.environment(home))

    def one(self, case):
        since = self.model.begin()
        home, work, env = self.fresh(case)
        shown = harness.run_ours(self.place, home, ["--", *self.command(PROMPTS[case], False)], env, work, self.seconds)
        return self.keep(case, shown, self.model.seen(since))

    def cut(self):
        since = self.model.begin()
        home, work, env = self.fresh("slow")

        def ready(events):
            told = self.model.seen(since)
            streamed = any(event["type"] == "text_delta" for event in events) or not self.streams
            return streamed and told and told[-1].text.count(" ") > 8

        shown = harness.run_until(
            self.place,
            home,
            ["--", *self.command(PROMPTS["slow"], False)],
            env,
            work,
            ready,
            lambda events: None,
            self.seconds,
        )
        return self.keep("slow", shown, self.model.seen(since))

    def second(self):
        """The program is started again to go on with its conversation."""
        since = self.model.begin()
        home, work, env = self.fresh("again")
        shown = [
            harness.run_ours(self.place, home, ["--", *self.command(PROMPTS[case], resume)], env, work, self.seconds)
            for case, resume in (("text", False), ("again", True))
        ]
        told = self.model.seen(since)
        self.keep("again", shown[-1], told)
        return judge.judge_second([one.texts for one in shown], told, [PROMPTS["text"], PROMPTS["again"]])


class Remote(Producer):
    """A server: `attach URL -p PROMPT`."""

    def arguments(self):
        raise NotImplementedError

    def fresh(self, case):
        home = self.place.folder(f"{self.name}-{case}")
        return home, self.place.environment(home)

    def one(self, case):
        since = self.model.begin()
        home, env = self.fresh(case)
        shown = harness.run_ours(self.place, home, [*self.arguments(), "-p", PROMPTS[case]], env, home)
        return self.keep(case, shown, self.model.seen(since))

    def cut(self):
        since = self.model.begin()
        home, env = self.fresh("slow")

        def ready(events):
            return any(event["type"] == "text_delta" for event in events)

        shown = harness.run_until(
            self.place, home, [*self.arguments(), "-p", PROMPTS["slow"]], env, home, ready, lambda events: None
        )
        return self.keep("slow", shown, self.model.seen(since))

    def second(self):
        since = self.model.begin()
        home, env = self.fresh("again")
        prompts = [PROMPTS["text"], PROMPTS["again"]]
        shown = harness.run_screen(self.place, home, self.arguments(), env, home, prompts)
        told = self.model.seen(since)
        self.keep("again", shown, told)
        return judge.judge_second(harness.turns_of(shown.events), told, prompts)


def dump(value):
    return json.dumps(value, ensure_ascii=False, default=str)


class Served(Remote):
    """A server that a script in `servers/` makes of a pinned package."""

    packages = ()
    file = ""
    route = ""
    request = None
    """The shape of a request, where the address doesn't tell it."""

    def start(self):
        port = harness.free_port()
        self.url = f"http://127.0.0.1:{port}"
        home = self.place.folder(f"{self.name}-server")
        more = {"MODEL_URL": self.model.url(self.name), "PORT": str(port), **self.settings()}
        self.server = harness.Server(
            self.place, self.name, self.serve(port, home), self.place.environment(home, **more), home, port
        )

    server = None

    def settings(self):
        return {}

    def serve(self, port, home):
        """The command that serves."""
        source = harness.HERE / "servers" / self.file
        if source.suffix == ".py":
            return [str(self.place.pip(*self.packages) / "bin/python"), "-B", str(source)]
        beside = self.place.npm(*self.packages) / self.file
        beside.write_bytes(source.read_bytes())
        return ["node", str(beside)]

    def stop(self):
        if self.server:
            self.server.stop()

    def arguments(self):
        return [self.url + self.route, *(["--request", self.request] if self.request else [])]
