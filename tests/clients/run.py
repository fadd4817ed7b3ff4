#!/usr/bin/env python3
"""Programs of the world against `jarvis-tui serve`: pinned versions, unmodified, with a scripted model behind.

    cargo build && python3 tests/clients/run.py --cache DIR

Each client is installed from its registry, finishes a turn with a call of a tool, is cut off in the middle of an
answer, and goes on: what it shows, what the model got and what the server logged are compared. It prints a table in
Markdown with a reason for every `no`, and fails if there is one. What can't be installed is skipped, with the reason.
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live")]

import harness  # noqa: E402
from cases import ALL  # noqa: E402
from model import Model  # noqa: E402


def measure(kind, place, model):
    """A row of the table, and whether the client failed."""
    client = kind(place, model)
    head = [client.title, client.version, f"`{client.surface}`"]
    try:
        client.start()
        turn, word, cut = client.measure()
    except harness.Skipped as reason:
        return [*head, "skipped", "–", str(reason)], False
    finally:
        client.stop()
    failed = "no" in (turn.mark, cut.mark)
    words = [one.why for one in (turn, cut) if one.why] or [client.remarks()]
    return [*head, turn.mark, word if cut.mark == "yes" else f"{word}: no", "; ".join(words)], failed


def markdown(rows):
    head = ["client", "version", "surface", "turn with a call", "after a cut", "remarks"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def main():
    options = harness.matrix_options(__doc__, "client", ALL)
    model, rows, failed = Model(), [], 0
    with harness.matrix_place(options) as place:
        for kind in options.kinds:
            row, wrong = measure(kind, place, model)
            print(" | ".join(row), file=sys.stderr, flush=True)
            rows.append(row)
            failed += wrong
    print(markdown(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
