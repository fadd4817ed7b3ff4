"""Agno's AgentOS."""

from model import Script

from .base import Served


class Agno(Served):
    name, title, version = "agno", "Agno", "3.1.10"
    script = Script()
    packages = (
        f"agno=={version}",
        "openai==3.57.0",
        "fastapi==0.165.0",
        "uvicorn==0.35.0",
        "python-multipart==0.0.34",
        "sqlalchemy==2.1.9",
    )
    file, route = "agno_os.py", "/agents/scripted/runs"


PRODUCERS = [Agno]
