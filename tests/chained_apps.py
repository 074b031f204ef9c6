"""Services that call one another, and say which headers each of them was called with."""

import json
import logging
import os
import urllib.request

import urllib3

_CARRIED = ("HTTP_SENTRY_TRACE", "HTTP_BAGGAGE", "HTTP_TRACEPARENT", "HTTP_TRACESTATE")


def _answer(start_response, environ, following):
    seen = {name: environ[name] for name in _CARRIED if name in environ}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([seen, *following]).encode()]


def _call(address, environ, headers=()):
    request = urllib.request.Request(address + environ["PATH_INFO"], headers=dict(headers))
    with urllib.request.urlopen(request, timeout=180) as response:
        return json.load(response)


def make_service(global_conf, name, to="", relay="", **local_conf):
    """A ``paste.app_factory`` for a service that logs an error, and calls another one.

    Args:
        global_conf: of the ini.
        name: of the service.
        to: address of the service to call, none if it is the last.
        relay: address of the one to call for paths that begin with ``/relayed``.
        local_conf: nothing else.
    """

    def app(environ, start_response):
        logging.getLogger(name).error("%s was called", name)
        address = relay if environ["PATH_INFO"].startswith("/relayed") else to
        return _answer(start_response, environ, _call(address, environ) if address else [])

    return app


def make_relay(global_conf, to, **local_conf):
    """A ``paste.app_factory`` for a service that knows the W3C's headers only, and adds a span of its own.

    It passes on ``baggage`` for paths that end with that.

    Args:
        global_conf: of the ini.
        to: address of the service to call.
        local_conf: nothing else.
    """

    def app(environ, start_response):
        headers = {}
        if "HTTP_TRACEPARENT" in environ:
            version, trace, _, flags = environ["HTTP_TRACEPARENT"].split("-")
            span = os.urandom(8).hex()
            headers["traceparent"] = f"{version}-{trace}-{span}-{flags}"
            headers["tracestate"] = ",".join(filter(None, (f"relay={span}", environ.get("HTTP_TRACESTATE"))))
        if environ["PATH_INFO"].endswith("/baggage") and "HTTP_BAGGAGE" in environ:
            headers["baggage"] = environ["HTTP_BAGGAGE"]
        return _answer(start_response, environ, _call(to, environ, headers))

    return app


def _with_urllib(address, headers):
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10):
        pass


def _with_urllib3(address, headers):
    with urllib3.PoolManager() as pool:
        pool.request("GET", address, headers=headers)


CLIENTS = {"urllib": _with_urllib, "urllib3": _with_urllib3}


def make_caller(global_conf, **local_conf):
    """A ``paste.app_factory`` for an app that makes a call, or does what the environ says.

    Args:
        global_conf: of the ini.
        local_conf: nothing else.
    """

    def app(environ, start_response):
        if "test.do" in environ:
            environ["test.do"]()
        else:
            CLIENTS[environ["test.client"]](environ["test.address"], environ["test.headers"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"called"]

    return app
