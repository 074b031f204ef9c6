"""The inis of docs/receivers.rst."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import sentry_sdk
import tlsproxy
from test_deployments import ask
from test_servers import until

from sentry_paste import sdk
from sentry_paste.cli.main import main

import pages
import servers
from installed import complaint, provide
from receiver import serve

PAGE = pages.page("receivers")


@pytest.fixture
def place(tmp_path, monkeypatch):
    PAGE.write(tmp_path)
    pages.write_distribution(tmp_path, "myapp", pages.MYAPP)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", PAGE.inis)
def test_check_has_nothing_against_an_ini(place, capsys, name):
    (place / "ca.pem").touch()
    assert main(["check", str(place / name)]) == 0
    warned = re.findall(r"^  (?:high|medium)  (\w+)", capsys.readouterr().out, re.MULTILINE)
    # Of sentry-sdk 2, Spotlight without a DSN gets personal data too, as the page says; an old one reports it
    # later.
    shown = name == "development.ini" and hasattr(sentry_sdk, "traces") and sdk.MAJOR == 2
    assert warned == (["send_default_pii"] if shown else [])


def crash_under_pserve(place, name, dsn="", proxy="", **variables):
    """Serve an ini of the page, have its app crash, and end the server in good order."""
    port = servers.free_port()
    PAGE.write(place, port)
    if proxy:
        text = (place / name).read_text()
        (place / name).write_text(text.replace("proxy.example:3128", proxy))
    if dsn:
        text = (place / name).read_text()
        (place / name).write_text(re.sub(r"(?m)^dsn = .*$", f"dsn = {dsn}", text))
    command = pages.words(f"pserve {name}", port, sys.executable)
    with servers.started(command, port, place, PYTHONPATH=str(place), **variables) as server:
        ask(server, "crash")
        assert server.end(signal.SIGINT) == 0


def test_directory_is_listed(place):
    crash_under_pserve(place, "directory.ini")
    command = pages.words(PAGE.command("spool list"), pages.PORT, sys.executable)
    listed = subprocess.run(command, cwd=place, capture_output=True, encoding="utf-8", timeout=180)
    assert "ZeroDivisionError" in listed.stdout


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="an old one needs Django")
def test_spotlight_in_a_development_ini_gets_the_error_and_the_trace(place):
    with serve() as spotlight:
        # The variable says where, as the ini does not; the rest is the ini's.
        crash_under_pserve(place, "development.ini", SENTRY_SPOTLIGHT=spotlight.spotlight)
        (event,) = spotlight.errors
        assert (event["environment"], event["release"]) == ("development", "myapp@1.0")
        (transaction,) = spotlight.transactions
        assert (transaction["transaction"], transaction["spans"]) == ("GET /crash", [])
        assert sum(counts["crashed"] for counts in spotlight.envelopes.sessions) == 1


@pytest.fixture
def spotlight(tmp_path):
    """The real one, as the page says, on a port of its own; and what its tail prints."""
    provide("npm", "npm")
    # It needs Node 20, and older ones report that at the start.
    said = complaint("bash", "-ec", f"cd {tmp_path} && {PAGE.command('npm install')}")
    if said is not None:
        pytest.skip(f"Spotlight cannot be installed: {said}")
    port = servers.free_port()
    serving, tailing = (
        [*pages.words(PAGE.command(words), port, sys.executable), "-p", str(port)]
        for words in ("spotlight server", "spotlight tail")
    )
    with servers.started(serving, port, tmp_path, "spotlight"):
        with (tmp_path / "tail").open("wb") as output:
            # npx starts others, which outlive it.
            tail = subprocess.Popen(
                tailing, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            yield port, tmp_path / "tail"
        finally:
            os.killpg(tail.pid, signal.SIGKILL)
            tail.wait()


@pytest.mark.slow
def test_spotlights_tail_shows_the_error_and_the_trace(place, spotlight):
    port, tail = spotlight

    def shown():
        lines = [line for line in tail.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
        return {found["type"]: found for found in map(json.loads, lines)}

    crash_under_pserve(place, "development.ini", SENTRY_SPOTLIGHT=f"http://localhost:{port}/stream")
    # Of streamed spans, which are all that sentry-sdk 3 sends, Spotlight's tail shows nothing.
    kinds = {"error", "trace"} if sdk.MAJOR == 2 else {"error"}
    assert until(lambda: kinds <= shown().keys(), seconds=120)
    error, trace = shown()["error"], shown().get("trace")
    assert (error["exception_type"], error["exception_value"]) == ("ZeroDivisionError", "crash of myapp")
    assert (error["environment"], error["release"]) == ("development", "myapp@1.0")
    assert error["request_url"].endswith("/crash")
    if trace is not None:
        assert (trace["transaction"], trace["status"]) == ("GET /crash", "internal_error")
        assert error["trace_id"] == trace["trace_id"]


def test_bugsink_is_sent_errors_and_nothing_else(place):
    with serve() as bugsink:
        crash_under_pserve(place, "bugsink.ini", bugsink.dsn)
        assert [item.type for envelope in bugsink.envelopes for item in envelope.items] == ["event"]


def test_relay_is_sent_errors_and_sessions(place):
    with serve() as relay:
        crash_under_pserve(place, "relay.ini", relay.dsn)
        assert {"event", "sessions"} <= {item.type for found in relay.envelopes for item in found.items}


@pytest.fixture
def self_hosted(place):
    """What the page's proxy and its certificate are, on loopback; ``ca.pem`` is to be written."""
    try:
        certificate = tlsproxy.make_certificate(place, "sentry", "sentry.example")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no certificate can be made here")
    with serve() as sentry, tlsproxy.serve(certificate, sentry.port) as proxy:
        yield sentry, proxy


def test_self_hosted_sentry_is_reached_by_its_certificate_and_through_the_proxy(place, self_hosted):
    sentry, proxy = self_hosted
    (place / "ca.pem").write_bytes((place / "sentry.pem").read_bytes())
    crash_under_pserve(place, "self-hosted.ini", proxy=f"127.0.0.1:{proxy.port}")
    (event,) = sentry.errors
    assert event["exception"]["values"][-1]["value"] == "crash of myapp"
    assert set(proxy.asked) == {("CONNECT", "sentry.example:443")}


def test_self_hosted_sentry_of_another_certificate_is_sent_nothing(place, self_hosted, capsys):
    sentry, proxy = self_hosted
    other, _ = tlsproxy.make_certificate(place, "other", "sentry.example")
    (place / "ca.pem").write_bytes(other.read_bytes())
    ini = place / "self-hosted.ini"
    ini.write_text(ini.read_text().replace("proxy.example:3128", f"127.0.0.1:{proxy.port}"))
    assert main(["send-test", str(ini)]) == 1
    assert "the certificate is not trusted" in capsys.readouterr().out
    assert sentry.raw == []
