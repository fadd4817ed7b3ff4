"""What every client needs: our server with the scripted model behind it, and a line to it that breaks once."""

import json
import re
import socket
import struct
import threading
from pathlib import Path

import harness

MODEL = "scripted/scripted"
MARK = re.compile(rb"w20\b")
"""A word in the middle of the slow answer: the line breaks behind it."""


class Served:
    """`jarvis-tui serve` with a home of its own, in a folder with `notes.txt`."""

    def __init__(self, place, model, name):
        self.place = place
        self.home, self.work = place.folder(f"{name}-server"), place.folder(f"{name}-server-work")
        settings = self.home / "jarvis/config.toml"
        settings.parent.mkdir()
        settings.write_text(
            f'model = "{MODEL}"\n[engines.scripted]\nkind = "openai"\napi_key = "none"\n'
            f'base_url = "{model.url(name)}/v1"\n'
        )
        (self.work / "notes.txt").write_text(f"code-{model.code}\n")
        self.environment = place.environment(self.home)
        self.server = None
        self.name = name

    def start(self):
        port = harness.free_port()
        command = [str(self.place.program), "serve", "--port", str(port)]
        self.server = harness.Server(self.place, f"{self.name}-serve", command, self.environment, self.work, port)
        return port

    def stop(self):
        if self.server:
            self.server.stop()

    def sessions(self):
        """The events of each session in the server's logs."""
        logs = sorted(Path(self.home, "jarvis").rglob("*.jsonl"))
        return [
            [line["event"] for line in map(json.loads, log.read_text().splitlines()) if "event" in line] for log in logs
        ]


class Line:
    """A connection to the server that passes bytes on, and is reset once in the middle of the slow answer."""

    def __init__(self, port):
        self.target, self.cut = port, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.requests = []
        """The first line of every request since the cut."""
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink, watch in ((client, server, self.asked), (server, client, self.answered)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pass_on, args=(source, sink, watch), daemon=True).start()

    def pass_on(self, source, sink, watch):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
                if watch(piece):
                    # Time for the client to read what it was sent: a reset drops what it has not taken.
                    threading.Event().wait(0.2)
                    for end in (source, sink):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        shut(end)
                        end.close()
                    return
            shut(sink)
        except OSError:
            shut(sink)
            shut(source)

    def asked(self, piece):
        if self.cut.is_set() and (line := re.match(rb"[A-Z]+ [^\r\n]+", piece)):
            self.requests.append(line[0].decode(errors="replace"))
        return False

    def answered(self, piece):
        if self.cut.is_set() or not MARK.search(piece):
            return False
        self.cut.set()
        return True

    def stop(self):
        self.listener.close()


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def strings(value):
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)


def json_lines(text):
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            pass
    return lines
