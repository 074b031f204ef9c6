"""Summaries of envelopes for the list. They are small, because one of every file is kept in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sentry_paste.inbox import records
from sentry_paste.inbox.records import feedback
from sentry_paste.spool import Contents, SpoolFile, fields, read_contents, segments
from sentry_paste.spool.contents import Error, Frame
from sentry_paste.spool.segments import Request

_MAX_SESSIONS = 1000
# A larger count cannot be a number of requests, and could not be drawn.
_MAX_COUNT = 1_000_000_000


class SessionCount(NamedTuple):
    """How the requests that began in one minute ended.

    Attributes:
        time: the minute.
        healthy: number of requests without an error.
        errored: number of requests with errors that the app handled.
        crashed: number of requests with an unhandled error.
    """

    time: datetime
    healthy: int
    errored: int
    crashed: int


def session_counts(payloads: tuple[tuple[str, Any], ...]) -> tuple[SessionCount, ...]:
    """Return the session counts of an envelope (https://develop.sentry.dev/sdk/telemetry/sessions/).

    Args:
        payloads: payloads of the envelope.
    """
    found = []
    for type_, payload in payloads:
        if type_ == "sessions":
            found += list(_aggregates(payload))
        elif type_ == "session":
            found += list(_session(fields.mapping(payload)))
    return tuple(found[:_MAX_SESSIONS])


def _aggregates(payload: Any) -> Iterator[SessionCount]:
    for item in fields.items(fields.mapping(payload).get("aggregates")):
        time = fields.time(item.get("started"))
        if time is not None:
            crashed = _count(item.get("crashed")) + _count(item.get("abnormal"))
            yield SessionCount(time, _count(item.get("exited")), _count(item.get("errored")), crashed)


def _session(session: Any) -> Iterator[SessionCount]:
    time = fields.time(session.get("started")) or fields.time(session.get("timestamp"))
    if time is not None:
        is_crashed = session.get("status") in ("crashed", "abnormal")
        is_errored = not is_crashed and _count(session.get("errors")) > 0
        yield SessionCount(time, int(not is_crashed and not is_errored), int(is_errored), int(is_crashed))


def _count(value: Any) -> int:
    return min(value, _MAX_COUNT) if type(value) is int and value > 0 else 0


#: Larger files are not read, as that would delay the page; the list shows their size instead.
MAX_BYTES = 20_000_000

#: A valid trace id; the inbox has no page for anything else.
TRACE_ID = re.compile("[0-9a-f]{32}")

# A batch of log lines may come from many requests.
_MAX_TRACES = 100

# An envelope of streamed spans is of one trace, which may have many requests.
_MAX_REQUESTS = 1000

# Characters.
_MAX_TITLE = 300
_MAX_NAME = 200
_MAX_WORDS = 1000


class Summary(NamedTuple):
    """What the list shows of an envelope, and what a search looks through.

    Attributes:
        title: title of the row; for an error its type.
        value: message of an error.
        place: function and file that raised an error, in the app's own code if possible.
        level: level of an event.
        transaction: name of the transaction or segment, or of the one that the event happened in.
        trace_ids: ids of the traces that it belongs to.
        duration: duration of a transaction, in seconds.
        handled: whether the app handled an error; None if unknown.
        group: short hash that all errors of a kind share; empty if it is not an error.
        words: text for the search, in lower case.
        who: the user who sent a feedback.
        error_ids: ids of the errors that a feedback is about.
        sessions: how requests ended, by minute.
        requests: the transaction or the segments in it, and segments that only other spans are here of.
        problem: why the file cannot be read, or empty.
    """

    title: str
    value: str = ""
    place: str = ""
    level: str = ""
    transaction: str = ""
    trace_ids: tuple[str, ...] = ()
    duration: float | None = None
    handled: bool | None = None
    group: str = ""
    words: str = ""
    who: str = ""
    error_ids: tuple[str, ...] = ()
    sessions: tuple[SessionCount, ...] = ()
    requests: tuple[Request, ...] = ()
    problem: str = ""


def summarise(file: SpoolFile, size: int) -> Summary:
    """Read a file and return its summary, with the problem if it cannot be read.

    Args:
        file: the file.
        size: its size, in bytes.

    Raises:
        FileNotFoundError: the file is gone: sent, claimed or removed.
    """
    if size > MAX_BYTES:
        return _unreadable(f"{size // 1_000_000} MB is too large for the inbox to read")
    try:
        contents = read_contents(file)
        return _summary(file, contents)
    except FileNotFoundError:
        raise
    except OSError as error:
        return _unreadable(error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return _unreadable(str(error))


def _unreadable(problem: str) -> Summary:
    return Summary("Unreadable", words=problem[:_MAX_TITLE].lower(), problem=problem[:_MAX_TITLE])


def _summary(file: SpoolFile, contents: Contents) -> Summary:
    spans = records.spans(contents.payloads)
    traces = dict.fromkeys(
        trace
        for trace in (
            contents.trace_id,
            *(span.trace_id for span in spans),
            *(line.trace_id for line in records.log_lines(contents.payloads)),
        )
        if TRACE_ID.fullmatch(trace)
    )
    error = contents.errors[-1] if contents.errors else None
    title, value = _title(file, contents, error)
    duration = contents.duration
    if duration is None and spans:
        duration = max(span.duration for span in spans)
    requests = tuple(map(_shortened, segments.requests(contents.payloads)[:_MAX_REQUESTS]))
    place = _place(error)
    comments = feedback(contents.payloads)
    who = comments[0].who if comments and error is None else ""
    return Summary(
        title=title[:_MAX_TITLE],
        value=value[:_MAX_TITLE],
        place=place[:_MAX_NAME],
        level=contents.level[:_MAX_NAME],
        transaction=contents.transaction[:_MAX_NAME],
        trace_ids=tuple(traces)[:_MAX_TRACES],
        duration=duration,
        handled=error.handled if error else None,
        group=_group(contents, title, place) if file.kind == "error" else "",
        words=_words(contents, f"{who[:_MAX_NAME]} {title} {value} {place}", requests),
        who=who[:_MAX_NAME],
        error_ids=tuple(dict.fromkeys(one.error_id for one in comments if one.error_id))[:_MAX_TRACES],
        sessions=session_counts(contents.payloads),
        requests=requests,
    )


def _shortened(request: Request) -> Request:
    trace_id = request.trace_id if TRACE_ID.fullmatch(request.trace_id) else ""
    return Request(
        request.id[:_MAX_NAME],
        trace_id,
        request.name[:_MAX_NAME],
        request.status[:_MAX_NAME],
        request.duration,
    )


def _title(file: SpoolFile, contents: Contents, error: Error | None) -> tuple[str, str]:
    if error is not None:
        return error.type, error.value
    return records.title(file.kind, contents.payloads) or contents.title, ""


def _place(error: Error | None) -> str:
    frame = own_frame(error) if error else None
    return f"{frame.function} in {frame.filename}" if frame else ""


def own_frame(error: Error) -> Frame | None:
    """Return the innermost frame of the app's own code, or the innermost frame if there is none.

    Args:
        error: the error.
    """
    own = (frame for frame in reversed(error.frames) if frame.in_app)
    return next(own, error.frames[-1] if error.frames else None)


def _group(contents: Contents, title: str, place: str) -> str:
    """Return a short hash that an error shares with others of its kind.

    It is made from the fingerprint that the app set, else from the type and the place where the error was
    raised, else from type and transaction. For a message it is made from the text before formatting.
    """
    event = next((payload for _, payload in contents.payloads if isinstance(payload, dict)), {})
    fingerprint = event.get("fingerprint")
    key: Any
    if isinstance(fingerprint, list) and fingerprint and "{{ default }}" not in fingerprint:
        key = fingerprint
    elif contents.errors:
        key = (title, place or contents.transaction)
    else:
        logentry = event.get("logentry")
        template = logentry.get("message") if isinstance(logentry, dict) else None
        key = (template or title, event.get("logger"))
    return sha256(repr(key).encode("utf-8", "replace")).hexdigest()[:12]


def _words(contents: Contents, first: str, requests: tuple[Request, ...]) -> str:
    return " ".join(_found_by(contents, first, requests))[:_MAX_WORDS].lower()


def _found_by(contents: Contents, first: str, requests: tuple[Request, ...]) -> Iterator[str]:
    yield first[: _MAX_WORDS // 2]
    for request in requests[:10]:
        yield f"{request.name} {request.status}"
    yield contents.transaction[:_MAX_NAME]
    yield contents.release[:_MAX_NAME]
    yield contents.environment[:_MAX_NAME]
    yield str(contents.request.get("url", ""))[:_MAX_NAME]
    for name, value in contents.tags[:20]:
        yield f"{name[:50]}:{value[:100]}"
    for error in contents.errors[:-1]:
        yield f"{error.type[:100]} {error.value[:100]}"
