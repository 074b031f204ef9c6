"""The things to try: a view for each, and what Sentry receives from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sentry_sdk

from sentry_paste.example import shop

log = logging.getLogger("sentry_paste.example")


@dataclass(frozen=True)
class Demo:
    """One thing to try.

    Attributes:
        route: name of its route.
        pattern: pattern of its route.
        view: its view.
        title: text of the link.
        expect: what Sentry receives.
        tone: ``error``, ``caught`` or ``fine``.
        params: values for the pattern in the link.
    """

    route: str
    pattern: str
    view: Callable[[Any], Any]
    title: str
    expect: str
    tone: str
    params: Mapping[str, str] = field(default_factory=dict)


def hello(_request: Any) -> dict[str, Any]:
    """Greet everybody."""
    return {
        "heading": "Hello!",
        "text": "Nothing went wrong, so Sentry receives a transaction for this page, but no error.",
        "event_id": None,
    }


def greet(request: Any) -> dict[str, Any]:
    """Greet the person named in the path.

    Args:
        request: the request; its route matched a ``name``.
    """
    return {
        "heading": f"Hello, {request.matchdict['name']}!",
        "text": (
            "The transaction of this page is named after the route, not after you, "
            "so Sentry lists all greetings as one transaction."
        ),
        "event_id": None,
    }


def crash(_request: Any) -> dict[str, Any]:
    """Fail like a view that nobody tested with an empty table.

    Raises:
        BillError: always.
    """
    order = {"soup": 2, "risotto": 1}
    log.warning("the guests of table 7 left before the bill came")
    receipts = shop.bill(order, guests=0)
    return {"heading": "Paid", "text": ", ".join(receipts), "event_id": None}


def stream_crash(request: Any) -> Any:
    """Respond with a body that fails after its first lines.

    Args:
        request: the request.
    """
    response = request.response
    response.content_type, response.charset = "text/plain", "utf-8"
    response.app_iter = shop.courses()
    return response


def handled(_request: Any) -> dict[str, Any]:
    """Catch an error, report it and go on."""
    try:
        shop.serve("tiramisù")
    except shop.SoldOutError as error:
        with sentry_sdk.new_scope() as scope:
            scope.set_tag("table", "7")
            event_id = sentry_sdk.capture_exception(error)
    return {
        "heading": "Sorry, no tiramisù tonight",
        "text": (
            "The view caught a SoldOutError and reported it with sentry_sdk.capture_exception(). "
            "Sentry receives a handled error with its cause, a KeyError, and with a tag; and a transaction."
        ),
        "event_id": event_id,
    }


def logged(_request: Any) -> dict[str, Any]:
    """Log an error and an exception."""
    log.warning("the oven is at %d degrees", 310)
    log.error("table %d has waited for %d minutes", 7, 45)
    try:
        shop.serve("lasagne")
    except shop.SoldOutError:
        log.exception("cannot serve table %d", 7)
    return {
        "heading": "Your table has been waiting",
        "text": (
            'logging.getLogger("sentry_paste.example") logged a warning, an error and an exception. '
            "Sentry receives two errors, the second with a traceback, and earlier log lines as breadcrumbs."
        ),
        "event_id": None,
    }


def slow(_request: Any) -> dict[str, Any]:
    """Take a while, in several steps."""
    dish = shop.plan_evening()
    return {
        "heading": f"Tonight: {dish}",
        "text": "This page was slow: the six spans of its transaction show where the time went.",
        "event_id": None,
    }


DEMOS = (
    Demo("hello", "/hello", hello, "Say hello", "A transaction, but no error.", "fine"),
    Demo(
        "greet",
        "/greet/{name}",
        greet,
        "Greet Ada",
        "A transaction named after the route; the name Ada is only in its URL.",
        "fine",
        {"name": "Ada"},
    ),
    Demo(
        "slow",
        "/slow",
        slow,
        "Take a while",
        "A transaction with six spans: database, HTTP, template.",
        "fine",
    ),
    Demo(
        "crash",
        "/crash",
        crash,
        "Crash",
        "An unhandled BillError and its cause, with traceback, variables and request. You see a crash page.",
        "error",
    ),
    Demo(
        "stream-crash",
        "/stream-crash",
        stream_crash,
        "Crash mid-stream",
        "An unhandled KitchenError, although the status was 200. The page stops after three lines.",
        "error",
    ),
    Demo(
        "handled",
        "/handled",
        handled,
        "Catch and report",
        "A handled SoldOutError with its cause and a tag. The page works.",
        "caught",
    ),
    Demo(
        "logged",
        "/logged",
        logged,
        "Log an error",
        "Two errors, one with a traceback, and breadcrumbs. The page works.",
        "caught",
    ),
)
