"""An agent on the Python SDK of the Agent Client Protocol. It asks the scripted model, and has its client read files,
write them and run commands: a call `client` with `command` runs it in a terminal of the client, reads `notes.txt` there
and writes a copy."""

import asyncio
import http.client
import json
import os
import sys
import urllib.parse

import acp
from acp.schema import (
    AgentCapabilities,
    Implementation,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
    Usage,
)

URL = urllib.parse.urlsplit(os.environ["MODEL_URL"])


def choice(key, category, values):
    options = [SessionConfigSelectOption(value=value, name=name, description=about) for value, name, about in values]
    return SessionConfigOptionSelect(
        id=key, name=key.capitalize(), category=category, type="select", current_value=values[0][0], options=options
    )


class Scripted(acp.Agent):
    def __init__(self):
        self.sessions = {}
        self.options = [
            choice("model", "model", [("scripted", "Scripted", "the usual one"), ("other", "Other", "a slower one")]),
            choice("effort", "thought_level", [("low", "Low", "thinks little"), ("high", "High", "thinks much")]),
            choice("mode", "mode", [("build", "Build", "works"), ("plan", "Plan", "only plans")]),
        ]
        self.cancelled = None

    def on_connect(self, conn):
        self.client = conn

    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **_):
        self.can = client_capabilities
        return acp.InitializeResponse(
            protocol_version=acp.PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(),
            agent_info=Implementation(name="scripted", title="Scripted", version="1"),
        )

    async def new_session(self, cwd, additional_directories=None, mcp_servers=None, **_):
        session = f"s{len(self.sessions)}"
        self.sessions[session] = (cwd, [])
        return acp.NewSessionResponse(session_id=session, config_options=self.options)

    async def set_config_option(self, config_id, session_id, value, **_):
        for option in self.options:
            if option.id == config_id:
                option.current_value = value
        return acp.SetSessionConfigOptionResponse(config_options=self.options)

    async def cancel(self, session_id, **_):
        if self.cancelled:
            self.cancelled.set()

    async def prompt(self, prompt, session_id, **_):
        self.cancelled = asyncio.Event()
        cwd, messages = self.sessions[session_id]
        messages.append({"role": "user", "content": "".join(block.text for block in prompt)})
        used = [0, 0, 0]
        while True:
            text, call = await self.ask(session_id, messages, used)
            if self.cancelled.is_set():
                return acp.PromptResponse(stop_reason="cancelled")
            message = {"role": "assistant", "content": text}
            if not call:
                messages.append(message)
                usage = Usage(
                    input_tokens=used[0], output_tokens=used[1], cached_read_tokens=used[2], total_tokens=used[0] + used[1]
                )
                return acp.PromptResponse(stop_reason="end_turn", usage=usage)
            messages.append({**message, "tool_calls": [call]})
            result = await self.work(session_id, cwd, call["id"], json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})

    async def ask(self, session, messages, used):
        """One request to the model: its text, told as it comes, and its call."""
        tool = {"type": "function", "function": {"name": "client", "parameters": {"type": "object", "properties": {}}}}
        body = {"model": "scripted", "stream": True, "messages": messages, "tools": [tool]}
        connection = http.client.HTTPConnection(URL.netloc, timeout=60)
        loop = asyncio.get_running_loop()

        def begin():
            connection.request("POST", URL.path + "/chat/completions", json.dumps(body), {"content-type": "application/json"})
            return connection.getresponse()

        answer = await loop.run_in_executor(None, begin)
        text, call = "", None
        try:
            while True:
                line = loop.run_in_executor(None, answer.readline)
                stopped = asyncio.ensure_future(self.cancelled.wait())
                await asyncio.wait([line, stopped], return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                if self.cancelled.is_set() or not (data := (await line).decode()):
                    return text, call
                if not data.startswith("data: ") or "[DONE]" in data:
                    continue
                frame = json.loads(data[6:])
                if "error" in frame:
                    raise acp.RequestError(-32603, frame["error"]["message"])
                if usage := frame.get("usage"):
                    used[0] += usage["prompt_tokens"]
                    used[1] += usage["completion_tokens"]
                    used[2] += usage["prompt_tokens_details"]["cached_tokens"]
                for piece in frame["choices"]:
                    delta = piece["delta"]
                    if delta.get("content"):
                        text += delta["content"]
                        await self.client.session_update(session, acp.update_agent_message_text(delta["content"]))
                    for part in delta.get("tool_calls") or []:
                        call = call or {"id": part["id"], "type": "function", "function": {**part["function"], "arguments": ""}}
                        call["function"]["arguments"] += part["function"]["arguments"]
        finally:
            connection.sock.shutdown(2) if connection.sock else None
            connection.close()

    async def work(self, session, cwd, key, arguments):
        """Runs the command in a terminal of the client, reads the file and writes a copy."""
        command = arguments["command"]
        start = acp.start_tool_call(key, "client", kind="execute", status="in_progress", raw_input=arguments)
        await self.client.session_update(session, start)
        try:
            terminal = await self.client.create_terminal(session_id=session, command=command, cwd=cwd)
            shown = acp.update_tool_call(
                key, status="in_progress", content=[acp.tool_terminal_ref(terminal.terminal_id)]
            )
            await self.client.session_update(session, shown)
            ended = await self.client.wait_for_terminal_exit(session_id=session, terminal_id=terminal.terminal_id)
            told = await self.client.terminal_output(session_id=session, terminal_id=terminal.terminal_id)
            await self.client.release_terminal(session_id=session, terminal_id=terminal.terminal_id)
            notes = await self.client.read_text_file(session_id=session, path=f"{cwd}/notes.txt")
            await self.client.write_text_file(session_id=session, path=f"{cwd}/copy.txt", content=notes.content)
            result, status = f"{told.output}[{ended.exit_code}] {notes.content}", "completed"
        except acp.RequestError as refused:
            result, status = f"refused: {refused}", "failed"
        await self.client.session_update(session, acp.update_tool_call(key, status=status))
        return result


if __name__ == "__main__":
    sys.stderr = open(os.devnull, "w")
    asyncio.run(acp.run_agent(Scripted()))
