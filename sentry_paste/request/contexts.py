"""Running code in a request's context while somebody else may be in it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any


def run_anyway(context: Context, function: Callable[[], Any]) -> Any:
    """Call a function in a context, or in a copy of it while it is in use.

    A server may call ``close()`` from another thread or greenlet while a chunk is being made, and a context
    can be entered once at a time.

    Args:
        context: of the request.
        function: takes nothing.

    Raises:
        BaseException: what the function raises.
    """
    entered = False

    def call() -> Any:
        nonlocal entered
        entered = True
        return function()

    try:
        return context.run(call)
    except RuntimeError:
        if entered:
            raise
    return context.copy().run(call)


def is_context_in_use(error: BaseException) -> bool:
    """Tell whether ``Context.run`` itself refused: a second thread asks for a chunk while one is made.

    Args:
        error: as it was caught in the frame that called ``run``.
    """
    return (
        type(error) is RuntimeError
        and str(error).startswith("cannot enter context")
        and error.__traceback__ is not None
        and error.__traceback__.tb_next is None
    )
