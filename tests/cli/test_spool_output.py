"""What the spool commands print on a terminal, in a pipe, and for machines."""

import json
import re
import sys

import pytest

from sentry_paste.cli.main import main
from sentry_paste.cli.spool.lookup import short_ids
from sentry_paste.spool import Spool
from sentry_paste.spool.owner import current

from spooled import ERROR_ID, TRACE, TRANSACTION_ID, error_event, transaction_event, write_event, write_item


@pytest.fixture
def spool(tmp_path):
    found = Spool(tmp_path / "spool")
    write_event(found, error_event())
    write_event(found, transaction_event())
    return found


def write_log(spool, trace_id, body):
    write_item(spool, "log", {"items": [{"timestamp": 1795000000.0, "trace_id": trace_id, "body": body}]})


def command(spool, name, *arguments):
    return main(["spool", name, str(spool.directory), *arguments])


def as_json(spool, capsys, name, *arguments):
    status = command(spool, name, *arguments, "--json")
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_list_fits_the_terminal(spool, terminal, capsys, width):
    terminal(width)
    assert command(spool, "list") == 0
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in (head, *rows)) <= width
    assert head.split()[0] == "ID"
    assert [row.split()[0] for row in rows] == [TRANSACTION_ID[:8], ERROR_ID[:8]]
    assert "TITLE" in head


def test_wide_terminal_has_all_columns_and_a_narrow_one_the_title(spool, terminal, capsys):
    terminal(200)
    command(spool, "list")
    wide = capsys.readouterr().out.splitlines()
    assert re.split("  +", wide[0]) == [
        *["ID", "AGE", "KIND", "LEVEL", "TITLE", "TRANSACTION", "STATE", "SIZE", "DESTINATION", "TIME (UTC)"]
    ]
    terminal(40)
    command(spool, "list")
    assert "OrderError: table 7" in capsys.readouterr().out


def test_pipe_has_full_ids_last(spool, capsys):
    command(spool, "list")
    rows = capsys.readouterr().out.splitlines()[1:-1]
    assert [row.split()[-1] for row in rows] == [TRANSACTION_ID, ERROR_ID]


def test_short_ids_are_long_enough_to_be_unique():
    one, other, third = "a" * 32, "a" * 9 + "b" * 23, "c" * 32
    assert short_ids([one, other, third, third]) == {one: "a" * 10, other: "a" * 9 + "b", third: "c" * 8}


def test_short_id_of_the_list_is_what_show_takes(spool, terminal, capsys):
    terminal(80)
    command(spool, "list", "--kind", "error")
    short = capsys.readouterr().out.splitlines()[1].split()[0]
    assert command(spool, "show", short) == 0
    assert f"Id:          {ERROR_ID}" in capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80])
def test_show_fits_the_terminal(spool, terminal, capsys, width):
    terminal(width)
    assert command(spool, "show", TRANSACTION_ID) == 0
    drawn = [line for line in capsys.readouterr().out.splitlines() if "|" in line]
    assert drawn
    assert max(map(len, drawn)) <= width


def test_show_takes_the_beginning_of_a_trace_id_and_shows_all_of_it(spool, capsys):
    write_log(spool, TRACE, "the soup is cold")
    write_log(spool, "f" * 32, "another trace")
    assert command(spool, "show", TRACE[:6]) == 0
    out = capsys.readouterr().out
    assert out.index("OrderError: table 7") < out.index("Spans") < out.index("the soup is cold")
    assert "another trace" not in out


def test_beginning_of_two_ids_is_refused_and_both_are_named(spool, capsys):
    other = ERROR_ID[:5] + "f" * 27
    write_event(spool, error_event(event_id=other))
    assert command(spool, "show", ERROR_ID[:5]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{ERROR_ID[:5]} is the beginning of 2 ids:" in captured.err
    assert f"  {ERROR_ID}  error  " in captured.err
    assert f"  {other}  error  " in captured.err
    assert command(spool, "show", other) == 0


def test_beginning_of_two_traces_is_refused(spool, capsys):
    write_log(spool, TRACE[:4] + "e" * 28, "other")
    assert command(spool, "show", TRACE[:4]) == 1
    assert f"{TRACE[:4]} is the beginning of 2 ids:" in capsys.readouterr().err


def test_id_of_nothing_is_not_found(spool, capsys):
    assert command(spool, "show", "beef") == 1
    assert "no envelope and no trace in " in capsys.readouterr().err


def test_list_as_json(spool, capsys):
    (spool.directory / "foreign").touch()
    spool.files("error")[0].path.write_bytes(b"nonsense")
    status, found = as_json(spool, capsys, "list")
    assert status == 0
    assert (found["total"], found["foreign"], found["partial"]) == (2, 1, 0)
    assert found["states"]["waiting"]["files"] == 2
    transaction, error = found["files"]
    assert (transaction["id"], transaction["trace_id"]) == (TRANSACTION_ID, TRACE)
    assert "not a Sentry envelope" in error["problem"]
    status, found = as_json(spool, capsys, "list", "--limit", "1", "--kind", "transaction")
    assert [one["kind"] for one in found["files"]] == ["transaction"]


def test_list_of_nothing_as_json(tmp_path, capsys):
    assert as_json(Spool(tmp_path), capsys, "list")[0] == 1


def test_show_as_json_has_every_payload(spool, capsys):
    status, found = as_json(spool, capsys, "show", TRACE)
    assert status == 0
    error, transaction = found["envelopes"]
    assert error["title"] == "OrderError: table 7"
    assert error["items"][0]["payload"]["event_id"] == ERROR_ID
    assert transaction["items"][0]["type"] == "transaction"


def test_dry_run_and_send_as_json(tmp_path, receiver, capsys):
    spool = Spool(tmp_path)
    tmp_path.chmod(0o700)
    write_event(spool, error_event())
    write_event(spool, error_event(event_id="f" * 32))
    status, found = as_json(spool, capsys, "send", "--dsn", receiver.dsn, "--dry-run")
    assert (status, found["dry_run"], found["planned"]["files"]) == (0, True, 2)
    assert found["planned"]["kinds"] == {"error": 2}
    assert "sent" not in found
    status, found = as_json(spool, capsys, "send", "--dsn", receiver.dsn)
    assert (status, found["sent"], found["left"]) == (0, 2, 0)
    assert len(receiver.errors) == 2
    status, found = as_json(spool, capsys, "send", "--dsn", receiver.dsn)
    assert (status, found["planned"]["files"]) == (0, 0)


def test_requeue_and_purge_as_json(spool, capsys):
    spool.set_aside(spool.files("error")[0], "http 413")
    spool.claim(spool.files("transaction")[0], current())
    status, found = as_json(spool, capsys, "requeue", "4c79", "beef")
    assert (status, found) == (1, {"requeued": 1, "missing": ["beef"]})
    status, found = as_json(spool, capsys, "purge", "--yes")
    assert (status, found["removed"]["kinds"], found["in_use"]) == (0, {"error": 1}, 1)
    assert as_json(spool, capsys, "purge", "--yes")[0] == 1


def test_purge_as_json_asks_on_standard_error(spool, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "n\n", raising=False)
    assert command(spool, "purge", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("Remove 2 files (")
    assert json.loads(captured.out)["removed"]["files"] == 0
    assert len(spool.files()) == 2
