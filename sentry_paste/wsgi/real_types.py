"""What an object of the app, of a server or of another middleware is, without running its code.

``isinstance`` asks an object for its ``__class__``, which a lazy one, such as Django's ``SimpleLazyObject``,
loads to answer (getsentry/sentry-python #3854). Here only its type counts.
"""

from __future__ import annotations

from typing import Any


def is_real(value: Any, *classes: type) -> bool:
    """Return whether an object is an instance of a class, and not only says so.

    Args:
        value: any object.
        classes: one of which it may be an instance of.
    """
    return issubclass(type(value), classes)
