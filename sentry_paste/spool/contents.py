"""Parse envelope files into events, errors, spans and sessions.

The files are untrusted: a field of the wrong type is treated as missing, and no value is
assumed to be safe to print.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sentry_sdk.envelope import Envelope

from sentry_paste.spool import fields, segments
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.reading import read_bytes
from sentry_paste.spool.waterfall import Span, waterfall


@dataclass(frozen=True)
class Frame:
    """A frame of a stack trace, with the source lines around it.

    Attributes:
        function: name of the function.
        filename: path as reported by the SDK.
        line: line number, None if unknown.
        in_app: whether it is the app's own code.
        context: pairs of line number and source line, including the current line.
        variables: the local variables, as text.
        path: absolute path of the file, or empty.
    """

    function: str
    filename: str
    line: int | None
    in_app: bool
    context: tuple[tuple[int, str], ...]
    variables: tuple[tuple[str, str], ...]
    path: str = ""


@dataclass(frozen=True)
class Error:
    """An exception of an event, or one in its chain of causes.

    Attributes:
        type: class name.
        value: message.
        handled: whether it was handled; None if unknown.
        mechanism: what reported it, such as ``wsgi`` or ``logging``.
        frames: stack trace, innermost frame last.
        group: type of the exception group that contains it, ``a group`` if the type is unknown; empty if it
            is not in a group.
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
        time: when it happened, None if unknown.
        category: its source, such as the name of a logger.
        level: ``info``, ``error`` and so on.
        message: what happened.
        type: ``log``, ``http`` and so on, empty if unknown.
    """

    time: datetime | None
    category: str
    level: str
    message: str
    type: str = ""


@dataclass(frozen=True)
class Contents:
    """The contents of an envelope file.

    Attributes:
        file: the file.
        size: size of the file, in bytes.
        title: title of the envelope.
        level: level of an event, or empty.
        transaction: name of the transaction or the segment, or empty.
        trace_id: id of the trace that it belongs to, or empty.
        release: release, or empty.
        environment: environment, or empty.
        request: the request of the event: method, url, query_string, headers and env.
        details: user, extra and contexts, each with its pairs of name and value.
        tags: pairs of name and value.
        errors: the exceptions, the outermost last.
        stack: stack trace of an event without an exception, innermost frame last; often empty.
        breadcrumbs: breadcrumbs, oldest first.
        spans: the transactions or segments and their spans, as trees from top to bottom.
        duration: duration of the transaction or the segment, in seconds; None if it has none.
        payloads: type and decoded payload of every item; the payload is None if it is not JSON.
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


# A placeholder for an argument in a log message (printf-style formatting). The repetitions are bounded,
# because the message is untrusted.
_PLACEHOLDER = re.compile(
    r"%(?:\((?P<name>[^()]{0,100})\))?(?P<how>[-#0 +]{0,5}\d{0,5}(?:\.\d{1,5})?[a-zA-Z%])"
)
# Limits of what is filled into a message: the number of arguments, and the characters of each.
_MAX_ARGUMENTS = 50
_MAX_ARGUMENT_LENGTH = 2000

# How many other files are read at most for the spans of a request, those of about the same time.
_MAX_OTHERS = 5000


def read_contents(file: SpoolFile) -> Contents:
    """Read an envelope file.

    Args:
        file: the file.

    Raises:
        OSError: it cannot be read, or is gone.
        ValueError: it is not an envelope.
    """
    return _parsed(file, read_bytes(file))


def _parsed(file: SpoolFile, data: bytes) -> Contents:
    try:
        envelope = Envelope.deserialize(data)
        payloads = tuple((fields.text(item.type) or "?", _decode(item.payload)) for item in envelope.items)
    except Exception as error:  # the SDK's parser may raise anything: KeyError, TypeError, ...
        raise ValueError(f"not a Sentry envelope: {error}") from error
    if not payloads:
        raise ValueError("not a Sentry envelope: it has no items")
    # Feedback is an event too, but in an envelope that also has an error, the error comes first.
    for types in (("event", "transaction"), ("feedback",)):
        for type_, payload in payloads:
            if type_ in types and isinstance(payload, dict):
                return _event(file, len(data), type_, payload, payloads)
    return _streamed(file, len(data), payloads) or Contents(
        file, len(data), _title_of_items(payloads), payloads=payloads
    )


def with_other_spans(contents: Contents, files: Iterable[SpoolFile]) -> Contents:
    """Return an envelope of streamed spans with what other files have of the same requests.

    Args:
        contents: contents of the envelope.
        files: the files of the spool; those that cannot be read, or are gone, are passed over.
    """
    wanted = segments.ids(_of_type(contents.payloads, "span"))
    near = sorted(
        (file for file in files if file.kind == "span" and file.id != contents.file.id),
        key=lambda file: abs(file.time - contents.file.time),
    )
    found = sorted(_with_spans_of(wanted, near[:_MAX_OTHERS]), key=lambda other: other.file.time)
    more = [
        ("span", segments.of_segments(payload, wanted))
        for other in found
        for payload in _of_type(other.payloads, "span")
    ]
    whole = _streamed(contents.file, contents.size, (*contents.payloads, *more))
    return contents if whole is None else replace(whole, payloads=contents.payloads)


def _with_spans_of(wanted: Iterable[str], files: Iterable[SpoolFile]) -> Iterator[Contents]:
    """Yield the contents of files that may have spans of some segments."""
    identities = [json.dumps(identity).encode() for identity in wanted]
    for file in files:
        try:
            data = read_bytes(file)
            if any(identity in data for identity in identities):
                yield _parsed(file, data)
        except (OSError, ValueError, RecursionError):
            continue


def _of_type(payloads: Iterable[tuple[str, Any]], wanted: str) -> list[Any]:
    return [payload for type_, payload in payloads if type_ == wanted]


def _streamed(file: SpoolFile, size: int, payloads: tuple[tuple[str, Any], ...]) -> Contents | None:
    """Return the contents of an envelope of streamed spans, None if it has none."""
    spans = _of_type(payloads, "span")
    ended = segments.transactions(spans)
    events = [*ended, *segments.unfinished(spans)]
    if not events:
        return None
    event, trees = events[0], [tuple(waterfall(event)) for event in events]
    trace = event["contexts"]["trace"]
    name = fields.text(event["transaction"])
    attributes = tuple(fields.pairs(trace.get("data")))
    return Contents(
        file=file,
        size=size,
        title=name if ended else _title_of_spans(len(event["spans"]), name),
        transaction=name,
        trace_id=fields.text(trace.get("trace_id")),
        release=fields.text(event["release"]),
        environment=fields.text(event["environment"]),
        details=(("attributes", attributes),) if attributes else (),
        spans=tuple(span for tree in trees for span in tree),
        duration=segments.duration(event) if ended else None,
        payloads=payloads,
    )


def _title_of_spans(count: int, name: str) -> str:
    return f"{count} span{'' if count == 1 else 's'} of {name or '(no name)'}"


def _decode(payload: Any) -> Any:
    if payload.json is not None:
        return payload.json
    try:
        return json.loads(payload.get_bytes())
    except ValueError:
        return None


def _event(
    file: SpoolFile, size: int, type_: str, event: dict[str, Any], payloads: tuple[tuple[str, Any], ...]
) -> Contents:
    trace = fields.mapping(fields.mapping(event.get("contexts")).get("trace"))
    errors = tuple(_errors(event))
    is_transaction = event.get("type") == "transaction"
    spans = tuple(waterfall(event)) if is_transaction else ()
    return Contents(
        file=file,
        size=size,
        title=fields.text(event.get("transaction")) if is_transaction else _title(type_, event, errors),
        level="" if is_transaction else fields.text(event.get("level")),
        transaction=fields.text(event.get("transaction")),
        trace_id=fields.text(trace.get("trace_id")),
        release=fields.text(event.get("release")),
        environment=fields.text(event.get("environment")),
        request=fields.mapping(event.get("request")),
        details=tuple(_details(event)),
        tags=tuple(fields.pairs(event.get("tags"))),
        errors=errors,
        stack=() if errors else _stack(event),
        breadcrumbs=tuple(_breadcrumbs(event)),
        spans=spans,
        duration=spans[0].duration if spans else None,
        payloads=payloads,
    )


def _title(type_: str, event: dict[str, Any], errors: tuple[Error, ...]) -> str:
    """Return the title that Sentry would give the issue: the last exception, or the message."""
    if errors:
        error = errors[-1]
        return f"{error.type}: {error.value}" if error.value else error.type
    if type_ == "feedback":
        feedback = fields.mapping(fields.mapping(event.get("contexts")).get("feedback"))
        return fields.text(feedback.get("message")) or "(no message)"
    logentry = fields.mapping(event.get("logentry"))
    message = logentry.get("formatted") or _formatted(logentry) or event.get("message")
    if isinstance(message, dict):
        message = message.get("formatted") or message.get("message")
    return fields.text(message) or "(no message)"


def _formatted(logentry: Mapping[str, Any]) -> Any:
    """Return a formatted message; older SDKs leave formatting to Sentry."""
    message, params = logentry.get("message"), logentry.get("params")
    if not isinstance(message, str) or not isinstance(params, (list, dict)) or not params:
        return message
    left = iter(params if isinstance(params, list) else ())
    shown: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        if match["how"] == "%":
            return "%"
        if match["name"] is None:
            value = next(left, None)
        else:
            value = params.get(match["name"]) if isinstance(params, dict) else None
        if value is None:
            return match[0]
        # Convert a named argument only once: it may be large, and repeated many times.
        name = match["name"]
        text = shown[name] if name in shown else fields.text(value)[:_MAX_ARGUMENT_LENGTH]
        if name is not None:
            shown[name] = text
        return text

    # Not by the % operator, with which a width of millions would exhaust the memory.
    return _PLACEHOLDER.sub(fill, message, count=_MAX_ARGUMENTS)


def _title_of_items(payloads: tuple[tuple[str, Any], ...]) -> str:
    """Return a title for an envelope that has neither an event nor a transaction."""
    sessions = sum(
        count
        for type_, payload in payloads
        if type_ == "sessions"
        for aggregate in fields.items(fields.mapping(payload).get("aggregates"))
        for state, count in aggregate.items()
        if state in ("exited", "errored", "crashed", "abnormal") and type(count) is int and count > 0
    )
    if sessions:
        return f"{sessions} request session{'s' if sessions > 1 else ''}"
    return ", ".join(type_ for type_, _ in payloads)


def _details(event: dict[str, Any]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield user, extra, and all contexts except the trace."""
    named = {"user": event.get("user"), "extra": event.get("extra"), **fields.mapping(event.get("contexts"))}
    for name, pairs in named.items():
        if isinstance(pairs, dict) and pairs and name != "trace":
            yield fields.text(name), tuple(fields.pairs(pairs))


def _errors(event: dict[str, Any]) -> Iterator[Error]:
    types: dict[int, str] = {}
    exceptions = list(fields.values(event.get("exception")))
    for exception in exceptions:
        identity = fields.mapping(exception.get("mechanism")).get("exception_id")
        if type(identity) is int:
            types[identity] = fields.text(exception.get("type"))
    for exception in exceptions:
        mechanism = fields.mapping(exception.get("mechanism"))
        handled = mechanism.get("handled")
        yield Error(
            type=fields.text(exception.get("type")) or "Error",
            value=fields.text(exception.get("value")),
            handled=handled if isinstance(handled, bool) else None,
            mechanism=fields.text(mechanism.get("type")),
            frames=_frames(exception),
            group=_group(mechanism, types),
        )


def _group(mechanism: Mapping[str, Any], types: Mapping[int, str]) -> str:
    """Return the type of the exception group that contains an exception.

    See https://develop.sentry.dev/sdk/data-model/event-payloads/exception/#exception-mechanism.
    """
    if not fields.text(mechanism.get("source")).startswith("exceptions["):
        return ""
    parent = mechanism.get("parent_id")
    return (types.get(parent) if type(parent) is int else "") or "a group"


def _stack(event: dict[str, Any]) -> tuple[Frame, ...]:
    """Return the stack trace of an event without an exception: its own, or that of its thread."""
    threads = list(fields.values(event.get("threads")))
    own = [thread for thread in threads if thread.get("crashed") is True or thread.get("current") is True]
    return next((found for one in (event, *own, *threads) if (found := _frames(one))), ())


def _frames(interface: dict[str, Any]) -> tuple[Frame, ...]:
    stacktrace = fields.mapping(interface.get("stacktrace"))
    return tuple(_frame(frame) for frame in fields.items(stacktrace.get("frames")))


def _frame(frame: dict[str, Any]) -> Frame:
    line = frame.get("lineno")
    number = line if isinstance(line, int) else None
    before, current, after = frame.get("pre_context"), frame.get("context_line"), frame.get("post_context")
    context: list[tuple[int, str]] = []
    if number is not None and isinstance(current, str):
        lines_before = [fields.text(text) for text in before] if isinstance(before, list) else []
        lines_after = [fields.text(text) for text in after] if isinstance(after, list) else []
        lines = [*lines_before, current, *lines_after]
        context = list(enumerate(lines, start=number - len(lines_before)))
    return Frame(
        function=fields.text(frame.get("function")) or "?",
        filename=fields.text(frame.get("filename") or frame.get("abs_path")),
        line=number,
        # The SDK sets False for libraries, True for files below project_root, and nothing for others.
        in_app=frame.get("in_app") is not False,
        context=tuple(context),
        variables=tuple(fields.variables(frame.get("vars"))),
        path=fields.text(frame.get("abs_path")),
    )


def _breadcrumbs(event: dict[str, Any]) -> Iterator[Breadcrumb]:
    for crumb in fields.values(event.get("breadcrumbs")):
        yield Breadcrumb(
            time=fields.time(crumb.get("timestamp")),
            category=fields.text(crumb.get("category") or crumb.get("type")),
            level=fields.text(crumb.get("level")),
            message=fields.text(crumb.get("message")) or fields.text(crumb.get("data")),
            type=fields.text(crumb.get("type")),
        )
