"""A scripted model on loopback: OpenAI chat and Responses, Anthropic Messages and Gemini from one script.

What a request gets depends on the newest `live-CASE` in the person's words, and every request is kept with what was
sent, so that a test can compare what a client shows with what the model said. Texts hold a code that is drawn anew for
each run.
"""

import json
import math
import random
import re
import secrets
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wires import KINDS, tool_names

CASE = re.compile(r"live-(text|tool|boom|slow|again)")
BOOM = "the scripted model exploded"
SLOW_WORDS = 600
SLOW_PAUSE = 0.05


@dataclass
class Script:
    """How the model behaves for one producer."""

    call: tuple = ("weather", {"city": "Paris"})
    """Name and arguments of the call in the case `tool`."""
    boom: str = "stream"
    """How the case `boom` fails: `stream` inside the stream, `status` as a response with status 400."""
    hidden: str = ""
    """An expression for requests of the producer's own that no answer comes of, such as one for a title."""
    boom_after_call: bool = False
    """Whether the case `boom` lets a call go before it fails."""
    slow_words: int = SLOW_WORDS
    """How many words the case `slow` has."""


@dataclass
class Request:
    """A request that the model got, and what it sent."""

    producer: str
    case: str
    history: list = field(default_factory=list)
    """Pairs of role (`user`, `assistant`, `tool`, `system`) and text."""
    text: str = ""
    called: tuple = ()
    usage: dict = field(default_factory=dict)
    end: str = "running"
    """`whole`, `cut` when the client closed the connection first, or `error`."""
    hidden: bool = False
    tools: list = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    ended: float = math.inf


class Model:
    """The server. `url(NAME)` is the base address for a producer, `requests` is what came."""

    def __init__(self):
        self.scripts = {}
        self.requests = []
        self.code = secrets.token_hex(4)
        self.changed = threading.Condition()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"model": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def begin(self):
        """A new run: a new code, and the index of its first request."""
        self.code = secrets.token_hex(4)
        return len(self.requests)

    def seen(self, since, hidden=False):
        return [request for request in self.requests[since:] if hidden or not request.hidden]

    def wait(self, ready, seconds):
        """Waits until `ready()`; tells whether it came to be in time."""
        end = time.monotonic() + seconds
        with self.changed:
            while not ready():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(min(left, 0.5))
        return True

    def note(self):
        with self.changed:
            self.changed.notify_all()

    def plan(self, script, history):
        """Which case a request belongs to, whether its call was answered, and whether the producer asks for itself."""
        case, answered = "", False
        for role, text in history:
            if role == "user":
                found = CASE.findall(text)
                if found:
                    case, answered = found[-1], False
            elif role == "tool":
                answered = True
        whole = "\n".join(text for _, text in history)
        hidden = not case or bool(script.hidden and re.search(script.hidden, whole))
        return case, answered, hidden


class Gone(Exception):
    """The client closed the connection."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.json(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}], "models": []})

    def do_HEAD(self):
        self.json(200, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        producer, _, path = self.path.lstrip("/").partition("/")
        path = path.partition("?")[0]
        for suffix, kind in KINDS.items():
            if path.endswith(suffix):
                return self.answer(producer, kind, body, path)
        self.json(404, {"error": {"message": "no such route"}})

    def json(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self, producer, kind, body, path):
        model = self.model
        script = model.scripts.get(producer, Script())
        history = kind.history(body)
        case, answered, hidden = model.plan(script, history)
        request = Request(producer, case, history, hidden=hidden, tools=tool_names(body))
        size = random.randint(100, 400)
        request.usage = {"input": size, "cached": random.randint(10, 60), "output": random.randint(10, 60)}
        model.requests.append(request)
        model.note()
        wire = kind(request.usage)
        stream = body.get("stream", False) or path.endswith("streamGenerateContent")
        calls = case == "tool" or case == "boom" and script.boom_after_call
        if not hidden and case == "boom" and script.boom == "status" and (answered or not script.boom_after_call):
            request.end, request.ended = "error", time.monotonic()
            return self.json(
                400,
                {
                    "type": "error",
                    "error": {
                        "type": "invalid_request_error",
                        "code": 400,
                        "status": "INVALID_ARGUMENT",
                        "message": BOOM,
                    },
                },
            )
        if not stream:
            request.text = "{}" if hidden else f"Hello. {model.code}"
            request.end, request.ended = "whole", time.monotonic()
            return self.json(200, wire.whole(request.text))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self.send(wire.start())
            if not hidden and calls and not answered:
                self.say(request, wire, f"Let me look, {model.code}.")
                request.called = script.call
                self.send(wire.call(*script.call))
                self.send(wire.end("tool"))
            elif not hidden and case == "slow":
                for number in range(script.slow_words):
                    self.say(request, wire, f"w{number} ", pieces=1)
                    time.sleep(SLOW_PAUSE)
                self.send(wire.end("stop"))
            elif not hidden and case == "boom":
                self.say(request, wire, f"Half an answer {model.code}")
                request.end = "error"
                self.send(wire.error(BOOM))
            else:
                self.say(request, wire, self.words(case, answered, hidden))
                self.send(wire.end("stop"))
            if request.end == "running":
                request.end = "whole"
        except (Gone, OSError):
            request.end = "cut"
        request.ended = time.monotonic()
        model.note()

    def words(self, case, answered, hidden):
        code = self.model.code
        if hidden:
            return "A title"
        if case == "tool" and answered:
            return f"It is **12** degrees in Paris, {code}. Grüße ✓"
        return f"Hello from the *scripted* model, {code}. Grüße ✓\n\n- one\n- two"

    def say(self, request, wire, text, pieces=4):
        size = max(1, -(-len(text) // pieces))
        for start in range(0, len(text), size):
            piece = text[start : start + size]
            request.text += piece
            self.send(wire.piece(piece))
        self.model.note()

    def send(self, frames):
        readable, _, _ = select.select([self.connection], [], [], 0)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise Gone
        for event, value in frames:
            data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            name = f"event: {event}\n" if event else ""
            self.wfile.write(f"{name}data: {data}\n\n".encode())
        self.wfile.flush()
