"""The A2A SDK of Python: 1.0 and 0.3, over JSON-RPC and REST. The protocol tells neither calls nor usage."""

from judge import none
from model import Script

from .base import Served


class Rpc1(Served):
    name, title, version = "a2a-rpc-1.0", "A2A SDK, 1.0 JSON-RPC", "1.3.0"
    script = Script()
    packages = (f"a2a-sdk[http-server]=={version}", "uvicorn==0.35.0")
    file, route, request = "a2a_agent.py", "/rpc", "a2a-1.0"
    usage = ()

    def judge_calls(self, shown, told):
        return none("it tells no calls")


class Rpc03(Rpc1):
    name, title, request = "a2a-rpc-0.3", "A2A SDK, 0.3 JSON-RPC", "a2a"
    script = Script()


class Rest1(Rpc1):
    name, title, route = "a2a-rest-1.0", "A2A SDK, 1.0 REST", "/rest/message:stream"
    request = None
    script = Script()


class Rest03(Rpc1):
    name, title, route, request = "a2a-rest-0.3", "A2A SDK, 0.3 REST", "/rest/v1/message:stream", None
    script = Script()


class Origin(Rpc1):
    name, title, route, request = "a2a-origin", "A2A SDK, by its card", "", None
    script = Script()


PRODUCERS = [Rpc1, Rpc03, Rest1, Rest03, Origin]
