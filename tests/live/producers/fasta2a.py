"""fasta2a with an agent of Pydantic AI, found by its card. The protocol tells neither calls nor usage.

Its worker hides the words of a failure and takes a cancel only after the task that it runs.
"""

from judge import none
from model import Script

from .base import Served


class FastA2A(Served):
    name, title, version = "fasta2a", "fasta2a, by its card", "2.1.1"
    script = Script()
    packages = (f"fasta2a[pydantic-ai]=={version}", "pydantic-ai-slim[openai]==2.68.0", "uvicorn==0.35.0")
    file, route, request = "fasta2a_agent.py", "", None
    usage = ()
    error_words = "without giving a reason"

    def judge_calls(self, shown, told):
        return none("it tells no calls")

    def table(self):
        for case, verdict in super().table():
            yield case, none("its worker takes a cancel after the task") if case == "cancel" else verdict


PRODUCERS = [FastA2A]
