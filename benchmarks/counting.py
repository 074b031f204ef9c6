"""Count the instructions of a request with callgrind, for ``python -m benchmarks --instructions``.

The process under valgrind warms up uncounted, which is faster. Then this process switches counting on, and it
makes its requests. What is counted in addition is a few thousand instructions, also for the bare app.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

from benchmarks import work

WARM_UP = 50


def counted(middleware: str, options: dict[str, Any], count: int) -> float:
    """Return the instructions of one request.

    Args:
        middleware: bare, or one of ``work.MIDDLEWARES``.
        options: of the client.
        count: of requests that are counted.
    """
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "benchmarks.counting", middleware, json.dumps(options), str(count)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONHASHSEED": "0"},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        switch = ["callgrind_control", "--instr=on", str(process.pid)]
        subprocess.run(switch, check=True, capture_output=True)
        _, output = process.communicate("now\n")
    found = re.search(r"Collected : (\d+)", output)
    if found is None:
        raise SystemExit(f"callgrind counted nothing:\n{output}")
    return int(found.group(1)) / count


def main(middleware: str, options: dict[str, Any], count: int) -> None:
    """Make requests, on command.

    Args:
        middleware: as of ``counted``.
        options: as of ``counted``.
        count: as of ``counted``.
    """
    app = {"bare": work.bare, **work.MIDDLEWARES}[middleware](work.answer, **options)
    for _ in range(WARM_UP):
        work.request(app)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(count):
        work.request(app)
    sys.stdout.flush()
    # Work at exit does not belong to any request.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
