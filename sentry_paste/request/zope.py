"""Zope, which answers exceptions with views and only announces them by events.

Its publisher raises an exception only if there is no view for it
(``ZPublisher.WSGIPublisher.transaction_pubevents``), so the filter itself sees few
errors. Zope announces all of them with ``PubFailure``, and the published object with
``PubAfterTraversal``. A site's ``error_log``, which every Plone site has, subscribes
to failures, too, and logs them as text.
"""

from __future__ import annotations

import importlib.util
import sys
from contextvars import ContextVar
from os.path import basename
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.sdk.failures import log_failure

# Whether the publication has failed: set before the failure is announced, until the next one begins.
_failed: ContextVar[bool] = ContextVar("sentry_paste_zope_failed", default=False)

# The logger of Products.SiteErrorLog.
_SITE_ERROR_LOG = "Zope.SiteErrorLog"

# Modules that create classes while ZCML is read, with the view's or service's own class as a base.
_MADE_BY_ZCML = frozenset({"Products.Five.browser.metaconfigure", "plone.rest.zcml"})

# The module that wraps a form, which has its own class, in a view.
_MADE_FOR_FORMS = "plone.z3cform.layout"

_EVENTS = frozenset({"PubStart", "PubAfterTraversal", "PubBeforeAbort", "PubFailure"})


def subscribe() -> None:
    """Subscribe to Zope's events, once, if Zope is installed."""
    if "ZPublisher" not in sys.modules and importlib.util.find_spec("ZPublisher") is None:
        return
    try:
        from zope.event import subscribers
    except ImportError:
        return
    if on_event not in subscribers:
        subscribers.append(on_event)
        sdk.process_every_event(drop_site_error_log)


def on_event(event: Any) -> None:
    """Report a failed publication, and name the transaction of a request by what is published.

    Args:
        event: any event of Zope.
    """
    kind = type(event).__name__
    if kind not in _EVENTS or not sdk.wsgi_middleware_applied.get(False):
        return
    try:
        if kind in ("PubStart", "PubBeforeAbort"):
            # Before the failure is announced, as the site's log may be the first subscriber.
            _failed.set(kind == "PubBeforeAbort")
        elif kind == "PubAfterTraversal":
            name = published_name(event.request.get("PUBLISHED"))
            sentry_sdk.get_current_scope().set_transaction_name(name, source="component")
            _record_user(event.request)
        elif not event.retry and is_failure(event.exc_info[1]):
            _capture(event.exc_info)
    except Exception:
        log_failure("an event of Zope is not handled")


def is_failure(error: BaseException) -> bool:
    """Return whether an exception is a server error, and not a redirect, a login form or a missing page.

    Args:
        error: as Zope caught it, with its own HTTP exceptions normalised.
    """
    status = getattr(error, "status", None)
    is_http = any(cls.__name__ == "HTTPException" for cls in type(error).__mro__)
    return not (is_http and isinstance(status, int) and status < 500)


def drop_site_error_log(event: Any, _hint: Any) -> Any:
    """Drop, as an event processor, what a site's ``error_log`` logs about a failure that Zope announces.

    It is the same error as text, without frames, and may not even be one to report, such as ``BadRequest``.
    Errors that code passes to an ``error_log`` itself are kept.

    Args:
        event: of the SDK.
        _hint: of the SDK.
    """
    return None if event.get("logger") == _SITE_ERROR_LOG and _failed.get() else event


def published_name(published: Any) -> str:
    """Return a name for the published object: the class and the method, or the view.

    A view that consists only of a template has no class; its name is the template's file.

    Args:
        published: the published object of the request.
    """
    method = str(getattr(published, "__name__", "") or "")
    owner = getattr(published, "__self__", published)
    # Acquisition's wrappers have their own type, but the __class__ of the wrapped object.
    cls = owner if isinstance(owner, type) else owner.__class__
    if cls.__module__ in _MADE_BY_ZCML:
        made, cls = cls, cls.__bases__[0]
        if cls.__module__ in _MADE_BY_ZCML:
            return f"{basename(made.__qualname__)}:{method}"
    if cls.__module__ == _MADE_FOR_FORMS:
        cls = getattr(cls, "form", None) or cls
    return ".".join(part for part in (cls.__module__, cls.__qualname__, method) if part)


def _record_user(request: Any) -> None:
    """Record who is signed in: ``REMOTE_USER`` is only set at the end of the publication."""
    user = request.get("AUTHENTICATED_USER")
    found = {"username": getattr(user, "getUserName", str)(), "userid": getattr(user, "getId", str)()}
    if found["userid"]:  # an anonymous user has none
        sdk.record_user(found)


def _capture(exc_info: Any) -> None:
    client = sentry_sdk.get_client()
    mechanism = {"type": "zope", "handled": False}
    event, hint = sdk.exception_event(exc_info[1], exc_info[2], client, mechanism)
    sentry_sdk.capture_event(event, hint=hint)
