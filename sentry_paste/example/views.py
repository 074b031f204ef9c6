"""The things to try: a view each, and what to expect in Sentry of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sentry_sdk
from pyramid.response import Response

from sentry_paste.example import shop

log = logging.getLogger("sentry_paste.example")


@dataclass(frozen=True)
class Thing:
    """One thing to try.

    Attributes:
        route: name of its route.
        pattern: of its route.
        view: what answers.
        title: what it is.
        expect: what Sentry gets of it.
        tone: ``error``, ``caught`` or ``fine``.
        params: what the link puts into the pattern.
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
        "told": "Nothing went wrong, so this page is a transaction in Sentry and no error.",
        "event_id": None,
    }


def greet(request: Any) -> dict[str, Any]:
    """Greet whom the path names.

    Args:
        request: the request; its route matched a ``name``.
    """
    return {
        "heading": f"Hello, {request.matchdict['name']}!",
        "told": (
            "This page is a transaction that is named after the route, not after you: "
            "all greetings are one line in Sentry's list."
        ),
        "event_id": None,
    }


def crash(_request: Any) -> dict[str, Any]:
    """Fail as a view does that nobody tested with an empty table.

    Raises:
        BillError: always.
    """
    order = {"soup": 2, "risotto": 1}
    log.warning("the guests of table 7 left before the bill came")
    receipts = shop.bill(order, guests=0)
    return {"heading": "Paid", "told": ", ".join(receipts), "event_id": None}


def stream_crash(_request: Any) -> Response:
    """Answer with a body that fails after its first lines."""
    return Response(app_iter=shop.courses(), content_type="text/plain", charset="utf-8")


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
        "told": (
            "The view caught a SoldOutError and reported it with sentry_sdk.capture_exception(): "
            "an error that is handled, with the KeyError that caused it and a tag, and a transaction."
        ),
        "event_id": event_id,
    }


def logged(_request: Any) -> dict[str, Any]:
    """Log an error and the exception behind another one."""
    log.warning("the oven is at %d degrees", 310)
    log.error("table %d has waited for %d minutes", 7, 45)
    try:
        shop.serve("lasagne")
    except shop.SoldOutError:
        log.exception("cannot serve table %d", 7)
    return {
        "heading": "Your table has been waiting",
        "told": (
            'logging.getLogger("sentry_paste.example") logged a warning, an error and an exception: '
            "two errors in Sentry, the second with a traceback, and the lines before each as its breadcrumbs."
        ),
        "event_id": None,
    }


def slow(_request: Any) -> dict[str, Any]:
    """Take a while, in several steps."""
    dish = shop.plan_evening()
    return {
        "heading": f"Tonight: {dish}",
        "told": "This page took its time: its transaction has six spans that tell where the time went.",
        "event_id": None,
    }


THINGS = (
    Thing("hello", "/hello", hello, "Say hello", "A transaction, and no error.", "fine"),
    Thing(
        "greet",
        "/greet/{name}",
        greet,
        "Greet Ada",
        "A transaction named after the route; the name is only in its URL.",
        "fine",
        {"name": "Ada"},
    ),
    Thing(
        "slow",
        "/slow",
        slow,
        "Take a while",
        "A transaction with six spans: database, HTTP, template.",
        "fine",
    ),
    Thing(
        "crash",
        "/crash",
        crash,
        "Crash",
        "An unhandled BillError and what caused it: traceback, variables, request. You see a server error.",
        "error",
    ),
    Thing(
        "stream-crash",
        "/stream-crash",
        stream_crash,
        "Crash mid-stream",
        "An unhandled KitchenError, though the status was 200. The page stops after three lines.",
        "error",
    ),
    Thing(
        "handled",
        "/handled",
        handled,
        "Catch and report",
        "A handled SoldOutError with its cause and a tag. The page answers.",
        "caught",
    ),
    Thing(
        "logged",
        "/logged",
        logged,
        "Log an error",
        "Two errors, one with a traceback, and breadcrumbs. The page answers.",
        "caught",
    ),
)
