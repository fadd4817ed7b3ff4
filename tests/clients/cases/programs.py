"""Agent programs of the command line, with the settings that `tests/live` has for them."""

import re
from types import SimpleNamespace

from harness import PROMPTS, run
from producers import claude_code, codex, gemini_cli, opencode_run, qwen_code
from served import json_lines, strings

from .base import Client, Said


class Program(Client):
    """A program that is started for each prompt, and each time goes on with its conversation."""

    producer = None

    def __init__(self, place, model):
        super().__init__(place, model)
        self.home, self.work = place.folder(f"{self.name}-home"), place.folder(f"{self.name}-work")
        (self.work / "notes.txt").write_text(f"code-{model.code}\n")
        self.program = self.producer(place, SimpleNamespace(scripts={}, url=lambda _: self.line.url))
        self.version, self.hidden = self.program.version, self.program.script.hidden

    def install(self):
        self.program.start()

    def call(self):
        return self.program.call(self.work)

    def prepare(self):
        self.program.prepare(self.home, self.work)

    def talk(self):
        self.prepare()
        env = self.place.environment(self.home, TMPDIR=str(self.home), **self.program.environment(self.home))
        for step in ("tool", "slow", "again"):
            command = self.program.command(PROMPTS[step], step != "tool")
            code, out, err = run(command, env, self.work, self.seconds)
            (self.place.logs / f"{self.name}-{step}.out").write_text(out + err)
            yield step, Said(self.shown(json_lines(out)), f"exit {code}: {err.strip()[-200:]}" if code else "")

    def shown(self, lines):
        return "\n".join(strings(lines))


class ClaudeCode(Program):
    producer = claude_code.ClaudeCode
    name, title, surface = "claude-code", "Claude Code", "/v1/messages"


class Codex(Program):
    """With its own number of tries, which `tests/live` takes from it."""

    producer = codex.Codex
    name, title, surface = "codex", "Codex", "/v1/responses"

    def prepare(self):
        super().prepare()
        settings = self.home / "codex/config.toml"
        settings.write_text(re.sub(r"(?m)^\w+_max_retries = 0\n", "", settings.read_text()))


class Opencode(Program):
    producer = opencode_run.OpencodeRun
    name, title, surface = "opencode", "opencode", "/v1/chat/completions"
    seconds = 300


class GeminiCli(Program):
    producer = gemini_cli.GeminiCli
    name, title, surface = "gemini-cli", "Gemini CLI", "/v1beta/models"
    forgets, remark = True, "drops the turn that broke from its history"

    def shown(self, lines):
        """Its text comes in pieces."""
        return "".join(line.get("content", "") for line in lines if line.get("role") == "assistant")


class QwenCode(Program):
    producer = qwen_code.QwenCode
    name, title, surface = "qwen-code", "Qwen Code", "/v1/chat/completions"


CLIENTS = [ClaudeCode, Codex, Opencode, GeminiCli, QwenCode]
