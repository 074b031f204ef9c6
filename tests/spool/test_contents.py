"""Parsing envelope files, our own and those from elsewhere."""

import json
import os
import time
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope, Item

from sentry_paste.cli.spool.text import contents_text, table_text
from sentry_paste.spool import Spool, fields, read_contents

START = "2026-11-22T07:00:00.000000Z"


def at(milliseconds):
    return f"2026-11-22T07:00:00.{milliseconds:03}000Z"


def span(span_id, parent, begin, end, **more):
    return {
        "span_id": span_id,
        "parent_span_id": parent,
        "start_timestamp": at(begin),
        "timestamp": at(end),
        **more,
    }


def transaction(spans=(), **more):
    return {
        "type": "transaction",
        "transaction": "GET /",
        "start_timestamp": START,
        "timestamp": at(100),
        "contexts": {"trace": {"span_id": "root", "trace_id": "t" * 32, "op": "http.server", "status": "ok"}},
        "spans": list(spans),
        **more,
    }


EVENT = {
    "level": "error",
    "transaction": "GET /x",
    "release": "1.0",
    "environment": "test",
    "tags": {"who": "ann"},
    "request": {"method": "GET", "url": "http://localhost/x"},
    "breadcrumbs": {
        "values": [{"timestamp": START, "category": "shop", "level": "info", "message": "opened"}]
    },
    "exception": {
        "values": [
            {"type": "KeyError", "value": "'cause'"},
            {
                "type": "ValueError",
                "value": "bad",
                "mechanism": {"type": "wsgi", "handled": False},
                "stacktrace": {
                    "frames": [
                        {
                            "function": "view",
                            "filename": "app.py",
                            "lineno": 3,
                            "in_app": True,
                            "pre_context": ["one", "two"],
                            "context_line": "three",
                            "post_context": ["four"],
                            "vars": {"x": "1"},
                        }
                    ]
                },
            },
        ]
    },
}


@pytest.fixture
def read(tmp_path):
    def read(payload, type_="event"):
        envelope = Envelope(items=[Item(payload=json.dumps(payload).encode(), type=type_)])
        return read_contents(Spool(tmp_path).write(envelope))

    return read


def test_event(read):
    found = read(EVENT)
    assert (found.title, found.level, found.transaction) == ("ValueError: bad", "error", "GET /x")
    assert (found.release, found.environment, found.tags) == ("1.0", "test", (("who", "ann"),))
    assert [error.type for error in found.errors] == ["KeyError", "ValueError"]
    assert (found.errors[1].mechanism, found.errors[1].handled) == ("wsgi", False)
    (frame,) = found.errors[1].frames
    assert frame.context == ((1, "one"), (2, "two"), (3, "three"), (4, "four"))
    assert frame.variables == (("x", "1"),)
    (crumb,) = found.breadcrumbs
    assert crumb.time == datetime(2026, 11, 22, 7, tzinfo=timezone.utc)
    assert (crumb.category, crumb.message) == ("shop", "opened")


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ({"message": "hello"}, "hello"),
        ({"logentry": {"message": "hello %s", "params": ["ann"]}}, "hello ann"),
        ({"logentry": {"message": "%d%% of %(who)s %.2f", "params": [7, "x", 1.5]}}, "7% of %(who)s x"),
        ({"logentry": {"message": "%(a)s, %(a)s, %(b)s", "params": {"a": 1}}}, "1, 1, %(b)s"),
        ({"logentry": {"message": "%s and %s", "params": ["one"]}}, "one and %s"),
        ({"logentry": {"message": "100 %", "params": []}}, "100 %"),
        ({"logentry": {"message": "%s", "params": 7}}, "%s"),
        ({"logentry": {"message": ["%s"], "params": ["x"]}}, '["%s"]'),
        ({"logentry": {"message": "hello %s", "formatted": "hello ann"}}, "hello ann"),
        ({"message": {"formatted": "hello"}}, "hello"),
        ({"exception": {"values": [{"type": "KeyError"}]}}, "KeyError"),
        ({"exception": [{"type": "KeyError", "value": "x"}]}, "KeyError: x"),
        ({}, "(no message)"),
    ],
)
def test_title(read, event, title):
    assert read(event).title == title


def test_title_is_not_longer_than_what_it_is_made_of_allows(read):
    """Somebody's message may name a long argument very often."""
    entry = {"message": "%(a)s" * 10_000, "params": {"a": "x" * 1_000_000}}
    assert len(read({"logentry": entry}).title) < 200_000


@pytest.mark.parametrize("part", ["%(", "%0", "% ", "%1.", "%(a)0"])
def test_title_is_made_in_little_time_of_any_message(read, part):
    begun = time.thread_time()
    for message in (part * 200_000, part + part[-1] * 400_000):
        read({"logentry": {"message": message, "params": {"a": "x"}}})
    assert time.thread_time() - begun < 5


def test_argument_that_a_message_names_often_is_made_text_once(read, monkeypatch):
    made, argument = [], [["x"]]
    text = fields.text
    monkeypatch.setattr(fields, "text", lambda value: made.append(value) or text(value))
    found = read({"logentry": {"message": "%(a)s" * 20, "params": {"a": argument}}})
    assert found.title == '[["x"]]' * 20
    assert made.count(argument) == 1


def test_spans_are_a_tree_in_the_order_of_time(read):
    found = read(
        transaction(
            [
                span("c", "root", 50, 90, op="render"),
                span("b", "a", 20, 30, op="db", description="SELECT"),
                span("a", "root", 10, 40, op="view"),
            ]
        ),
        "transaction",
    )
    assert [(span.op, span.depth) for span in found.spans] == [
        ("http.server", 0),
        ("view", 1),
        ("db", 2),
        ("render", 1),
    ]
    assert (found.spans[2].offset, found.spans[2].duration) == (0.02, 0.01)
    assert found.duration == 0.1
    assert found.title == "GET /"


def test_span_of_a_parent_that_is_not_there_hangs_below_the_transaction(read):
    assert [s.depth for s in read(transaction([span("a", "lost", 1, 2)]), "transaction").spans] == [0, 1]


def test_ring_of_spans_ends(read):
    found = read(
        transaction([span("a", "b", 1, 2), span("b", "a", 1, 2), span("root", "root", 1, 2)]), "transaction"
    )
    assert len(found.spans) <= 4


def test_deep_chain_of_spans_is_read(read):
    spans = [span(str(number), str(number - 1) if number else "root", 1, 2) for number in range(5000)]
    found = read(transaction(spans), "transaction")
    assert found.spans[-1].depth == 5000
    assert contents_text(found, {})


def test_sessions(read):
    payload = {"aggregates": [{"started": START, "exited": 3, "crashed": 1}]}
    assert read(payload, "sessions").title == "4 request sessions"


def test_unknown_item(read):
    assert read({"x": 1}, "something_new").title == "something_new"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"not an envelope", b"[1]\n", b'{}\n{"type":"event"}\nx\n', b"\xff"]
)
def test_what_is_no_envelope_is_a_value_error(tmp_path, data):
    spool = Spool(tmp_path)
    file = spool.write(Envelope(items=[Item(payload=b"{}", type="event")]))
    file.path.write_bytes(data)
    with pytest.raises(ValueError, match="not a Sentry envelope"):
        read_contents(file)
    assert "unreadable" in table_text([file], {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *EVENT,
        "spans",
        "contexts",
        "start_timestamp",
        "timestamp",
        "type",
        "values",
        "message",
        "logentry",
        "user",
    ]
)


@given(
    st.dictionaries(FIELDS, JSON, max_size=6), st.sampled_from(["event", "transaction", "sessions", "log"])
)
def test_any_payload_can_be_read_and_shown(tmp_path_factory, payload, type_):
    spool = Spool(tmp_path_factory.getbasetemp() / "any")
    for base in ({}, EVENT, transaction([span("a", "root", 1, 2)])):
        envelope = Envelope(items=[Item(payload=json.dumps({**base, **payload}).encode(), type=type_)])
        file = spool.write(envelope)
        try:
            assert contents_text(read_contents(file), {}, all_frames=True)
            assert table_text([file], {})
        finally:
            file.path.unlink()


def test_link_pipe_and_too_large_a_file_are_not_read(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    file = spool.write(Envelope(items=[Item(payload=b"{}", type="event")]))
    monkeypatch.setattr("sentry_paste.spool.reading.MAX_BYTES", 5)
    with pytest.raises(ValueError, match="larger than"):
        read_contents(file)
    file.path.unlink()
    os.mkfifo(file.path)
    with pytest.raises(ValueError, match="not a regular file"):
        read_contents(file)
    file.path.unlink()
    file.path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=file.path.name):
        read_contents(file)
    assert "unreadable" in table_text([file], {})


def test_user_extra_and_contexts(read):
    contexts = {"trace": {"op": "x"}, "os": {"name": "y"}}
    found = read({"user": {"id": "7"}, "extra": {"sizes": [1, 2]}, "contexts": contexts})
    expected = {"user": (("id", "7"),), "extra": (("sizes", "[1, 2]"),), "os": (("name", "y"),)}
    assert dict(found.details) == expected
    assert "Extra\n  sizes: [1, 2]" in contents_text(found, {})


@pytest.mark.parametrize(
    ("captured", "shown"),
    [
        ({"soup": "2", "risotto": "'1'"}, '{"soup": 2, "risotto": "1"}'),
        ({"nested": {"ok": "True"}, "none": "None"}, '{"nested": {"ok": True}, "none": None}'),
        (["1", "'two'", ["b'three'"]], "[1, \"two\", [b'three']]"),
        ("'2790'", '"2790"'),
        ("2790", "2790"),
        ("<Order at 0x7f>", "<Order at 0x7f>"),
        ('"it\'s"', '"it\'s"'),
        ("'say \"x\"'", "'say \"x\"'"),
        (r"'a\nb'", r"'a\nb'"),
        ({"password": "[Filtered]"}, '{"password": [Filtered]}'),
        ({"a": 1, "b": True, "c": None, "d": 1.5}, '{"a": 1, "b": True, "c": None, "d": 1.5}'),
        ("'", "'"),
        ("", ""),
        ({}, "{}"),
    ],
)
def test_local_variables_are_shown_as_in_source(captured, shown):
    """The SDK has the repr() of each value, also within containers."""
    assert list(fields.variables({"cart": captured})) == [("cart", shown)]


@pytest.mark.parametrize("junk", [None, 7, "text", [], [["a", "b"]]])
def test_local_variables_of_the_wrong_type_are_none(junk):
    assert list(fields.variables(junk)) == []


def test_local_variables_nested_without_end_are_cut():
    value = "1"
    for _ in range(500):
        value = [value]
    ((_, shown),) = fields.variables({"deep": value})
    assert shown == f"{'[' * 20}…{']' * 20}"


def test_absolute_path_of_a_frame_is_kept_where_it_is_a_text(read):
    values = [{"stacktrace": {"frames": [{"abs_path": "/srv/shop.py"}, {"abs_path": None}, {}]}}]
    (error,) = read({"exception": {"values": values}}).errors
    assert [frame.path for frame in error.frames] == ["/srv/shop.py", "", ""]
