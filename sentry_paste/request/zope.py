"""Zope, which answers an exception that has a view and tells nobody but its own events.

Its publisher raises an exception on only where no view has made a page of it
(``ZPublisher.WSGIPublisher.transaction_pubevents``), so the filter alone sees nothing
of most errors. Zope announces all of them, by ``PubFailure``, and what it publishes,
by ``PubAfterTraversal``. A site's own ``error_log``, which every Plone site has, hears
of failures too, and logs them as text.
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

# That a publication has failed, from before anybody hears of the failure until another begins.
_failed: ContextVar[bool] = ContextVar("sentry_paste_zope_failed", default=False)

# The logger of Products.SiteErrorLog.
_SITE_ERROR_LOG = "Zope.SiteErrorLog"

# Where classes are made while ZCML is read, which have the view's or the service's own class as a base.
_MADE_BY_ZCML = frozenset({"Products.Five.browser.metaconfigure", "plone.rest.zcml"})

# Where a view is made around a form, which has a class of its own.
_MADE_FOR_FORMS = "plone.z3cform.layout"


_HEARD = frozenset({"PubStart", "PubAfterTraversal", "PubBeforeAbort", "PubFailure"})


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
        sdk.process_every_event(drop_site_error_log)


def hear(event: Any) -> None:
    """Report a failed publication, and name the transaction of a request by what is published.

    Args:
        event: any of Zope's.
    """
    kind = type(event).__name__
    if kind not in _HEARD or not sdk.wsgi_middleware_applied.get(False):
        return
    try:
        if kind in ("PubStart", "PubBeforeAbort"):
            # Before the failure is announced: the log of the site may be the first to hear of that.
            _failed.set(kind == "PubBeforeAbort")
        elif kind == "PubAfterTraversal":
            name = published_name(event.request.get("PUBLISHED"))
            sentry_sdk.get_current_scope().set_transaction_name(name, source="component")
            _note_user(event.request)
        elif not event.retry and is_failure(event.exc_info[1]):
            _capture(event.exc_info)
    except Exception:
        log_failure("an event of Zope's goes unreported")


def is_failure(error: BaseException) -> bool:
    """Return whether an exception makes a server error, and not a redirect, a log-in form or a missing page.

    Args:
        error: as Zope caught it, its own HTTP exceptions normalized.
    """
    status = getattr(error, "status", None)
    is_http = any(cls.__name__ == "HTTPException" for cls in type(error).__mro__)
    return not (is_http and isinstance(status, int) and status < 500)


def drop_site_error_log(event: Any, _hint: Any) -> Any:
    """Drop, as an event processor, what a site's ``error_log`` logs of a failure that Zope announces.

    It is the same error as text, without its frames, and also where the error is none to be reported, as with
    ``BadRequest``. What code gives to an ``error_log`` by hand is kept.

    Args:
        event: of the SDK.
        _hint: of the SDK.
    """
    return None if event.get("logger") == _SITE_ERROR_LOG and _failed.get() else event


def published_name(published: Any) -> str:
    """Return a name for what Zope publishes: the class and the method, or the view.

    A view that is made of a template only has no class of its own; the template's file is named.

    Args:
        published: of the request.
    """
    method = str(getattr(published, "__name__", "") or "")
    owner = getattr(published, "__self__", published)
    # Acquisition's wrappers have a type of their own, and the class of what they wrap.
    cls = owner if isinstance(owner, type) else owner.__class__
    if cls.__module__ in _MADE_BY_ZCML:
        made, cls = cls, cls.__bases__[0]
        if cls.__module__ in _MADE_BY_ZCML:
            return f"{basename(made.__qualname__)}:{method}"
    if cls.__module__ == _MADE_FOR_FORMS:
        cls = getattr(cls, "form", None) or cls
    return ".".join(part for part in (cls.__module__, cls.__qualname__, method) if part)


def _note_user(request: Any) -> None:
    """Note who is signed in: ``REMOTE_USER`` comes only with the end of the publication."""
    user = request.get("AUTHENTICATED_USER")
    found = {"username": getattr(user, "getUserName", str)(), "userid": getattr(user, "getId", str)()}
    if found["userid"]:  # nobody has none
        sdk.record_user(found)


def _capture(exc_info: Any) -> None:
    client = sentry_sdk.get_client()
    mechanism = {"type": "zope", "handled": False}
    event, hint = sdk.exception_event(exc_info[1], exc_info[2], client, mechanism)
    sentry_sdk.capture_event(event, hint=hint)
