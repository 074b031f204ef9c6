"""What is no whole envelope is set aside, never sent, never fatal."""

import contextlib
import json
import os
import stat
import time
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope, Item

from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool import backlog as backlog_module
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.reading import UnreadableError, read_envelope
from sentry_paste.spool.transport import LogThrottle

import faulty
from faulty import Answer
from spooled import Sender, as_in_1_0, open_below
from wsgi_calls import call, environ_of

INI = """
    [pipeline:main]
    pipeline = sentry app

    [filter:sentry]
    use = egg:sentry_paste
    dsn = {dsn}
    spool_dir = {spool}

    [app:app]
    paste.app_factory = crashing:make_app
"""

EVENT_ID = "4c79f60c11214eb38604f4ae0781bfb2"


def whole():
    made = Envelope(headers={"event_id": EVENT_ID, "trace": {"public_key": "x"}})
    made.add_event({"event_id": EVENT_ID, "message": "täg\n"})
    made.add_item(Item(payload=b"\n\0two\nlines\n", type="attachment", filename="a"))
    return made


@pytest.fixture(scope="module")
def spool(tmp_path_factory):
    return Spool(tmp_path_factory.mktemp("reading") / "spool")


def reads(spool, data):
    file = as_in_1_0(spool.write(whole()))
    try:
        file.path.write_bytes(data)
        return read_envelope(file)
    finally:
        file.path.unlink()


def test_whole_envelope_is_read_as_it_was_written(spool):
    data = whole().serialize()
    assert reads(spool, data).serialize() == data


@pytest.mark.parametrize("count", range(len(whole().serialize()) - 1))
def test_no_beginning_of_an_envelope_is_taken_for_a_whole_one(spool, count):
    """Except at the end of an item: the rest is an envelope with one item less."""
    data = whole().serialize()
    items = Envelope(headers=whole().headers, items=whole().items[:1]).serialize()
    if data[:count] in (items, items[:-1]):
        pytest.skip("ends with an item")
    with pytest.raises(UnreadableError):
        reads(spool, data[:count])


@given(st.binary(max_size=300))
def test_random_bytes_are_no_envelope_or_one_that_can_be_sent(spool, data):
    with contextlib.suppress(UnreadableError):
        reads(spool, data).serialize()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
HEADER = st.dictionaries(
    st.sampled_from(["type", "length", "event_id", "content_type", "item_count", "filename", "trace"]), JSON
)


@given(HEADER, st.lists(st.tuples(HEADER, st.binary(max_size=20)), max_size=3))
@example({"type": [float("inf")]}, [({"type": ""}, b"")])
@example({}, [({"type": "", "trace": {"x": float("nan")}}, b"")])
def test_any_headers_are_no_envelope_or_one_that_can_be_sent(spool, header, items):
    lines = [json.dumps(header).encode()]
    for item, payload in items:
        lines += [json.dumps(item).encode(), payload]
    with contextlib.suppress(UnreadableError):
        reads(spool, b"\n".join(lines)).serialize()


@pytest.mark.parametrize(
    "data",
    [
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"event_id":"' + b"x" * 1_000_000 + b'"}\n',
        b'{"a":' + b"9" * 10_000 + b'}\n{"type":"event"}\n{}',
        b'{}\n{"type":"event","length":1e400}\n{}',
        b'{}\n{"type":"event","length":99999999999999999999}\n{}',
        b'{}\n{"type":"event","length":-1}\n{}',
        b"\n" * 100_000,
        b"\xff\xfe{}\n",
    ],
)
def test_huge_and_deep_headers_are_no_envelope(spool, data):
    with pytest.raises(UnreadableError):
        reads(spool, data)


# In a spool, before a process that has to go on.


def _directory(path):
    path.mkdir()
    (path / "inside").write_text("x")


def _link(path):
    target = path.parent.parent / "target"
    target.write_bytes(whole().serialize())
    path.symlink_to(target)


SPOILT = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(whole().serialize()[:-30]),
    "random": lambda path: path.write_bytes(b"\x80\x81\x82" * 30),
    "text": lambda path: path.write_bytes(b"hello"),
    "no items": lambda path: path.write_bytes(b"{}\n"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "directory": _directory,
    "link": _link,
    "link to nothing": lambda path: path.symlink_to(path.parent / "nothing"),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture
def site(load, tmp_path, monkeypatch):
    with faulty.serve() as sentry:
        yield load(INI.format(dsn=sentry.dsn, spool=tmp_path / "spool")), sentry, Spool(tmp_path / "spool")
        sentry.answer = Answer()
        registry.reset()


def test_corrupt_files_are_set_aside_never_sent_and_keep_nothing_back(site, caplog):
    app, sentry, spool = site
    now = datetime.now(timezone.utc)
    spool.prepare()
    for number, spoil in enumerate(SPOILT.values()):
        spoil(spool.directory / f"{now:%Y%m%dT%H%M%S}.{number:06}Z-error-{number:032x}-any.envelope")
    good = [spool.write(whole()) for _ in range(3)]
    call(app, environ_of("/ok/1"))
    sentry.wait_for(lambda: len(sentry.arrivals) == 3)
    sentry.wait_for(lambda: not spool.files(state="waiting") and not spool.files(state="claimed"))
    assert len(spool.files(state="aside")) == len(SPOILT)
    assert {arrival.envelope.headers["event_id"] for arrival in sentry.arrivals} == {file.id for file in good}
    call(app, environ_of("/crash/1"))
    sentry.wait(arrivals=4)
    registry.reset()
    assert [path for path, _ in open_below(spool.directory) if ".envelope" in path] == []
    warnings = [record.getMessage() for record in caplog.records if record.name == "sentry_paste"]
    assert len(warnings) == 1
    assert "set aside" in warnings[0]


def test_directory_of_a_files_name_leaves_no_descriptor_open(spool):
    file = spool.write(whole())
    file.path.unlink()
    file.path.mkdir()
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_envelope(file)
    assert open_below(file.path) == []
    file.path.rmdir()


FOREIGN = [
    "notes.txt",
    "x.envelope",
    ".partial",
    ".x.partial",
    ".alive-",
    ".alive-xyz",
    f"20260101T000000.000000Z-error-{EVENT_ID}-any.envelope.claimed-",
    f"20260101T000000.000000Z-error-{EVENT_ID}-any.envelope.aside-",
    f"20269999T999999.999999Z-error-{EVENT_ID}-any.envelope",
    f"20260101T000000.000000Z-error-{EVENT_ID}-any.envelope~",
    os.fsdecode(b"\xff\xfe.envelope"),
    "a\nb.envelope",
]


def test_foreign_names_are_left_alone(site, caplog):
    app, sentry, spool = site
    spool.prepare()
    for name in FOREIGN:
        (spool.directory / name).write_bytes(whole().serialize())
    call(app, environ_of("/crash/1"))
    sentry.wait(arrivals=1)
    time.sleep(0.2)
    registry.reset()
    left = set(os.listdir(spool.directory))
    assert set(FOREIGN) <= left
    assert len(sentry.arrivals) == 1
    assert not [record for record in caplog.records if record.name == "sentry_paste"]


class _Sender(Sender):
    """One who sends anything that the SDK can serialise."""

    def send_again(self, envelope, kind):
        return super().send_again(Envelope.deserialize(envelope.serialize()), kind)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.integers(0, 200).map(lambda count: whole().serialize()[:count]),
            st.just(whole().serialize()),
        ),
        max_size=6,
    )
)
def test_whatever_lies_there_the_good_ones_are_sent_and_the_rest_is_set_aside(tmp_path_factory, contents):
    spool = Spool(tmp_path_factory.mktemp("any") / "spool")
    expected = 0
    for data in contents:
        file = as_in_1_0(spool.write(whole()))
        file.path.write_bytes(data)
        expected += data == whole().serialize()
    sender = _Sender()
    bounds = Bounds(spool, 10**8, 10**8, lambda file, reason: None)
    backlog = backlog_module.Backlog(spool, ("any",), sender, bounds, LogThrottle(spool.directory), 1e6)
    backlog._look()
    assert len(sender.sent) >= expected
    assert {file.state for file in spool.files()} <= {"aside"}
    assert all(stat.S_ISREG(file.path.stat().st_mode) for file in spool.files())
