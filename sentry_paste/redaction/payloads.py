"""Redact what is about to be sent: events, transactions, log items, metrics, spans.

An event is one tree of JSON values. It is walked at most twice: once to redact by
name and to collect the texts, which are then searched together, and once more to
replace the texts that contained a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from sentry_paste.redaction.accesslogs import Lines, clean_breadcrumb, clean_log_item, clean_logentry
from sentry_paste.redaction.headers import without_user_info
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.sizes import as_attribute
from sentry_paste.redaction.walk import Path, Walk, is_sentence, items_of

# Keys whose values no request influences.
_NOT_OF_REQUESTS = frozenset(
    {"_meta", "breadcrumbs_meta", "debug_meta", "dist", "environment", "event_id", "level"}
    | {"measurements", "modules", "platform", "release", "sdk", "server_name", "start_timestamp"}
    | {"timestamp", "transaction", "transaction_info", "type", "user", "tags"}
)
# The same in a log item, a metric or a span.
_NOT_OF_REQUESTS_ITEM = frozenset(
    {
        "timestamp",
        "start_timestamp",
        "end_timestamp",
        "time_unix_nano",
        "trace_id",
        "span_id",
        "parent_span_id",
    }
    | {"severity_number", "severity_text", "level", "type", "status", "is_segment", "value", "kind"}
)
# Members of the dynamic sampling context, and their formats; the last three are free text.
_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e-?[0-9]{1,3})?")
_SAMPLING = {
    "trace_id": re.compile("[0-9a-f]{32}"),
    "replay_id": re.compile("[0-9a-f]{32}"),
    "public_key": re.compile("[0-9A-Za-z]{1,64}"),
    "org_id": re.compile("[0-9]{1,20}"),
    "sample_rate": _NUMBER,
    "sample_rand": _NUMBER,
    "sampled": re.compile("true|false", re.IGNORECASE),
    "release": re.compile(".{1,250}"),
    "environment": re.compile(".{1,64}"),
    "transaction": re.compile(".{1,1000}", re.DOTALL),
}
# Never a request's secret, though it may consist of the same words.
_OF_THE_SDK = frozenset(
    {"sentry.environment", "sentry.release", "sentry.dist", "sentry.sdk.name", "sentry.sdk.version"}
)
_STATUSES = frozenset(
    {"ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists"}
    | {"permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "error"}
    | {"unimplemented", "internal_error", "unavailable", "data_loss", "unauthenticated", "unknown_error"}
)
# The parts of exceptions and threads that are code; walking them would only take time.
_CODE = frozenset({"stacktrace", "type", "module", "thread_id"})

# Most attributes are of these types.
_PLAIN = frozenset({str, int, bool, float})
# Attributes of a streamed span that are paths and URLs.
_URLS = frozenset({"url.path", "url.full", "http.route", "http.target", "http.url"})
# A header of its request.
_HEADER = "http.request.header."
# The names of its segment: mostly a path.
_NAMES_OF_SEGMENTS = frozenset({"sentry.segment.name", "sentry.transaction"})
# One of a few words, unless the app has made it up.
_LABELS = frozenset({"sentry.op", "sentry.origin", "sentry.category", "sentry.kind"})
# In log items and metrics the name of the server, in spans also that of another one.
_SERVER = "server.address"
# What is no ordinary text.
_APART = _URLS | _LABELS | _NAMES_OF_SEGMENTS | _OF_THE_SDK | {_SERVER}


# threading, concurrent.futures, multiprocessing.pool, asyncio, waitress, cheroot, CherryPy, the SDK.
_USUAL_THREAD = re.compile(
    r"MainThread|(?:Thread|Dummy|ThreadPoolExecutor|waitress|asyncio|Worker|CP Server Thread)"
    r"[-_ ]\d{1,9}(?:[-_]\d{1,9})?(?: \(\w{1,100}\))?|sentry\.[\w.]{1,60}"
)


class Kept(NamedTuple):
    """What the app itself has set on its scopes, deliberately.

    Attributes:
        tags: by name.
        contexts: by name.
        user: by key.
    """

    tags: Mapping[str, Any]
    contexts: Mapping[str, Any]
    user: Mapping[str, Any]


NOTHING_KEPT = Kept({}, {}, {})


def clean_event(event: dict[str, Any], matcher: Matcher, names: Names, kept: Kept = NOTHING_KEPT) -> None:
    """Remove the secrets from an event or a transaction, as serialised by the SDK.

    Args:
        event: it is changed.
        matcher: the secret values of the request.
        names: which names are secret.
        kept: what stays, even if it is secret.
    """
    walk, lines = Walk(event, names, matcher.recent), Lines(names)
    clean_logentry(event, names)
    for key, value in list(event.items()):
        if key in ("exception", "threads"):
            _add_stacks(walk, value, (None, key))
        elif key == "request":
            _add_request(walk, value)
        elif key == "contexts":
            for name, context in items_of(value):
                if name == "trace":
                    walk.add_protocol(context, ((None, key), name))
                elif name not in kept.contexts:
                    walk.add(context, ((None, key), name))
        elif key in ("spans", "breadcrumbs"):
            inner: Path = (None, key) if key == "spans" else ((None, key), "values")
            for index, entry in enumerate(_values(value)):
                if key == "breadcrumbs":
                    clean_breadcrumb(entry, names, lines)
                walk.add_protocol(entry, (inner, index))
        elif key not in _NOT_OF_REQUESTS:
            walk.add_member(event, key, value, (None, key))
    if "stacktrace" in event:
        _add_stacktrace(walk, event["stacktrace"], (None, "stacktrace"))
    for name, own in (("tags", kept.tags), ("user", kept.user)):
        walk.add_except(event, name, own)
    walk.add_keys(event.get("_meta"))
    walk.add_names(event.get("measurements"))
    _add_urls(walk, event)
    walk.finish(matcher)


def clean_item(item: dict[str, Any], matcher: Matcher, names: Names) -> None:
    """Remove the secrets from a log item, a metric or a streamed span.

    Args:
        item: it is changed.
        matcher: the secret values of the request.
        names: which names are secret.
    """
    if "body" in item and "attributes" in item:
        # First: these attributes may belong to its text.
        item["attributes"] = _plain(item["attributes"])
        clean_log_item(item, names)
    if not matcher or not _clean_rest(item, matcher, names):
        clean_items((item,), matcher, names)


def _clean_rest(item: dict[str, Any], matcher: Matcher, names: Names) -> bool:
    """Clean the members of an item that none of the request had before; return whether that is possible."""
    unchanged, attributes = matcher.unchanged(names), item.get("attributes")
    rest = unchanged.without(attributes) if type(attributes) is dict else None
    if rest is None or attributes is None:
        return False
    kind, name = item.get("is_segment"), item.get("name")
    others = {key: value for key, value in item.items() if key not in _NOT_OF_REQUESTS_ITEM}
    del others["attributes"]
    if unchanged.has(kind, name):
        del others["name"]
    if not rest and not others:
        return True
    part: dict[str, Any] = {**others, "attributes": dict(rest)}
    if kind is not None:
        part["is_segment"] = kind
    clean_items((part,), matcher, names)
    found = part["attributes"]
    if found.keys() != rest.keys():
        return False  # a key has a secret; its new name must be none that the item has
    stay: dict[Any, Any] = {key: value for key, value in rest.items() if found[key] is value}
    if len(stay) < len(rest):
        item["attributes"] = {**attributes, **found}
    if part.get("name") is name:
        stay[kind] = name
    for key, value in others.items():
        if part[key] is not value:
            item[key] = part[key]
    unchanged.add(stay)
    return True


def clean_items(items: Collection[dict[str, Any]], matcher: Matcher, names: Names) -> None:
    """Remove the secrets from several metrics or streamed spans of one request.

    Args:
        items: they are changed.
        matcher: the secret values of the request.
        names: which names are secret.
    """
    walk = Walk(None, names, matcher.recent)
    finishing = [_add_item(walk, item) for item in items]
    walk.finish(matcher)
    for finish in finishing:
        finish()


def _add_item(walk: Walk, item: dict[str, Any]) -> Callable[[], None]:
    """Add an item; return what to call when the walk is over."""
    apart: dict[str, str] = {}
    listed: list[str] = []
    if "attributes" in item:
        attributes = item["attributes"] = _plain(item["attributes"])
        listed = _unlisted_headers(attributes) if list in map(type, attributes.values()) else []
        apart = _add_attributes(walk, item["attributes"])
    for key, value in list(item.items()):
        if key == "name":
            _add_name_of_item(walk, item)
        elif key == "unit":
            walk.add_label(item, key)
        elif key not in _NOT_OF_REQUESTS_ITEM and key != "attributes":
            walk.add_member(item, key, value, None)

    def finish() -> None:
        if apart:
            item["attributes"].update(apart)
        for name in listed:
            if name in item["attributes"]:
                item["attributes"][name] = [item["attributes"][name]]

    return finish


def _plain(attributes: Any) -> dict[str, Any]:
    """Return a copy of attributes, as they are sent."""
    if type(attributes) is dict and _PLAIN.issuperset(map(type, attributes.values())):
        return attributes.copy()
    return {
        name: member if type(member) in _PLAIN else as_attribute(member)
        for name, member in items_of(attributes)
    }


def _unlisted_headers(attributes: dict[str, Any]) -> list[str]:
    """Take the values of headers out of lists of one, so that they are judged as headers; return their names.

    sentry-sdk 3 has the values in lists, as OpenTelemetry has.
    """
    found = []
    for name, value in attributes.items():
        if type(value) is not list or len(value) != 1:
            continue
        if type(value[0]) is str and str(name).startswith(_HEADER):
            attributes[name] = value[0]
            found.append(name)
    return found


def _add_attributes(walk: Walk, attributes: dict[str, Any]) -> dict[str, str]:
    """Add attributes; return those that are not ordinary text, which are removed until the walk is over."""
    apart: dict[str, str] = {}
    for name in attributes.keys() & _APART:
        if type(attributes[name]) is not str:
            continue
        apart[name] = attributes.pop(name)
        if name in _OF_THE_SDK or (name == _SERVER and apart[name] == walk.server_name):
            continue
        if name in _URLS:
            apart[name] = without_user_info(walk.clean_query(apart[name]))
            walk.add_url(apart, name)
        elif name in _LABELS:
            walk.add_label(apart, name)
        elif name == _SERVER:
            walk.add_member(apart, name, apart[name], None)
        else:
            _add_name(walk, apart, name)
    walk.add(attributes, None)
    return apart


def _add_name_of_item(walk: Walk, item: dict[str, Any]) -> None:
    if item.get("is_segment"):
        _add_name(walk, item, "name")
    elif "is_segment" in item:
        walk.add_member(item, "name", item["name"], None)
    else:
        walk.add_label(item, "name")


def _add_name(walk: Walk, holder: Any, key: str) -> None:
    """Add the name of a transaction or a span: a path or a route, unless the app has made it up.

    A single word in a path is not treated as a secret: otherwise whoever sends it as a cookie could change
    the name under which errors and traces are grouped. In a sentence (``login of alice``, ``SELECT ...``) it
    is a secret.
    """
    if not isinstance(holder, dict) or type(holder.get(key)) is not str:
        return
    if is_sentence(holder[key]):
        walk.add_member(holder, key, holder[key], None)
    else:
        walk.add_url(holder, key)


def clean_profile(profile: dict[str, Any]) -> None:
    """Remove the names of threads from a profile, except those that Python and servers assign.

    A profile lists all threads, whichever requests they work for, so their names may contain secrets of any
    request. Everything else in a profile is code.

    Args:
        profile: of a transaction, or a chunk of a continuous one; it is changed.
    """
    for number, thread in items_of(dict(items_of(profile.get("profile"))).get("thread_metadata")):
        name = thread.get("name")
        if type(name) is str and not _USUAL_THREAD.fullmatch(name):
            thread["name"] = f"Thread {number}"


def strip_event(event: dict[str, Any], reason: str) -> None:
    """Reduce an event to what cannot contain a secret, if redaction fails or would take too long.

    Args:
        event: it is changed.
        reason: the value of the tag that explains it.
    """
    for key in (
        "request",
        "breadcrumbs",
        "extra",
        "tags",
        "user",
        "logger",
        "logentry",
        "message",
        "fingerprint",
        "_meta",
    ):
        event.pop(key, None)
    contexts = event.pop("contexts", None)
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    plain = ("trace_id", "span_id", "parent_span_id")
    event["contexts"] = {"trace": {key: value for key, value in items_of(trace) if key in plain}}
    # The app may have made up the operation.
    for key, known in (("op", {"http.server"}), ("status", _STATUSES)):
        value = dict(items_of(trace)).get(key)
        if value in known:
            event["contexts"]["trace"][key] = value
    event["transaction"] = FILTERED
    if "spans" in event:
        event["spans"] = []
    for kind in ("exception", "threads"):
        event[kind] = {"values": [_stripped(entry) for entry in _values(event.pop(kind, None))]}
        if not event[kind]["values"]:
            del event[kind]
    event.pop("stacktrace", None)
    event["tags"] = {"sentry_paste.redaction": reason}


def _stripped(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of an exception or a thread that are code."""
    kept = ("type", "module", "id", "crashed", "current")
    plain = {key: value for key, value in entry.items() if key in kept}
    frames = [
        {key: value for key, value in frame.items() if key != "vars"}
        for frame in dict(items_of(entry.get("stacktrace"))).get("frames") or ()
        if isinstance(frame, dict)
    ]
    return {**plain, "value": FILTERED, "stacktrace": {"frames": frames}}


def strip_item(item: dict[str, Any], reason: str) -> None:
    """Reduce a log item, a metric or a span to what cannot contain a secret, if redaction fails.

    Args:
        item: it is changed.
        reason: the value of the attribute that explains it.
    """
    for key in set(item) - _NOT_OF_REQUESTS_ITEM:
        item[key] = {"sentry_paste.redaction": reason} if key == "attributes" else FILTERED


def _add_stacks(walk: Walk, found: Any, path: Path) -> None:
    for index, entry in enumerate(_values(found)):
        place = ((path, "values"), index)
        for key, value in entry.items():
            if key == "stacktrace":
                _add_stacktrace(walk, value, (place, key))
            elif key == "mechanism":
                walk.add_protocol(value, (place, key))
            elif key not in _CODE:
                walk.add_member(entry, key, value, (place, key))


def _add_stacktrace(walk: Walk, stacktrace: Any, path: Path) -> None:
    frames = (path, "frames")
    for index, frame in enumerate((stacktrace or {}).get("frames") or ()):
        variables = frame.get("vars")
        if variables:
            walk.add_variables(variables, ((frames, index), "vars"))


def _add_request(walk: Walk, request: Any) -> None:
    for key, value in items_of(request):
        if key == "headers":
            walk.add_headers(value, ((None, "request"), key))
        elif key == "cookies":
            request[key] = {name: FILTERED for name, _ in items_of(value)}
        elif key == "query_string" and type(value) is str:
            request[key] = walk.clean_query(value)
            walk.add_member(request, key, request[key], None)
        elif key == "url" and type(value) is str:
            request[key] = without_user_info(walk.clean_query(value))
            walk.add_url(request, key)
        elif key not in ("url", "method"):
            walk.add_member(request, key, value, ((None, "request"), key))


def _add_urls(walk: Walk, event: dict[str, Any]) -> None:
    _add_name(walk, event, "transaction")
    trace = dict(items_of(event.get("contexts"))).get("trace")
    context = dict(items_of(trace)).get("dynamic_sampling_context")
    if isinstance(context, dict):
        clean_sampling_context(context)
        _add_name(walk, context, "transaction")
        for name in ("release", "environment"):
            walk.add_url(context, name)


def clean_sampling_context(context: dict[str, Any]) -> dict[str, Any]:
    """Reduce a dynamic sampling context to its known members; the client's baggage may contain anything else.

    https://develop.sentry.dev/sdk/telemetry/traces/dynamic-sampling-context/

    Args:
        context: it is changed.

    Returns:
        The same.
    """
    for name, value in list(context.items()):
        shape = _SAMPLING.get(name)
        if shape is None or not shape.fullmatch(str(value)):
            del context[name]
    return context


def _values(found: Any) -> list[dict[str, Any]]:
    values = found.get("values") if isinstance(found, dict) else found
    return [entry for entry in values or () if isinstance(entry, dict)] if isinstance(values, list) else []
