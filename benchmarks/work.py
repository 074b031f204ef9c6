"""The middlewares, and the work that they are compared by."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport

from benchmarks.redact import ENVIRON
from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry

App = Callable[[dict[str, Any], Callable[..., Any]], Any]

CHUNKS = 1000

# A rate at which nothing is sampled, other than 0, for which the SDK has a shortcut.
NEVER = 1e-12


class Nowhere(Transport):
    """A transport that drops everything: only the request's own time is compared."""

    def capture_envelope(self, envelope: Any) -> None:
        """Drop an envelope.

        Args:
            envelope: of the SDK.
        """


def answer(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer in a line."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def stream(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Answer in many chunks."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(CHUNKS):
        yield b"x"


def environ_of_request() -> dict[str, Any]:
    """Return a realistic environ: twelve headers, a cookie, a query."""
    return {
        **ENVIRON,
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def environ_of_client(number: int) -> dict[str, Any]:
    """Return the environ of a client with cookies, credentials and an address of its own.

    Args:
        number: of the client, up to 65,535.
    """
    digits = f"{number * 2654435761 % 2**32:08x}"
    return {
        **environ_of_request(),
        "REMOTE_ADDR": f"198.18.{number // 256}.{number % 256}",
        "REMOTE_USER": f"user-{number}",
        "HTTP_AUTHORIZATION": f"Bearer 8f7d6s5a4f3d2s1a0f9d8s7a{digits}",
        "HTTP_COOKIE": f"sid=f3f29fj2093{digits}; theme=dark; _ga=GA1.2.12{number:08}.1234567890; lang=en",
        "HTTP_X_CSRF_TOKEN": f"0d9f8a7s6d5f{digits}",
        "HTTP_X_FORWARDED_FOR": f"198.19.{number % 256}.{number // 256}, 10.0.0.3",
    }


def start_response(*_args: Any) -> Callable[[bytes], None]:
    """Start a response that nobody sees."""
    return lambda _data: None


def request(app: App, client: int | None = None) -> None:
    """Make one whole request.

    Args:
        app: which answers it.
        client: the number of its client, None for the usual one.
    """
    environ = environ_of_request() if client is None else environ_of_client(client)
    body = app(environ, start_response)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()


def first_byte(app: App) -> Any:
    """Make a request up to its first byte, and return what is left."""
    body = app(environ_of_request(), start_response)
    next(iter(body))
    return body


def bare(app: App, **_options: Any) -> App:
    """Return the app itself."""
    return app


def forget_clients() -> None:
    """Leave no client in the process: if the app has one, the filter's is bound in each request."""
    registry.reset()
    sentry_sdk.get_global_scope().set_client(None)


def filtered(app: App, **options: Any) -> App:
    """Return the app in the filter."""
    forget_clients()
    return SentryMiddleware(app, transport=Nowhere(), release="1", **options)


def by_the_sdk(app: App, **options: Any) -> App:
    """Return the app in the SDK's own middleware."""
    forget_clients()
    own = {
        name: value for name, value in options.items() if name not in ("ignore_paths", "transaction_names")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sentry_sdk.init(transport=Nowhere(), release="1", **own)
    return SentryWsgiMiddleware(app)


MIDDLEWARES = {"filter": filtered, "SDK": by_the_sdk}


def factory(_global_conf: dict[str, str], **_local_conf: str) -> App:
    """Make an app for PasteDeploy."""
    return answer
