"""Threads, forks, descriptors and other hosts."""

import gc
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from sentry_paste.client.registry import registry
from sentry_paste.spool import delivery
from sentry_paste.spool.names import destination_of

import servers
from faulty import Answer
from spooled import close_clients, envelope, open_below, states, warnings_of


def test_capture_while_another_is_put_into_the_queue_does_not_wait_for_ever(site, sentry, spool):
    """The garbage collector runs anywhere, and what it calls may log an error: the SDK's queue expects it."""
    made = site()
    made.ok()
    (client,) = registry.clients()

    class Queued(dict):
        def __setitem__(self, key, value):
            if not self:
                super().__setitem__(key, value)
                client.capture_event({"message": "of a destructor", "level": "error"})
            super().__setitem__(key, value)

    client.transport._queued = Queued()
    thread = threading.Thread(
        target=client.capture_event, args=({"message": "of the app", "level": "error"},), daemon=True
    )
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    sentry.wait(errors=2)


def test_same_envelope_captured_twice_leaves_no_claim(site, sentry, spool):
    site().ok()
    (client,) = registry.clients()
    sentry.answer = Answer(delay=0.1)
    twice = envelope()
    client.transport.capture_envelope(twice)
    client.transport.capture_envelope(twice)
    close_clients()
    assert [file for file in spool.files() if file.state == "claimed"] == []


def test_no_descriptor_is_left_open(site, sentry, spool, impatient):
    made = site()
    made.crash(2)
    sentry.wait(errors=2)
    sentry.wait_for(lambda: states(spool) == [])
    before = len(open_below(spool.directory))
    spool.prepare()
    for number in range(5):
        (spool.directory / f"2000010{number + 1}T000000.000000Z-error-{number:032}-any.envelope").mkdir()
    made.crash(5)
    sentry.wait(errors=7)
    time.sleep(0.5)

    def are_closed():  # but for a moment in which a thread looks
        gc.collect()
        return len(open_below(spool.directory)) <= before

    sentry.wait_for(are_closed)


FORKING = """
import os, sys, time
import pytest
import sentry_sdk
from paste.deploy import loadapp
from wsgi_calls import call, environ_of

app = loadapp("config:" + sys.argv[1])
for number in range(10):
    call(app, environ_of(f"/crash/parent{number}"))
child = os.fork()
if not child:
    for number in range(5):
        call(app, environ_of(f"/crash/child{number}"))
    sentry_sdk.get_client().close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_child_of_a_process_that_has_queued_envelopes_sends_its_own_only(site, sentry, spool, tmp_path):
    sentry.answer = Answer(delay=0.05)
    site()
    registry.reset()
    subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path / "test.ini")],
        env=servers.environment(),
        check=True,
        timeout=180,
    )
    expected = {f"parent{number}" for number in range(10)} | {f"child{number}" for number in range(5)}
    assert set(sentry.tags()) == expected
    assert sentry.sent_twice() == 0
    assert states(spool) == []


def transaction_envelope(name):
    return Envelope(items=[Item(PayloadRef(json={"transaction": name}), type="transaction")])


def test_threads_after_a_fork_without_python_hooks_lose_nothing(site, sentry, spool, monkeypatch):
    """uWSGI forks in C, and its threads may all have a first request at once."""
    site().ok()
    sentry.answer = Answer(delay=0.3)
    (client,) = registry.clients()
    begun = []

    class SlowToMake(delivery.Backoff):
        def __init__(self, *args):
            begun.append(threading.get_ident())
            time.sleep(0.2)
            super().__init__(*args)

    monkeypatch.setattr(delivery, "Backoff", SlowToMake)
    client.transport._pid = -1
    capture = client.transport.capture_envelope
    threads = [threading.Thread(target=capture, args=(transaction_envelope(f"GET /{n}"),)) for n in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    sentry.wait_for(lambda: len(sentry.transactions()) == 4)
    assert len(begun) == 1


def test_process_of_another_host_keeps_what_it_has_just_written(site, sentry, spool, monkeypatch):
    """It has not shown itself yet: its thread begins with its first error."""
    from sentry_paste.spool.owner import Owner, current

    here = current()
    other = Owner("0" * 8, here.boot, 1, 1)
    sentry.answer = Answer(503)
    spool.write(envelope(), destination_of(f"127.0.0.1:{sentry.port}/", "1"), other)
    sentry.answer = Answer()
    site().ok()
    time.sleep(0.5)
    assert [file.state for file in spool.files()] == ["claimed"]


def test_written_file_is_what_the_sdk_would_send(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    site().crash()
    (file,) = spool.files()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    read = Envelope.deserialize(file.path.read_bytes())
    assert json.loads(read.items[0].get_bytes())["event_id"] == file.id
    assert datetime.now(timezone.utc) - file.time < timedelta(seconds=60)


def test_transport_is_not_in_the_apps_log(site, sentry, spool, caplog):
    with caplog.at_level(logging.WARNING):
        site().crash(2)
        sentry.wait(errors=2)
        close_clients()
    assert warnings_of(caplog) == []


def test_only_one_transport_is_made_for_a_client(site):
    site()
    (client,) = registry.clients()
    assert isinstance(client.transport, delivery.DeliveringTransport)
    assert sentry_sdk.get_client() is client


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is of Unix")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_forgets_what_its_parent_could_not_release(site, sentry, spool, monkeypatch):
    made = site()
    made.ok()
    sentry.answer = Answer(503)
    rename = os.rename

    def fail_to_release(source, target):
        if ".claimed-" in str(source):
            raise OSError("read-only")
        return rename(source, target)

    (client,) = registry.clients()
    unfinished = client.transport._unfinished
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", fail_to_release)
        made.crash()
        sentry.wait_for(lambda: unfinished._actions)
        child = os.fork()
        if child == 0:  # pragma: no cover
            os._exit(len(unfinished._actions))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert states(spool) == [("error", "claimed")]
