"""An agent that speaks ACP on the standard library alone, for runs in which it is killed.

In the folder of `AGENT_STATE` it keeps its sessions, notes each prompt that it gets in `prompts`, its own number in `pid`,
and in `overlaps` that two turns of a session ran at once. Each turn is some text, a call that it asks about, and an end."""

import fcntl
import json
import os
import queue
import sys
import threading
import time
import uuid
from pathlib import Path

STATE = Path(os.environ["AGENT_STATE"])
PAUSE = 0.01


def note(name, text):
    with open(STATE / name, "a") as file:
        file.write(text + "\n")


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def update(session, **what):
    send({"method": "session/update", "params": {"sessionId": session, "update": what}})


def say(session, text):
    update(session, sessionUpdate="agent_message_chunk", content={"type": "text", "text": text})
    time.sleep(PAUSE)


class Agent:
    def __init__(self):
        self.answers, self.asked = queue.Queue(), 0

    def turn(self, request, session, text):
        note("prompts", text)
        with open(STATE / f"turn-{session}", "w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                note("overlaps", text)
            for word in ("I ", "look ", "at ", "it. "):
                say(session, word)
            self.asked += 1
            call = {"toolCallId": f"call-{self.asked}-{text}", "title": "ls", "kind": "execute", "rawInput": {"command": "ls"}}
            update(session, sessionUpdate="tool_call", status="pending", **call)
            options = [{"optionId": "y", "name": "Yes", "kind": "allow_once"}, {"optionId": "n", "name": "No", "kind": "reject_once"}]
            params = {"sessionId": session, "toolCall": call, "options": options}
            send({"id": self.asked, "method": "session/request_permission", "params": params})
            outcome = self.answers.get()["outcome"]
            note("answers", f"{text} {outcome.get('optionId', 'cancelled')}")
            update(session, sessionUpdate="tool_call_update", toolCallId=call["toolCallId"], status="completed")
            for word in ("It ", "is ", "done."):
                say(session, word)
        send({"id": request, "result": {"stopReason": "end_turn"}})

    def handle(self, message):
        request, params = message.get("id"), message.get("params") or {}
        method = message.get("method")
        if method == "initialize":
            capabilities = {"loadSession": True}
            send({"id": request, "result": {"protocolVersion": 1, "agentCapabilities": capabilities}})
        elif method == "session/new":
            session = str(uuid.uuid4())
            (STATE / f"session-{session}").touch()
            send({"id": request, "result": {"sessionId": session}})
        elif method == "session/load":
            known = (STATE / f"session-{params['sessionId']}").exists()
            missing = {"error": {"code": -32002, "message": "no such session"}}
            send({"id": request, **({"result": {}} if known else missing)})
        elif method == "session/prompt":
            text = "".join(block.get("text", "") for block in params["prompt"])
            threading.Thread(target=self.turn, args=(request, params["sessionId"], text), daemon=True).start()
        elif method is None and "result" in message:
            self.answers.put(message["result"])


if __name__ == "__main__":
    (STATE / "pid").write_text(str(os.getpid()))
    agent = Agent()
    for line in sys.stdin:
        agent.handle(json.loads(line))
    # Whoever started it is gone, and nothing that it began is to go on.
    os._exit(0)
