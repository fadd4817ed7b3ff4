"""The official client of A2A: it finds the agent by its card, and subscribes to the task whose stream broke."""

import asyncio
import sys
import urllib.parse

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.helpers import get_artifact_text, get_message_text, new_text_message
from a2a.types import Role, SendMessageRequest, SubscribeToTaskRequest, TaskState
from said import PROMPTS, URL, say

BINDING = sys.argv[1]


class Reading:
    """What a stream told: the task, and its text by artifact."""

    def __init__(self):
        self.task, self.context, self.texts, self.broke, self.state = "", "", {}, "", None

    async def read(self, stream):
        self.broke = ""
        try:
            async for event in stream:
                self.take(event)
        except Exception as error:
            self.broke = f"{type(error).__name__}: {error}"
        return self

    def take(self, event):
        kind = event.WhichOneof("payload")
        value = getattr(event, kind)
        if kind == "task":
            self.task, self.context, self.state = value.id, value.context_id, value.status.state
            self.texts = {one.artifact_id: get_artifact_text(one, "") for one in value.artifacts}
        elif kind == "message":
            self.context = value.context_id or self.context
            self.texts[value.message_id] = get_message_text(value)
        else:
            self.task, self.context = value.task_id, value.context_id
            if kind == "status_update":
                self.state = value.status.state
            else:
                key = value.artifact.artifact_id
                before = self.texts.get(key, "") if value.append else ""
                self.texts[key] = before + get_artifact_text(value.artifact, "")

    @property
    def text(self):
        return "\n".join(self.texts.values())

    @property
    def failed(self):
        wrong = self.state not in (None, TaskState.TASK_STATE_COMPLETED)
        return self.broke or (f"the task is {TaskState.Name(self.state)}" if wrong else "")


async def main():
    async with httpx.AsyncClient(timeout=60) as http:
        card = await A2ACardResolver(http, URL).get_agent_card()
        for one in card.supported_interfaces:
            one.url = urllib.parse.urlsplit(one.url)._replace(netloc=urllib.parse.urlsplit(URL).netloc).geturl()
        factory = ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=[BINDING]))
        client, context = factory.create(card), ""
        for step in ("tool", "slow", "again"):
            message = new_text_message(PROMPTS[step], context_id=context or None, role=Role.ROLE_USER)
            reading = await Reading().read(client.send_message(SendMessageRequest(message=message)))
            say(step, reading.text, reading.failed)
            context = reading.context or context
            if step == "slow" and reading.broke:
                # What a task has so far comes first, then the rest.
                await reading.read(client.subscribe(SubscribeToTaskRequest(id=reading.task)))
                say("rest", reading.text, reading.failed)


asyncio.run(main())
