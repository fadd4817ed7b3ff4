"""gptme's server. Its tools run only once they are confirmed: here a mode that allows everything confirms them."""

from judge import no, none
from model import Script

from .base import Served


class Gptme(Served):
    name, title, version = "gptme", "gptme server", "0.35.1"
    script = Script(boom="status", boom_after_call=True, hidden=r"conversation title|title for")
    packages = (f"gptme[server]=={version}",)
    route = ""
    
    def settings(self):
        return {
            "GPTME_DISABLE_AUTH": "true",
            "OPENAI_BASE_URL": self.model.url(self.name) + "/v1",
            "OPENAI_API_KEY": "none",
            "TOOL_FORMAT": "tool",
        }

    def serve(self, port, home):
        self.home = home
        program = self.place.pip(*self.packages) / "bin/gptme-server"
        return [str(program), "serve", "--host", "127.0.0.1", "--port", str(port), "--model", "local/scripted"]

    def arguments(self):
        return [*super().arguments(), "--approval-mode", "full"]

    def fresh(self, case):
        notes = self.home / "notes.txt"
        notes.write_text(f"code-{self.model.code}\n")
        self.script.call = ("shell", {"command": f"cat {notes}"})
        return super().fresh(case)

    def judge_calls(self, shown, told):
        """Its text holds the calls, too, each in a line of its own."""
        for message in shown.object.get("messages", []):
            lines = message["text"].splitlines()
            message["text"] = "\n".join(line for line in lines if not line.startswith("@shell(")).strip()
        return super().judge_calls(shown, told)

    def table(self):
        for case, verdict in super().table():
            yield case, self.judge_cancel(verdict) if case == "cancel" else verdict

    def judge_cancel(self, verdict):
        """It stops its answer; whether it closes the model's stream depends on when its memory is cleaned up."""
        if verdict.mark == "yes":
            return verdict
        was_told = "/interrupt" in self.server.log.read_text(errors="replace")
        return none("it is told, and leaves the model's stream open") if was_told else no("it was not told")


PRODUCERS = [Gptme]
