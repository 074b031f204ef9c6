"""What becomes of an envelope, by what Sentry answers."""

import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from sentry_sdk.envelope import Envelope, Item

from sentry_paste.client.registry import registry
from sentry_paste.spool import backlog as backlog_module

import faulty
from faulty import Answer
from spooled import TRACE_KIND, close_clients, states, warnings_of


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_temporary_failure_is_sent_again(site, sentry, spool, status, impatient):
    sentry.answer = Answer(status)
    site().crash()
    sentry.wait(arrivals=2)
    sentry.answer = Answer()
    sentry.wait(errors=1)
    close_clients()
    assert states(spool) == []
    assert sentry.sent_twice() == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 501])
def test_refused_envelope_is_set_aside_with_the_reason_and_counted(site, sentry, spool, status, caplog):
    sentry.answer = Answer(status)
    site().crash()
    sentry.wait_for(lambda: spool.files(state="aside"))
    (file,) = spool.files()
    assert (file.state, file.detail) == ("aside", f"http_{status}")
    sentry.answer = Answer()
    close_clients()
    # By one of two reasons: older SDKs have no separate reason for 413.
    assert sentry.lost()["error", "send_error"] + sentry.lost()["error", "network_error"] == 1
    assert warnings_of(caplog) == [f"spool_dir: {spool.directory}: 1 set aside (http {status})"]


def test_file_that_was_set_aside_is_not_sent_again(site, sentry, spool, impatient):
    sentry.answer = Answer(400)
    made = site()
    made.crash()
    sentry.wait_for(lambda: spool.files(state="aside"))
    sentry.answer = Answer()
    made.ok()
    time.sleep(0.4)
    assert len(sentry.arrivals) == 1


def test_refused_envelope_of_the_backlog_is_set_aside_too(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(2)
    close_clients()
    sentry.answer = Answer(413)
    site().ok()
    sentry.wait_for(lambda: len(spool.files(state="aside")) == 2)
    sentry.answer = Answer()
    close_clients()
    assert sentry.lost()["error", "send_error"] + sentry.lost()["error", "network_error"] == 2


def test_retry_after_of_429_is_obeyed_for_all_and_errors_are_kept(site, sentry, spool, impatient):
    sentry.answer = Answer(429, {"Retry-After": "1"})
    made = site(traces_sample_rate="1.0")
    made.crash()
    sentry.wait(arrivals=1)
    begun = sentry.arrivals[0].time
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait(errors=4)
    assert sentry.arrivals[1].time - begun >= 0.95
    close_clients()
    assert states(spool) == []
    assert sentry.sent_twice() == 0
    assert sentry.lost()[TRACE_KIND, "ratelimit_backoff"] >= 3


def test_rate_limit_of_errors_keeps_them_and_lets_transactions_go(site, sentry, spool, impatient):
    sentry.answer = Answer(200, {"X-Sentry-Rate-Limits": "1:error:organization"})
    made = site(traces_sample_rate="1.0")
    made.crash()
    sentry.wait_for(lambda: len(sentry.delivered()) == 1 and len(sentry.delivered("transaction")) == 1)
    begun = sentry.arrivals[0].time
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 4)
    assert len(sentry.delivered()) == 1
    sentry.wait(errors=4)
    assert min(arrival.time for arrival in sentry.arrivals[2:] if "event" in arrival.types) - begun >= 0.95
    close_clients()
    assert not sentry.lost()


def test_errors_under_a_rate_limit_do_not_have_the_directory_read_for_each_of_them(
    site, sentry, spool, monkeypatch
):
    sentry.answer = Answer(429, {"Retry-After": "60"})
    made = site()
    made.crash()
    sentry.wait_for(lambda: spool.files(state="waiting"))
    time.sleep(0.3)
    looks = []
    look = backlog_module.Backlog._look
    monkeypatch.setattr(backlog_module.Backlog, "_look", lambda self: (looks.append(1), look(self)))
    for _ in range(10):
        made.crash()
        time.sleep(0.02)
    sentry.wait_for(lambda: len(spool.files(state="waiting")) == 11)
    assert len(looks) <= 1


def test_rate_limit_of_transactions_drops_them_as_the_sdk_does(site, sentry, spool):
    sentry.answer = Answer(200, {"X-Sentry-Rate-Limits": f"60:{TRACE_KIND}:organization"})
    made = site(traces_sample_rate="1.0")
    made.ok()
    sentry.wait(arrivals=1)
    made.ok(3)
    made.crash()
    sentry.wait(errors=1)
    close_clients()
    assert len(sentry.delivered("transaction")) == 1
    assert sentry.lost()[TRACE_KIND, "ratelimit_backoff"] == 4
    assert states(spool) == []


@pytest.mark.parametrize(
    ("status", "value"),
    [
        (503, "inf"),
        (503, "nan"),
        (503, "1e300"),
        (503, "99999999999"),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (503, "x"),
        (429, "inf"),
        (429, "nan"),
    ],
)
def test_invalid_retry_after_neither_ends_the_thread_nor_waits_for_ever(
    site, sentry, spool, impatient, value, status
):
    """What is raised in the thread would be an error of the app's, too: the SDK captures it."""
    sentry.answer = Answer(status, {"Retry-After": value})
    made = site()
    made.crash(2)
    sentry.wait(arrivals=1)
    time.sleep(0.3)
    (transport,) = [client.transport for client in registry.clients()]
    assert [thread for thread in threading.enumerate() if thread.name == "sentry-paste.spool"]
    assert transport._live.remaining() <= 2 * 86400


@pytest.fixture
def elsewhere():
    """Another server, to which the first redirects."""
    with faulty.serve() as found:
        yield found


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_keeps_the_file(
    site, sentry, elsewhere, spool, status, impatient, caplog
):
    """A portal would take the envelope for itself, or answer a GET."""
    where = f"http://127.0.0.1:{elsewhere.port}/login?token=x"
    sentry.answer = Answer(status, {"Location": where})
    site().crash(2)
    sentry.wait(arrivals=4)
    assert [file.kind for file in spool.files()] == ["error"] * 2
    assert elsewhere.arrivals == []
    (warning,) = warnings_of(caplog)
    assert f"http {status}, a redirect to http://127.0.0.1:{elsewhere.port}" in warning
    assert "token" not in warning
    sentry.answer = Answer()
    sentry.wait(errors=2)
    close_clients()
    assert states(spool) == []
    assert not sentry.lost()


PORTALS = [
    Answer(body=b"<html>Please sign in</html>", headers={"Content-Type": "text/html"}),
    Answer(body=b"ok", headers={"Content-Type": "text/plain"}),
    Answer(body=b'{"error": "sign in"}'),
    Answer(body=b"[]"),
    Answer(body=b"\xff{"),
    Answer(body=b" " * 2_000_000 + b"{}"),
    Answer(202, body=b"<html>"),
]


@pytest.mark.parametrize("answer", PORTALS, ids=lambda answer: repr(answer.body[:10]))
def test_answer_that_is_not_sentrys_keeps_the_file(site, sentry, spool, answer, impatient, caplog):
    sentry.answer = answer
    site(traces_sample_rate="1.0").crash()
    sentry.wait(arrivals=3)
    sentry.wait_for(lambda: sorted(file.kind for file in spool.files()) == ["error", TRACE_KIND])
    (warning,) = warnings_of(caplog)
    assert f"http {answer.status}, but not an answer of Sentry" in warning
    sentry.answer = Answer()
    sentry.wait_for(lambda: states(spool) == [])
    close_clients()
    assert not sentry.lost()


SENTRYS = {
    "Relay": b'{"id":"4c79f60c11214eb38604f4ae0781bfb2"}',
    "Relay, without an event": b"{}",
    "Bugsink and Spotlight": b"",
    "GlitchTip": b'{"id": "4c79f60c11214eb38604f4ae0781bfb2", "task_id": null}',
    "GlitchTip, without an event": b'{"id": null}\n',
}


@pytest.mark.parametrize("body", SENTRYS.values(), ids=SENTRYS)
def test_answer_of_sentry_and_its_like_removes_the_file(site, sentry, spool, body):
    sentry.answer = Answer(body=body)
    site().crash()
    sentry.wait(errors=1)
    sentry.wait_for(lambda: states(spool) == [])
    close_clients()
    assert len(sentry.arrivals) == 1


@pytest.mark.parametrize("status", [407, 421, 425, 511])
def test_answer_of_a_proxy_keeps_the_file(site, sentry, spool, status, impatient):
    sentry.answer = Answer(status)
    site().crash()
    sentry.wait(arrivals=2)
    sentry.answer = Answer()
    sentry.wait(errors=1)


@pytest.mark.parametrize(
    "answer",
    [Answer(503, {"Retry-After": "86400"}), Answer(429, {"Retry-After": "86400"})],
    ids=lambda answer: str(answer.status),
)
def test_long_wait_that_a_server_asks_for_is_probed(site, sentry, spool, answer):
    """It may be a proxy's, or a mistake: a day of silence is not what one answer should cost."""
    sentry.answer = answer
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    (client,) = registry.clients()
    transport = client.transport
    sentry.wait_for(lambda: transport._live.remaining() or transport.inner.limited_for("error"))
    assert 500 < (transport._live.remaining() or transport.inner.limited_for("error")) <= 600 + 300
    time.sleep(0.3)
    assert len(sentry.arrivals) <= 2


def test_rate_limit_of_sentry_is_obeyed_however_long(site, sentry, spool):
    sentry.answer = Answer(429, {"X-Sentry-Rate-Limits": "86400:error:organization"})
    site().crash()
    sentry.wait(arrivals=1)
    (client,) = registry.clients()
    sentry.wait_for(lambda: client.transport.inner.limited_for("error"))
    assert client.transport.inner.limited_for("error") > 86000


@pytest.mark.parametrize("is_live", [True, False])
def test_attachment_left_out_because_of_a_rate_limit_is_a_loss(site, sentry, spool, impatient, is_live):
    sentry.answer = Answer() if is_live else Answer(503)
    site().ok()
    (client,) = registry.clients()
    inner = client.transport.inner
    until = datetime.now(timezone.utc) + timedelta(seconds=60)
    inner._disabled_until["attachment"] = until
    captured = Envelope(headers={"event_id": "1" * 32})
    captured.add_event({"event_id": "1" * 32, "message": "x"})
    captured.add_item(Item(payload=b"12345", type="attachment", filename="a.txt"))
    client.transport.capture_envelope(captured)
    sentry.wait(arrivals=1)
    sentry.answer = Answer()
    sentry.wait(errors=1)
    close_clients()
    assert sentry.lost()["attachment", "ratelimit_backoff"] == 5
