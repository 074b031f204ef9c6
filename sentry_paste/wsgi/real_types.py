"""What an object of the app, of a server or of another middleware is, without running its code.

``isinstance`` asks an object for its ``__class__``, which a lazy one, such as Django's ``SimpleLazyObject``,
loads to answer (getsentry/sentry-python #3854). Here only its type counts.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any


def is_real(value: Any, *classes: type) -> bool:
    """Return whether an object is an instance of a class, and not only says so.

    Args:
        value: any object.
        classes: one of which it may be an instance of.
    """
    return issubclass(type(value), classes)


# A class of the app's may have properties of these names.
_CAUSE: Any = BaseException.__dict__["__cause__"].__get__
_TRACEBACK: Any = BaseException.__dict__["__traceback__"].__get__


def cause_of(error: BaseException) -> BaseException | None:
    """Return the exception that another was raised from.

    Args:
        error: the other one.
    """
    return _CAUSE(error)  # type: ignore[no-any-return]


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception.

    Args:
        error: as it was caught.
    """
    return _TRACEBACK(error)  # type: ignore[no-any-return]


def text_of(value: Any) -> str | None:
    """Return the text of a ``str`` or of an instance of a subclass, such as Markup; None of anything else.

    Args:
        value: any object.
    """
    cls = type(value)
    if cls is str:
        return value  # type: ignore[no-any-return]
    # A subclass may have methods of its own.
    return str.__str__(value) if issubclass(cls, str) else None
