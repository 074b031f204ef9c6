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

# What servers written in C raise from wsgi.input, with no frame of theirs to know them by.
_TOLD_BY_C = (
    "Apache/mod_wsgi",
    "error during read",
    "error during readline",
    "error during write",
    "write error",
)


def is_error(error: BaseException) -> bool:
    """Tell whether what an app raised is worth a report.

    Args:
        error: as it was caught.
    """
    if isinstance(error, SystemExit):
        return error.code not in (0, None)
    return not isinstance(error, _NO_ERRORS) and not client_went_away(error)


def client_went_away(error: BaseException) -> bool:
    """Tell whether an error is a client's that hung up while its request was read.

    Args:
        error: as it was caught.
    """
    if not isinstance(error, OSError) and type(error).__name__ != "ClientDisconnected":
        return False
    traceback, module = error.__traceback__, ""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    if module.startswith(_SERVERS) or module in _READERS:
        return isinstance(error, ConnectionError) or type(error).__name__ == "ClientDisconnected"
    return type(error) is OSError and str(error).startswith(_TOLD_BY_C)
