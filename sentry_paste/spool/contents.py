"""Read what an envelope file tells: its events, errors, spans and sessions.

Everything in a file is data from elsewhere: a field of the wrong type reads as
if it were missing, and no value is trusted to be safe to print.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.model import Breadcrumb, Contents, Error, Frame, Span
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.reading import read_bytes


def read_contents(file: SpoolFile) -> Contents:
    """Read an envelope file.

    Args:
        file: which one.

    Raises:
        OSError: it cannot be read, or is gone.
        ValueError: it is not an envelope.
    """
    data = read_bytes(file)
    try:
        envelope = Envelope.deserialize(data)
        payloads = tuple((_text(item.type) or "?", _decode(item.payload)) for item in envelope.items)
    except Exception as error:  # the SDK's reader raises what it comes upon: KeyError, TypeError, ...
        raise ValueError(f"not a Sentry envelope: {error}") from error
    if not payloads:
        raise ValueError("not a Sentry envelope: it has no items")
    for type_, payload in payloads:
        if type_ in ("event", "transaction") and isinstance(payload, dict):
            return _event(file, len(data), payload, payloads)
    return Contents(file, len(data), _title_of_items(payloads), payloads=payloads)


def _decode(payload: Any) -> Any:
    if payload.json is not None:
        return payload.json
    try:
        return json.loads(payload.get_bytes())
    except ValueError:
        return None


def _event(
    file: SpoolFile, size: int, event: dict[str, Any], payloads: tuple[tuple[str, Any], ...]
) -> Contents:
    trace = _mapping(_mapping(event.get("contexts")).get("trace"))
    errors = tuple(_errors(event))
    is_transaction = event.get("type") == "transaction"
    spans = tuple(_spans(event, trace)) if is_transaction else ()
    return Contents(
        file=file,
        size=size,
        title=_text(event.get("transaction")) if is_transaction else _title(event, errors),
        level="" if is_transaction else _text(event.get("level")),
        transaction=_text(event.get("transaction")),
        trace_id=_text(trace.get("trace_id")),
        release=_text(event.get("release")),
        environment=_text(event.get("environment")),
        request=_mapping(event.get("request")),
        details=tuple(_details(event)),
        tags=tuple(_pairs(event.get("tags"))),
        errors=errors,
        breadcrumbs=tuple(_breadcrumbs(event)),
        spans=spans,
        duration=spans[0].duration if spans else None,
        payloads=payloads,
    )


def _title(event: dict[str, Any], errors: tuple[Error, ...]) -> str:
    """Return what Sentry would title the issue: the last exception, or the message."""
    if errors:
        error = errors[-1]
        return f"{error.type}: {error.value}" if error.value else error.type
    logentry = _mapping(event.get("logentry"))
    message = logentry.get("formatted") or logentry.get("message") or event.get("message")
    if isinstance(message, dict):
        message = message.get("formatted") or message.get("message")
    return _text(message) or "(no message)"


def _title_of_items(payloads: tuple[tuple[str, Any], ...]) -> str:
    """Return a title for an envelope that has neither an event nor a transaction."""
    sessions = sum(
        count
        for type_, payload in payloads
        if type_ == "sessions"
        for aggregate in _items(_mapping(payload).get("aggregates"))
        for state, count in aggregate.items()
        if state in ("exited", "errored", "crashed", "abnormal") and type(count) is int and count > 0
    )
    if sessions:
        return f"{sessions} request session{'s' if sessions > 1 else ''}"
    return ", ".join(type_ for type_, _ in payloads)


def _details(event: dict[str, Any]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield the other things that an event tells: user, extra, and contexts but the trace."""
    named = {"user": event.get("user"), "extra": event.get("extra"), **_mapping(event.get("contexts"))}
    for name, pairs in named.items():
        if isinstance(pairs, dict) and pairs and name != "trace":
            yield _text(name), tuple(_pairs(pairs))


def _errors(event: dict[str, Any]) -> Iterator[Error]:
    for exception in _values(event.get("exception")):
        mechanism = _mapping(exception.get("mechanism"))
        handled = mechanism.get("handled")
        yield Error(
            type=_text(exception.get("type")) or "Error",
            value=_text(exception.get("value")),
            handled=handled if isinstance(handled, bool) else None,
            mechanism=_text(mechanism.get("type")),
            frames=tuple(
                _frame(frame) for frame in _items(_mapping(exception.get("stacktrace")).get("frames"))
            ),
        )


def _frame(frame: dict[str, Any]) -> Frame:
    line = frame.get("lineno")
    number = line if isinstance(line, int) else None
    before, current, after = frame.get("pre_context"), frame.get("context_line"), frame.get("post_context")
    context: list[tuple[int, str]] = []
    if number is not None and isinstance(current, str):
        lines_before = [_text(text) for text in before] if isinstance(before, list) else []
        lines_after = [_text(text) for text in after] if isinstance(after, list) else []
        lines = [*lines_before, current, *lines_after]
        context = list(enumerate(lines, start=number - len(lines_before)))
    return Frame(
        function=_text(frame.get("function")) or "?",
        filename=_text(frame.get("filename") or frame.get("abs_path")),
        line=number,
        # The SDK says False of libraries, True of what lies below project_root, and nothing of the rest.
        in_app=frame.get("in_app") is not False,
        context=tuple(context),
        variables=tuple(_pairs(frame.get("vars"))),
    )


def _breadcrumbs(event: dict[str, Any]) -> Iterator[Breadcrumb]:
    for crumb in _values(event.get("breadcrumbs")):
        yield Breadcrumb(
            time=_time(crumb.get("timestamp")),
            category=_text(crumb.get("category") or crumb.get("type")),
            level=_text(crumb.get("level")),
            message=_text(crumb.get("message")) or _text(crumb.get("data")),
        )


def _spans(event: dict[str, Any], trace: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the transaction and its spans in the order of a waterfall."""
    begin, end = _time(event.get("start_timestamp")), _time(event.get("timestamp"))
    if begin is None or end is None:
        return
    children: dict[str, list[tuple[datetime, datetime, dict[str, Any]]]] = {}
    root = _text(trace.get("span_id"))
    found = list(_items(event.get("spans")))
    known = {root, *(_text(span.get("span_id")) for span in found)}
    for span in found:
        start, stop = _time(span.get("start_timestamp")), _time(span.get("timestamp"))
        if start is not None and stop is not None:
            parent = _text(span.get("parent_span_id"))
            children.setdefault(parent if parent in known else root, []).append((start, stop, span))
    yield Span(
        root,
        _text(trace.get("op")),
        _text(event.get("transaction")),
        _text(trace.get("status")),
        0,
        0.0,
        (end - begin).total_seconds(),
    )
    # Not recursive, and every span once: a foreign file may hold a chain of any depth, or a ring.
    stack = [(1, entry) for entry in _latest_first(children.pop(root, []))]
    while stack:
        depth, (start, stop, span) = stack.pop()
        identity = _text(span.get("span_id"))
        yield Span(
            identity,
            _text(span.get("op")),
            _text(span.get("description")),
            _text(span.get("status")),
            depth,
            (start - begin).total_seconds(),
            (stop - start).total_seconds(),
        )
        stack += [(depth + 1, entry) for entry in _latest_first(children.pop(identity, []))]


def _latest_first(
    entries: list[tuple[datetime, datetime, dict[str, Any]]],
) -> list[tuple[datetime, datetime, dict[str, Any]]]:
    return sorted(entries, key=lambda entry: entry[0], reverse=True)


def _time(value: Any) -> datetime | None:
    """Return a timestamp of the event payload: ISO 8601 or seconds since 1970."""
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (AttributeError, OSError, OverflowError, ValueError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _values(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the entries of an interface that is a list or an object with ``values``."""
    return _items(value["values"] if isinstance(value, dict) and "values" in value else value)


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from ((_text(name), _text(item)) for name, item in value.items())
    elif isinstance(value, list):
        yield from (
            (_text(pair[0]), _text(pair[1])) for pair in value if isinstance(pair, list) and len(pair) == 2
        )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
