"""LangGraph's Agent Server, `langgraph dev`, in memory."""

import shutil

import harness
from model import Script

from .base import Served


class LangGraph(Served):
    name, title, version = "langgraph", "LangGraph", "0.16.7"
    script = Script()
    packages = (
        "langgraph-cli[inmem]==0.4.40",
        f"langgraph-api=={version}",
        "langgraph==1.2.24",
        "langchain-openai==1.7.4",
    )

    error_words = "An internal error occurred"

    def settings(self):
        return {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def serve(self, port, home):
        shutil.copytree(harness.HERE / "servers/langgraph", home, dirs_exist_ok=True)
        return [
            str(self.place.pip(*self.packages) / "bin/langgraph"),
            "dev",
            "--no-browser",
            "--no-reload",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]


PRODUCERS = [LangGraph]
