"""``sentry-paste inbox``: serve the inbox of a directory on this machine, without an ini."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from sentry_paste.config.errors import printable
from sentry_paste.inbox import make_inbox
from sentry_paste.inbox.editor import Editor
from sentry_paste.inbox.settings import InboxSettings

#: The port, unless it is taken or another one is given.
PORT = 6544

# Only this machine: the inbox is for whoever sits in front of it.
_HOST = "127.0.0.1"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing for a browser that has closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    # A connection that sends nothing is closed.
    timeout = 60

    def log_message(self, *_args: Any) -> None:
        """Log no requests: a browser asks for the list every two seconds."""


def serve(directory: str, port: int | None, editor: str, opens: bool) -> int:
    """Serve the inbox until it is interrupted; return the exit status.

    Args:
        directory: the spool directory, which need not exist yet.
        port: the port; None for the usual one, or any other if that is taken.
        editor: value of the option ``editor``, or empty.
        opens: whether to open a browser.

    Raises:
        OSError: the port is taken.
        ValueError: it is no directory, the editor is unknown, or Jinja2 is missing.
    """
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise ValueError(f"{directory} is not a directory: give the spool_dir of the filter")
    links = Editor(editor)
    with _listen(port) as server:
        address = f"http://{_HOST}:{server.server_port}/"
        try:
            server.set_app(make_inbox(InboxSettings(Path(directory), address=address, editor=links)))
        except ImportError as error:
            raise ValueError(str(error)) from error
        missing = "" if os.path.isdir(directory) else ", which does not exist yet"
        print(f"Inbox for {printable(directory)}{missing}: {address}")
        print("Press Ctrl-C to stop.", flush=True)
        if opens and not webbrowser.open(address):
            print("No browser could be opened.", file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # how it is meant to end
            print(file=sys.stderr)
    return 0


def _listen(port: int | None) -> _Server:
    try:
        return _Server((_HOST, PORT if port is None else port), _Handler)
    except OSError as error:
        if port is not None:
            raise OSError(f"port {port}: {error.strerror or error}") from error
        return _Server((_HOST, 0), _Handler)
