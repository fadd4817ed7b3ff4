"""OpenAI's ChatKit. The protocol tells neither usage nor the calls that the server runs, and hides the words of a failure."""

from judge import none
from model import Script

from .base import Served


class ChatKit(Served):
    name, title, version = "chatkit", "ChatKit", "1.6.5"
    script = Script()
    packages = (f"openai-chatkit=={version}", "openai-agents==0.24.0", "openai==3.57.0", "uvicorn==0.35.0")
    file, route, request = "chatkit_app.py", "/chatkit", "chatkit"
    usage = ()
    error_words = "stream.error"

    def judge_calls(self, shown, told):
        return none("it tells no calls")


PRODUCERS = [ChatKit]
