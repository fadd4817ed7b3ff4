"""fastapi-poe: a bot of Poe's protocol, which tells neither calls nor usage, and hides the words of a failure."""

from judge import none
from model import Script

from .base import Served


class PoeBot(Served):
    name, title, version = "fastapi-poe", "fastapi-poe", "0.0.83"
    script = Script()
    packages = (f"fastapi-poe=={version}", "uvicorn==0.35.0")
    file, route, request = "poe_bot.py", "/", "poe-bot"
    usage = ()
    error_words = "The bot encountered an unexpected issue"

    def arguments(self):
        return [*super().arguments(), "-H", "Authorization: Bearer none"]

    def judge_calls(self, shown, told):
        return none("it tells no calls")


PRODUCERS = [PoeBot]
