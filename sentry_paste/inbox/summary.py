"""Summaries of envelopes for the list. They are small, because one of every file is kept in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from sys import intern
from typing import Any, NamedTuple

from sentry_paste.inbox import records
from sentry_paste.inbox.records import feedback
from sentry_paste.inbox.search import Facts, is_failed, normal_level
from sentry_paste.spool import Contents, SpoolFile, fields, read_contents, segments
from sentry_paste.spool.contents import Error, Frame

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
        release: release, or empty.
        environment: environment, or empty.
    """

    time: datetime
    healthy: int
    errored: int
    crashed: int
    release: str = ""
    environment: str = ""

    @property
    def total(self) -> int:
        """Number of requests."""
        return self.healthy + self.errored + self.crashed


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
    of_app = _of_app(fields.mapping(payload))
    for item in fields.items(fields.mapping(payload).get("aggregates")):
        time = fields.time(item.get("started"))
        if time is not None:
            crashed = _count(item.get("crashed")) + _count(item.get("abnormal"))
            healthy, errored = _count(item.get("exited")), _count(item.get("errored"))
            yield SessionCount(time, healthy, errored, crashed, *of_app)


def _session(session: Any) -> Iterator[SessionCount]:
    time = fields.time(session.get("started")) or fields.time(session.get("timestamp"))
    if time is not None:
        is_crashed = session.get("status") in ("crashed", "abnormal")
        is_errored = not is_crashed and _count(session.get("errors")) > 0
        is_healthy = not is_crashed and not is_errored
        yield SessionCount(time, int(is_healthy), int(is_errored), int(is_crashed), *_of_app(session))


def _of_app(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Return the release and the environment of sessions."""
    found = fields.mapping(payload.get("attrs"))
    return _shared(fields.text(found.get("release"))), _shared(fields.text(found.get("environment")))


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

# The SDK sends a hundred lines at a time.
_MAX_LINES = 200

_MAX_TAGS = 20

# Characters.
_MAX_TITLE = 300
_MAX_NAME = 200
_MAX_WORDS = 1000
_MAX_MESSAGE = 500


def _shared(text: str) -> str:
    """Return a text that many envelopes have, cut, and kept in memory only once."""
    return intern(text[:_MAX_NAME])


class Line(NamedTuple):
    """A log line.

    Attributes:
        time: when it was logged, in seconds since 1970.
        level: ``info``, ``error`` and so on.
        logger: name of the logger.
        message: the formatted message, cut.
        trace_id: id of its trace, or empty.
    """

    time: float
    level: str
    logger: str
    message: str
    trace_id: str


class Request(NamedTuple):
    """A request: a transaction, or a segment of streamed spans.

    Attributes:
        id: span id of the transaction or the segment.
        trace_id: id of its trace, or empty.
        name: name of the transaction or the segment.
        method: HTTP method, or empty.
        url: its address, or only the path or the route if that is all that is known, or empty.
        code: HTTP status code; 0 if unknown.
        status: Sentry's word for how it ended, or empty.
        duration: in seconds; None if only other spans of it are there.
        facts: what a search may ask of it.
    """

    id: str
    trace_id: str
    name: str
    method: str
    url: str
    code: int
    status: str
    duration: float | None
    facts: Facts

    @property
    def is_failed(self) -> bool:
        """Whether it has failed."""
        return is_failed(self.code, self.status)

    @property
    def tone(self) -> str:
        """``failed`` for the app's fault, ``refused`` for the client's, ``fine``; empty if it is unknown."""
        if self.is_failed:
            return "failed"
        if self.code >= 400:
            return "refused"
        return "fine" if self.code or self.status in ("ok", "unset") else ""


class Summary(NamedTuple):
    """What the list shows of an envelope, and what a search looks through.

    Attributes:
        title: title of the row; for an error its type.
        value: message of an error.
        place: function and file that raised an error, in the app's own code if possible.
        level: level of an event.
        transaction: name of the transaction or segment, or of the one that the event happened in.
        trace_ids: ids of the traces that it belongs to.
        span_id: id of the span that an error happened in, or empty.
        duration: duration of a transaction, in seconds.
        handled: whether the app handled an error; None if unknown.
        group: short hash that all errors of a kind share; empty if it is not an error.
        who: the user who sent a feedback.
        error_ids: ids of the errors that a feedback is about.
        release: release, or empty.
        environment: environment, or empty.
        method: HTTP method of the request of an event, or empty.
        url: address of the request of an event, or empty.
        amount: how much of its kind is in it: log lines, spans, sessions, metrics, or one event.
        lines: its log lines, the last ones, oldest first.
        sessions: how requests ended, by minute.
        requests: the transaction or the segments in it, and segments that only other spans are here of.
        facts: what a search may ask of it.
        problem: why the file cannot be read, or empty.
    """

    title: str
    value: str = ""
    place: str = ""
    level: str = ""
    transaction: str = ""
    trace_ids: tuple[str, ...] = ()
    span_id: str = ""
    duration: float | None = None
    handled: bool | None = None
    group: str = ""
    who: str = ""
    error_ids: tuple[str, ...] = ()
    release: str = ""
    environment: str = ""
    method: str = ""
    url: str = ""
    amount: int = 1
    lines: tuple[Line, ...] = ()
    sessions: tuple[SessionCount, ...] = ()
    requests: tuple[Request, ...] = ()
    facts: Facts = Facts()
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
        return _unreadable(file, f"{size // 1_000_000} MB is too large for the inbox to read")
    try:
        contents = read_contents(file)
        return _summary(file, contents)
    except FileNotFoundError:
        raise
    except OSError as error:
        return _unreadable(file, error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return _unreadable(file, str(error))


def _unreadable(file: SpoolFile, problem: str) -> Summary:
    shown = problem[:_MAX_TITLE]
    facts = Facts(words=shown.lower(), ids=(file.id,), time=file.time.timestamp())
    return Summary("Unreadable", facts=facts, problem=shown)


def _summary(file: SpoolFile, contents: Contents) -> Summary:
    payloads = contents.payloads
    spans = records.spans(payloads)
    lines = records.log_lines(payloads)
    traces = dict.fromkeys(
        trace
        for trace in (
            contents.trace_id,
            *(span.trace_id for span in spans),
            *(line.trace_id for line in lines),
        )
        if TRACE_ID.fullmatch(trace)
    )
    error = contents.errors[-1] if contents.errors else None
    title, value = _title(file, contents, error)
    duration = contents.duration
    if duration is None and spans:
        duration = max(span.duration for span in spans)
    place = _place(error)
    comments = feedback(payloads)
    who = comments[0].who if comments and error is None else ""
    sessions = session_counts(payloads)
    release, environment = _release_and_environment(contents, sessions)
    base = Facts(
        words=_words(contents, f"{who[:_MAX_NAME]} {title} {value} {place}"),
        level=intern(normal_level(contents.level[:_MAX_NAME])),
        environment=_shared(environment.lower()),
        release=_shared(release.lower()),
        handled=error.handled if error else None,
        tags=_tags(contents),
        time=file.time.timestamp(),
    )
    event = next(
        (payload for type_, payload in payloads if type_ in _EVENTS and isinstance(payload, dict)), {}
    )
    trace_ids = tuple(map(intern, traces))[:_MAX_TRACES]
    error_ids = tuple(dict.fromkeys(one.error_id for one in comments if one.error_id))[:_MAX_TRACES]
    requests = tuple(_requests(payloads, base, file.id))
    facts = _facts(event, base, (file.id, *trace_ids, *error_ids))
    return Summary(
        title=title[:_MAX_TITLE],
        value=value[:_MAX_TITLE],
        place=place[:_MAX_NAME],
        level=_shared(contents.level),
        transaction=_shared(contents.transaction),
        trace_ids=trace_ids,
        span_id=_span_id(event),
        duration=duration,
        handled=base.handled,
        group=_group(contents, title, place) if file.kind == "error" else "",
        who=who[:_MAX_NAME],
        error_ids=error_ids,
        release=_shared(release),
        environment=_shared(environment),
        method=_method(event),
        url=_url(event),
        amount=_count_of(file.kind, payloads, sessions),
        lines=tuple(_line(line, base.time) for line in lines[-_MAX_LINES:]) if file.kind == "log" else (),
        sessions=sessions,
        requests=requests,
        # Those of a request, and not a copy of them: there are tens of thousands.
        facts=requests[0].facts if file.kind == "transaction" and requests else facts,
    )


_EVENTS = ("event", "transaction", "feedback")

# The type of the items that are counted in an envelope of a kind.
_COUNTED = {"log": "log", "span": "span", "metric": "trace_metric"}


def _count_of(kind: str, payloads: tuple[tuple[str, Any], ...], sessions: tuple[SessionCount, ...]) -> int:
    if kind == "session":
        return sum(found.total for found in sessions)
    type_ = _COUNTED.get(kind)
    return records.count(payloads, type_) if type_ else 1


def _line(line: records.LogLine, captured: float) -> Line:
    trace_id = line.trace_id if TRACE_ID.fullmatch(line.trace_id) else ""
    return Line(
        records.seconds(line.time) or captured,
        _shared(line.level),
        _shared(line.logger),
        line.message[:_MAX_MESSAGE],
        intern(trace_id),
    )


def line_facts(line: Line, summary: Summary) -> Facts:
    """Return what a search may ask of a log line.

    Args:
        line: the line.
        summary: summary of its envelope.
    """
    logger = line.logger.lower()
    return Facts(
        words=f"{line.message} {logger}".lower(),
        level=normal_level(line.level),
        environment=summary.facts.environment,
        release=summary.facts.release,
        logger=logger,
        ids=(line.trace_id,),
        time=line.time,
    )


def _release_and_environment(contents: Contents, sessions: tuple[SessionCount, ...]) -> tuple[str, str]:
    if contents.release or contents.environment:
        return contents.release, contents.environment
    if sessions:
        return sessions[0].release, sessions[0].environment
    for type_, payload in contents.payloads:
        if type_ == "log":
            for item in fields.items(fields.mapping(payload).get("items")):
                names = ("sentry.release", "sentry.environment")
                release, environment = (segments.attribute(item, name) for name in names)
                return release, environment
    return "", ""


def _requests(payloads: tuple[tuple[str, Any], ...], base: Facts, identity: str) -> Iterator[Request]:
    streamed = [payload for type_, payload in payloads if type_ == "span"]
    ended = [payload for type_, payload in payloads if type_ == "transaction" and isinstance(payload, dict)]
    ended += segments.transactions(streamed)
    durations: list[float | None] = [segments.duration(event) for event in ended]
    unfinished = segments.unfinished(streamed)
    found = list(zip([*ended, *unfinished], [*durations, *(None for _ in unfinished)]))[:_MAX_REQUESTS]
    if len(found) > 1:  # what is said of all of them finds none of them
        base = base._replace(words=f"{base.release} {base.environment}")
    for event, duration in found:
        yield _request(event, base, identity, duration)


def _request(event: Mapping[str, Any], base: Facts, identity: str, took: float | None) -> Request:
    trace = _trace(event)
    trace_id = fields.text(trace.get("trace_id"))
    trace_id = intern(trace_id) if TRACE_ID.fullmatch(trace_id) else ""
    own = _facts(event, base, (identity, trace_id) if trace_id else (identity,))
    code = _code(event)
    return Request(
        id=fields.text(trace.get("span_id"))[:_MAX_NAME],
        trace_id=trace_id,
        name=_shared(fields.text(event.get("transaction"))),
        method=_method(event),
        url=_url(event),
        code=code,
        status=_shared(fields.text(trace.get("status"))),
        duration=took,
        facts=own._replace(
            words=f"{own.words} {own.transaction} {code or ''} {own.status} {own.url}"[:_MAX_WORDS],
            duration=took,
        ),
    )


def _facts(event: Mapping[str, Any], base: Facts, ids: tuple[str, ...]) -> Facts:
    """Return the facts of an event, with what its envelope has in place of what it lacks."""
    user = fields.mapping(event.get("user"))
    named = ("id", "username", "name", "email", "ip_address")
    return base._replace(
        environment=_shared(fields.text(event.get("environment")).lower()) or base.environment,
        release=_shared(fields.text(event.get("release")).lower()) or base.release,
        method=_shared(_method(event).lower()),
        url=_url(event).lower(),
        code=_code(event),
        status=_shared(fields.text(_trace(event).get("status")).lower()),
        transaction=_shared(fields.text(event.get("transaction")).lower()),
        user=_shared(" ".join(filter(None, (fields.text(user.get(name))[:100] for name in named))).lower()),
        logger=_shared(fields.text(event.get("logger")).lower()),
        ids=ids,
    )


def _trace(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.mapping(fields.mapping(event.get("contexts")).get("trace"))


def _span_id(event: Mapping[str, Any]) -> str:
    return fields.text(_trace(event).get("span_id"))[:_MAX_NAME]


def _code(event: Mapping[str, Any]) -> int:
    code = fields.mapping(fields.mapping(event.get("contexts")).get("response")).get("status_code")
    return code if type(code) is int and 100 <= code <= 999 else 0


def _method(event: Mapping[str, Any]) -> str:
    return _shared(fields.text(fields.mapping(event.get("request")).get("method"))[:20].upper())


def _url(event: Mapping[str, Any]) -> str:
    """Return the address of a request with its query; streamed spans may have only the path or the route."""
    request = fields.mapping(event.get("request"))
    url = fields.text(request.get("url"))
    if not url:
        data = fields.mapping(_trace(event).get("data"))
        known = ("url.full", "url.path", "http.target", "http.route")
        url = next((text for name in known if (text := fields.text(data.get(name)))), "")
    query = request.get("query_string")
    more = f"?{query}" if isinstance(query, str) and query and "?" not in url else ""
    return _shared(f"{url}{more}")


def _tags(contents: Contents) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_shared(name[:50].lower()), _shared(value[:100].lower()))
        for name, value in contents.tags[:_MAX_TAGS]
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
    return _own_frame(error.frames)


def _own_frame(frames: tuple[Frame, ...]) -> Frame | None:
    own = (frame for frame in reversed(frames) if frame.in_app)
    return next(own, frames[-1] if frames else None)


def _group(contents: Contents, title: str, place: str) -> str:
    """Return a short hash that an error shares with others of its kind.

    It is made from the fingerprint that the app set, else from the type and the line where the error was
    raised, else from type and transaction. For a message it is made from the text before formatting, and the
    line if there is a stack trace. A line is compared by its text, because its number changes with every edit
    above it.
    """
    event = next((payload for _, payload in contents.payloads if isinstance(payload, dict)), {})
    fingerprint = event.get("fingerprint")
    frame = _own_frame(contents.errors[-1].frames if contents.errors else contents.stack)
    line = _source(frame) if frame else ""
    key: Any
    if isinstance(fingerprint, list) and fingerprint and "{{ default }}" not in fingerprint:
        key = fingerprint
    elif contents.errors:
        key = (title, place or contents.transaction, line)
    else:
        logentry = event.get("logentry")
        template = logentry.get("message") if isinstance(logentry, dict) else None
        where = f"{frame.function} in {frame.filename}" if frame else ""
        key = (template or title, event.get("logger"), where, line)
    return sha256(repr(key).encode("utf-8", "replace")).hexdigest()[:12]


def _source(frame: Frame) -> str:
    """Return the line of a frame as text, or its number if the source is unknown."""
    return next(
        (text.strip() for number, text in frame.context if number == frame.line), str(frame.line or "")
    )


def _words(contents: Contents, first: str) -> str:
    return " ".join(_found_by(contents, first))[:_MAX_WORDS].lower()


def _found_by(contents: Contents, first: str) -> Iterator[str]:
    yield first[: _MAX_WORDS // 2]
    yield contents.transaction[:_MAX_NAME]
    yield contents.release[:_MAX_NAME]
    yield contents.environment[:_MAX_NAME]
    yield str(contents.request.get("url", ""))[:_MAX_NAME]
    for name, value in contents.tags[:_MAX_TAGS]:
        yield f"{name[:50]}:{value[:100]}"
    for error in contents.errors[:-1]:
        yield f"{error.type[:100]} {error.value[:100]}"
