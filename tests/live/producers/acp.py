"""Agents that speak the Agent Client Protocol: our program starts theirs, or talks with them where they are served."""

import json

import harness
import judge
from harness import PROMPTS
from judge import no, none, yes
from model import Script

from .base import Program
from .claude_code import ClaudeCode
from .codex import Codex
from .gemini_cli import GeminiCli
from .opencode_run import TITLE, OpencodeRun
from .qwen_code import HIDDEN, QwenCode


class Acp(Program):
    """The same programs as elsewhere, with their settings, but for a conversation."""

    streams = keeps = True
    flags = ()
    """Further options of ours."""
    asks = False
    """Whether it asks here before the call of the case `tool`: then it must not run when nobody allows it."""

    def table(self):
        for case, verdict in super().table():
            if case == "calls" and verdict.mark == "yes" and self.asks:
                verdict = self.judge_permission()
            yield case, verdict

    def judge_error(self, shown, told):
        """Some tell a failure as an answer, and that the turn is complete."""
        if shown.outcome == "completed" and any(judge.BOOM in text for text in shown.texts):
            return none("it tells a failure as an answer")
        return super().judge_error(shown, told)

    def judge_permission(self):
        shown, told = self.one("tool", "ask")
        results = [text for request in told for role, text in request.history if role == "tool"]
        if any("code-" in text for text in results):
            return no("the call ran though nobody allowed it")
        denied = [call["status"] for call in shown.calls]
        return yes() if "denied" in denied else no(f"the call is shown as {denied}")

    def judge_calls(self, shown, told):
        """A call is named by its title or its kind."""
        name = shown.calls[0]["name"] if shown.calls else None
        return judge.judge_calls(shown, told, name)

    def acp(self):
        """The command that speaks ACP."""
        raise NotImplementedError

    def reached(self, env, work):
        """What `attach` is given."""
        return [*self.flags, "--", *self.acp()]

    def one(self, case, mode="full"):
        since = self.model.begin()
        home, work, env = self.fresh(case)
        arguments = ["-p", PROMPTS[case], "--approval-mode", mode, *self.reached(env, work)]
        shown = harness.run_ours(self.place, home, arguments, env, work, self.seconds)
        return self.keep(case if mode == "full" else mode, shown, self.model.seen(since))

    def cut(self):
        since = self.model.begin()
        home, work, env = self.fresh("slow")
        shown = harness.run_until(
            self.place,
            home,
            ["-p", PROMPTS["slow"], *self.reached(env, work)],
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
        shown = harness.run_screen(self.place, home, self.reached(env, work), env, work, prompts, self.seconds)
        told = self.model.seen(since)
        self.keep("again", shown, told)
        return judge.judge_second(harness.turns_of(shown.events), told, prompts)


class AcpServed(Acp):
    """The same, served by the official SDK."""

    scheme = ""
    server = None

    def reached(self, env, work):
        self.stop()
        source = harness.HERE / "servers/acp_remote.mjs"
        beside = self.place.npm("@agentclientprotocol/sdk@2.4.0", "ws@8.23.0") / source.name
        beside.write_bytes(source.read_bytes())
        port = harness.free_port()
        more = {"AGENT": json.dumps(self.acp()), "PORT": str(port)}
        self.server = harness.Server(self.place, self.name, ["node", str(beside)], {**env, **more}, work, port)
        return [f"{self.scheme}://127.0.0.1:{port}/acp"]

    def stop(self):
        if self.server:
            self.server.stop()


class Opencode(Acp, OpencodeRun):
    name, title = "acp-opencode", "opencode, ACP"
    script = Script(boom="status", boom_after_call=True, hidden=TITLE)

    def judge_usage(self, shown, told):
        """It tells the usage of the model's last call only."""
        return super().judge_usage(shown, told[-1:])

    def acp(self):
        return [str(self.program), "acp"]


class OpencodeSocket(AcpServed, Opencode):
    name, title, scheme = "acp-ws-opencode", "opencode, ACP over WebSocket", "ws"


class OpencodeHttp(AcpServed, Opencode):
    name, title, scheme = "acp-http-opencode", "opencode, ACP over HTTP", "http"


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


class CodexAppServer(Acp, Codex):
    """Its own protocol, held the same way."""

    name, title = "codex-app-server", "Codex app-server"
    script = Script(boom="status", boom_after_call=True)

    def judge_calls(self, shown, told):
        return judge.judge_calls(
            shown, told, "commandExecution", lambda said: "cat notes.txt" in said.get("command", "")
        )

    def acp(self):
        return [str(self.program), "app-server"]


class CodexAcp(CodexAppServer):
    name, title, version = "acp-codex", "Codex, ACP adapter", "2.6.0"
    script = Script(boom="status", boom_after_call=True, hidden="generate a very short title")

    def start(self):
        self.program = self.place.npm(f"@agentclientprotocol/codex-acp@{self.version}") / "node_modules/.bin/codex-acp"

    def environment(self, home):
        return {**super().environment(home), "NO_BROWSER": "1"}

    def prepare(self, home, work):
        """It says of a model that it doesn't know that it doesn't."""
        super().prepare(home, work)
        settings = home / "codex/config.toml"
        settings.write_text(settings.read_text().replace('model = "scripted"', 'model = "gpt-6.1-sol"', 1))

    def judge_calls(self, shown, told):
        """It names the file that a command reads, not the command."""
        return judge.judge_calls(shown, told, "exec_command", lambda said: "notes.txt" in str(said))

    def acp(self):
        return [str(self.program)]


class Claude(Acp, ClaudeCode):
    """The adapter brings a Claude Code of its own. It needs Node 22."""

    flags = ("--request", "acp")
    name, title, version = "acp-claude", "Claude Code, ACP adapter", "0.101.0"
    script = Script(boom="status", boom_after_call=True, hidden="Write the title in the predominant|SUGGESTION MODE")

    def start(self):
        self.node = self.place.node22()
        folder = self.place.npm(f"@agentclientprotocol/claude-agent-acp@{self.version}")
        self.program = folder / "node_modules/.bin/claude-agent-acp"

    def acp(self):
        return [self.node, str(self.program)]

    def judge_calls(self, shown, told):
        return judge.judge_calls(shown, told, "Read")


class Copilot(Acp):
    name, title, version = "acp-copilot", "Copilot CLI, ACP", "1.0.102"
    asks = True
    script = Script(boom="status", boom_after_call=True)

    def start(self):
        self.program = self.place.npm(f"@github/copilot@{self.version}") / "node_modules/.bin/copilot"

    def environment(self, home):
        return {
            "COPILOT_PROVIDER_BASE_URL": f"{self.model.url(self.name)}/v1",
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_PROVIDER_API_KEY": "none",
            "COPILOT_MODEL": "scripted",
            "COPILOT_OFFLINE": "true",
            "COPILOT_AUTO_UPDATE": "false",
        }

    def call(self, work):
        return "bash", {"command": "cat notes.txt", "description": "Read the notes"}

    def judge_calls(self, shown, told):
        """It shows the command in place of what the model said of it."""
        return judge.judge_calls(shown, told, "execute", lambda said: said.get("command") == "cat notes.txt")

    def acp(self):
        return [str(self.program), "--acp"]


class Gptme(Acp):
    name, title, version = "acp-gptme", "gptme, ACP", "0.35.1"
    script = Script(boom="status")
    usage = ()

    def start(self):
        self.program = self.place.pip(f"gptme-acp=={self.version}") / "bin/gptme-acp"

    def environment(self, home):
        return {
            "OPENAI_BASE_URL": f"{self.model.url(self.name)}/v1",
            "OPENAI_API_KEY": "none",
            "MODEL": "local/scripted",
        }

    def call(self, work):
        return "", {}

    def judge_calls(self, shown, told):
        return none("its calls are text of the model, which the script does not write")

    def acp(self):
        return [str(self.program)]


class Grok(Acp):
    """It runs its commands in the terminals of its client."""

    name, title, version = "acp-grok", "Grok, ACP", "0.2.111"
    script = Script(boom="status", boom_after_call=True)
    asks = True

    def start(self):
        folder = self.place.pip(f"grok-cli-bin=={self.version}")
        self.program = next(folder.glob("lib/python*/site-packages/grok_cli_bin/bin/grok"))

    def environment(self, home):
        return {"XAI_API_KEY": "none", "XAI_API_BASE_URL": f"{self.model.url(self.name)}/v1"}

    def prepare(self, home, work):
        settings = home / ".grok/config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(
            '[models]\ndefault = "scripted"\n[model.scripted]\nmodel = "scripted"\nname = "scripted"\n'
            f'base_url = "{self.model.url(self.name)}/v1"\napi_key = "none"\ncontext_window = 100000\n'
        )

    def call(self, work):
        return "run_terminal_command", {"command": "cat notes.txt", "description": "Read the notes"}

    def judge_calls(self, shown, told):
        return judge.judge_calls(
            shown, told, "run_terminal_command", lambda said: said.get("command") == "cat notes.txt"
        )

    def acp(self):
        return [str(self.program), "agent", "stdio"]


class Sdk(Acp):
    """An agent of our own on the Python SDK, which has its client read, write and run."""

    name, title, version = "acp-sdk", "ACP SDK, files and terminals", "0.12.1"
    asks = True
    flags = ("--request", "acp")
    script = Script(boom_after_call=True)

    def start(self):
        self.python = self.place.pip(f"agent-client-protocol=={self.version}") / "bin/python"

    def environment(self, home):
        return {"MODEL_URL": f"{self.model.url(self.name)}/v1"}

    def call(self, work):
        self.work = work
        return "client", {"command": "cat notes.txt"}

    def judge_calls(self, shown, told):
        if not (self.work / "copy.txt").is_file():
            return no("the copy was not written")
        written = [call for call in shown.calls if call["name"] == "write_file"]
        if [call["status"] for call in written] != ["ok"]:
            return no(f"the written file is shown as {written}")
        shown.calls[:] = [call for call in shown.calls if call["name"] != "write_file"]
        return judge.judge_calls(shown, told)

    def acp(self):
        return [str(self.python), str(harness.HERE / "servers/acp_agent.py")]


PRODUCERS = [Opencode, OpencodeSocket, OpencodeHttp, Gemini, Qwen, CodexAppServer, CodexAcp, Claude, Copilot, Gptme, Grok, Sdk]
