"""A ChatKit server with an agent of OpenAI's Agents SDK on the scripted model; its threads are in memory."""

import os
from collections import defaultdict

import uvicorn
from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
from chatkit.agents import AgentContext, simple_to_agent_input, stream_agent_response
from chatkit.server import ChatKitServer, StreamingResult
from chatkit.store import NotFoundError, Store
from chatkit.types import Page
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=os.environ["MODEL_URL"] + "/v1", api_key="none", max_retries=0)
agent = Agent(name="scripted", model=OpenAIResponsesModel(model="scripted", openai_client=client))


class Threads(Store):
    def __init__(self):
        self.threads, self.items = {}, defaultdict(list)

    async def load_thread(self, thread_id, context):
        if thread_id not in self.threads:
            raise NotFoundError(thread_id)
        return self.threads[thread_id]

    async def save_thread(self, thread, context):
        self.threads[thread.id] = thread

    async def load_thread_items(self, thread_id, after, limit, order, context):
        items = self.items[thread_id]
        return Page(data=items[::-1] if order == "desc" else list(items))

    async def add_thread_item(self, thread_id, item, context):
        self.items[thread_id].append(item)

    async def save_item(self, thread_id, item, context):
        self.items[thread_id] = [item if old.id == item.id else old for old in self.items[thread_id]]

    async def load_item(self, thread_id, item_id, context):
        return next(item for item in self.items[thread_id] if item.id == item_id)

    async def load_threads(self, limit, after, order, context):
        return Page(data=list(self.threads.values()))

    async def delete_thread(self, thread_id, context):
        self.threads.pop(thread_id, None)

    async def delete_thread_item(self, thread_id, item_id, context):
        self.items[thread_id] = [item for item in self.items[thread_id] if item.id != item_id]

    async def save_attachment(self, attachment, context):
        raise NotFoundError()

    async def load_attachment(self, attachment_id, context):
        raise NotFoundError(attachment_id)

    async def delete_attachment(self, attachment_id, context):
        raise NotFoundError(attachment_id)


class Scripted(ChatKitServer):
    async def respond(self, thread, input_user_message, context):
        items = await self.store.load_thread_items(thread.id, None, 100, "asc", context)
        run = Runner.run_streamed(agent, await simple_to_agent_input(items.data))
        talk = AgentContext(thread=thread, store=self.store, request_context=context)
        try:
            async for event in stream_agent_response(talk, run):
                yield event
        finally:
            # The run is a task of its own, which goes on without its reader.
            run.cancel()


server = Scripted(Threads())


async def answer(request):
    result = await server.process(await request.body(), {})
    if isinstance(result, StreamingResult):
        return StreamingResponse(result, media_type="text/event-stream")
    return Response(result.json, media_type="application/json")


app = Starlette(routes=[Route("/chatkit", answer, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
