"""What the Python scripts share: where the server is, what is asked, and how they tell what they were shown."""

import json
import os

URL, MODEL = os.environ["SERVED_URL"], os.environ["MODEL"]
PROMPTS = json.loads(os.environ["PROMPTS"])
DESCRIPTION = "Reads a file of notes"
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def say(step, text, failed=""):
    print(json.dumps({"step": step, "text": text, "failed": failed}), flush=True)


def read_notes(path: str) -> str:
    """Reads a file of notes"""
    with open(path) as notes:
        return notes.read()


class Answer:
    """Collects the pieces of an answer, and takes a break in the middle for its end."""

    def __init__(self):
        self.text, self.broke = "", ""

    def read(self, pieces):
        try:
            for piece in pieces:
                self.text += piece or ""
        except Exception as error:
            self.broke = f"{type(error).__name__}: {error}"
        return self
