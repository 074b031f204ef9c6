"""What ``sentry-paste spool status`` shows, as text, JSON and for Prometheus."""

import json
import os
import re
import struct

import pytest

from sentry_paste.cli.main import main
from sentry_paste.spool import Spool
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence

from spooled import envelope


@pytest.fixture
def used(spool):
    """A spool in which something of each kind has happened."""
    spool.remove(spool.write(envelope(), owner=current()))
    spool.write(envelope())
    spool.set_aside(spool.write(envelope()), "http 413")
    spool.drop(spool.write(envelope("transaction")), "too many")
    spool.ledger.say(succeeded=1.0, failed=2.0, reason="http 503", limits={"error": 4e9}, sends=True)
    return spool


def run(spool, capsys, *options):
    assert main(["spool", "status", str(spool.directory), *options]) == 0
    return capsys.readouterr().out


def test_text_has_a_row_for_each_kind_and_their_sum(used, capsys):
    lines = run(used, capsys).splitlines()
    assert lines[0].split() == ["kind", "captured", "delivered", "waiting", "set", "aside", "dropped"]
    assert [line.split() for line in lines[1:4]] == [
        ["error", "3", "1", "1", "1", "0"],
        ["transaction", "1", "0", "0", "0", "1"],
        ["all", "4", "1", "1", "1", "1"],
    ]
    text = "\n".join(lines)
    assert "Set aside:   1 http_413" in text
    assert "Dropped:     1 too many" in text
    assert re.search(r"Failed: +\d+ d ago: http 503", text)
    assert re.search(r"Rate limits: error for \d+ d", text)
    assert f"Sending:     process {current().pid}" in text
    assert "Unaccounted" not in text


def test_json_has_the_same(used, capsys):
    found = json.loads(run(used, capsys, "--json"))
    assert found["counts"] == {
        "error": {"captured": 3, "delivered": 1, "waiting": 1, "aside": 1},
        "transaction": {"captured": 1, "dropped": 1},
    }
    assert found["dropped"] == {"too many": 1}
    assert found["aside"] == {"http_413": 1}
    assert found["unaccounted"] == {}
    assert found["last_success"] == "1970-01-01T00:00:01Z"
    assert found["last_failure_reason"] == "http 503"
    assert list(found["rate_limits"]) == ["error"]
    assert found["senders"] == {str(current()): True}
    assert 0 <= found["oldest_waiting_seconds"] < 60


LINE = re.compile(r'[a-z_]+\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\} -?[0-9.]+')


def test_prometheus_has_counters_and_gauges(used, capsys):
    lines = run(used, capsys, "--prometheus").splitlines()
    values = {}
    for line in lines:
        if not line.startswith("# "):
            assert LINE.fullmatch(line), line
            name, _, value = line.rpartition(" ")
            values[name.replace(f'directory="{used.directory.resolve()}"', "D")] = float(value)
    assert values['sentry_paste_spool_captured_total{D,kind="error"}'] == 3
    assert values['sentry_paste_spool_delivered_total{D,kind="error"}'] == 1
    assert values['sentry_paste_spool_waiting{D,kind="error"}'] == 1
    assert values['sentry_paste_spool_aside{D,reason="http_413"}'] == 1
    assert values['sentry_paste_spool_dropped_total{D,reason="too many"}'] == 1
    assert values["sentry_paste_spool_last_success_timestamp_seconds{D}"] == 1.0
    named = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(named) == len(set(named))


def test_spool_that_has_done_nothing_has_a_status(spool, capsys):
    spool.prepare()
    assert run(spool, capsys).startswith("Nothing was captured\n")
    assert json.loads(run(spool, capsys, "--json"))["counts"] == {}
    assert "captured_total" in run(spool, capsys, "--prometheus")


def test_status_changes_nothing(used, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in used.directory.iterdir()}
    for option in ([], ["--json"], ["--prometheus"]):
        run(used, capsys, *option)
    assert {path.name: path.stat().st_mtime_ns for path in used.directory.iterdir()} == before


def test_control_characters_of_a_reason_are_not_printed(used, capsys):
    used.ledger.say(failed=3.0, reason="\x1b[2J")
    assert "\x1b" not in run(used, capsys)


def test_directory_that_is_not_there_is_an_error(tmp_path, capsys):
    assert main(["spool", "status", str(tmp_path / "none")]) == 2
    assert "is not a directory" in capsys.readouterr().err


STATES = [
    '{"succeeded": 1e999, "failed": -1e999}',
    '{"succeeded": 1e300, "failed": -1, "reason": [1]}',
    '{"succeeded": NaN, "failed": NaN}',
    '{"succeeded": 1' + "0" * 400 + ', "failed": true}',
    '{"limits": {"error": 1e999, "span": NaN, "log": "x", "other": 1' + "0" * 400 + "}}",
    '{"limits": [1], "sends": {"a": 1}, "reason": {"a": 1}}',
    "[" * 4000,
    "\x00" * 4000,
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("place", ["total", "process"])
@pytest.mark.parametrize("option", ["--json", "--prometheus", ""])
def test_processes_may_say_anything(spool, capsys, state, place, option):
    spool.write(envelope())
    if place == "total":
        (spool.directory / ".counts").write_text(f'{{"state": {state}}}')
    else:
        (path,) = spool.directory.glob(".counts-*")
        path.with_name(".counts-x\n\x1b[2J\x1b.0").write_bytes(page_of(path, state))
    shown = run(spool, capsys, *filter(None, [option]))
    assert "\x1b" not in shown
    if option == "--json":
        found = json.loads(shown)
        assert (found["last_success"], found["last_failure"], found["rate_limits"]) == (None, None, {})
        assert found["counts"]["error"]["waiting"] == 1
    elif option == "--prometheus":
        assert all(LINE.fullmatch(line) for line in shown.splitlines() if not line.startswith("# "))


def page_of(path, state):
    data = state.encode()[:4092]
    return path.read_bytes()[:4096] + struct.pack("<I", len(data)) + data.ljust(4092, b"\0")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe is of Unix")
@pytest.mark.parametrize("name", [".counts", ".counts-x.0", ".counts.lock", ".counts.new"])
@pytest.mark.parametrize("make", ["pipe", "directory", "link", "loop", "huge", "binary"])
def test_what_is_no_file_of_counts_is_neither_read_nor_waited_for(spool, tmp_path, capsys, name, make):
    spool.write(envelope())
    path = spool.directory / name
    if make == "pipe":
        os.mkfifo(path)
    elif make == "directory":
        path.mkdir()
    elif make == "link":
        (tmp_path / "target").write_text('{"counts": {"error": {"captured": 5}}}')
        path.symlink_to(tmp_path / "target")
    elif make == "loop":
        path.symlink_to(path)
    elif make == "huge":
        with open(path, "wb") as opened:
            opened.truncate(10**11)
    else:
        path.write_bytes(bytes(range(256)) * 100)
    found = json.loads(run(spool, capsys, "--json"))
    assert found["counts"] == {"error": {"captured": 1, "waiting": 1}}
    # Whatever it is, what waits is reclaimed.
    other = Spool(spool.directory)
    other.write(envelope(), owner=current()._replace(started=1))
    Presence(other).reclaim()
    assert [file.state for file in spool.files()] == ["waiting", "waiting"]


def test_name_that_is_no_text_is_shown(spool, capsys):
    spool.write(envelope())
    spool.ledger.say(sends=True)
    (path,) = spool.directory.glob(".counts-*")
    os.rename(path, os.fsencode(spool.directory) + b"/.counts-\xff\xfe.0")
    assert "of another host" in run(spool, capsys)
    assert run(spool, capsys, "--json")
    assert run(spool, capsys, "--prometheus")
