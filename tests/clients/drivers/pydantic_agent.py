"""An agent of Pydantic AI with a tool of its own."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest, ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.messages import UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from said import MODEL, PROMPTS, URL, read_notes, say

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key="none"))
agent = Agent(model, tools=[read_notes])


async def ask(step, history):
    shown, broke = "", ""
    try:
        async with agent.iter(PROMPTS[step], message_history=history) as run:
            async for node in run:
                if not Agent.is_model_request_node(node):
                    continue
                async with node.stream(run.ctx) as stream:
                    async for event in stream:
                        if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                            shown += event.part.content
                        elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                            shown += event.delta.content_delta
        history = run.result.all_messages()
    except Exception as error:
        broke = f"{type(error).__name__}: {error}"
        turn = [ModelRequest([UserPromptPart(PROMPTS[step])]), ModelResponse([TextPart(shown)])]
        history = [*history, *turn]
    say(step, shown, broke)
    return history


async def main():
    history = []
    for step in ("tool", "slow", "again"):
        history = await ask(step, history)


asyncio.run(main())
