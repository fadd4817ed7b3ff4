"""An agent of the A2A SDK, over JSON-RPC and REST, for clients of 1.0 and 0.3."""

import os

import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from scripted import answer
from starlette.applications import Starlette

PORT = int(os.environ["PORT"])


class Scripted(AgentExecutor):
    """Hands on what the scripted model says, as an artifact in pieces; it knows the turns of each context."""

    def __init__(self):
        self.histories = {}

    async def execute(self, context, event_queue):
        if context.current_task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        history = self.histories.setdefault(context.context_id, [])
        history.append(("user", context.get_user_input()))
        text, artifact = "", f"answer-{len(history)}"
        try:
            async for piece in answer(history):
                await updater.add_artifact([new_text_part(piece)], artifact_id=artifact, append=bool(text))
                text += piece
        except RuntimeError as reason:
            await updater.failed(new_text_message(str(reason)))
            return
        history.append(("assistant", text))
        await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def interface(path, binding, version):
    return AgentInterface(url=f"http://127.0.0.1:{PORT}{path}", protocol_binding=binding, protocol_version=version)


card = AgentCard(
    name="scripted",
    description="Hands on what the scripted model says",
    version="1",
    supported_interfaces=[
        interface("/rpc", "JSONRPC", "1.0"),
        interface("/rpc", "JSONRPC", "0.3"),
        interface("/rest", "HTTP+JSON", "1.0"),
        interface("/rest", "HTTP+JSON", "0.3"),
    ],
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="talk", name="talk", description="talks", tags=["talk"])],
)
handler = DefaultRequestHandler(Scripted(), InMemoryTaskStore(), card)
app = Starlette(
    routes=[
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True),
        *create_rest_routes(handler, path_prefix="/rest", enable_v0_3_compat=True),
    ]
)
uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
