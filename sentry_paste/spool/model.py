"""What an envelope tells, as plain data: what the command line and the example show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sentry_paste.spool.names import SpoolFile


@dataclass(frozen=True)
class Frame:
    """One frame of a stack trace, the source lines around it included.

    Attributes:
        function: name of the function.
        filename: path as the SDK reports it.
        line: line number, None where unknown.
        in_app: whether it is the app's own code.
        context: pairs of line number and source line, the current line among them.
        variables: the local variables, as text.
    """

    function: str
    filename: str
    line: int | None
    in_app: bool
    context: tuple[tuple[int, str], ...]
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Error:
    """One exception of an event, or of its chain of causes.

    Attributes:
        type: class name.
        value: message.
        handled: what its mechanism says, None where it says nothing.
        mechanism: what reported it, ``wsgi`` or ``logging`` say.
        frames: the stack, innermost last.
        group: the type of the group of exceptions that it is in, ``a group`` where that is not known; else
            empty.
    """

    type: str
    value: str
    handled: bool | None
    mechanism: str
    frames: tuple[Frame, ...]
    group: str = ""


@dataclass(frozen=True)
class Breadcrumb:
    """Something that happened before the event.

    Attributes:
        time: when, None where unknown.
        category: who tells it, a logger's name say.
        level: ``info``, ``error`` and so on.
        message: what happened.
        type: ``log``, ``http`` and so on, empty where unknown.
    """

    time: datetime | None
    category: str
    level: str
    message: str
    type: str = ""


@dataclass(frozen=True)
class Span:
    """A span of a transaction, placed in its tree.

    Attributes:
        id: span id.
        op: operation, ``db`` say.
        description: what it did.
        status: ``ok`` and so on, empty where unknown.
        depth: 0 for the transaction itself.
        offset: seconds from the transaction's start.
        duration: seconds.
    """

    id: str
    op: str
    description: str
    status: str
    depth: int
    offset: float
    duration: float


@dataclass(frozen=True)
class Contents:
    """What one envelope file tells.

    Attributes:
        file: the file it was read from.
        size: bytes.
        title: a line to know it by.
        level: of an event, else empty.
        transaction: name of the transaction, empty where it has none.
        trace_id: the trace it belongs to, or empty.
        release: or empty.
        environment: or empty.
        request: method, url, query_string, headers and env as the event has them.
        details: user, extra and contexts, each with its pairs of name and value.
        tags: pairs of name and value.
        errors: the exceptions, the outermost last.
        stack: where an event came from that has no exception, innermost last; often empty.
        breadcrumbs: oldest first.
        spans: the transaction and its spans, as a tree read from top to bottom.
        duration: of a transaction, in seconds.
        payloads: item type and decoded payload of every item (None: no JSON).
    """

    file: SpoolFile
    size: int
    title: str
    level: str = ""
    transaction: str = ""
    trace_id: str = ""
    release: str = ""
    environment: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    details: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    errors: tuple[Error, ...] = ()
    stack: tuple[Frame, ...] = ()
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    spans: tuple[Span, ...] = ()
    duration: float | None = None
    payloads: tuple[tuple[str, Any], ...] = ()
