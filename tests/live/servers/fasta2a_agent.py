"""An agent of Pydantic AI behind fasta2a."""

import os
import secrets

import uvicorn
from fasta2a.pydantic_ai import agent_to_a2a
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

port = int(os.environ["PORT"])
provider = OpenAIProvider(base_url=os.environ["MODEL_URL"] + "/v1", api_key="none")
agent = Agent(OpenAIChatModel("scripted", provider=provider))


@agent.tool_plain
def weather(city: str) -> dict:
    """The weather of a city."""
    return {"city": city, "code": "code-" + secrets.token_hex(4)}


app = agent_to_a2a(agent, name="scripted", url=f"http://127.0.0.1:{port}")
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
