"""What a list has to know of an envelope: little, for it is kept of every file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sentry_paste.inbox import records
from sentry_paste.inbox.records import feedback
from sentry_paste.spool import Contents, SpoolFile, fields, read_contents
from sentry_paste.spool.contents import Error, Frame

_MOST = 1000
# A count beyond this is no count of requests, and too large to draw.
_MOST_COUNTED = 1_000_000_000


class SessionCount(NamedTuple):
    """How many requests ended in which way, of those that began in one minute.

    Attributes:
        time: when they began.
        healthy: without an error.
        errored: with an error that the app handled.
        crashed: with one that it did not.
    """

    time: datetime
    healthy: int
    errored: int
    crashed: int


def session_counts(payloads: tuple[tuple[str, Any], ...]) -> tuple[SessionCount, ...]:
    """Return what the sessions of an envelope count (https://develop.sentry.dev/sdk/telemetry/sessions/).

    Args:
        payloads: of the envelope.
    """
    found = []
    for type_, payload in payloads:
        if type_ == "sessions":
            found += list(_aggregates(payload))
        elif type_ == "session":
            found += list(_session(fields.mapping(payload)))
    return tuple(found[:_MOST])


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
    return min(value, _MOST_COUNTED) if type(value) is int and value > 0 else 0


#: A file that is larger is not opened: its size says enough, and reading it would hold up the page.
MOST_BYTES = 20_000_000

#: What can be the id of a trace; anything else leads nowhere.
TRACE_ID = re.compile("[0-9a-f]{32}")

# A batch of log lines may be of many requests.
_MOST_TRACES = 100

# Characters.
_MOST_TITLE = 300
_MOST_NAME = 200
_MOST_WORDS = 1000


class Summary(NamedTuple):
    """What a list tells of an envelope, and by what it is found.

    Attributes:
        title: a line to know it by; of an error its type.
        value: of an error, its message.
        place: of an error, the function that raised it, as far as that is the app's own.
        level: of an event.
        transaction: its name, or that which the event happened in.
        trace_ids: of the traces that it tells of.
        duration: of a transaction, seconds.
        handled: of an error, None where it does not say.
        group: what all errors of a kind have in common, as a short hash; empty where it is no error.
        words: what a search looks through, in lower case.
        who: of a feedback, the user who told it.
        about: of a feedback, event ids of the errors that it belongs to.
        sessions: how requests ended, by minute.
        problem: why the file cannot be read, else empty.
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
    about: tuple[str, ...] = ()
    sessions: tuple[SessionCount, ...] = ()
    problem: str = ""


def summarise(file: SpoolFile, size: int) -> Summary:
    """Read a file and return what a list tells of it; what cannot be read is told so.

    Args:
        file: of a spool.
        size: in bytes.

    Raises:
        FileNotFoundError: it is gone: sent, claimed or removed.
    """
    if size > MOST_BYTES:
        return _unreadable(f"{size // 1_000_000} MB are more than the inbox reads")
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
    return Summary("Unreadable", words=problem[:_MOST_TITLE].lower(), problem=problem[:_MOST_TITLE])


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
    place = _place(error)
    told = feedback(contents.payloads)
    who = told[0].who if told and error is None else ""
    return Summary(
        title=title[:_MOST_TITLE],
        value=value[:_MOST_TITLE],
        place=place[:_MOST_NAME],
        level=contents.level[:_MOST_NAME],
        transaction=contents.transaction[:_MOST_NAME],
        trace_ids=tuple(traces)[:_MOST_TRACES],
        duration=duration,
        handled=error.handled if error else None,
        group=_group(contents, title, place) if file.kind == "error" else "",
        words=_words(contents, f"{who[:_MOST_NAME]} {title} {value} {place}"),
        who=who[:_MOST_NAME],
        about=tuple(dict.fromkeys(one.about for one in told if one.about))[:_MOST_TRACES],
        sessions=session_counts(contents.payloads),
    )


def _title(file: SpoolFile, contents: Contents, error: Error | None) -> tuple[str, str]:
    if error is not None:
        return error.type, error.value
    return records.title(file.kind, contents.payloads) or contents.title, ""


def _place(error: Error | None) -> str:
    frame = own_frame(error) if error else None
    return f"{frame.function} in {frame.filename}" if frame else ""


def own_frame(error: Error) -> Frame | None:
    """Return the innermost frame of the app's own, the innermost of all where there is none of those.

    Args:
        error: of an event.
    """
    own = (frame for frame in reversed(error.frames) if frame.in_app)
    return next(own, error.frames[-1] if error.frames else None)


def _group(contents: Contents, title: str, place: str) -> str:
    """Return what an error has in common with others of its kind.

    That is what the app says of it (its fingerprint), else its type and where it was raised, else its type
    and transaction; of a message, its words before the arguments are put in.
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


def _words(contents: Contents, first: str) -> str:
    return " ".join(_found_by(contents, first))[:_MOST_WORDS].lower()


def _found_by(contents: Contents, first: str) -> Iterator[str]:
    yield first[: _MOST_WORDS // 2]
    yield contents.transaction[:_MOST_NAME]
    yield contents.release[:_MOST_NAME]
    yield contents.environment[:_MOST_NAME]
    yield str(contents.request.get("url", ""))[:_MOST_NAME]
    for name, value in contents.tags[:20]:
        yield f"{name[:50]}:{value[:100]}"
    for error in contents.errors[:-1]:
        yield f"{error.type[:100]} {error.value[:100]}"
