"""Walk over a payload once: replace what is secret by name, collect all texts, replace secrets in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Union

from sentry_paste.redaction.bounds import Bounds, current_allowances
from sentry_paste.redaction.commands import has_options, secret_arguments
from sentry_paste.redaction.headers import clean_header, has_parts
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.members import cleaned_member, is_trivial
from sentry_paste.redaction.names import FILTERED, STATEMENTS, Names, Rule, is_environ
from sentry_paste.redaction.parameters import clean_query
from sentry_paste.redaction.recent import Recent
from sentry_paste.redaction.statements import have_secret_columns
from sentry_paste.redaction.texts import clean_texts
from sentry_paste.redaction.time_limit import allow_time_for

# Keys that Sentry's protocol defines for spans, breadcrumbs, traces and mechanisms: requests do not influence
# their values, and Sentry would refuse an event without them.
_PROTOCOL = frozenset(
    {"timestamp", "start_timestamp", "trace_id", "span_id", "parent_span_id", "segment_id", "level"}
    | {"same_process_as_parent", "exclusive_time", "is_segment", "kind"}
    | {"handled", "synthetic", "exception_id", "parent_id", "source", "is_exception_group", "hash"}
)
# The same, but with text that the app can choose.
_LABELS = frozenset({"op", "origin", "status", "type"})
# Plain words, which stay even if a request has them as a value: "ok", "template.render".
_PLAIN_LABEL = re.compile(r"[a-z_]{1,15}(?:\.[a-z_]{1,15}){0,5}")

_REMARK = [["!config", "s"]]
# Nobody reads more of them. One takes a kilobyte, a hundred times as much as what was replaced.
_MOST_REMARKS = 1000

# Longer texts are not the name in a pair.
_LONGEST_NAME = 200
# Nor are those of more words: "new password again".
# Last words of labels: what is secret, and fields that are to be typed twice.
_HEADS = frozenset({"code", "hash", "id", "key", "keys", "number", "phrase", "word"})
_REPETITIONS = frozenset({"again", "check", "confirm", "confirmation", "repeat", "repeated", "verify"})
# First words of messages about a secret.
_MESSAGES = frozenset({"bad", "empty", "expired", "invalid", "missing", "no", "unknown", "wrong"})
_MOST_BLANKS = 2

# No app has more parameters than this: the rest is hidden.
_MOST_PARAMETERS, _MOST_TEXT = 2000, 300_000
# Nor has an event as many names that no event had before: what they may cost, one for a plain word.
_NEW_NAMES = 8000
# Nor commands with as many arguments.
_MOST_ARGUMENTS = 5000
# The keys of a name next to the key of a value, as used by forms, HAR and AWS' APIs.
_KEYS_OF_VALUES = ("value", "Value", "VALUE")
_KEYS_OF_NAMES = (
    *("name", "key", "field", "param", "parameter", "header"),
    *("id", "label", "column", "attribute", "variable", "property", "option"),
)
_ALL_KEYS_OF_NAMES = [spelled(key) for key in _KEYS_OF_NAMES for spelled in (str.lower, str.title, str.upper)]

_NODES = frozenset({dict, list})
# For fewer members it takes longer to ask of all of them at once.
_FEW = 10

# Variables in which libraries for databases have parameters next to a statement.
_PARAMETERS = frozenset({"args", "vars", "values", "rows", "data", "binds"})
# The place of something in an event: the path of its holder, and its key there.
Path = Union[tuple["Path", Any], None]


class Walk:
    """One walk over a payload.

    Args:
        event: the event that gets remarks about replacements, None if there is nowhere to put them.
        names: which names are secret.
        recent: what was worked out for other requests, None if that is not known.
    """

    def __init__(self, event: dict[str, Any] | None, names: Names, recent: Recent | None = None) -> None:
        self._event = event
        self._names = names
        #: Which name of the server stays.
        self.server_name = names.server_name
        self._recent = recent
        self._texts: set[Any] = set()
        # Keys of mappings, which are texts as well.
        self._keys: set[Any] = set()
        self._are_plain_variables = names.plain_variables.issuperset
        shared = current_allowances()
        #: How much of all queries and URLs may be looked at.
        self.bounds = Bounds(_MOST_PARAMETERS, _MOST_TEXT) if shared is None else shared.queries
        self._arguments = Bounds(_MOST_ARGUMENTS, 0)
        self._new_names = Bounds(_NEW_NAMES, 0) if shared is None else shared.names
        # Nodes without children to walk into, and the others.
        self._leaves: list[Any] = []
        self._branches: list[Any] = []
        self._members: list[tuple[Any, Any]] = []
        # Whether a frame may have a statement of SQL.
        self._have_statements = False
        # Mappings, and the members that stay in them.
        self._partly_kept: list[tuple[dict[Any, Any], Mapping[str, Any]]] = []
        self._stack: list[tuple[Any, Path, bool]] = []
        self._replaced: list[Path] = []
        self._urls: list[tuple[Any, Any]] = []
        # Labels known to be plain: every span has the same few.
        self._plain_labels: set[str] = set()
        # The results for texts under their keys.
        self._cleaned: dict[tuple[str, str, bool], Any] = {}

    def add_member(self, holder: Any, key: Any, value: Any, path: Path) -> None:
        """Add one member of a mapping that is not walked as a whole."""
        if type(value) is str:
            self._texts.add(value)
            self._members.append((holder, key))
        elif value:
            self.add(value, path)

    def add_url(self, holder: Any, key: Any) -> None:
        """Add a path or a URL, if there is one: a text in which plain words are not secret."""
        if isinstance(holder, dict) and type(holder.get(key)) is str:
            self._urls.append((holder, key))

    def add_label(self, holder: Any, key: Any) -> None:
        """Add a label, an operation or a type: one of a few words, unless the app has made it up.

        A single word in it is not treated as a secret: otherwise whoever sends ``x=sqlalchemy`` as a cookie
        could change how Sentry classifies a span. A label of several words is treated as any other text.
        """
        value = holder.get(key)
        if type(value) is not str:
            return
        if _PLAIN_LABEL.fullmatch(value):
            self._plain_labels.add(value)
        elif is_sentence(value):
            self.add_member(holder, key, value, None)
        else:
            self._urls.append((holder, key))

    def add_except(self, event: dict[str, Any], name: str, kept: Mapping[str, Any]) -> None:
        """Add a mapping of an event, except for the keys that the app has set itself."""
        holder = event.get(name)
        if isinstance(holder, dict):
            self._partly_kept.append((holder, kept))
        for key, value in items_of(holder):
            if key in kept:
                continue
            self._keys.add(key)
            if self._names.key_rule(key) is not Rule.KEEP:
                self._replace(holder, key, ((None, name), key))
            else:
                self.add_member(holder, key, value, ((None, name), key))

    def add_protocol(self, entry: Any, path: Path) -> None:
        """Add a span, a breadcrumb, a trace or a mechanism, except for what the protocol defines."""
        for key, value in items_of(entry):
            if key in _LABELS:
                if type(value) is not str or value not in self._plain_labels:
                    self.add_label(entry, key)
            elif key not in _PROTOCOL and key != "dynamic_sampling_context":
                self.add_member(entry, key, value, (path, key))

    def add_variables(self, variables: Any, path: Path) -> None:
        """Add a frame's local variables, whose names are secret in fewer cases than others."""
        if not self._are_plain_variables(variables):
            for name in self._names.secret_variables(variables):
                if not is_trivial(variables[name]):
                    self._replace(variables, name, (path, name))
            self._have_statements |= not STATEMENTS.isdisjoint(variables)
        self._stack.append((variables, path, False))

    def _redact_parameters(self) -> None:
        """Redact the parameters of SQL that frames hold next to a statement with a secret column."""
        frames = [
            (variables, path)
            for variables, path, by_name in self._stack
            if not by_name and type(variables) is dict
        ]
        texts = {
            text
            for variables, _ in frames
            for text in map(variables.get, STATEMENTS)
            if type(text) is str and " " in text
        }
        if not (texts and have_secret_columns(texts, self._names)):
            return
        for variables, path in frames:
            has_statement = not STATEMENTS.isdisjoint(variables)
            for name in [name for name, value in variables.items() if type(value) is list and value]:
                if "param" in str(name) or (has_statement and name in _PARAMETERS):
                    self._replace(variables, name, (path, name))

    def add_headers(self, headers: Any, path: Path) -> None:
        """Add headers, judged by their names."""
        for name, value in items_of(headers):
            text = value if type(value) is str else ""
            if value != FILTERED and self._names.is_secret_header(str(name), text):
                self._replace(headers, name, (path, name))
            elif type(value) is str:
                if has_parts(value):
                    headers[name] = self._clean_header(str(name), value)
                self._urls.append((headers, name))

    def clean_query(self, text: str) -> str:
        """Return a query string or a URL without the values of secret parameters.

        Args:
            text: raw.
        """
        clean = partial(clean_query, text, self._names, self.bounds)
        return self._known(("query", self._names.rules), text, clean)

    def _clean_header(self, name: str, value: str) -> str:
        clean = partial(clean_header, name, value, self._names, self.bounds)
        return self._known(("header", self._names.rules, name), value, clean)

    def _known(self, kind: Any, text: str, clean: Callable[[], str]) -> str:
        """Return what a text becomes, which may be known from another request."""
        return clean() if self._recent is None else self._recent.text(kind, text, self.bounds, clean)

    def add(self, node: Any, path: Path, by_name: bool = True) -> None:
        """Add a tree.

        Args:
            node: a mapping, a list, or anything else.
            path: where the tree is in the event.
            by_name: whether its own members are judged by name; those below always are.
        """
        self._stack.append((node, path, by_name))

    def _walk(self) -> None:
        """Walk the trees: replace what is secret by name, collect the texts."""
        add, update, leaves, branches = self._texts.add, self._keys.update, self._leaves, self._branches
        are_plain, stack = self._names.plain_keys.issuperset, self._stack
        while stack:
            node, path, by_name = stack.pop()
            kind = type(node)
            if kind is dict:
                if by_name:
                    update(node)
                    if not are_plain(node):
                        self._redact_by_name(node, self._names.secret_keys(node, self._new_names), path)
                if "value" in node or "Value" in node or "VALUE" in node:
                    self._redact_named_value(node, path)
                elif "input" in node and "loc" in node:
                    self._redact_input(node, path)
            elif kind is list:
                if node and type(node[0]) is str:
                    size = len(node)
                    if size == 2:
                        self._redact_pair(node, node[0], 1, path)
                    elif size == 3 and node[0][-1:] == ">":
                        self._redact_value_of_field(node, path)
                    # Most lists have no options, and a pair only one that is joined to its value.
                    if size > 2 or (size == 2 and type(node[1]) is str and "-" in node[1][:3]):
                        self._redact_arguments(node, path)
            else:
                continue
            branching = False
            values: Any = node.values() if kind is dict else node
            if len(node) > _FEW and _NODES.isdisjoint(map(type, values)):
                self._texts.update([value for value in values if type(value) is str])
                leaves.append(node)
                continue
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
        """Add the keys of nested mappings: remarks use the keys of what they are about."""
        stack = [node]
        while stack:
            node = stack.pop()
            if type(node) is dict:
                self._branches.append(node)
                self._keys.update(node)
                stack.extend(node.values())

    def add_names(self, node: Any) -> None:
        """Add the keys of a mapping, whose values stay."""
        if type(node) is dict:
            self._branches.append(node)
            self._keys.update(node)

    def _redact_by_name(self, node: Any, keys: list[str], path: Path) -> None:
        in_environ = is_environ(node)
        for key in keys:
            value = node[key]
            if self._are_too_many_names(key):
                node[key] = FILTERED
                continue
            if type(value) is not str:
                cleaned = cleaned_member(key, value, self._names, in_environ, self.bounds)
            else:
                # Each frame that holds the environ has the same texts.
                cleaned = self._cleaned.get((key, value, in_environ))
                if cleaned is None:
                    cleaned = self._clean_text(key, value, in_environ)
                    self._cleaned[key, value, in_environ] = cleaned
            if cleaned is FILTERED and value != FILTERED:
                self._replace(node, key, (path, key))
            elif cleaned is not value:
                node[key] = cleaned

    def _clean_text(self, key: str, value: str, in_environ: bool) -> Any:
        names, bounds = self._names, self.bounds
        clean = partial(cleaned_member, key, value, names, in_environ, bounds)
        if names.key_rule(key) is not Rule.PARAMETERS:
            return clean()
        return self._known(("member", names.rules, key, in_environ), value, clean)

    def _are_too_many_names(self, name: str) -> bool:
        """Return whether a name is new and may not be examined any more."""
        return self._new_names.are_exceeded and not self._names.may_examine(name, self._new_names)

    def _redact_named_value(self, node: dict[str, Any], path: Path) -> None:
        """Redact the value in a mapping of a name and a value: ``{"name": "password", "value": ...}``."""
        names = [node[key] for key in _ALL_KEYS_OF_NAMES if type(node.get(key)) is str]
        for key in _KEYS_OF_VALUES if names else ():
            if key in node:
                for name in names:
                    if node[key] != FILTERED:
                        self._redact_pair(node, name, key, path)

    def _redact_input(self, node: dict[str, Any], path: Path) -> None:
        """Redact the input in one of Pydantic's errors: ``{"loc": ["body", "password"], "input": ...}``."""
        place = node["loc"]
        names = place if type(place) is list else [place]
        name = next((name for name in reversed(names) if type(name) is str and not name.isdigit()), "")
        if name and node["input"] != FILTERED:
            self._redact_pair(node, name, "input", path)

    def _redact_value_of_field(self, node: list[Any], path: Path) -> None:
        """Redact the value that Django has next to a field: ``["<...CharField: password>", None, ...]``."""
        name = node[0][:-1].rpartition(": ")[2]
        if name and "Field: " in node[0][-_LONGEST_NAME:]:
            self._redact_pair(node, name, 2, path)

    def _redact_arguments(self, node: list[Any], path: Path) -> None:
        """Redact the arguments in a list that is a command: ``["backup", "--password", ...]``."""
        if not has_options(node):
            return
        if not self._arguments.may_take(len(node)):
            node[:] = [FILTERED if type(item) is str else item for item in node]
            return
        for place, shown in list(secret_arguments(node, self._names, self._new_names)):
            if shown == FILTERED:
                self._replace(node, place, (path, place))
            else:
                node[place] = shown

    def _redact_pair(self, node: Any, name: str, key: Any, path: Path) -> None:
        """Redact the value of a name that is held next to it, such as a header or a field in a list of two.

        Args:
            node: the mapping or list that holds both.
            name: as written there.
            key: of the value in the node.
            path: of the node.
        """
        name = name.lstrip("b").strip("'\"")
        if len(name) > _LONGEST_NAME:
            return  # a text, not a name
        name = name.strip()
        value = node[key]
        if not self._names.may_examine(name, self._new_names):
            node[key] = FILTERED
            return
        rule = self._names.key_rule(name)
        if " " in name and not self._is_name_of_words(name, rule, value):
            return
        if rule is Rule.SECRET and is_trivial(value):
            return
        cleaned = cleaned_member(name, value, self._names, bounds=self.bounds)
        if cleaned is FILTERED and value != FILTERED:
            self._replace(node, key, (path, key))
        elif cleaned is not value:
            node[key] = cleaned

    def _is_name_of_words(self, name: str, rule: Rule, value: Any) -> bool:
        """Return whether a text with blanks is the name of a secret, such as a label: "new password"."""
        blanks = name.count(" ")
        if rule not in (Rule.LIKELY, Rule.SECRET) or blanks > _MOST_BLANKS:
            return False
        # "new password" is a password, "password reset" is a reset, and "no token" a message.
        first, *_, last = name.lower().split(" ")
        is_of_last = last.startswith("(") or last in _REPETITIONS or last in _HEADS
        if first in _MESSAGES or not (is_of_last or self._names.key_rule(last) in (Rule.LIKELY, Rule.SECRET)):
            return False
        # Of three words, most are a message: "no such token".
        return blanks < _MOST_BLANKS or (type(value) is str and self._names.is_secret_header_value(value))

    def _replace(self, holder: Any, key: Any, path: Path) -> None:
        holder[key] = FILTERED
        if len(self._replaced) < _MOST_REMARKS:
            self._replaced.append(path)

    def _remark(self, changed: Mapping[str, str]) -> None:
        """Add Sentry's remarks on what was replaced, under cleaned keys."""
        if self._event is None or not self._replaced:
            return
        root = self._event.setdefault("_meta", {})
        # Members of one mapping share the very same parent path.
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
        """Replace the secrets in everything that was added."""
        if self._have_statements:
            self._redact_parameters()
        self._walk()
        texts = [text for text in self._texts | self._keys if type(text) is str]
        allow_time_for(sum(map(len, texts)))
        urls = {holder[key] for holder, key in self._urls}
        changed = matcher.clean_all([*texts, *urls.difference(texts)])
        named = clean_texts([changed.get(text, text) for text in texts] if changed else texts, self._names)
        with_named = (
            {text: shown for text in texts if (shown := changed.get(text, text)) in named} if named else {}
        )
        for text, shown in with_named.items():
            changed[text] = named[shown]
        # Words stay in keys and URLs: the names that events consist of are such words.
        in_both = changed.keys() & (self._keys | urls) if changed else ()
        renamed = matcher.clean_all(in_both, is_url=True) if in_both else {}
        if with_named:
            in_keys = {text: shown for text, shown in with_named.items() if text in self._keys}
            renamed.update(self._named_in_keys(in_keys, named, renamed))
        self._remark(renamed)
        if renamed:
            for holder, key in self._urls:
                holder[key] = renamed.get(holder[key], holder[key])
        if not changed:
            return
        for holder, key in self._members:
            holder[key] = changed.get(holder[key], holder[key])
        for mapping, kept in self._partly_kept:
            _rename(mapping, {key: shown for key, shown in renamed.items() if key not in kept})
        is_same = changed.keys().isdisjoint
        for node in self._branches:
            _change(node, changed, renamed)
        for node in self._leaves:
            if not is_same(node.values() if type(node) is dict else node) or not is_same(node):
                _change(node, changed, renamed)

    def _named_in_keys(
        self, with_named: dict[str, str], named: dict[str, str], renamed: dict[str, str]
    ) -> dict[str, str]:
        """Return what keys become whose texts name something secret.

        Args:
            with_named: these texts without the secrets of the request.
            named: those without the values that they name as secret.
            renamed: keys without the secrets of the request.
        """
        names = {text: renamed.get(text, text) for text in with_named}
        # Most have no other secret, so the result is known.
        unknown = [name for text, name in names.items() if name != with_named[text]]
        all_named = {**named, **clean_texts(unknown, self._names)} if unknown else named
        return {text: all_named.get(name, name) for text, name in names.items()}


def _rename(node: dict[Any, Any], renamed: Mapping[str, str]) -> None:
    if not renamed or renamed.keys().isdisjoint(node):
        return
    members = list(node.items())
    node.clear()
    for number, (key, value) in enumerate(members):
        name = renamed.get(key, key)
        # Two hidden keys stay distinct. A number avoids comparing each with all the others.
        node[name if name not in node else f"{name} {number}"] = value


def _change(node: Any, changed: Mapping[str, str], renamed: Mapping[str, str]) -> None:
    if type(node) is dict:
        _rename(node, renamed)
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


def is_sentence(text: str) -> bool:
    """Return whether a text is a sentence: a span's name may be one, an operation or a route is not.

    Args:
        text: any. A path is not one, with or without a method before it.
    """
    method, _, path = text.partition(" ")
    if text[:1] == "/" or (path[:1] == "/" and method.isupper()):
        return False
    return len(text.split(None, 1)) > 1 or any(sign in text for sign in "'\"=")


def items_of(found: Any) -> list[tuple[Any, Any]]:
    """Return the members of a mapping; nothing for anything else.

    Args:
        found: any.
    """
    return list(found.items()) if isinstance(found, dict) else []
