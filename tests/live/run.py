#!/usr/bin/env python3
"""A live matrix: real agents and servers of pinned versions against a scripted model, followed by our program.

    cargo build && python3 tests/live/run.py --cache DIR

Each producer is installed from its registry, runs on loopback, and is compared with what the model and the tools know:
what was said, asked, counted and cut. It prints a table in Markdown and a reason for every `no`. What can't be
installed is skipped, with the reason. `--only NAME` runs one; `--keep` leaves logs and homes for a look.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness  # noqa: E402
import judge  # noqa: E402
from model import Model  # noqa: E402
from producers import ALL  # noqa: E402


def measure(kind, place, model):
    producer = kind(place, model)
    verdicts = {}
    try:
        producer.start()
        for case, verdict in producer.table():
            verdicts[case] = verdict
            print(
                f"{kind.title} {kind.version}: {case}: {verdict.mark} {verdict.why}".rstrip(),
                file=sys.stderr,
                flush=True,
            )
    except harness.Skipped as reason:
        return None, str(reason), producer
    finally:
        producer.stop()
    return verdicts, "", producer


def markdown(results):
    lines = ["| producer | version | " + " | ".join(harness.CASES) + " |", "| --- " * (len(harness.CASES) + 2) + "|"]
    notes, nothing = [], {}
    for kind, verdicts, skipped in results:
        if verdicts is None:
            notes.append(f"- {kind.title} {kind.version}: skipped: {skipped}")
            continue
        marks = [verdicts.get(case, judge.none("not tried")) for case in harness.CASES]
        lines.append(f"| {kind.title} | {kind.version} | " + " | ".join(one.mark for one in marks) + " |")
        notes += [f"- {kind.title}, {case}: {one.why}" for case, one in zip(harness.CASES, marks) if one.mark == "no"]
        for case, one in zip(harness.CASES, marks):
            if one.mark == "–":
                nothing.setdefault(one.why, []).append(f"{kind.title} ({case})")
    notes += [f"- –, {why}: {', '.join(where)}" for why, where in nothing.items()]
    return "\n".join([*lines, "", *notes])


def main():
    options = harness.matrix_options(__doc__, "producer", ALL)
    model, results = Model(), []
    with harness.matrix_place(options) as place:
        for kind in options.kinds:
            verdicts, skipped, producer = measure(kind, place, model)
            if skipped:
                print(f"{kind.title}: skipped: {skipped}", file=sys.stderr, flush=True)
            results.append((kind, verdicts, skipped))
            record = {
                case: {
                    "command": shown.command,
                    "exit": shown.code,
                    "object": shown.object,
                    "events": shown.events,
                    "stderr": shown.stderr,
                    "model": [vars(one) for one in told],
                }
                for case, (shown, told) in producer.shown.items()
            }
            (place.logs / f"{kind.name}.json").write_text(json.dumps(record, ensure_ascii=False, indent=1, default=str))
    print(markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
