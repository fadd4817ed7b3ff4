"""Agent programs that speak the Agent Client Protocol: our program starts them and talks with them."""

import harness
import judge
from harness import PROMPTS
from judge import none
from model import Script

from .base import Program
from .gemini_cli import GeminiCli
from .opencode_run import TITLE, OpencodeRun
from .qwen_code import HIDDEN, QwenCode


class Acp(Program):
    """The same programs as elsewhere, with their settings, but for a conversation."""

    streams = keeps = True

    def judge_calls(self, shown, told):
        """A call is named by its title or its kind."""
        name = shown.calls[0]["name"] if shown.calls else None
        return judge.judge_calls(shown, told, name)

    def acp(self):
        """The command that speaks ACP."""
        raise NotImplementedError

    def one(self, case):
        since = self.model.begin()
        home, work, env = self.fresh(case)
        arguments = ["-p", PROMPTS[case], "--approval-mode", "full", "--", *self.acp()]
        shown = harness.run_ours(self.place, home, arguments, env, work, self.seconds)
        return self.keep(case, shown, self.model.seen(since))

    def cut(self):
        since = self.model.begin()
        home, work, env = self.fresh("slow")
        shown = harness.run_until(
            self.place,
            home,
            ["-p", PROMPTS["slow"], "--", *self.acp()],
            env,
            work,
            lambda events: any(event["type"] == "text_delta" for event in events),
            lambda events: None,
            self.seconds,
        )
        return self.keep("slow", shown, self.model.seen(since))

    def second(self):
        since = self.model.begin()
        home, work, env = self.fresh("again")
        prompts = [PROMPTS["text"], PROMPTS["again"]]
        shown = harness.run_screen(self.place, home, ["--", *self.acp()], env, work, prompts, self.seconds)
        told = self.model.seen(since)
        self.keep("again", shown, told)
        return judge.judge_second(harness.turns_of(shown.events), told, prompts)


class Opencode(Acp, OpencodeRun):
    name, title = "acp-opencode", "opencode, ACP"
    script = Script(boom="status", boom_after_call=True, hidden=TITLE)

    def judge_usage(self, shown, told):
        """It tells the usage of the model's last call only."""
        return super().judge_usage(shown, told[-1:])

    def acp(self):
        return [str(self.program), "acp"]


class Gemini(Acp, GeminiCli):
    name, title = "acp-gemini", "Gemini CLI, ACP"
    script = Script(boom="status", boom_after_call=True)
    usage = ("input", "output")

    def judge_calls(self, shown, told):
        """It tells neither the arguments nor the result of a call, but its title, its kind and that it is done."""
        done = [call["status"] for call in shown.calls] == ["ok"]
        return none("it tells no results of calls") if done else super().judge_calls(shown, told)

    def acp(self):
        return [str(self.program), "--acp", "-m", "gemini-2.5-flash", "--skip-trust"]


class Qwen(Acp, QwenCode):
    name, title = "acp-qwen", "Qwen Code, ACP"
    script = Script(boom="status", boom_after_call=True, hidden=f"{HIDDEN}|ONLY the suggestion")

    def acp(self):
        return [str(self.program), "--acp"]


PRODUCERS = [Opencode, Gemini, Qwen]
