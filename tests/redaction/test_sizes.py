"""Nothing that is sent exceeds the size that Sentry accepts, and cuts are recorded."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import Names, Redaction
from sentry_paste.redaction.sizes import MOST, as_attribute, keep_event_small, keep_item_small
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call


def event_of(frames, **more):
    """An event with these variables, one mapping for each frame."""
    stack = [{"function": f"f{n}", "lineno": n, "vars": held} for n, held in enumerate(frames)]
    value = {"type": "ValueError", "value": "no", "stacktrace": {"frames": stack}}
    return {"event_id": "0" * 32, "level": "error", "exception": {"values": [value]}, **more}


def size_of(event):
    return len(json.dumps(event))


def frames_of(event):
    return event["exception"]["values"][0]["stacktrace"]["frames"]


def test_ordinary_event_stays_as_it_is():
    made = event_of([{"a": "x" * 10_000, "b": {"c": ["y" * 5000]}}] * 10)
    before = json.dumps(made)
    keep_event_small(made)
    assert json.dumps(made) == before


def test_biggest_variable_is_cut_and_others_stay():
    made = event_of([{"small": "x" * 90_000, "big": "y" * 3_000_000, "n": "5"}])
    keep_event_small(made)
    (frame,) = frames_of(made)
    assert frame["vars"]["small"] == "x" * 90_000
    assert frame["vars"]["big"].endswith("y...")
    assert 700_000 < len(frame["vars"]["big"]) < MOST
    meta = made["_meta"]["exception"]["values"]["0"]["stacktrace"]["frames"]["0"]["vars"]["big"][""]
    length = len(frame["vars"]["big"])
    assert meta == {"len": 3_000_000, "rem": [["!limit", "x", length - 3, length]]}


def test_many_big_variables_are_cut_alike():
    made = event_of([{"rest": "x" * 100_000} for _ in range(90)])
    keep_event_small(made)
    lengths = {len(frame["vars"]["rest"]) for frame in frames_of(made)}
    assert len(lengths) == 1
    assert 9_000 < lengths.pop() < 10_000
    assert size_of(made) < 1_000_000


@pytest.mark.parametrize("text", ["\xfc", "\u4e2d", "\U0001f600", "\\", '"', "\n", "\x00", "a\xfc"])
def test_what_is_longer_in_json_is_measured_there(text):
    made = event_of([{f"v{n}": text * 60_000 for n in range(10)}])
    keep_event_small(made)
    assert MOST // 2 < size_of(made) < 1_000_000


def test_text_that_is_no_variable_is_cut_then():
    made = event_of([{"a": "1"}], message="x" * 2_000_000, extra={"b": "y" * 1000})
    keep_event_small(made)
    assert size_of(made) < 1_000_000
    assert made["message"].endswith("x...")
    assert made["extra"] == {"b": "y" * 1000}
    assert made["_meta"]["message"][""]["len"] == 2_000_000


def test_variables_far_from_the_crash_go_before_those_near_it():
    made = event_of([{f"v{n}": "x" * 200 for n in range(300)} for _ in range(90)])
    keep_event_small(made)
    assert size_of(made) < 1_000_000
    held = [bool(frame["vars"]) for frame in frames_of(made)]
    assert held == sorted(held)
    assert held[-1]


def test_oldest_breadcrumbs_and_last_spans_go():
    crumbs = {"values": [{"message": "x" * 200, "data": {"n": n}} for n in range(3000)]}
    made = {"breadcrumbs": crumbs, "level": "error", "event_id": "0" * 32}
    keep_event_small(made)
    assert size_of(made) < 1_000_000
    assert made["breadcrumbs"]["values"][-1]["data"] == {"n": 2999}
    spans = {
        "type": "transaction",
        "spans": [{"op": "db", "description": "x" * 200, "n": n} for n in range(5000)],
    }
    keep_event_small(spans)
    assert size_of(spans) < 1_000_000
    assert spans["spans"][0]["n"] == 0
    assert spans["_meta"]["spans"][""]["len"] == 5000


def test_item_is_cut_too():
    item = {"body": "x" * 1_500_000, "attributes": {"a": "y" * 1000, "n": 5}}
    keep_item_small(item)
    assert size_of(item) < 1_000_000
    assert item["attributes"] == {"a": "y" * 1000, "n": 5}


# A number above a thousand stands for a text of that length.
TREES = st.recursive(
    st.one_of(st.none(), st.text(max_size=50), st.integers(0, 400_000)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["extra", "contexts", "tags", "request", "message", "spans", "x"])


def grown(tree):
    if isinstance(tree, dict):
        return {key: grown(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [grown(value) for value in tree]
    return "\xe4" * tree if isinstance(tree, int) and tree > 1000 else tree


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=9), TREES, max_size=4), max_size=3),
    st.dictionaries(KEYS, TREES),
)
def test_no_event_is_too_big(frames, more):
    made = event_of(grown(frames), **grown(more))
    keep_event_small(made)
    assert size_of(made) < 1_000_000
    assert made["event_id"] == "0" * 32
    assert made["exception"]["values"][0]["type"] == "ValueError"


def test_too_many_frames_leave_the_last_ones():
    made = event_of([{} for _ in range(20_000)])
    for frame in frames_of(made):
        frame["pre_context"] = ["x" * 60] * 5
    keep_event_small(made)
    assert size_of(made) < 1_000_000
    assert frames_of(made)[-1]["function"] == "f19999"


@pytest.mark.parametrize("pii", ["true", "false"])
def test_error_of_a_big_request_arrives(pii):
    noise = "".join(random.Random(1).choices("abcdefgh \n", k=90_000))

    def crash(depth):
        here = noise[depth:]
        if depth > 60:
            raise ValueError(len(here))
        crash(depth + 1)

    def app(environ, start_response):
        crash(0)

    with capture_envelopes() as captured:
        call(SentryMiddleware(app, send_default_pii=pii))
    (event,) = captured.errors
    assert size_of(event) < 1_000_000
    assert event["exception"]["values"][-1]["type"] == "ValueError"


def test_event_is_cut_again_where_redaction_has_made_it_longer():
    rows = [{"pwd": f"xyz{number}"} for number in range(40_000)]
    event = {"event_id": "0" * 32, "extra": {"rows": rows}}
    assert size_of(event) < 1_000_000
    cleaned = Redaction(Names()).clean_event(event, {})
    assert "xyz1" not in json.dumps(cleaned)
    assert size_of(cleaned) < 1_000_000


@pytest.mark.parametrize("text", ["\\", "'\"", "\n", "\xa0", "x"])
@pytest.mark.parametrize("pii", [True, False])
def test_mapping_of_an_item_is_cut_as_the_text_that_it_is_sent_as(text, pii):
    item = {"body": "m", "attributes": {"payload": {"a": text * (440_000 // len(text))}, "n": 5}}
    redaction = Redaction(Names())
    redaction.options = {"send_default_pii": pii}
    sent = redaction.clean_item(item, {})
    sent["attributes"] = {key: as_attribute(value) for key, value in sent["attributes"].items()}
    assert size_of(sent) < 1_000_000
    assert sent["attributes"]["n"] == 5
    assert len(sent["attributes"]["payload"]) > 100_000


def test_item_is_cut_again_where_redaction_has_made_it_longer():
    item = {"body": "x", "attributes": {f"a{n}": "pwd=xyz1&" * 5000 for n in range(18)}}
    assert size_of(item) < 1_000_000
    cleaned = Redaction(Names()).clean_item(item, {})
    assert "xyz1" not in json.dumps(cleaned)
    assert size_of(cleaned) < 1_000_000


def test_small_item_is_known_to_stay_small():
    assert keep_item_small({"body": "x", "attributes": {"a": "y"}})
    assert not keep_item_small({"body": "x" * 100_000})


def test_large_spans_of_a_request_are_cut_one_by_one():
    spans = [
        {"name": "SELECT", "attributes": {"db.query.text": "x" * 2_000_000}},
        {"name": "b", "attributes": {}},
    ]
    Redaction(Names()).clean_spans(None, spans)
    assert len(spans[0]["attributes"]["db.query.text"]) < MOST
    assert spans[1] == {"name": "b", "attributes": {}}
