"""Decide which exceptions of an app are errors, and which only mean that the client has disconnected."""

from __future__ import annotations

from dis import opmap
from types import TracebackType
from typing import Any

from sentry_paste.wsgi.real_types import cause_of, is_real, traceback_of

# GeneratorExit means that nobody reads the rest of the body (PEP 3333); StopIteration ends an iteration.
# SystemExit without a status is handled below: it is a request, not an error.
_NOT_ERRORS = (GeneratorExit, StopIteration)

# gevent and eventlet end a request with it, when a worker stops or a client has gone. It is not imported: an
# app without greenlets has no such module.
_GREENLET_EXIT = ("GreenletExit", ("greenlet", "greenlet._greenlet"))

# egg:Paste#recursive answers it with another request to the app.
_FORWARD = ("ForwardRequestException", ("paste.recursive",))

# Modules that read from the client. A connection that breaks in one of them is the client's; one that
# breaks elsewhere, such as in a database driver, is the app's.
_SERVERS = (
    "waitress.",
    "gunicorn.",
    "wsgiref.",
    "cheroot.",
    "werkzeug.serving",
    "gevent.pywsgi",
    "eventlet.wsgi",
)
_READERS = ("socketserver", "http.server")

# Modules that servers read and write through; the frame before them shows which server it is.
_SOCKETS = ("socket", "ssl", "gevent._")

# Messages of the OSErrors that servers written in C raise from wsgi.input and from websockets; they have no
# frames.
_C_SERVER_MESSAGES = (
    "Apache/mod_wsgi",
    "mod_wsgi failed",
    "mod_wsgi request",
    "error during read",
    "error during readline",
    "error during write",
    "write error",
    "unable to receive websocket message",
    "unable to send websocket message",
    "unable to complete websocket handshake",
)

# How far causes are followed: they may go in a circle.
_MOST_CAUSES = 4

# The instructions of a ``raise`` statement.
_RAISES = frozenset(opmap[name] for name in ("RAISE_VARARGS", "RERAISE") if name in opmap)


def is_error(error: BaseException, port: str = "") -> bool:
    """Return whether an exception that an app raised is to be reported.

    Args:
        error: as it was caught.
        port: of the server, ``SERVER_PORT``.
    """
    if is_real(error, SystemExit):
        return _exits_with_failure(error)
    if is_real(error, *_NOT_ERRORS) or _is_one_of(type(error), *_GREENLET_EXIT):
        return False
    if _is_one_of(type(error), *_FORWARD):
        return False
    return not client_went_away(error, port)


def _exits_with_failure(error: Any) -> bool:
    try:
        code: Any = error.code
    except Exception:  # a property of the app's
        return True
    # Not compared: the code may be any object.
    return not (code is None or (type(code) in (int, bool) and code == 0))


def _is_one_of(cls: type[BaseException], name: str, modules: tuple[str, ...]) -> bool:
    return any(base.__name__ == name and base.__module__ in modules for base in cls.__mro__)


def client_went_away(error: BaseException, port: str = "") -> bool:
    """Return whether an error means that the client has disconnected while its request was read.

    Args:
        error: as it was caught.
        port: of the server. It distinguishes the client's connection from one that the app has opened, if
            the app reads the socket without a frame of the server in between (wsgiref).
    """
    found: Any = error
    for _ in range(_MOST_CAUSES):
        if _is_of_client(found, port):
            return True
        # Django's UnreadablePostError is raised from what the server has raised. A SystemError is what Python
        # makes of an exception that uWSGI's start_response leaves behind with its result.
        found = cause_of(found) if is_real(found, OSError, SystemError) else None
        if found is None:
            break
    return False


def _is_of_client(error: BaseException, port: str) -> bool:
    if type(error).__name__ == "DisconnectionError" and type(error).__module__.startswith("webob."):
        return True
    if not is_real(error, OSError) and type(error).__name__ != "ClientDisconnected":
        return False
    traceback, module, accepted = traceback_of(error), "", False
    while traceback is not None:
        found = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if not found.startswith(_SOCKETS):
            module, accepted = found, False
        elif found == "socket":
            accepted = _is_of_port(traceback.tb_frame.f_locals.get("self"), port)
        traceback = traceback.tb_next
    if accepted or module.startswith(_SERVERS) or module in _READERS:
        if is_real(error, ConnectionError) or type(error).__name__ == "ClientDisconnected":
            return True
        # gevent's server raises an OSError of its own; one from a function in C may be of a disk.
        return module.startswith(_SERVERS) and _is_raised_in_python(traceback_of(error))
    if type(error) is not OSError or not str(error).startswith(_C_SERVER_MESSAGES):
        return False
    return not _is_raised_in_python(traceback_of(error))


def _is_raised_in_python(traceback: TracebackType | None) -> bool:
    """Return whether an exception was raised by a ``raise`` statement, and not by a function written in C."""
    if traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code, at = traceback.tb_frame.f_code.co_code, traceback.tb_lasti
    return 0 <= at < len(code) and code[at] in _RAISES


def _is_of_port(reader: object, port: str) -> bool:
    """Return whether a ``socket.SocketIO`` reads from a connection to a local port."""
    connection = getattr(reader, "_sock", None)
    try:
        return bool(port) and str(connection.getsockname()[1]) == port  # type: ignore[union-attr]
    except (AttributeError, OSError, IndexError):
        return False
