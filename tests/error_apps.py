"""An app whose path says which error it makes."""

import logging

import sentry_sdk

asked = []


class HostileError(Exception):
    """Records what it is asked."""

    def __str__(self):
        asked.append("str")
        return "hostile"


def make_app(global_conf, **settings):
    return app


def app(environ, start_response):
    kind, _, rest = environ["PATH_INFO"][1:].partition("/")
    if kind == "raise":
        raise ValueError(rest)
    if kind == "hostile":
        raise HostileError
    if kind == "capture":
        try:
            raise ValueError(rest)
        except ValueError as error:
            sentry_sdk.capture_exception(error)
    if kind == "log":
        logging.getLogger("app").error("Task %s failed", rest)
    if kind == "message":
        sentry_sdk.capture_message(rest, level="error")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
