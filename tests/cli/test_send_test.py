"""What sentry-paste send-test sends, and how it explains the answers."""

import importlib
import json
import logging
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sentry_sdk

from sentry_paste import sdk
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.main import main
from sentry_paste.cli.network import explain, rate_limits, status_meaning, status_text
from sentry_paste.cli.send_test import result_text, send_test
from sentry_paste.config.options import options
from sentry_paste.spool import Spool

from spooled import LIFECYCLES
from traced_apps import only_transactions


@pytest.fixture
def ini(write_ini):
    """An ini with a filter of some options around an app that is not installed."""

    def write(dsn, options=""):
        return write_ini(
            f"[filter:sentry]\nuse = egg:sentry_paste\n{'dsn = ' * bool(dsn)}{dsn}\n{options}\n"
            "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
        )

    return write


@pytest.fixture
def own_transport(tmp_path, monkeypatch):
    """The name of a module with a transport class, an object of it, and what was sent."""
    (tmp_path / "transports.py").write_text(
        "from sentry_sdk.transport import Transport\n"
        "sent = []\n"
        "class Own(Transport):\n"
        "    def capture_envelope(self, envelope):\n"
        "        sent.append(envelope)\n"
        "own = Own()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "transports"
    sys.modules.pop("transports", None)


@pytest.fixture
def dropping(tmp_path, monkeypatch):
    (tmp_path / "dropping.py").write_text("def drop(event, hint):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "dropping:drop"


@pytest.fixture(params=LIFECYCLES)
def lifecycle(request):
    """Lines of the ini for either form of a trace."""
    return "".join(f"{name} = {value}\n" for name, value in request.param.items())


def shown_trace(transaction):
    """What the output calls the trace, and its id there."""
    if "event_id" in transaction:
        return "transaction", transaction["event_id"]
    return "span", transaction["contexts"]["trace"]["trace_id"]


def test_error_and_trace_arrive_once_and_are_shown_with_their_ids(ini, receiver, capsys, lifecycle):
    assert main(["send-test", str(ini(receiver.dsn, lifecycle))]) == 0
    (event,), (transaction,) = receiver.errors, receiver.transactions
    what, identity = shown_trace(transaction)
    assert len(receiver.raw) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"To {receiver.dsn.partition('@')[2].removesuffix('/1')} (http)"
    assert f"  error {event['event_id']}" in lines
    assert f"  {what} {identity}" in lines
    assert lines.count("    accepted (HTTP 200 OK)") == 2
    assert lines[-1] == f"Look for the error SentryPasteTest and the {what} sentry-paste send-test."


def test_test_is_recognised_by_name_and_tag(ini, receiver, lifecycle):
    options = f"environment = staging\nrelease = shop@2\ntags.region = eu\n{lifecycle}"
    send_test(str(ini(receiver.dsn, options)))
    (event,), (transaction,) = receiver.errors, receiver.transactions
    assert event["exception"]["values"][0]["type"] == "SentryPasteTest"
    assert transaction["transaction"] == "sentry-paste send-test"
    assert len(transaction["spans"]) == 1
    for item in (event, transaction):
        tags = item.get("tags") or item["contexts"]["trace"]["data"]  # streamed spans have attributes
        assert tags["sentry_paste.test"] == "true"
        assert tags["region"] == "eu"
        assert (item["environment"], item["release"]) == ("staging", "shop@2")


@pytest.mark.parametrize(
    "given",
    [
        "traces_sample_rate = 0",
        "traces_sample_rate =",
        "enable_tracing = false",
        "sample_rate = 0",
        "traces_sampler = builtins:int",
        "profiles_sample_rate = 1.0",
        "send_client_reports = true",
        "spool_dir = spool",
    ],
)
def test_no_rate_keeps_the_test_from_being_sent(ini, receiver, given, lifecycle):
    if given.split()[0] not in options():
        pytest.skip("this SDK has no such option")
    result = send_test(str(ini(receiver.dsn, f"{given}\n{lifecycle}")))
    assert [outcome.accepted for outcome in result.outcomes] == [True, True]
    assert (len(receiver.errors), len(receiver.transactions), len(receiver.raw)) == (1, 1, 2)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "the server refuses the key of the DSN (HTTP 401 Unauthorized)"),
        (403, "the key belongs to another project; copy the DSN again (HTTP 403 Forbidden)"),
        (404, "there is no such project, or no Sentry server, at this address (HTTP 404 Not Found)"),
        (413, "the server refuses it as too large (HTTP 413 "),
        (503, "has a problem; try again later (HTTP 503 Service Unavailable)"),
    ],
)
def test_refusal_is_explained(ini, receiver, capsys, status, expected):
    receiver.status = status
    assert main(["send-test", str(ini(receiver.dsn))]) == 1
    captured = capsys.readouterr()
    assert " ".join(captured.out.split()).count(expected) == 2
    assert "Look for the error" not in captured.out


def test_rate_limit_is_explained_and_respected(ini, receiver):
    receiver.status = 429
    error, transaction = send_test(str(ini(receiver.dsn))).outcomes
    assert error.text == (
        "the server accepts no more for now: a quota or a rate limit is used up (HTTP 429 Too Many Requests)"
    )
    assert transaction.text == "not sent: the server has just asked the SDK to send nothing for a while"
    assert len(receiver.raw) == 1


def test_explanation_of_the_server_is_shown(ini):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = b'{"detail": "bad sentry DSN public key\\u001b[2J", "causes": ["no such key"]}'
            self.send_response(403)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Retry-After", "30")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        result = send_test(str(ini(f"http://key@127.0.0.1:{server.server_address[1]}/1")))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert result.outcomes[0].text.endswith(
        "(HTTP 403 Forbidden); the server says: bad sentry DSN public key\x1b[2J no such key; Retry-After: 30"
    )
    assert "\x1b" not in result_text(result)


def test_refused_connection_is_shown_without_log_messages(ini, capsys, caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with caplog.at_level(logging.WARNING):
        assert main(["send-test", str(ini(f"http://key@127.0.0.1:{port}/1"))]) == 1
    captured = capsys.readouterr()
    expected = f"not sent: 127.0.0.1:{port} refuses the connection; is a server listening there?"
    assert captured.out.count(expected) == 2
    assert captured.err == ""
    assert [record for record in caplog.records if record.name.startswith("urllib3")] == []


def test_server_that_does_not_answer_is_reported(ini):
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = ini(f"http://key@127.0.0.1:{server.getsockname()[1]}/1", "shutdown_timeout = 0.1")
        error, _ = send_test(str(path), seconds=0.3).outcomes
    assert (error.accepted, error.text) == (False, "no answer within 0.3 s; is there a firewall in between?")


def test_server_without_tls_is_reported(ini, receiver):
    error, _ = send_test(str(ini(receiver.dsn.replace("http:", "https:")))).outcomes
    assert not error.accepted
    assert error.text.startswith("not sent: TLS: ")


@pytest.mark.parametrize(
    ("option", "dropped"),
    [
        ("before_send", "error"),
        pytest.param("before_send_transaction", "transaction", marks=only_transactions),
    ],
)
def test_hook_that_drops_the_test_is_named(ini, receiver, dropping, option, dropped):
    result = send_test(str(ini(receiver.dsn, f"{option} = {dropping}")))
    texts = {outcome.item: outcome.text for outcome in result.outcomes}
    assert texts.pop(dropped) == "not sent: before_send, or before_send_transaction, drops it"
    assert list(texts.values()) == ["accepted (HTTP 200 OK)"]


def test_option_that_ignores_the_test_is_named(ini, receiver):
    error, transaction = send_test(str(ini(receiver.dsn, "ignore_exceptions = Exception"))).outcomes
    assert (error.accepted, transaction.accepted) == (False, True)
    assert "ignore_exceptions" in error.text


def test_rules_about_errors_do_not_keep_the_test_from_being_sent(ini, receiver):
    rules = "ignore_messages = *\nerror_sample_rates = Exception 0\nerror_budget = 0 per day in all"
    assert [outcome.accepted for outcome in send_test(str(ini(receiver.dsn, rules))).outcomes] == [True, True]


@pytest.mark.skipif("ignore_spans" not in options(), reason="this SDK has no ignore_spans")
def test_option_that_ignores_the_span_is_named(ini, receiver):
    ignoring = "trace_lifecycle = stream\nignore_spans = /sentry-paste .*/"
    error, span = send_test(str(ini(receiver.dsn, ignoring))).outcomes
    assert (error.accepted, span.accepted) == (True, False)
    assert span.text == "not sent: an option tells the SDK to ignore it (ignore_spans)"


def test_spool_without_a_dsn_saves_both_and_the_files_are_named(ini, tmp_path, lifecycle):
    result = send_test(str(ini("", f"spool_dir = spool\n{lifecycle}")))
    files = Spool(tmp_path / "spool").files()
    assert sorted(file.kind for file in files) == ["error", result.outcomes[1].item]
    assert {outcome.text for outcome in result.outcomes} == {f"saved as {file.path}" for file in files}
    assert all(outcome.accepted for outcome in result.outcomes)


def test_spool_that_cannot_be_written_is_reported(ini, tmp_path):
    (tmp_path / "spool").write_text("a file")
    result = send_test(str(ini("", "spool_dir = spool")))
    assert {outcome.text for outcome in result.outcomes} == {"not saved: the spool cannot be written"}


@pytest.mark.parametrize(("dsn", "name"), [("", "own"), ("https://key@host.example/1", "Own")])
def test_transport_of_the_user_is_used_and_its_outcome_unknown(ini, own_transport, dsn, name):
    result = send_test(str(ini(dsn, f"transport = {own_transport}:{name}")))
    assert len(importlib.import_module(own_transport).sent) == 2
    assert {outcome.text for outcome in result.outcomes} == {
        "passed to the transport of the ini, which does not report the outcome"
    }


@pytest.mark.parametrize("option", ["transport = transports:Own", "spotlight = http://127.0.0.1:1/stream"])
def test_option_that_makes_no_transport_is_nowhere_to_send_to(ini, own_transport, option):
    with pytest.raises(IniError, match="nowhere to send to"):
        send_test(str(ini("", option)))


def test_no_dsn_is_a_mistake(ini, capsys):
    assert main(["send-test", str(ini("", "environment = staging"))]) == 2
    assert "dsn has no value, and there is no spool_dir" in capsys.readouterr().err


def test_mistakes_are_shown_as_at_a_start(ini, capsys):
    assert main(["send-test", str(ini("nonsense"))]) == 2
    assert "line 3: dsn = nonsense: expected a DSN" in capsys.readouterr().err


def test_ini_without_sentry_is_refused(write_ini, capsys):
    assert main(["send-test", str(write_ini("[app:main]\nuse = egg:a\n"))]) == 2
    assert capsys.readouterr().err == (
        "sentry-paste: [app:main] is not covered by Sentry; sentry-paste check shows what to write\n"
    )


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan"])
def test_timeout_is_a_number_of_seconds(ini, capsys, timeout):
    with pytest.raises(SystemExit) as caught:
        main(["send-test", str(ini("http://key@127.0.0.1:1/1")), f"--timeout={timeout}"])
    assert caught.value.code == 2
    assert f"expected a number of seconds, not '{timeout}'" in capsys.readouterr().err


def test_no_client_is_left_behind(ini, receiver):
    send_test(str(ini(receiver.dsn)))
    assert not sentry_sdk.get_client().is_active()


def test_transport_that_cannot_be_watched_is_left_alone():
    class Transport(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope):
            pass

    assert not sdk.watch_transport(Transport(), print, print)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "DNS: h has no address (Name or service not known)",
        ),
        (ConnectionRefusedError(111, "Connection refused"), "h refuses the connection"),
        (ConnectionResetError(104, "reset"), "h closed the connection"),
        (TimeoutError("timed out"), "h does not answer in time"),
        (socket.timeout("timed out"), "h does not answer in time"),
        (ssl.SSLError(1, "wrong version number"), "TLS: "),
        (ssl.SSLCertVerificationError(1, "self-signed"), "TLS: the certificate is not trusted"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_error_is_explained_however_deep_it_is_wrapped(error, expected):
    wrapped = RuntimeError("retries are used up")
    wrapped.reason = ValueError("no connection")
    wrapped.reason.__cause__ = error
    for outer in (error, wrapped, RuntimeError(error), RuntimeError("in vain", RuntimeError(error))):
        assert explain(outer, "h").startswith(expected)


def test_errors_that_cause_each_other_are_explained():
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert explain(one, "h") == "other"


@pytest.mark.parametrize(("status", "text"), [(200, "HTTP 200 OK"), (299, "HTTP 299")])
def test_status_has_its_phrase(status, text):
    assert status_text(status) == text


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "accepted"),
        (302, "redirects elsewhere"),
        (418, "refuses it"),
        (500, "has a problem"),
        (700, "not an answer of"),
    ],
)
def test_every_status_has_a_meaning(status, expected):
    assert expected in status_meaning(status)


def test_what_keeps_the_ini_from_loading_is_shown_without_values(write_ini, capsys):
    path = write_ini(
        "[filter:sentry]\nuse = egg:sentry_paste\ndsn = https://k3y@%(HOST)s/1\nnonsense\n"
        "[app:main]\nuse = egg:a\nfilter-with = sentry\n"
    )
    assert main(["send-test", str(path)]) == 2
    shown = capsys.readouterr().err
    assert "line 3: dsn in [filter:sentry] needs %(HOST)s" in shown
    assert "line 4: is neither a section nor an option" in shown
    assert "k3y" not in shown


@pytest.fixture
def limiting():
    """A server that accepts what it gets, and names rate limits as Bugsink does; with what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(server.status)
            self.send_header("Content-Length", "2")
            self.send_header("X-Sentry-Rate-Limits", server.limits)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    received = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.dsn, server.received = f"http://key@127.0.0.1:{server.server_address[1]}/1", received
    server.status, server.limits = 200, "86400:transaction;span;profile:project"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_server_that_takes_no_transactions_is_no_failure(ini, limiting, capsys, lifecycle):
    assert main(["send-test", str(ini(limiting.dsn, lifecycle))]) == 0
    out = " ".join(capsys.readouterr().out.split())
    what = "span" if lifecycle else "transaction"
    assert f"the server takes errors but no {what}s: it has asked for none for 24 hours" in out
    assert out.endswith("Look for the error SentryPasteTest.")
    assert len(limiting.received) == 1


def test_option_to_set_for_a_server_that_takes_no_transactions_is_named(ini, limiting):
    result = send_test(str(ini(limiting.dsn, "traces_sample_rate = 0.1")))
    assert result.outcomes[1].text.endswith("; set traces_sample_rate = 0, so that none are made")


@pytest.mark.parametrize(
    "limits", ["60:transaction;span:project", "86400::project", "86400:error;transaction;span:key"]
)
def test_limit_that_will_pass_or_is_for_errors_too_is_a_failure(ini, limiting, limits):
    limiting.limits = limits
    result = send_test(str(ini(limiting.dsn)))
    assert not result.is_fine
    assert not result.outcomes[1].unwanted


def test_error_that_is_refused_is_a_failure_whatever_the_limits(ini, limiting):
    limiting.status = 403
    result = send_test(str(ini(limiting.dsn)))
    assert not result.is_fine


def test_outcome_as_json(ini, receiver, capsys, lifecycle):
    assert main(["send-test", "--json", str(ini(receiver.dsn, lifecycle))]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert [outcome["accepted"] for outcome in found["outcomes"]] == [True, True]
    assert found["outcomes"][0]["id"] == receiver.errors[0]["event_id"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("60:error;transaction:key, 2700::organization", {"error": 60, "transaction": 60}),
        ("nonsense, x:error, 5", {}),
        ("1.5:span", {"span": 1.5}),
    ],
)
def test_rate_limits_are_read_as_sentry_writes_them(header, expected):
    class Answer:
        status = 200
        headers = {"X-Sentry-Rate-Limits": header}

    assert rate_limits(Answer()) == expected
    assert rate_limits(OSError()) == {}
