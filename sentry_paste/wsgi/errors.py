"""Which exceptions of an app are errors, and which only tell that nobody listens any more."""

from __future__ import annotations

# PEP 3333: an app is told by GeneratorExit that nobody wants the rest of its body; StopIteration is how
# iteration ends. SystemExit without a status is a wish, not an error.
_NO_ERRORS = (GeneratorExit, StopIteration)

# Modules that read the request from a client. A connection that breaks in one of them is the client's;
# one that breaks elsewhere, in a database's driver say, is the app's.
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

# What servers read and write through: which of them it was, the frame below tells.
_SOCKETS = ("socket", "ssl", "gevent._")

# What servers written in C raise from wsgi.input, with no frame of theirs to know them by.
_TOLD_BY_C = (
    "Apache/mod_wsgi",
    "mod_wsgi failed",
    "mod_wsgi request",
    "error during read",
    "error during readline",
    "error during write",
    "write error",
)


def is_error(error: BaseException, port: str = "") -> bool:
    """Return whether what an app raised is worth a report.

    Args:
        error: as it was caught.
        port: the server's, ``SERVER_PORT``.
    """
    if isinstance(error, SystemExit):
        return error.code not in (0, None)
    return not isinstance(error, _NO_ERRORS) and not client_went_away(error, port)


def client_went_away(error: BaseException, port: str = "") -> bool:
    """Return whether an error is a client's that hung up while its request was read.

    Args:
        error: as it was caught.
        port: the server's: it tells a connection of the server's from one that the app has made, where the
            app reads the socket with no frame of the server's between (wsgiref).
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
    return type(error) is OSError and str(error).startswith(_TOLD_BY_C)


def _is_of_port(reader: object, port: str) -> bool:
    """Return whether a ``socket.SocketIO`` reads a connection to a port of this machine's."""
    connection = getattr(reader, "_sock", None)
    try:
        return bool(port) and str(connection.getsockname()[1]) == port  # type: ignore[union-attr]
    except (AttributeError, OSError, IndexError):
        return False
