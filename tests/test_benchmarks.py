"""The benchmark of requests does what its rows say: each agent that is installed sends what it records."""

import functools
import json
import subprocess
import sys

import pytest
import sentry_sdk

from sentry_paste import sdk

from installed import ROOT


@pytest.fixture(autouse=True)
def _from_the_clone(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def address():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(ROOT))
        patched.chdir(ROOT)
        from benchmarks import receiver

        with receiver.running() as found:
            yield found


NAMES = [
    "sampled, no spans",
    "sampled, ten database spans",
    "sampled, each from another client",
    "streamed, no spans",
    "streamed, ten database spans",
    "errors only, sessions on",
    "tracing on, not sampled",
    "sampled: to the first byte",
    "a chunk of a streamed body",
    "path in ignore_paths",
    "errors only, a Pyramid app",
    "errors only, the app sets a tag",
]


def test_rows_are_those_that_the_sdk_can_send():
    from benchmarks.__main__ import rows

    can_choose = sdk.MAJOR == 2 and hasattr(sentry_sdk, "traces")
    expected = [name for name in NAMES if can_choose or not name.startswith("streamed")]
    assert [row.name for row in rows()] == expected


@pytest.fixture(scope="module")
def measured(address):
    """Return a function that measures a row, once."""

    @functools.cache
    def once(name):
        from benchmarks.__main__ import rows, timed

        row = next((row for row in rows() if row.name == name), None)
        if row is None:
            pytest.skip("this sentry-sdk cannot choose whether spans are streamed")
        return row, timed(row, address, rounds=1, share=0.05)

    return once


@pytest.mark.parametrize("name", NAMES)
def test_row_compares_all_agents_that_can_do_it(measured, name):
    row, figure = measured(name)
    assert set(figure.overheads) == {work.agent for work in row.works()} - {"bare"}
    assert {"filter", "SDK"} <= set(figure.overheads)
    is_sent = "sampled" in row.kinds or "stream" in row.kinds
    assert (min(figure.sent["filter"], figure.sent["SDK"]) > 100) == is_sent


def test_agent_that_sends_nothing_has_no_figures(address, monkeypatch):
    from benchmarks import __main__ as requests

    monkeypatch.setattr(requests, "_received", lambda _address: ({}, {}))
    with pytest.raises(SystemExit, match="filter has sent 0 of 20"):
        requests.timed(requests.rows()[0], address, rounds=1, share=0.05)


@pytest.mark.parametrize("kind", ["sampled", "streamed"])
def test_spans_are_in_what_is_sent(measured, kind):
    (_, without), (_, ten) = measured(f"{kind}, no spans"), measured(f"{kind}, ten database spans")
    assert ten.sent["filter"] > without.sent["filter"]
    assert ten.sent["SDK"] > without.sent["SDK"]


def test_every_agent_says_what_it_does():
    from importlib import util

    from benchmarks.agents import AGENTS

    for agent in AGENTS.values():
        spec = util.find_spec(f"benchmarks.agents.{agent.module}")
        with open(spec.origin, encoding="utf-8") as module:
            assert module.read().startswith('"""')


def test_tables_have_all_that_was_measured():
    from benchmarks.__main__ import Figure, beside_others, table

    figure = Figure(
        "sampled, no spans", 0.5, 0.25, {"filter": 1.0, "SDK": 4.0, "ddtrace": 123.4}, {"SDK": 99.0}
    )
    assert "filter 1.00, SDK 4.00" in table([figure])
    assert beside_others([figure]).splitlines() == [
        "work               filter   SDK  ddtrace",
        "sampled, no spans    1.00  4.00      123",
        "   bytes sent           -    99        -",
    ]


def test_table_of_other_agents_needs_one():
    from benchmarks.__main__ import Figure, beside_others

    assert not beside_others([Figure("sampled, no spans", 0.5, 0.25, {"filter": 1.0, "SDK": 4.0})])


def test_receiver_counts_requests_and_bytes_of_either_encoding(address):
    script = f"""
import http.client
connection = http.client.HTTPConnection({address.removeprefix("http://")!r})
for body in (b"x" * 10, iter([b"x" * 4, b"y" * 6])):
    connection.request("POST", "/of/this/test?query", body, encode_chunked=not isinstance(body, bytes))
    assert connection.getresponse().read() == b"{{}}"
connection.request("GET", "/bytes")
print(connection.getresponse().read().decode())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert json.loads(ended.stdout)["/of/this/test"] == 20


def test_spool_of_many_files_is_measured_beside_an_empty_one():
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.many", "--files", "40", "--rounds", "1"]
    command += ["--seconds", "0.5"]
    output = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=300).stdout
    lines = [line for line in output.splitlines() if line.strip()]
    assert [line.rsplit(None, 3)[0] for line in lines[1:4]] == [
        "capture, median ms",
        "capture, 95 % ms",
        "memory, MB",
    ]
    assert float(lines[4].split()[4]) > 0


def test_slow_server_is_hardly_pressed_harder_by_several_connections_than_by_one(monkeypatch):
    from benchmarks import slow

    monkeypatch.setattr(slow, "PHASE", 20.0)
    policies = (lambda: slow.Fixed(1), lambda: slow.Width(8), lambda: slow.Fixed(8))
    one, several, always = (slow.simulate(120, policy) for policy in policies)
    assert several[0].accepted > 3 * one[0].accepted
    assert one[1].median < several[1].median < 1.5 * one[1].median
    assert always[1].median > 5 * several[1].median


@pytest.mark.slow
def test_no_error_of_a_storm_is_missing():
    from benchmarks.budget import storm

    found = storm(3200)
    assert found.errors == 3201 == found.sent + found.reported
    assert found.sent < 200
