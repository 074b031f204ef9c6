"""A server of the Model Context Protocol: an assistant reads what a spool holds, and changes nothing.

``queries`` finds what is asked for, with the inbox's index and search; ``marking`` makes it text in which an
assistant sees where recorded data begins and ends; ``server`` has the tools, and needs the extra ``mcp``.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

# As shells have it: 128 and the signal's number.
_INTERRUPTED = 130


def serve(directory: str) -> None:
    """Serve the tools on standard input and output until the client goes away.

    Args:
        directory: directory of the spool; it need not be there yet.

    Raises:
        ValueError: it is not a directory, or the package ``mcp`` is not installed.
    """
    from pathlib import Path

    path = Path(directory)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{directory} is not a directory")
    try:
        from sentry_paste.mcp.server import make_server
    except ImportError as error:
        if not (error.name or "").startswith(("mcp", "pydantic")):
            raise
        raise ValueError(
            "this command needs the package mcp, and Python 3.10 or newer: pip install 'sentry-paste[mcp]'"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _end)
    make_server(path).run("stdio")


def _end(_number: int, _frame: Any) -> None:
    """End at once: the thread that waits for input cannot be interrupted, and there is nothing to finish."""
    os.write(2, b"\n")
    os._exit(_INTERRUPTED)
