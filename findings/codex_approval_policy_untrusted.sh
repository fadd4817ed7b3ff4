#!/usr/bin/env bash
# Codex (npm @openai/codex) 0.171.0 and the word `untrusted` for `approval_policy`: in ~/.codex/config.toml it ends every
# command at once with exit code 1, `codex app-server` too, before it has read a request ("no longer supported; remove
# this setting"); as `approvalPolicy` of the app server's `thread/start` the same word is taken and reported back as what
# holds. `on-failure` is taken in the settings, where it comes out as `on-request`, and is an unknown variant for
# `thread/start`. So a client can't hand a person's setting on as it stands, and an app server that ends without a word
# of JSON may just have met an old settings file. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-audit --no-fund --prefix "$place" @openai/codex@0.171.0
PLACE=$place python3 - <<'PYTHON'
import json
import os
import subprocess
from pathlib import Path

place = Path(os.environ["PLACE"])
(place / ".codex").mkdir()


def start(setting=None, parameter=None):
    (place / ".codex/config.toml").write_text(f'approval_policy = "{setting}"\n' if setting else "")
    server = subprocess.Popen(
        [place / "node_modules/.bin/codex", "app-server"], cwd=place, env={"PATH": os.environ["PATH"], "HOME": str(place)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    requests = [
        {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "x", "title": "x", "version": "1"}}},
        {"method": "initialized"},
        {"id": 2, "method": "thread/start", "params": {"approvalPolicy": parameter} if parameter else {}},
    ]
    try:
        for request in requests:
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
    except BrokenPipeError:
        pass
    for line in server.stdout:
        answer = json.loads(line)
        if answer.get("id") == 2:
            server.kill()
            server.communicate()
            return answer.get("result", {}).get("approvalPolicy") or answer["error"]["message"]
    said = server.communicate()[1]
    reason = next(line for line in said.splitlines() if line.startswith("Error"))
    return f"exit code {server.returncode}: {reason}"


said = {(where, word): start(**{where: word}) for where in ("setting", "parameter") for word in ("untrusted", "on-failure")}
for (where, word), what in said.items():
    print(f"{word} as a {where}: {what}")
assert said["setting", "untrusted"].startswith("exit code 1: ") and "no longer supported" in said["setting", "untrusted"]
assert said["parameter", "untrusted"] == "untrusted"
assert not said["setting", "on-failure"].startswith("exit code")
assert "unknown variant `on-failure`" in said["parameter", "on-failure"]
PYTHON
