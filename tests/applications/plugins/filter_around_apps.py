"""A pytest plugin that puts the filter around every app that a suite calls.

Suites call apps through WebTest and WebOb, and those of WebOb, Pyramid and TurboGears directly. What is
captured goes through the whole SDK and is thrown away; how much it was is written to the file that
``THROUGH_THE_FILTER`` names.
"""

import contextlib
import functools
import importlib
import json
import os
from contextvars import ContextVar
from pathlib import Path

import sentry_sdk
from sentry_sdk.transport import Transport

from sentry_paste import SentryMiddleware
from sentry_paste.config import read_keywords

_KINDS = {"event": "errors", "transaction": "traces", "span": "traces"}
_counts = {"requests": 0, "errors": 0, "traces": 0}
_in_webtest = ContextVar("in_webtest", default=False)


class Discard(Transport):
    """Counts envelopes and sends none."""

    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type in _KINDS:
                _counts[_KINDS[item.type]] += 1


@functools.cache
def _settings():
    options = {
        "dsn": "http://key@127.0.0.1:9/1",
        "release": "1",
        "traces_sample_rate": 1.0,
        "transport": Discard,
    }
    disabled = os.environ.get("DISABLED_INTEGRATIONS")
    return read_keywords({**options, "disabled_integrations": disabled} if disabled else options)


def filtered(app):
    """Return the app in a filter of its own."""
    if not callable(app):
        return app
    _counts["requests"] += 1
    return SentryMiddleware(app, _settings())


def around_what_webtest_calls(do_request):
    """Wrap the app inside of WebTest's lint, which so checks the filter's body as well."""

    @functools.wraps(do_request)
    def wrapped(self, *args, **kwargs):
        # Only for the call: tests look at the attribute.
        app = self.app
        self.app = filtered(app)
        inside = _in_webtest.set(True)
        try:
            response = do_request(self, *args, **kwargs)
            if response.app is self.app:
                response.app = app
            return response
        finally:
            self.app = app
            _in_webtest.reset(inside)

    return wrapped


def around_what_webob_calls(call_application):
    """Wrap the app that a WebOb request is sent to."""

    @functools.wraps(call_application)
    def wrapped(self, application, *args, **kwargs):
        app = application if _in_webtest.get() else filtered(application)
        return call_application(self, app, *args, **kwargs)

    return wrapped


def around_instances(call):
    """Wrap what is an app itself, where it is called as one."""

    @functools.wraps(call)
    def wrapped(self, *args, **kwargs):
        if len(args) != 2 or kwargs or not isinstance(args[0], dict):
            return call(self, *args, **kwargs)
        return filtered(functools.partial(call, self))(*args)

    return wrapped


#: Module, class and method through which suites call apps, and what to put there.
DOORS = (
    ("webtest.app", "TestApp", "do_request", around_what_webtest_calls),
    ("webob.request", "BaseRequest", "call_application", around_what_webob_calls),
    ("webob.response", "Response", "__call__", around_instances),
    ("webob.exc", "WSGIHTTPException", "__call__", around_instances),
    ("webob.dec", "wsgify", "__call__", around_instances),
    ("pyramid.router", "Router", "__call__", around_instances),
    ("tg.wsgiapp", "TGApp", "__call__", around_instances),
)


def pytest_configure():
    # First, as the SDK's integrations wrap some of these methods: the filter belongs outside of them.
    SentryMiddleware(None, _settings())
    for module, class_name, method, around in DOORS:
        with contextlib.suppress(ModuleNotFoundError):
            found = getattr(importlib.import_module(module), class_name)
            setattr(found, method, around(found.__dict__[method]))


def pytest_sessionfinish():
    # Streamed spans wait for others.
    sentry_sdk.flush()
    Path(os.environ["THROUGH_THE_FILTER"]).write_text(json.dumps(_counts), encoding="utf-8")
