#!/usr/bin/env python3
"""Programs of the world against `jarvis-tui serve`: pinned versions, unmodified, with a scripted model behind.

    cargo build && python3 tests/clients/run.py --cache DIR

Each client is installed from its registry, finishes a turn with a call of a tool, is cut off in the middle of an
answer, and goes on: what it shows, what the model got and what the server logged are compared. It prints a table in
Markdown with a reason for every `no`, and fails if there is one. What can't be installed is skipped, with the reason.
"""

import argparse
import shutil
import sys
import tempfile
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(HERE.parents[1] / "target/debug/jarvis-tui"))
    parser.add_argument("--cache", help="where packages are installed and kept; by default a temporary folder")
    parser.add_argument("--only", action="append", default=[], help="a client; repeatable")
    parser.add_argument("--but", action="append", default=[], help="leave out a client; repeatable")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the runs, and print where they are")
    parser.add_argument("--list", action="store_true", help="print the names of the clients")
    options = parser.parse_args()
    if options.list:
        print("\n".join(kind.name for kind in ALL))
        return 0
    if not Path(options.program).is_file():
        parser.error(f"{options.program} is not there: build it, or name it with --program")
    cache = options.cache or tempfile.mkdtemp(prefix="clients-cache-")
    place, model = harness.Place(cache, options.program), Model()
    rows, failed = [], 0
    try:
        for kind in ALL:
            if options.only and kind.name not in options.only or kind.name in options.but:
                continue
            row, wrong = measure(kind, place, model)
            print(" | ".join(row), file=sys.stderr, flush=True)
            rows.append(row)
            failed += wrong
    finally:
        if options.keep:
            print(f"kept: {place.runs}", file=sys.stderr)
        else:
            shutil.rmtree(place.runs, ignore_errors=True)
        if not options.cache:
            shutil.rmtree(cache, ignore_errors=True)
    print(markdown(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
