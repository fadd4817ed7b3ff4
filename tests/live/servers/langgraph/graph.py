"""A graph of LangGraph: the scripted model and a tool."""

import os
import secrets

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent


@tool
def weather(city: str) -> dict:
    """The weather of a city."""
    return {"city": city, "code": "code-" + secrets.token_hex(4)}


model = ChatOpenAI(
    model="scripted", base_url=os.environ["MODEL_URL"] + "/v1", api_key="none", stream_usage=True, max_retries=0
)
graph = create_react_agent(model, [weather])
