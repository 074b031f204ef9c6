"""Response bodies: what the server receives instead of the app's own body.

A list stays a list with a length, a file wrapper stays as it is, and so does an
object that is not iterable: servers compare such markers by identity. Anything else
is iterated in the request's context. The request is finished once, when the body
has been sent: in ``close()``, which every server has to call (PEP 3333); at the end
of the iteration, if the app has nothing left to run; or when a body that was never
closed is garbage-collected, at the latest with the next request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from sys import getrefcount
from time import monotonic
from types import GeneratorType
from typing import Any

from sentry_paste.client.server_logs import record_marker
from sentry_paste.request.lifecycle import NEVER, Lifecycle, is_context_in_use
from sentry_paste.wsgi.real_types import is_real

# References to a body in __del__: the attribute's and the argument's of getrefcount.
_ONLY_OURS = 2


def wrap(body: Any, lifecycle: Lifecycle, file_wrapper: Any) -> Any:
    """Return the body for the server.

    Args:
        body: what the app returned.
        lifecycle: of the request.
        file_wrapper: ``wsgi.file_wrapper`` of the environ as the server made it, or None.
    """
    cls = type(body)
    if cls is list or cls is tuple or _is_plain_list(body):
        return ListBody(body, lifecycle)
    # By real types: a proxy of the app's would run its code to say what it stands for.
    if issubclass(cls, (bytes, str)) or (file_wrapper is not None and is_file(body, file_wrapper)):
        # Servers send these as a whole. To use sendfile, gunicorn, waitress and wsgiref check for their
        # wrapper's class, uWSGI for the same object.
        lifecycle.finish()
        return body
    if not (hasattr(cls, "__iter__") or hasattr(cls, "__getitem__") or hasattr(cls, "__len__")):
        # A marker such as gunicorn's ALREADY_HANDLED (benoitc/gunicorn #820), or None after a websocket of
        # uWSGI. The server itself complains about what it cannot send.
        lifecycle.finish()
        record_marker(lifecycle.is_started)
        return body
    if hasattr(cls, "__len__"):
        return SizedBody(body, lifecycle)
    if lifecycle.has_error_page:
        return PagedBody(body, lifecycle)
    # Generators and other built-ins have no attributes that a middleware could look for.
    return (Stream if cls.__module__ == "builtins" else Body)(body, lifecycle)


def is_file(body: Any, file_wrapper: Any) -> bool:
    """Return whether a server would send a body as a file.

    Args:
        body: what the app returned.
        file_wrapper: the server's ``wsgi.file_wrapper``.
    """
    try:
        return issubclass(type(body), file_wrapper)
    except TypeError:
        # uWSGI's and mod_wsgi's wrappers are functions; their results have one of these attributes.
        return hasattr(body, "fileno") or hasattr(body, "filelike")


def _is_plain_list(body: Any) -> bool:
    """Return whether a body is an instance of a subclass that iterates like a list and has no ``close()``."""
    return (
        issubclass(type(body), (list, tuple))
        and type(body).__iter__ in (list.__iter__, tuple.__iter__)
        and not hasattr(body, "close")
    )


class ListBody(list[Any]):
    """The chunks of a list or tuple; finishes the request when it is closed.

    Args:
        chunks: the app's list.
        lifecycle: of the request.
    """

    __slots__ = ("_lifecycle",)

    def __init__(self, chunks: Iterable[Any], lifecycle: Lifecycle) -> None:
        super().__init__(chunks)
        self._lifecycle = lifecycle

    def close(self) -> None:
        """Finish the request: its last byte has been sent."""
        self._lifecycle.finish(is_closed=True)

    def __del__(self) -> None:
        self._lifecycle.abandon()


class Stream:
    """The app's iterable, iterated in the request's context.

    It has no ``__getattr__``, which would make each access to a slot three times as slow.

    Args:
        body: what the app returned.
        lifecycle: of the request.
    """

    __slots__ = ("_body", "_due", "_iterator", "_lifecycle", "_run")

    def __init__(self, body: Any, lifecycle: Lifecycle) -> None:
        self._body = body
        self._lifecycle = lifecycle
        self._run = lifecycle.run
        # When something is due: never before the first chunk, which should not be delayed.
        self._due = NEVER
        self._iterator: Any = None

    def __iter__(self) -> Iterator[Any]:
        iterator = self._begin()
        if iterator is self._body:
            self._iterator = iterator
            return self
        # A new one each time: an iterable starts again, but an iterator that was asked for does not when an
        # outer middleware asks it for an iterator, as itertools.chain does.
        return Iteration(self, iterator)

    def _begin(self) -> Iterator[Any]:
        try:
            return self._lifecycle.run(iter, self._body)  # type: ignore[no-any-return]
        except BaseException as error:
            self._lifecycle.capture(error)
            raise

    def __next__(self) -> Any:
        if self._iterator is None:
            self._iterator = self._begin()
        if self._due < NEVER and monotonic() > self._due:
            self._due = self._lifecycle.run_due()
        try:
            try:
                chunk = self._run(next, self._iterator)
                if self._due is NEVER:
                    self._due = self._lifecycle.due
                return chunk
            except RuntimeError as error:
                if not is_context_in_use(error):
                    raise
            return self._lifecycle.run_anyway(partial(next, self._iterator))
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._failed(error)
            raise

    def _failed(self, error: BaseException) -> None:
        self._lifecycle.capture(error)
        self._end()

    def _end(self) -> None:
        """Finish, unless the app's ``close()`` is still to run, as that may raise, too."""
        if type(self._body) is GeneratorType or not hasattr(self._body, "close"):
            self._lifecycle.finish()

    def close(self) -> None:
        """Close the app's body, if it can be closed, and finish the request."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._lifecycle.run_anyway(close)
        except BaseException as error:
            self._lifecycle.capture(error)
            raise
        finally:
            self._lifecycle.finish(is_closed=True)

    def __del__(self) -> None:
        # A generator that nobody else has is closed now anyway, but outside of the request's context, in
        # which it may have to reset variables (pallets/flask #6123).
        self._iterator = None
        try:
            if type(self._body) is GeneratorType and getrefcount(self._body) <= _ONLY_OURS:
                self._lifecycle.run_anyway(self._body.close)
        finally:
            self._lifecycle.abandon()

    def next_of(self, iterator: Any) -> Any:
        """Return the next chunk of one of the iterators of the app's iterable.

        Args:
            iterator: that was begun for it.
        """
        self._iterator = iterator
        return next(self)

    def close_iterator(self, iterator: Any) -> None:
        """Close one of the iterators of the app's iterable, in the request's context.

        Args:
            iterator: with a ``close()``.
        """
        self._lifecycle.run_anyway(iterator.close)


class Iteration:
    """An iteration over the iterable of an app, which is not an iterator itself.

    Args:
        stream: for the iterable.
        iterator: of the app.
    """

    __slots__ = ("_iterator", "_stream")

    def __init__(self, stream: Stream, iterator: Any) -> None:
        self._stream = stream
        self._iterator = iterator

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._stream.next_of(self._iterator)

    def __getattr__(self, name: str) -> Any:
        if name in Iteration.__slots__:  # while it is copied
            raise AttributeError(name)
        found = getattr(self._iterator, name)
        return partial(self._stream.close_iterator, self._iterator) if name == "close" else found


class Body(Stream):
    """A ``Stream`` with the attributes of the app's body, which an outer middleware may look for."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in Stream.__slots__:  # while it is copied, a copy has none of them
            raise AttributeError(name)
        return getattr(self._body, name)


class PagedBody(Body):
    """A ``Body`` that continues with the error page if it fails before its first byte."""

    __slots__ = ("_has_begun", "_page")

    def __init__(self, body: Any, lifecycle: Lifecycle) -> None:
        super().__init__(body, lifecycle)
        self._has_begun = False
        self._page: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            return super().__iter__()
        except Exception as error:
            self._page = self._page_for(error)
            if self._page is None:
                raise
            return self

    def __next__(self) -> Any:
        if self._page is not None:
            return next(self._page)
        try:
            chunk = super().__next__()
        except StopIteration:
            raise
        except BaseException:
            if self._page is None:
                raise
            return next(self._page)
        # An empty chunk sends no headers (PEP 3333).
        self._has_begun = self._has_begun or not is_real(chunk, bytes) or bytes.__len__(chunk) > 0
        return chunk

    def _failed(self, error: BaseException) -> None:
        self._lifecycle.capture(error)
        self._page = self._page_for(error)
        self._end()

    def _page_for(self, error: BaseException) -> Iterator[bytes] | None:
        page = None if self._has_begun else self._lifecycle.page_for(error)
        return None if page is None else iter(page)


class SizedBody(Body):
    """A ``Body`` with a length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)
