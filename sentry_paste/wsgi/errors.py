"""Decide which exceptions of an app are errors, and which only mean that the client has disconnected."""

from __future__ import annotations

# GeneratorExit means that nobody reads the rest of the body (PEP 3333); StopIteration ends an iteration.
# SystemExit without a status is handled below: it is a request, not an error.
_NOT_ERRORS = (GeneratorExit, StopIteration)

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

# Messages of the OSErrors that servers written in C raise from wsgi.input; they have no frames.
_C_SERVER_MESSAGES = (
    "Apache/mod_wsgi",
    "mod_wsgi failed",
    "mod_wsgi request",
    "error during read",
    "error during readline",
    "error during write",
    "write error",
)


def is_error(error: BaseException, port: str = "") -> bool:
    """Return whether an exception that an app raised is to be reported.

    Args:
        error: as it was caught.
        port: of the server, ``SERVER_PORT``.
    """
    if isinstance(error, SystemExit):
        return error.code not in (0, None)
    return not isinstance(error, _NOT_ERRORS) and not client_went_away(error, port)


def client_went_away(error: BaseException, port: str = "") -> bool:
    """Return whether an error means that the client has disconnected while its request was read.

    Args:
        error: as it was caught.
        port: of the server. It distinguishes the client's connection from one that the app has opened, if
            the app reads the socket without a frame of the server in between (wsgiref).
    """
    if not isinstance(error, OSError) and type(error).__name__ != "ClientDisconnected":
        return False
    traceback, module, accepted = error.__traceback__, "", False
    while traceback is not None:
        found = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if not found.startswith(_SOCKETS):
            module, accepted = found, False
        elif found == "socket":
            accepted = _is_of_port(traceback.tb_frame.f_locals.get("self"), port)
        traceback = traceback.tb_next
    if accepted or module.startswith(_SERVERS) or module in _READERS:
        return isinstance(error, ConnectionError) or type(error).__name__ == "ClientDisconnected"
    return type(error) is OSError and str(error).startswith(_C_SERVER_MESSAGES)


def _is_of_port(reader: object, port: str) -> bool:
    """Return whether a ``socket.SocketIO`` reads from a connection to a local port."""
    connection = getattr(reader, "_sock", None)
    try:
        return bool(port) and str(connection.getsockname()[1]) == port  # type: ignore[union-attr]
    except (AttributeError, OSError, IndexError):
        return False
