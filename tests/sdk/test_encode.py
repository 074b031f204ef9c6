"""Envelopes encoded by orjson, the extra ``fast``: the same data as from the SDK, or the SDK encodes them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope, Item, PayloadRef
from webtest import TestApp

from sentry_paste.sdk import events

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def envelope(payload):
    return Envelope(items=[Item(payload=PayloadRef(json=payload), type="event")])


@pytest.fixture(params=["orjson", "the standard library"])
def encoder(request, monkeypatch):
    if request.param != "orjson":
        monkeypatch.setattr(events, "orjson", None)
    return request.param


@given(st.dictionaries(st.text(), JSON))
def test_data_is_the_same(payload):
    fast, plain = envelope(payload), envelope(payload)
    events.encode(fast)
    assert json.loads(fast.items[0].get_bytes()) == json.loads(plain.items[0].get_bytes())


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1: "x"}], ids=["surrogate", "integer", "key"])
def test_what_orjson_does_not_encode_is_left_to_the_sdk(value):
    found = envelope({"extra": value})
    events.encode(found)
    assert found.items[0].payload.bytes is None
    assert json.loads(found.items[0].get_bytes())["extra"] == json.loads(json.dumps(value))


def test_number_that_json_does_not_have_loses_no_event():
    found = envelope({"extra": math.nan, "message": "kept"})
    events.encode(found)
    assert json.loads(found.items[0].get_bytes()) == {"extra": None, "message": "kept"}


def test_attachments_and_encoded_payloads_stay(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"text")
    items = [Item(payload=PayloadRef(path=str(tmp_path / "a.txt"))), Item(payload=b"\0raw")]
    found = Envelope(items=items)
    events.encode(found)
    assert [item.get_bytes() for item in found.items] == [b"text", b"\0raw"]


def test_event_that_is_changed_after_it_was_encoded_is_encoded_again():
    found = envelope({"level": "error"})
    events.encode(found)
    found.items[0].payload.json["level"] = "fatal"
    events.encode_again(found)
    events.encode(found)
    assert json.loads(found.items[0].get_bytes()) == {"level": "fatal"}


@pytest.mark.parametrize("has_spool", [True, False])
def test_error_arrives(load, receiver, tmp_path, encoder, has_spool):
    spool = f"spool_dir = {tmp_path / 'spool'}" if has_spool else ""
    app = load(
        f"""
        [app:main]
        paste.app_factory = apps:make_app
        filter-with = sentry

        [filter:sentry]
        use = egg:sentry_paste
        dsn = {receiver.dsn}
        {spool}
        """
    )
    with pytest.raises(ValueError, match="in the call"):
        TestApp(app).get("/crash")
    receiver.wait(errors=1)
    assert receiver.errors[0]["exception"]["values"][0]["value"] == "in the call"
