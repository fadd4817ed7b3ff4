#!/usr/bin/env bash
# PyPI mcp-server-sqlite 2025.4.25, the newest there is, asks for `mcp>=1.6.0`, and an installer brings mcp 2.3.0 today.
# With it the server ends before it answers `initialize`: its decorators (`Server.list_resources` and the rest of the
# low-level ones) are gone from the SDK of version 2. `uvx mcp-server-sqlite`, as its own instructions and most lists of
# servers have it, therefore gives a client nothing but a traceback on standard error; `uvx --with 'mcp<2'
# mcp-server-sqlite` works. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
initialize='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}'
python3 -m venv "$place/new"
"$place/new/bin/pip" install --quiet --disable-pip-version-check mcp-server-sqlite==2025.4.25 mcp==2.3.0
python3 -m venv "$place/old"
"$place/old/bin/pip" install --quiet --disable-pip-version-check mcp-server-sqlite==2025.4.25 'mcp==1.27.2'
ask() { (echo "$initialize"; sleep 4) | timeout 30 "$place/$1/bin/mcp-server-sqlite" --db-path "$place/db" 2>"$place/$1.err" || true; }
new=$(ask new); old=$(ask old)
echo "mcp 2.3.0: ${new:-no answer}; $(tail -n 1 "$place/new.err")"
echo "mcp 1.27.2: ${old:0:90}"
[[ -z $new ]] && grep -q "has no attribute 'list_resources'" "$place/new.err"
[[ $old == *'"serverInfo"'* ]]
