"""A small restaurant whose failures the example reports.

This is plain application code, without any code for the filter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sentry_paste import sdk

MENU = {"soup": 650, "salad": 820, "risotto": 1490}

TERMINAL_LOGIN = "terminal-7:swordfish"


class SoldOutError(Exception):
    """A dish is on the menu, but sold out."""


class BillError(Exception):
    """A bill cannot be paid."""


class KitchenError(Exception):
    """Something went wrong while a dish was made."""


def bill(order: dict[str, int], guests: int) -> list[str]:
    """Return a receipt for each guest.

    Args:
        order: number of each dish.
        guests: number of guests who share the bill.

    Raises:
        BillError: the bill cannot be shared.
    """
    total = sum(MENU[dish] * count for dish, count in order.items())
    try:
        return charge(total, guests, TERMINAL_LOGIN)
    except ZeroDivisionError as error:
        raise BillError(f"cannot share {total} cents between {guests} guests") from error


def charge(total: int, guests: int, credentials: str) -> list[str]:
    """Charge every guest the same, and return the receipts.

    Args:
        total: amount of the bill, in cents.
        guests: number of guests.
        credentials: login of the card terminal; the value of a variable with this name is not reported.

    Raises:
        ZeroDivisionError: there are no guests, which nobody thought of.
    """
    each = total // guests
    terminal = credentials.partition(":")[0]
    return [f"{each} cents by {terminal}"] * guests


def serve(dish: str) -> int:
    """Take a dish from the kitchen and return its price in cents.

    Args:
        dish: name of the dish.

    Raises:
        SoldOutError: the dish is sold out.
    """
    try:
        return MENU[dish]
    except KeyError as error:
        raise SoldOutError(f"no {dish} left tonight") from error


def courses() -> Iterator[bytes]:
    """Yield a menu line by line, and fail before the last course.

    Raises:
        KitchenError: in the middle, after the status and the first lines have been sent.
    """
    for number, course in enumerate(("soup", "salad", "risotto"), start=1):
        yield f"Course {number}: {course}\n".encode()
        time.sleep(0.05)
    dessert = "soufflé"
    raise KitchenError(f"the {dessert} collapsed")


def plan_evening() -> str:
    """Do the work of a slow page for about 0.2 seconds, with a span for each step."""
    with sdk.start_child_span("function", "plan the evening"):
        _wait("db", "SELECT dish, price FROM menu WHERE evening = %s", 0.04)
        with sdk.start_child_span("http.client", "GET https://market.example/prices"):
            time.sleep(0.02)
            _wait("serialize", "parse 214 prices", 0.03)
            time.sleep(0.01)
        _wait("db", "UPDATE menu SET price = %s WHERE dish = %s", 0.03)
    _wait("template.render", "evening.jinja2", 0.05)
    return "risotto"


def _wait(op: str, name: str, seconds: float) -> None:
    with sdk.start_child_span(op, name):
        time.sleep(seconds)
