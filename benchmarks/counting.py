"""Count the instructions of a request with callgrind, for ``python -m benchmarks --instructions``.

The process under valgrind warms up uncounted, which is faster. Then counting is switched on, and it takes one
turn: what it does in other threads until all is sent is counted as well.
"""

from __future__ import annotations

import re
import subprocess

from benchmarks.turns import Turns, Work

WARM_UP = 50
_VALGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null")


def counted(found: Work, receiver: str, count: int) -> float:
    """Return the instructions of one request.

    Args:
        found: what is done.
        receiver: the address to send to.
        count: of requests that are counted.
    """
    turns = Turns(found, receiver, _VALGRIND)
    turns.take(WARM_UP)
    turns.take(count, lambda: _switch_on(turns.process.pid))
    output = turns.end()
    collected = re.search(r"Collected : (\d+)", output)
    if collected is None:
        raise SystemExit(f"callgrind counted nothing:\n{output}")
    return int(collected.group(1)) / count


def _switch_on(process: int) -> None:
    switch = ["callgrind_control", "--instr=on", str(process)]
    subprocess.run(switch, check=True, capture_output=True)
