"""Taking secrets out of what is about to be sent: events, transactions, log items, metrics, spans.

An event is one tree of what JSON has. It is walked twice at most: once for the
names and to collect the texts, which are then looked through together, and once
more for those texts that had a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Union

from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names, Rule
from sentry_paste.redaction.texts import clean_text

# What no request has a say in.
_NOT_OF_REQUESTS = frozenset(
    {"_meta", "breadcrumbs_meta", "debug_meta", "dist", "environment", "event_id", "level", "logger"}
    | {"measurements", "modules", "platform", "release", "sdk", "server_name", "start_timestamp"}
    | {"timestamp", "transaction", "transaction_info", "type", "user", "tags"}
)
# Of a log item, a metric, a span.
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
    | {"severity_number", "severity_text", "level", "type", "status", "is_segment", "unit", "value", "kind"}
)
# Of exceptions and threads: code, which a walk over it would only make slower.
_CODE = frozenset({"stacktrace", "type", "module", "thread_id"})

# What Sentry's protocol says of spans, breadcrumbs, traces and mechanisms: no request has a say in it, and an
# event without it would be refused.
_PROTOCOL = frozenset(
    {"timestamp", "start_timestamp", "trace_id", "span_id", "parent_span_id", "segment_id", "op", "status"}
    | {
        "origin",
        "type",
        "level",
        "category",
        "same_process_as_parent",
        "exclusive_time",
        "is_segment",
        "kind",
    }
    | {"handled", "synthetic", "exception_id", "parent_id", "source", "is_exception_group", "hash"}
)
# What a streamed span, or one that became text, has of a path or a URL.
_URLS = frozenset(
    {"name", "sentry.segment.name", "sentry.transaction", "url.path", "url.full", "http.route", "http.target"}
)
# Counts and measures: a number under such a name is no secret, whatever it counts.
_MEASURES = ("tokens", "count", "size", "limit", "length", "timeout", "age", "ttl", "total")

# What a likely secret cannot be: as a frame's variable it is shown, as elsewhere it is.
_TRIVIAL = re.compile(r"None|True|False|-?\d{1,5}|''|\[\]|\(\)|\{\}")
_TYPE = re.compile(r"<([\w.]+)")

_REMARK = [["!config", "s"]]

# Where something stands in an event: where what holds it stands, and its key there.
Path = Union[tuple["Path", Any], None]


class Kept(NamedTuple):
    """What the app itself has put onto its scopes, which is its own decision.

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
    """Take the secrets out of an event or a transaction, as the SDK has serialised it.

    Args:
        event: it is changed.
        matcher: the secret values of the request.
        names: which names are secret.
        kept: what stays, secret or not.
    """
    walk = _Walk(event, names)
    for key, value in list(event.items()):
        if key in ("exception", "threads"):
            _add_stacks(walk, value, (None, key))
        elif key == "request":
            _add_request(walk, value, names)
        elif key == "contexts":
            for name, context in _items(value):
                if name == "trace":
                    walk.add_protocol(context, ((None, key), name))
                elif name not in kept.contexts:
                    walk.add(context, ((None, key), name))
        elif key in ("spans", "breadcrumbs"):
            inner: Path = (None, key) if key == "spans" else ((None, key), "values")
            for index, entry in enumerate(_values(value)):
                walk.add_protocol(entry, (inner, index))
        elif key not in _NOT_OF_REQUESTS:
            walk.add_member(event, key, value, (None, key))
    if "stacktrace" in event:
        _add_stacktrace(walk, event["stacktrace"], (None, "stacktrace"))
    for name, own in (("tags", kept.tags), ("user", kept.user)):
        walk.add_except(event, name, own)
    walk.add_keys(event.get("_meta"))
    walk.finish(matcher)
    _clean_urls(event, matcher, names)


def clean_item(item: dict[str, Any], matcher: Matcher, names: Names) -> None:
    """Take the secrets out of a log item, a metric or a streamed span.

    Args:
        item: it is changed.
        matcher: the secret values of the request.
        names: which names are secret.
    """
    walk = _Walk(None, names)
    urls: dict[str, str] = {}
    for key, value in list(item.items()):
        if key == "attributes":
            attributes = item[key] = {name: _plain(member) for name, member in _items(value)}
            urls = {name: attributes.pop(name) for name in _URLS if type(attributes.get(name)) is str}
            walk.add(attributes, None)
        elif key not in _NOT_OF_REQUESTS_ITEM and key not in _URLS:
            walk.add_member(item, key, value, None)
    walk.finish(matcher)
    for name, text in urls.items():
        item["attributes"][name] = matcher.clean(names.clean_query(text), is_url=True)
    if type(item.get("name")) is str:
        item["name"] = matcher.clean(item["name"], is_url=True)


def strip_event(event: dict[str, Any]) -> None:
    """Leave of an event what cannot hold a secret: for when redaction fails.

    Args:
        event: it is changed.
    """
    for key in (
        "request",
        "breadcrumbs",
        "extra",
        "tags",
        "user",
        "logentry",
        "message",
        "fingerprint",
        "_meta",
    ):
        event.pop(key, None)
    contexts = event.pop("contexts", None)
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    plain = ("trace_id", "span_id", "parent_span_id", "op", "status", "origin")
    event["contexts"] = {"trace": {key: value for key, value in _items(trace) if key in plain}}
    event["transaction"] = FILTERED
    if "spans" in event:
        event["spans"] = []
    for kind in ("exception", "threads"):
        event[kind] = {"values": [_stripped(entry) for entry in _values(event.pop(kind, None))]}
        if not event[kind]["values"]:
            del event[kind]
    event.pop("stacktrace", None)
    event["tags"] = {"sentry_paste.redaction": "failed"}


def _stripped(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what is code of an exception or a thread."""
    kept = ("type", "module", "id", "crashed", "current")
    plain = {key: value for key, value in entry.items() if key in kept}
    frames = [
        {key: value for key, value in frame.items() if key != "vars"}
        for frame in dict(_items(entry.get("stacktrace"))).get("frames") or ()
        if isinstance(frame, dict)
    ]
    return {**plain, "value": FILTERED, "stacktrace": {"frames": frames}}


def strip_item(item: dict[str, Any]) -> None:
    """Leave of a log item, a metric or a span what cannot hold a secret: for when redaction fails.

    Args:
        item: it is changed.
    """
    for key in set(item) - _NOT_OF_REQUESTS_ITEM:
        item[key] = {"sentry_paste.redaction": "failed"} if key == "attributes" else FILTERED


class _Walk:
    """One walk over a payload.

    Args:
        event: that gets remarks of what was replaced, None where there is nowhere to put them.
        names: which names are secret.
    """

    def __init__(self, event: dict[str, Any] | None, names: Names) -> None:
        self._event = event
        self._names = names
        self._texts: set[Any] = set()
        self._are_plain_variables = names.plain_variables.issuperset
        # Those that hold nothing to go into, and the others.
        self._leaves: list[Any] = []
        self._branches: list[Any] = []
        self._members: list[tuple[Any, Any]] = []
        self._stack: list[tuple[Any, Path, bool]] = []
        self._replaced: list[Path] = []
        #: Texts in which words are no secrets: ordinary headers, paths and URLs.
        self.urls: list[tuple[Any, Any]] = []
        # What became of query strings: each frame that holds the environ has the same.
        self._queries: dict[str, str] = {}

    def add_member(self, holder: Any, key: Any, value: Any, path: Path) -> None:
        """Add a member of something that is not walked as a whole."""
        if type(value) is str:
            self._texts.add(value)
            self._members.append((holder, key))
        else:
            self.add(value, path)

    def add_except(self, event: dict[str, Any], name: str, kept: Mapping[str, Any]) -> None:
        """Add a mapping of an event, but for the keys that the app has given a value to."""
        holder = event.get(name)
        for key, value in _items(holder):
            if key in kept:
                continue
            if self._names.key_rule(key) is not Rule.KEEP:
                self._replace(holder, key, ((None, name), key))
            else:
                self.add_member(holder, key, value, ((None, name), key))

    def add_protocol(self, entry: Any, path: Path) -> None:
        """Add a span, a breadcrumb, a trace or a mechanism, but for what the protocol says of it."""
        for key, value in _items(entry):
            if key not in _PROTOCOL and key != "dynamic_sampling_context":
                self.add_member(entry, key, value, (path, key))

    def add_variables(self, variables: Any, path: Path) -> None:
        """Add a frame's local variables, in whose names fewer words tell than in others."""
        if not self._are_plain_variables(variables):
            for name in self._names.secret_variables(variables):
                if not _is_trivial(variables[name]):
                    self._replace(variables, name, (path, name))
        self._stack.append((variables, path, False))

    def add_headers(self, headers: Any, path: Path) -> None:
        """Add headers by their names."""
        for name, value in _items(headers):
            if value != FILTERED and self._names.is_header(str(name)):
                self._replace(headers, name, (path, name))
            elif type(value) is str:
                if "?" in value or self._names.has_parameters(name):
                    headers[name] = self._names.clean_query(value)
                self.urls.append((headers, name))

    def add(self, node: Any, path: Path, by_name: bool = True) -> None:
        """Add a tree.

        Args:
            node: a mapping, a list, or anything else.
            path: of the tree in the event.
            by_name: whether the names of its own members count; those below always do.
        """
        self._stack.append((node, path, by_name))

    def _walk(self) -> None:
        """Go through the trees: replace by name what is secret, collect the texts."""
        add, update, leaves, branches = self._texts.add, self._texts.update, self._leaves, self._branches
        are_plain, stack = self._names.plain_keys.issuperset, self._stack
        while stack:
            node, path, by_name = stack.pop()
            kind = type(node)
            if kind is dict:
                if by_name:
                    update(node)
                    if not are_plain(node):
                        for key in self._names.secret_keys(node):
                            self._by_name(node, key, node[key], path)
            elif kind is list:
                if len(node) == 2 and type(node[0]) is str:
                    self._pair(node, path)
            else:
                continue
            branching = False
            members: Any = node.items() if kind is dict else enumerate(node)
            for key, value in members:
                inner = type(value)
                if inner is str:
                    add(value)
                elif inner is dict or inner is list:
                    branching = True
                    if value:
                        stack.append((value, (path, key), True))
            (branches if branching else leaves).append(node)

    def add_keys(self, node: Any) -> None:
        """Add the keys of nested mappings: remarks stand under the keys of what they are about."""
        stack = [node]
        while stack:
            node = stack.pop()
            if type(node) is dict:
                self._branches.append(node)
                self._texts.update(node)
                stack.extend(node.values())

    def _by_name(self, node: Any, key: str, value: Any, path: Path) -> None:
        rule = self._names.key_rule(key)
        if value == FILTERED or value is None:
            return
        if rule is Rule.PARAMETERS:
            if type(value) is str:
                if value not in self._queries:
                    self._queries[value] = self._names.clean_query(value)
                node[key] = self._queries[value]
        elif rule is Rule.TYPE_ONLY:
            found = _TYPE.match(value) if type(value) is str else None
            node[key] = f"<{found[1]}>" if found else FILTERED
        elif rule is Rule.SECRET or not (_is_trivial(value) or _is_measure(key, value)):
            self._replace(node, key, (path, key))

    def _pair(self, node: list[Any], path: Path) -> None:
        """Look at a list of two as at a name and a value, as headers and forms are held."""
        name = node[0].lstrip("b").strip("'\"")
        rule = self._names.key_rule(name) if len(name) < 100 else Rule.KEEP
        if rule in (Rule.SECRET, Rule.LIKELY) and not _is_trivial(node[1]):
            self._replace(node, 1, (path, 1))

    def _replace(self, holder: Any, key: Any, path: Path) -> None:
        holder[key] = FILTERED
        self._replaced.append(path)

    def _remark(self, changed: Mapping[str, str]) -> None:
        """Add Sentry's remarks on what was replaced, under keys that hold no secret either."""
        if self._event is None or not self._replaced:
            return
        root = self._event.setdefault("_meta", {})
        # What stands under the same mapping has the very same beginning of its path.
        holders: dict[int, dict[str, Any]] = {}
        for path in self._replaced:
            assert path is not None  # noqa: S101
            holder = holders.get(id(path[0]))
            if holder is None:
                holder = root
                for part in _parts(path[0]):
                    holder = holder.setdefault(changed.get(part, str(part)), {})
                holders[id(path[0])] = holder
            node = holder.setdefault(changed.get(path[1], str(path[1])), {})
            node[""] = {**node.get("", {}), "rem": _REMARK}

    def finish(self, matcher: Matcher) -> None:
        """Replace what is secret in all that was added."""
        self._walk()
        texts = [text for text in self._texts if type(text) is str]
        changed = matcher.clean_all(texts)
        for text in texts:
            if "=" in text or ":" in text:
                before = changed.get(text, text)
                cleaned = clean_text(before, self._names)
                if cleaned != before:
                    changed[text] = cleaned
        # Keys are no places for words: what an event is made of has such names.
        renamed = {key: cleaned for key in changed if (cleaned := matcher.clean(key, is_url=True)) != key}
        self._remark(renamed)
        if self.urls and matcher.may_have("\n".join([holder[key] for holder, key in self.urls])):
            for holder, key in self.urls:
                holder[key] = matcher.clean(holder[key], is_url=True)
        if not changed:
            return
        for holder, key in self._members:
            holder[key] = changed.get(holder[key], holder[key])
        is_same = changed.keys().isdisjoint
        for node in self._branches:
            _change(node, changed, renamed)
        for node in self._leaves:
            if not is_same(node.values() if type(node) is dict else node) or not is_same(node):
                _change(node, changed, renamed)


def _change(node: Any, changed: Mapping[str, str], renamed: Mapping[str, str]) -> None:
    if type(node) is dict and renamed and not renamed.keys().isdisjoint(node):
        members = list(node.items())
        node.clear()
        for key, value in members:
            name = renamed.get(key, key)
            while name in node:  # two secrets are still two keys
                name += "'"
            node[name] = value
    entries: Any = node.items() if type(node) is dict else enumerate(node)
    for key, value in entries:
        if type(value) is str and value in changed:
            node[key] = changed[value]


def _parts(path: Path) -> list[Any]:
    parts = []
    while path is not None:
        path, part = path
        parts.append(part)
    return parts[::-1]


def _add_stacks(walk: _Walk, found: Any, path: Path) -> None:
    for index, entry in enumerate(_values(found)):
        place = ((path, "values"), index)
        for key, value in entry.items():
            if key == "stacktrace":
                _add_stacktrace(walk, value, (place, key))
            elif key == "mechanism":
                walk.add_protocol(value, (place, key))
            elif key not in _CODE:
                walk.add_member(entry, key, value, (place, key))


def _add_stacktrace(walk: _Walk, stacktrace: Any, path: Path) -> None:
    frames = (path, "frames")
    for index, frame in enumerate((stacktrace or {}).get("frames") or ()):
        variables = frame.get("vars")
        if variables:
            walk.add_variables(variables, ((frames, index), "vars"))


def _add_request(walk: _Walk, request: Any, names: Names) -> None:
    for key, value in _items(request):
        if key == "headers":
            walk.add_headers(value, ((None, "request"), key))
        elif key == "cookies":
            request[key] = {name: FILTERED for name, _ in _items(value)}
        elif key == "query_string" and type(value) is str:
            request[key] = names.clean_query(value)
            walk.add_member(request, key, request[key], None)
        elif key not in ("url", "method"):
            walk.add_member(request, key, value, ((None, "request"), key))


def _clean_urls(event: dict[str, Any], matcher: Matcher, names: Names) -> None:
    if type(event.get("transaction")) is str:
        event["transaction"] = matcher.clean(event["transaction"], is_url=True)
    request = event.get("request")
    if isinstance(request, dict) and type(request.get("url")) is str:
        request["url"] = matcher.clean(names.clean_query(request["url"]), is_url=True)
    trace = (event.get("contexts") or {}).get("trace")
    dsc = trace.get("dynamic_sampling_context") if isinstance(trace, dict) else None
    if isinstance(dsc, dict) and type(dsc.get("transaction")) is str:
        dsc["transaction"] = matcher.clean(dsc["transaction"], is_url=True)


def _is_trivial(value: Any) -> bool:
    return not value or value is True or (type(value) is str and bool(_TRIVIAL.fullmatch(value)))


def _is_measure(key: str, value: Any) -> bool:
    number = value if type(value) is str else repr(value)
    return key.lower().endswith(_MEASURES) and number.replace(".", "", 1).isdigit()


def _plain(value: Any) -> Any:
    """Return what a log item's attribute will be sent as."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return repr(value)


def _items(found: Any) -> list[tuple[Any, Any]]:
    return list(found.items()) if isinstance(found, dict) else []


def _values(found: Any) -> list[dict[str, Any]]:
    values = found.get("values") if isinstance(found, dict) else found
    return [entry for entry in values or () if isinstance(entry, dict)] if isinstance(values, list) else []
