"""Packages, each used by a script in `drivers/`."""

import json
import urllib.error
import urllib.request
from types import SimpleNamespace

import harness
from harness import Skipped
from judge import flat, no

from .base import Package


class OpenAiPython(Package):
    name, title, version, surface = "openai-python", "openai (Python)", "3.57.0", "/v1/chat/completions"
    packages, driver = (f"openai=={version}",), "openai_chat.py"


class OpenAiResponses(Package):
    name, title, version, surface = "openai-responses", "openai (Python)", "3.57.0", "/v1/responses"
    packages, driver = (f"openai=={version}",), "openai_responses.py"
    remark = "comes back by `starting_after`"


class OpenAiNode(Package):
    name, title, version, surface = "openai-node", "openai (npm)", "7.59.0", "/v1/chat/completions"
    packages, driver = (f"openai@{version}",), "openai_chat.mjs"


class Anthropic(Package):
    name, title, version, surface = "anthropic", "anthropic (Python)", "2.14.0", "/v1/messages"
    packages, driver = (f"anthropic=={version}",), "anthropic_messages.py"


class GoogleGenai(Package):
    name, title, version, surface = "google-genai", "google-genai (Python)", "3.6.1", "/v1beta/models"
    packages, driver = (f"google-genai=={version}",), "genai_chat.py"


class Ollama(Package):
    name, title, version, surface = "ollama", "ollama (Python)", "0.6.3", "/api/chat"
    packages, driver = (f"ollama=={version}",), "ollama_chat.py"


class LangChain(Package):
    name, title, version, surface = "langchain", "langchain-openai (Python)", "1.7.4", "/v1/chat/completions"
    packages, driver = (f"langchain-openai=={version}", "langchain==1.5.2"), "langchain_agent.py"


class PydanticAi(Package):
    name, title, version, surface = "pydantic-ai", "pydantic-ai (Python)", "2.68.0", "/v1/chat/completions"
    packages, driver = (f"pydantic-ai-slim[openai]=={version}",), "pydantic_agent.py"


class AiSdk(Package):
    name, title, version, surface = "ai-sdk", "AI SDK", "6.0.326", "/api/chat"
    packages, driver, own_tool = (f"ai@{version}",), "ai_sdk.mjs", False
    remark = "`reconnectToStream` gets the answer from its beginning"


class AiSdk7(AiSdk):
    name, version = "ai-sdk-7", "7.0.173"
    packages = (f"ai@{version}",)


class AgUi(Package):
    name, title, version, surface = "ag-ui", "AG-UI client", "1.0.0", "/agui"
    packages, driver, own_tool = (f"@ag-ui/client@{version}",), "ag_ui.mjs", False


class CopilotKit(Package):
    name, title, version, surface = "copilotkit", "CopilotKit core and runtime", "1.75.0", "/agui"
    packages, driver = (f"@copilotkit/core@{version}", f"@copilotkit/runtime@{version}"), "copilotkit.mjs"

    def driver_environment(self):
        return {**super().driver_environment(), "COPILOTKIT_TELEMETRY_DISABLED": "true"}


class Acp(Package):
    """An editor starts the agent itself: it is cut off by its going away."""

    name, title, version, surface = "acp-python", "agent-client-protocol (Python)", "0.12.1", "jarvis-tui acp"
    packages, driver, own_tool = (f"agent-client-protocol=={version}",), "acp_client.py", False
    remark = "`session/load` shows what was said"

    def connect(self, _):
        return SimpleNamespace(url="", stop=lambda: None)

    def serve(self):
        return 0

    def driver_environment(self):
        agent = {
            "AGENT": json.dumps([str(self.place.program), "acp"]),
            "AGENT_ENVIRONMENT": json.dumps(self.served.environment),
        }
        return {**super().driver_environment(), **agent}

    def was_cut(self):
        return "slow" in self.said

    def judge_cut(self, told):
        word, verdict = super().judge_cut(told)
        slow, loaded = self.said.get("slow"), self.said.get("loaded")
        if slow and not (loaded and flat(slow.text) in flat(loaded.text)):
            return word, no(f"the loaded session shows {loaded and loaded.text!r:.300}")
        return word, verdict


class AcpNode(Acp):
    name, title, version = "acp-node", "@agentclientprotocol/sdk", "2.4.0"
    packages, driver = (f"@agentclientprotocol/sdk@{version}",), "acp_client.mjs"


class A2a(Package):
    name, title, version, surface = "a2a-rpc", "a2a-sdk (Python)", "1.3.0", "A2A, JSON-RPC"
    packages, driver, own_tool = (f"a2a-sdk=={version}",), "a2a_client.py", False
    binding = "JSONRPC"
    remark = "subscribes to the task again"

    def install(self):
        super().install()
        self.command.append(self.binding)

    def start(self):
        super().start()
        try:
            urllib.request.urlopen(f"{self.line.url}/.well-known/agent-card.json").close()
        except urllib.error.HTTPError as error:
            raise Skipped(f"not served: the card is {error.code}") from error


class A2aRest(A2a):
    name, surface, binding = "a2a-rest", "A2A, REST", "HTTP+JSON"


class Ahp(Package):
    """An editor with the official crates: built from `ahp/`, in the cache."""

    name, title, version, surface = "ahp", "ahp (Rust)", "1.0.0", "/ahp, WebSocket"
    own_tool = False
    remark = "`reconnect` with the last number replays what was missed"

    def install(self):
        self.command = [str(self.place.crate(harness.HERE.parent / "clients/ahp", "ahp-client"))]


CLIENTS = [
    OpenAiPython,
    OpenAiResponses,
    OpenAiNode,
    Anthropic,
    GoogleGenai,
    Ollama,
    LangChain,
    PydanticAi,
    AiSdk,
    AiSdk7,
    AgUi,
    CopilotKit,
    Acp,
    AcpNode,
    A2a,
    A2aRest,
    Ahp,
]
