"""Google's ADK, `adk api_server`."""

import harness
from model import Script

from .base import Served


class Adk(Served):
    name, title, version = "adk", "Google ADK", "2.13.0"
    script = Script()
    packages = (f"google-adk=={version}",)

    def settings(self):
        return {
            "GOOGLE_GEMINI_BASE_URL": self.model.url(self.name),
            "GOOGLE_API_KEY": "none",
            "GOOGLE_GENAI_USE_VERTEXAI": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def serve(self, port, home):
        return [
            str(self.place.pip(*self.packages) / "bin/adk"),
            "api_server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--session_service_uri",
            "memory://",
            "--artifact_service_uri",
            "memory://",
            str(harness.HERE / "servers/adk_agents"),
        ]


PRODUCERS = [Adk]
