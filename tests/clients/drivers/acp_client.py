"""An editor by the official package: it starts the agent, goes away in mid-answer, and loads the session."""

import asyncio
import json
import os

from acp import PROTOCOL_VERSION, Client, spawn_agent_process, text_block
from acp.schema import AllowedOutcome, RequestPermissionResponse
from said import PROMPTS, say

COMMAND, ENVIRONMENT = json.loads(os.environ["AGENT"]), json.loads(os.environ["AGENT_ENVIRONMENT"])


class Editor(Client):
    def __init__(self):
        self.text, self.middle = "", asyncio.Event()

    async def request_permission(self, session_id, tool_call, options, **_):
        once = next(option for option in options if option.kind == "allow_once")
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=once.option_id))

    async def session_update(self, session_id, update, **_):
        if update.session_update == "agent_message_chunk":
            self.text += update.content.text
        if "w20 " in self.text:
            self.middle.set()


async def begin(agent):
    await agent.initialize(protocol_version=PROTOCOL_VERSION)


async def ask(editor, agent, session, step):
    editor.text = ""
    await agent.prompt(session_id=session, prompt=[text_block(PROMPTS[step])])
    say(step, editor.text)


async def main():
    editor = Editor()
    async with spawn_agent_process(editor, *COMMAND, env=ENVIRONMENT) as (agent, _):
        await begin(agent)
        session = (await agent.new_session(cwd=os.getcwd(), mcp_servers=[])).session_id
        await ask(editor, agent, session, "tool")
        editor.text = ""
        prompt = asyncio.create_task(agent.prompt(session_id=session, prompt=[text_block(PROMPTS["slow"])]))
        await editor.middle.wait()
    prompt.cancel()
    say("slow", editor.text, "the editor went away")
    editor = Editor()
    async with spawn_agent_process(editor, *COMMAND, env=ENVIRONMENT) as (agent, _):
        await begin(agent)
        await agent.load_session(cwd=os.getcwd(), session_id=session, mcp_servers=[])
        say("loaded", editor.text)
        await ask(editor, agent, session, "again")


asyncio.run(main())
