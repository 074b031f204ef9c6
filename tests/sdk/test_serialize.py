"""An event that is plain data is serialised as the SDK would, but not by the SDK.

``python tests/sdk/test_serialize.py 1000000`` compares so many events of a generator that is faster than
Hypothesis.
"""

import copy
import math
import pickle
import random
import sys
from collections import OrderedDict, deque
from datetime import date, datetime, timedelta, timezone
from enum import Enum

import pytest
import sentry_sdk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentry_sdk import serializer
from sentry_sdk.serializer import serialize
from sentry_sdk.utils import AnnotatedValue

from sentry_paste import SentryMiddleware
from sentry_paste.sdk import serialize as ours
from sentry_paste.sdk.serialize import NotPlainError, SelfSerialized, serialized

from wsgi_calls import call, environ_of


class Label(str, Enum):
    KNOWN = "known"


class Shown:
    def __repr__(self):
        return "<shown>"


class Text(str):
    __slots__ = ()


TIMES = st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=5)), None]))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["a" * 30, "ü" * 12, "\ud800" * 12, "x" * 1030, "\U0001f600" * 4]),
    TIMES,
)
ODD = st.sampled_from(
    [
        b"bytes",
        Label.KNOWN,
        Text("text" * 6),
        Shown(),
        {1, 2},
        date(2020, 1, 2),
        1j,
        Shown,
        deque([1]),
        {},
        [],
    ]
)
KEYS = st.one_of(st.sampled_from(["a", "b", "data", "values", "description", ""]), st.text(max_size=3))
ANY_KEYS = st.one_of(KEYS, st.integers(0, 3), st.booleans(), st.none())


def annotated(values):
    notes = st.sampled_from(
        [{"len": 3}, {"rem": [["!raw", "x"]]}, {"len": 1, "rem": [["!limit", "x", 1, 2]]}, {}]
    )
    return st.builds(AnnotatedValue, value=values, metadata=notes)


def containers(inner):
    return st.one_of(
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(ANY_KEYS, inner, max_size=2),
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(KEYS, inner, max_size=2).map(OrderedDict),
        annotated(inner),
    )


PLAIN = st.recursive(LEAVES, containers, max_leaves=8)
TREES = st.recursive(st.one_of(LEAVES, LEAVES, LEAVES, ODD), containers, max_leaves=8)
# More than may be sent, in breadth and in depth.
WIDE = st.one_of(
    st.lists(LEAVES, min_size=9, max_size=13),
    st.dictionaries(st.text(max_size=4), LEAVES, min_size=9, max_size=13),
    st.integers(3, 8).flatmap(lambda depth: TREES.map(lambda leaf: nested(leaf, depth))),
    TREES,
)


def nested(leaf, depth):
    for level in range(depth):
        leaf = {"in": leaf} if level % 2 else [leaf]
    return leaf


def entries(of):
    return st.one_of(st.lists(of, max_size=3), of, st.lists(of, max_size=2).map(tuple))


SPANS = st.dictionaries(
    st.sampled_from(["description", "data", "op", "start_timestamp", "tags"]),
    st.one_of(TREES, LEAVES),
    max_size=4,
)
PARTS = {
    "extra": WIDE,
    "request": st.one_of(
        st.dictionaries(st.sampled_from(["data", "url", "headers", "env"]), WIDE, max_size=3), WIDE
    ),
    "breadcrumbs": st.one_of(
        st.fixed_dictionaries({"values": entries(WIDE)}, optional={"other": TREES}),
        entries(WIDE),
        annotated(WIDE),
    ),
    "spans": st.one_of(st.lists(SPANS, max_size=3), TREES, annotated(st.lists(SPANS, max_size=2))),
    "contexts": TREES,
    "tags": st.dictionaries(ANY_KEYS, LEAVES, max_size=3),
    "exception": st.fixed_dictionaries({"values": entries(TREES)}),
    "message": LEAVES,
    "timestamp": TIMES,
    "_meta": TREES,
}
GENERATED = st.fixed_dictionaries({}, optional=PARTS)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_value_length": st.sampled_from([None, 8, 20, 1024]),
        "max_request_body_size": st.sampled_from(["always", "medium"]),
        "custom_repr": st.sampled_from(
            [None, lambda value: "own" if isinstance(value, (Shown, dict)) else None]
        ),
    },
)


def by_the_sdk(event, options):
    names = ("max_request_body_size", "max_value_length", "custom_repr")
    return serialize(event, **{name: options.get(name) for name in names})


def same(first, second):
    return repr(first) == repr(second) if first != second else kinds(first) == kinds(second)


def kinds(node):
    if isinstance(node, dict):
        return {key: kinds(value) for key, value in node.items()}
    return [kinds(value) for value in node] if isinstance(node, list) else type(node)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(GENERATED, OPTIONS)
def test_event_is_serialised_as_the_sdk_would(event, options):
    expected = by_the_sdk(event, options)
    assert same(serialize(SelfSerialized(event, options)), expected)
    try:
        found = serialized(event, options)
    except (NotPlainError, OverflowError, ValueError):  # a time may have no form in UTC
        return
    assert same(found, expected)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "contexts": st.dictionaries(KEYS, PLAIN, max_size=3),
            "extra": st.dictionaries(KEYS, LEAVES, max_size=12),
            "spans": st.lists(st.dictionaries(KEYS, LEAVES, max_size=3), max_size=2),
        },
    ),
    OPTIONS,
)
def test_plain_event_needs_no_serialiser(event, options):
    try:
        found = serialized(event, options)
    except NotPlainError:
        assert "AnnotatedValue" in repr(event)
        return
    assert same(found, by_the_sdk(event, options))


def cyclic():
    found = {"name": "x"}
    found["itself"] = [found]
    return found


@pytest.mark.parametrize("part", ["extra", "contexts", "exception", "request", "breadcrumbs", "spans"])
@pytest.mark.parametrize("keeps", ["always", "medium"])
def test_cycle_is_what_the_sdk_makes_of_it(part, keeps):
    event = {part: {"values": [cyclic()], "data": cyclic()}}
    options = {"max_request_body_size": keeps}
    assert serialize(SelfSerialized(event, options)) == by_the_sdk(event, options)


def test_event_within_itself_is_cyclic():
    for holder in (dict, OrderedDict, deque):
        event = SelfSerialized({"contexts": {}}, {})
        event["contexts"]["event"] = holder([("event", event)])
        plain = {"contexts": {}}
        plain["contexts"]["event"] = holder([("event", plain)])
        assert serialize(event) == by_the_sdk(plain, {})


LARGE = {"contexts": {"a": {"rows": [{f"key{number}": "x" * 30} for number in range(50)]}}, "user": {"id": 1}}


@pytest.mark.parametrize("held", [lambda event: event, lambda event: [{"in": event}]], ids=["alone", "deep"])
@pytest.mark.parametrize(
    "place",
    [
        lambda held: {"extra": {"held": held}},
        lambda held: {"breadcrumbs": {"values": [{"data": {"held": held}}]}},
        lambda held: {"request": {"data": {"held": held}}},
        lambda held: {"contexts": {"a": {"held": held}}},
        lambda held: {"spans": [{"data": {"held": held}}]},
    ],
    ids=["extra", "breadcrumb", "body", "context", "span"],
)
def test_event_in_data_has_the_limits_of_its_place(place, held):
    expected = by_the_sdk(place(held(LARGE)), {"max_value_length": 20})
    event = place(held(SelfSerialized(LARGE, {})))
    assert by_the_sdk(event, {"max_value_length": 20}) == expected
    assert serialize(SelfSerialized(event, {"max_value_length": 20})) == expected


def test_event_among_variables_is_shown_as_they_are():
    expected = serialize({"event": LARGE}, is_vars=True)
    assert serialize({"event": SelfSerialized(LARGE, {})}, is_vars=True) == expected


def test_event_in_a_frame_of_another_has_limits(captured):
    reported = []

    def report_itself(event, hint):
        if not reported:
            reported.append(event)
            try:
                raise LookupError
            except LookupError as error:
                sentry_sdk.capture_exception(error)
        return event

    def app(environ, start_response):
        scope = sentry_sdk.get_isolation_scope()
        scope.add_event_processor(report_itself)
        scope.set_context("rows", {f"key{number}": "x" * 30 for number in range(500)})
        raise ValueError

    call(SentryMiddleware(app), environ_of())
    errors = [(event["exception"]["values"][-1], event) for event in captured.errors]
    ((exception, error),) = [(found, event) for found, event in errors if found["type"] == "LookupError"]
    (frame,) = exception["stacktrace"]["frames"]
    assert len(error["contexts"]["rows"]) == 500
    assert len(frame["vars"]["event"]) == len(frame["vars"]["event"]["contexts"]["rows"]) == 10


def test_data_without_limits_may_be_deep():
    event = {"request": {"data": nested("x", 30)}}
    options = {"max_request_body_size": "always"}
    assert serialized(event, options) == by_the_sdk(event, options)


def test_event_that_changes_meanwhile_is_left_to_the_sdk():
    class Changing(dict):
        def items(self):
            raise RuntimeError("dictionary changed size during iteration")

    event = SelfSerialized({"tags": {"a": "b"}}, {})
    assert serialize(event) == {"tags": {"a": "b"}}
    event["contexts"] = Changing(a=1)
    assert serialize(event) == by_the_sdk(dict(event), {})


def test_failing_copy_is_left_to_the_sdk(monkeypatch):
    def fail(*args):
        raise ValueError("surprise")

    monkeypatch.setattr(ours, "serialized", fail)
    event = {"extra": {"rows": list(range(20))}, "message": "m"}
    assert serialize(SelfSerialized(event, {})) == by_the_sdk(event, {})


def test_processor_of_an_app_sees_every_value(monkeypatch):
    def processor(value, _hint):
        return "seen" if value == "x" else NotImplemented

    monkeypatch.setattr(serializer, "global_repr_processors", [processor])
    monkeypatch.setattr(ours, "_processors", [processor])
    event = {"extra": {"a": "x"}, "tags": {"a": "x"}}
    found = serialize(SelfSerialized(event, {}))
    assert found == {"extra": {"a": "seen"}, "tags": {"a": "x"}}


def test_event_is_not_changed():
    event = {"extra": {"rows": [[1]]}, "contexts": {"a": {"b": [1]}}, "tags": {"a": "b"}}
    before = copy.deepcopy(event)
    found = serialized(event, {})
    found["extra"]["rows"][0].append(2)
    found["contexts"]["a"]["b"].append(2)
    found["tags"]["c"] = 1
    assert event == before


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))]
)
def test_copies_of_an_event_are_plain(copied):
    found = copied(SelfSerialized({"tags": {"a": "b"}}, {"transport": lambda: None}))
    assert type(found) is dict
    assert found == {"tags": {"a": "b"}}


def test_number_that_json_does_not_have_is_text():
    assert serialized({"contexts": {"a": {"b": math.inf}}}, {})["contexts"]["a"]["b"] == "inf"


def test_nothing_is_captured_meanwhile(captured):
    class Capturing:
        def __repr__(self):
            sentry_sdk.capture_message("again")
            return "<capturing>"

    def app(environ, start_response):
        extra = {"one": Capturing(), "two": Capturing(), "deep": nested(Capturing(), 8)}
        sentry_sdk.get_isolation_scope().set_context("objects", extra)
        sentry_sdk.get_isolation_scope().set_extra("objects", extra)
        sentry_sdk.capture_message("once")
        start_response("200 OK", [])
        return [b""]

    call(SentryMiddleware(app), environ_of())
    assert [event["message"] for event in captured.errors] == ["once"]
    assert captured.errors[0]["contexts"]["objects"]["two"] == "<capturing>"


def test_client_serialises_its_events_itself(captured, monkeypatch):
    copies = []
    monkeypatch.setattr(ours, "serialized", lambda *args: copies.append(serialized(*args)) or copies[-1])

    def app(environ, start_response):
        sentry_sdk.capture_message("hello")
        start_response("200 OK", [])
        return [b""]

    call(SentryMiddleware(app), environ_of())
    assert len(copies) == 1


TEXTS = (
    "",
    "a",
    "GET /x",
    "description",
    "data",
    "values",
    "ü" * 9,
    "x" * 21,
    "y" * 1030,
    "\ud800",
    "\U0001f600" * 6,
)
ODD_VALUES = (b"raw", Label.KNOWN, Text("text" * 6), Shown(), {1}, date(2020, 1, 2), deque([1]), 1j, math.nan)
NEAR = [
    datetime(2026, 1, 2, tzinfo=timezone.utc) + timedelta(microseconds=number)
    for number in (-1, 0, 7, 999_999, 10**6)
]
TIMES_OF_ANY_ZONE = (*NEAR, datetime(999, 1, 2, 3), datetime(9998, 1, 1))
LEAF_KINDS = 40


def random_value(draw, depth):
    kind = draw.randrange(LEAF_KINDS if depth <= 0 else LEAF_KINDS + 24)
    if kind < 22:
        return draw.choice(TEXTS)
    if kind < 37:
        return (None, True, False, 0, 7, 1.5, -math.inf, 10**20)[kind % 8]
    if kind < LEAF_KINDS:
        return draw.choice(ODD_VALUES if kind == 37 else TIMES_OF_ANY_ZONE)
    size = draw.choice((0, 1, 2, 3, 12)) if depth > 2 else draw.randrange(3)
    inner = [random_value(draw, depth - 1) for _ in range(size)]
    if kind < LEAF_KINDS + 8:
        return inner if kind % 2 else tuple(inner)
    if kind == LEAF_KINDS + 8:
        return AnnotatedValue(random_value(draw, depth - 1), {"len": size})
    keys = [
        draw.choice((1, None, True, "1", *TEXTS)) if draw.randrange(9) == 0 else str(n) for n in range(size)
    ]
    return (OrderedDict if kind == LEAF_KINDS + 9 else dict)(zip(keys, inner))


def random_event(draw):
    def some(names, depth):
        return {name: random_value(draw, depth) for name in names if draw.randrange(2)}

    event = some(("message", "timestamp", "contexts", "tags", "exception", "user", "extra"), 6)
    if draw.randrange(2):
        event["request"] = some(("url", "data", "headers", "env"), 7)
    if draw.randrange(2):
        crumbs = [some(("message", "data", "timestamp"), 6) for _ in range(draw.randrange(4))]
        event["breadcrumbs"] = draw.choice(
            ({"values": crumbs}, crumbs, AnnotatedValue({"values": crumbs}, {"len": 9}))
        )
    if draw.randrange(2):
        event["spans"] = [
            some(("op", "description", "data", "tags", "timestamp"), 3) for _ in range(draw.randrange(4))
        ]
    return event


def random_options(draw):
    return {
        "max_value_length": draw.choice((None, None, 8, 20, 1024)),
        "max_request_body_size": draw.choice(("always", "medium")),
        "custom_repr": draw.choice(
            (None, None, lambda value: "own" if isinstance(value, (Shown, dict)) else None)
        ),
    }


def test_events_of_the_faster_generator_too():
    compare(200, 1)


@given(
    st.lists(st.integers(-2_100_000, 2_100_000), max_size=8),
    st.sampled_from([*TIMES_OF_ANY_ZONE, datetime.max]),
)
def test_times_near_each_other_are_as_by_the_sdk(offsets, first):
    """As those of the spans of a trace, which are mostly of one second."""
    first = first.replace(tzinfo=timezone.utc)
    times = [first]
    for offset in offsets:
        try:
            times.append(times[-1] + timedelta(microseconds=offset))
        except OverflowError:
            continue
    event = {
        "spans": [{"start_timestamp": time, "timestamp": times[0]} for time in times],
        "timestamp": times[-1],
    }
    assert serialized(event, {}) == by_the_sdk(event, {})


def compare(count, seed):
    """Compare random events; return how many were copied without the SDK's help for the whole."""
    draw, copied = random.Random(seed), 0
    for _ in range(count):
        event, options = random_event(draw), random_options(draw)
        expected = by_the_sdk(event, options)
        assert same(serialize(SelfSerialized(event, options)), expected), seed
        try:
            assert same(serialized(event, options), expected), seed
            copied += 1
        except (NotPlainError, OverflowError, ValueError):  # a time may have no form in UTC
            pass
    return copied


if __name__ == "__main__":
    number, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = compare(number, start)
    print(f"sentry-sdk {sentry_sdk.VERSION}: {number} events are the same, {found} of them copied")
