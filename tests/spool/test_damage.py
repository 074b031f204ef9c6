"""A file that is not what was written is set aside with the reason, and never sent.

``SENTRY_PASTE_DAMAGED=100000`` damages so many files.
"""

import os

from sentry_sdk.envelope import Envelope, Item

from sentry_paste.spool import Spool
from sentry_paste.spool.backlog import Backlog
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.transport import LogThrottle

from damage import damages
from faulty import Answer
from spooled import Sender, close_clients, error_event, warnings_of

COUNT = int(os.environ.get("SENTRY_PASTE_DAMAGED", "2000"))


def an_error():
    envelope = Envelope(headers={"event_id": error_event()["event_id"], "trace": {"public_key": "x"}})
    envelope.add_event(error_event())
    envelope.add_item(Item(payload=b"\0\n{}\n" * 200, type="attachment", filename="a"))
    return envelope


def test_no_damaged_file_is_sent(tmp_path):
    spool, sender, good = Spool(tmp_path / "spool"), Sender(), an_error()
    bounds = Bounds(spool, 10**12, 10**9, lambda file, reason: None)
    backlog = Backlog(spool, ("any",), sender, bounds, LogThrottle(spool.directory), 1e9)
    data = good.serialize()
    for number, (damaged, kind) in enumerate(damages(data, COUNT)):
        file = spool.write(good)
        file.path.write_bytes(damaged)
        if number % 100 == 99 or number == COUNT - 1:
            backlog._look()
            assert sender.sent == [], kind
            aside = spool.files(state="aside")
            assert {file.detail for file in aside} <= {"damaged", "empty"}
            assert len(aside) == number % 100 + 1
            for file in aside:
                file.path.unlink()
    spool.write(good)
    backlog._look()
    assert [envelope.headers["event_id"] for envelope in sender.sent] == [good.headers["event_id"]]


def test_file_with_the_contents_of_another_is_not_sent(tmp_path):
    spool, sender = Spool(tmp_path / "spool"), Sender()
    bounds = Bounds(spool, 10**12, 10**9, lambda file, reason: None)
    first, second = spool.write(an_error()), spool.write(Envelope(items=[Item(payload=b"x", type="log")]))
    content = first.path.read_bytes()
    first.path.write_bytes(second.path.read_bytes())
    second.path.write_bytes(content)
    Backlog(spool, ("any",), sender, bounds, LogThrottle(spool.directory), 1e9)._look()
    assert sender.sent == []
    assert [file.detail for file in spool.files()] == ["damaged"] * 2


def test_damaged_file_is_set_aside_logged_and_counted_as_lost(site, sentry, spool, caplog):
    sentry.answer = Answer(503)
    site().crash(2)
    close_clients()
    damaged = spool.files()[0]
    content = damaged.path.read_bytes()
    damaged.path.write_bytes(content.replace(b"RuntimeError", b"RuntimeErros", 1))
    before = len(sentry.arrivals)
    sentry.answer = Answer()
    site().ok()
    sentry.wait(errors=1)
    sentry.wait_for(lambda: len(spool.files()) == 1)
    close_clients()
    assert [(file.id, file.detail) for file in spool.files()] == [(damaged.id, "damaged")]
    assert damaged.id not in {
        arrival.envelope.headers.get("event_id") for arrival in sentry.arrivals[before:]
    }
    assert f"spool_dir: {spool.directory}: 1 set aside (damaged)" in warnings_of(caplog)
    assert sentry.lost()["error", "internal_sdk_error"] == 1
