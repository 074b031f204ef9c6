"""Zope, which answers an exception that has a view and tells nobody but its own events.

Its publisher raises an exception on only where no view has made a page of it
(``ZPublisher.WSGIPublisher.transaction_pubevents``), so the filter alone sees nothing
of most errors. Zope announces all of them, by ``PubFailure``, and what it publishes,
by ``PubAfterTraversal``.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from typing import Any

import sentry_sdk

from sentry_paste import sdk

log = logging.getLogger("sentry_paste")


def listen() -> None:
    """Subscribe to Zope's events, once, where Zope is installed."""
    if "ZPublisher" not in sys.modules and importlib.util.find_spec("ZPublisher") is None:
        return
    try:
        from zope.event import subscribers
    except ImportError:
        return
    if hear not in subscribers:
        subscribers.append(hear)


def hear(event: Any) -> None:
    """Report a failed publication, and name the transaction of a request by what is published.

    Args:
        event: any of Zope's.
    """
    kind = type(event).__name__
    if kind not in ("PubFailure", "PubAfterTraversal") or not sdk.wsgi_middleware_applied.get(False):
        return
    try:
        if kind == "PubAfterTraversal":
            name = published_name(event.request.get("PUBLISHED"))
            sentry_sdk.get_current_scope().set_transaction_name(name, source="component")
        elif not event.retry and is_failure(event.exc_info[1]):
            _capture(event.exc_info)
    except Exception:
        log.warning("Sentry failed: an event of Zope's goes unreported", exc_info=True)


def is_failure(error: BaseException) -> bool:
    """Tell whether an exception makes a server error, and not a redirect, a log-in form or a missing page.

    Args:
        error: as Zope caught it, its own HTTP exceptions normalized.
    """
    status = getattr(error, "status", None)
    is_http = any(cls.__name__ == "HTTPException" for cls in type(error).__mro__)
    return not (is_http and isinstance(status, int) and status < 500)


def published_name(published: Any) -> str:
    """Return a name for what Zope publishes: the class and the method, or the view.

    Args:
        published: of the request.
    """
    method = getattr(published, "__name__", "") or ""
    owner = getattr(published, "__self__", published)
    cls = owner if isinstance(owner, type) else type(owner)
    # A view that is made of a template only is of a class that is called SimpleViewClass and nothing else.
    return ".".join(
        part for part in (cls.__module__, cls.__qualname__.partition(" ")[0], str(method)) if part
    )


def _capture(exc_info: Any) -> None:
    client = sentry_sdk.get_client()
    mechanism = {"type": "zope", "handled": False}
    event, hint = sdk.exception_event(exc_info[1], exc_info[2], client, mechanism)
    sentry_sdk.capture_event(event, hint=hint)
