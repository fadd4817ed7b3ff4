"""An agent of Agno in an AgentOS, with its conversations in memory."""

import os
import secrets

import uvicorn
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai.like import OpenAILike
from agno.os import AgentOS


def weather(city: str) -> dict:
    """The weather of a city."""
    return {"city": city, "code": "code-" + secrets.token_hex(4)}


model = OpenAILike(id="scripted", base_url=os.environ["MODEL_URL"] + "/v1", api_key="none", max_retries=0)
agent = Agent(
    id="scripted",
    name="scripted",
    model=model,
    tools=[weather],
    db=InMemoryDb(),
    add_history_to_context=True,
    telemetry=False,
)
app = AgentOS(agents=[agent], telemetry=False).get_app()
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
