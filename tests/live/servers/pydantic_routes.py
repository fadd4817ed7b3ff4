"""One agent of Pydantic AI behind two routes: AG-UI and the AI SDK's UI message stream."""

import os
import secrets

import uvicorn
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.ui.ag_ui import AGUIAdapter
from pydantic_ai.ui.vercel_ai import VercelAIAdapter
from starlette.applications import Starlette
from starlette.routing import Route

provider = OpenAIProvider(base_url=os.environ["MODEL_URL"] + "/v1", api_key="none")
agent = Agent(OpenAIChatModel("scripted", provider=provider))


@agent.tool_plain
def weather(city: str) -> dict:
    """The weather of a city."""
    return {"city": city, "code": "code-" + secrets.token_hex(4)}


async def ag_ui(request):
    return await AGUIAdapter.dispatch_request(request, agent=agent)


async def ai_sdk(request):
    return await VercelAIAdapter.dispatch_request(request, agent=agent, sdk_version=6)


app = Starlette(routes=[Route("/ag-ui", ag_ui, methods=["POST"]), Route("/api/chat", ai_sdk, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
