"""An agent of Google's ADK on the scripted model, which it asks as Gemini."""

import secrets

from google.adk.agents import Agent


def weather(city: str) -> dict:
    """The weather of a city."""
    return {"city": city, "code": "code-" + secrets.token_hex(4)}


root_agent = Agent(name="scripted", model="gemini-2.5-flash", instruction="Answer.", tools=[weather])
