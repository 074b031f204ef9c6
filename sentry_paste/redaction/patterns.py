"""Replace the shapes that the ini lists (``redact_patterns``) in everything that is sent."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from sentry_paste.redaction.bounds import TooMuchError
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.numbers import cards, ibans, phones
from sentry_paste.redaction.shapes import CANDIDATES, Candidate, Searched, emails, jwts

_SEARCHES: Mapping[str, Callable[[Searched], Iterator[Candidate]]] = {
    "email": emails,
    "credit_card": cards,
    "iban": ibans,
    "jwt": jwts,
    "phone": phones,
}
# Every text that may match any of them contains at least this.
_MAY_HAVE = re.compile("[@0-9]|ey[JA]|ew[ok]")
#: The names that ``redact_patterns`` takes.
NAMES = tuple(_SEARCHES)
# How many characters of a payload allow for one candidate more than ``CANDIDATES``.
_CHARACTERS = 400

# Defined by the protocol for events, spans, traces and items; ids among them may consist of digits.
# https://develop.sentry.dev/sdk/data-model/event-payloads/
_OF_EVENTS = frozenset(
    {"check_in_id", "debug_meta", "dist", "environment", "event_id", "level", "modules"}
    | {"monitor_config", "monitor_slug", "platform", "release", "sdk", "start_timestamp", "timestamp"}
    | {"transaction_info", "type"}
)
# And for breadcrumbs.
_OF_SPANS = frozenset({"parent_span_id", "segment_id", "span_id", "start_timestamp", "timestamp", "trace_id"})
_OF_TRACES = frozenset(
    {"environment", "org_id", "public_key", "release", "replay_id", "sample_rand", "sample_rate", "trace_id"}
)
_OF_ITEMS = frozenset(
    {"end_timestamp", "level", "severity_number", "severity_text", "status", "time_unix_nano", "type", "unit"}
    | {"value"}
    | _OF_SPANS
)
_OF_ATTRIBUTES = frozenset(
    {"sentry.dist", "sentry.environment", "sentry.profiler_id", "sentry.release", "sentry.replay_id"}
    | {"sentry.sdk.name", "sentry.sdk.version", "sentry.segment.id", "sentry.trace.parent_span_id"}
)
_NOTHING: frozenset[str] = frozenset()


class Patterns:
    """The patterns that are searched for in everything that is sent.

    Args:
        names: of ``NAMES``, in any order.

    Raises:
        ValueError: a name is unknown.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        names = set(names)
        if not names.issubset(NAMES):
            raise ValueError(f"expected some of {', '.join(NAMES)}, not {min(names.difference(NAMES))!r}")
        self._names = [name for name in NAMES if name in names]
        # An integer in JSON may be the number of a card.
        self._integers = range(10**12, 10**19) if "credit_card" in names else range(0)

    def __bool__(self) -> bool:
        return bool(self._names)

    def clean(self, text: str) -> str:
        """Return a text without matches.

        Args:
            text: any.
        """
        return self.clean_all([text]).get(text, text)

    def clean_file(self, text: str) -> str:
        """Return the text of a file without matches; content with a NUL character is not text and stays.

        Args:
            text: decoded in any way.
        """
        return text if "\0" in text else self.clean(text)

    def clean_all(self, texts: Iterable[str]) -> dict[str, str]:
        """Return the cleaned texts, by their originals; only those that change.

        Args:
            texts: any; no match extends across two of them.
        """
        listed = list(dict.fromkeys(texts))
        searched = Searched("\n" + "\n".join(listed))
        try:
            spans = sorted(_spans_in(self._names, searched))
        except TooMuchError:
            return {text: FILTERED for text in listed if _MAY_HAVE.search(text)}
        if not spans:
            return {}
        starts = list(accumulate((len(text) + 1 for text in listed), initial=1))
        cleaned: dict[str, str] = {}
        index = 0
        while index < len(spans):
            at = bisect_right(starts, spans[index][0]) - 1
            begin = index
            while index < len(spans) and spans[index][0] < starts[at + 1]:
                index += 1
            cleaned[listed[at]] = _without(listed[at], starts[at], spans[begin:index])
        return cleaned

    def clean_event(self, event: dict[str, Any]) -> None:
        """Remove matches from an event or a transaction, except from what the protocol defines.

        Args:
            event: as serialised by the SDK; it is changed.
        """
        measurements = event.get("measurements")
        # Its keys are the app's own, its values numbers.
        kept = {
            id(event): _OF_EVENTS,
            id(measurements): frozenset(measurements if isinstance(measurements, dict) else ()),
        }
        contexts = event.get("contexts")
        trace = contexts.get("trace") if isinstance(contexts, dict) else None
        if isinstance(trace, dict):
            kept[id(trace)] = _OF_SPANS
            kept[id(trace.get("dynamic_sampling_context"))] = _OF_TRACES
        breadcrumbs = event.get("breadcrumbs")
        crumbs = breadcrumbs.get("values") if isinstance(breadcrumbs, dict) else None
        for entry in (*_listed(event.get("spans")), *_listed(crumbs)):
            kept[id(entry)] = _OF_SPANS
        self._clean_tree(event, kept)

    def clean_item(self, item: dict[str, Any]) -> None:
        """Remove matches from a log item, a metric or a streamed span.

        Args:
            item: as in the SDK before it is queued; it is changed, but not what it shares with others.
        """
        kept = {id(item): _OF_ITEMS}
        attributes = item.get("attributes")
        if isinstance(attributes, dict):
            attributes = item["attributes"] = {key: _plain(value) for key, value in attributes.items()}
            kept[id(attributes)] = _OF_ATTRIBUTES
        self._clean_tree(item, kept)

    def _clean_tree(self, root: Any, kept: Mapping[int, frozenset[str]]) -> None:
        """Clean all texts and keys of a tree.

        Args:
            root: of the tree; its content is changed.
            kept: the keys whose values stay, by the id of the mapping.
        """
        nodes: list[Any] = [root]
        texts: set[str] = set()
        for node in nodes:  # which grows
            if isinstance(node, dict):
                texts.update(key for key in node if isinstance(key, str))
            stay = kept.get(id(node), _NOTHING)
            for key, value in _entries(node):
                if isinstance(value, str):
                    texts.add(value)
                elif isinstance(value, (dict, list)):
                    if key not in stay:
                        nodes.append(value)
                elif type(value) is int and value in self._integers:
                    texts.add(str(value))
        cleaned = self.clean_all(texts)
        if cleaned:
            for node in nodes:
                self._change(node, cleaned, kept.get(id(node), _NOTHING))

    def _change(self, node: Any, cleaned: Mapping[str, str], stay: frozenset[str]) -> None:
        for key, value in list(_entries(node)):
            if isinstance(value, str):
                if value in cleaned and key not in stay:
                    node[key] = cleaned[value]
            elif type(value) is int and value in self._integers and key not in stay:
                node[key] = cleaned.get(str(value), value)
        if isinstance(node, dict) and not cleaned.keys().isdisjoint(node):
            members = list(node.items())
            node.clear()
            numbers: dict[str, int] = {}
            for key, value in members:
                node[_new_key(node, cleaned.get(key, key), numbers)] = value


#: For an ini without any.
NO_PATTERNS = Patterns()


def _spans_in(names: Collection[str], searched: Searched) -> Iterator[tuple[int, int]]:
    """Yield the places of values of some shapes in a text.

    Raises:
        TooMuchError: there are more candidates than are validated.
    """
    left = CANDIDATES + len(searched.text) // _CHARACTERS
    for name in names:
        for start, end, is_valid in _SEARCHES[name](searched):
            left -= 1
            if left < 0:
                raise TooMuchError
            if is_valid:
                yield start, end


def _without(text: str, offset: int, spans: Iterable[tuple[int, int]]) -> str:
    """Return a text without some spans, which are in order, may overlap, and count from ``-offset``."""
    parts, done = [], 0
    for start, end in spans:
        if start - offset >= done:
            parts += [text[done : start - offset], FILTERED]
        done = max(done, end - offset)
    return "".join([*parts, text[done:]])


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _entries(node: Any) -> Iterable[tuple[Any, Any]]:
    return node.items() if isinstance(node, dict) else enumerate(node)


def _new_key(node: Mapping[str, Any], key: str, numbers: dict[str, int]) -> str:
    """Return a key that is not in a mapping yet, so that two hidden keys stay distinct."""
    name = key
    while name in node:
        numbers[key] = numbers.get(key, 1) + 1
        name = f"{key} {numbers[key]}"
    return name


def _plain(value: Any) -> Any:
    """Return an attribute as it will be sent: ``sentry_sdk.utils.format_attribute``."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return list(value) if isinstance(value, (list, tuple)) else repr(value)
