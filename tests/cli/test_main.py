"""The command line, as a user calls it."""

import os
import re
import subprocess
import sys

import pytest

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.cli.main import main
from sentry_paste.cli.spool.text import size_text
from sentry_paste.config.errors import printable
from sentry_paste.config.options import sample
from sentry_paste.spool import Spool

from spooled import LIFECYCLES, segment_item, span_item, wait_for_files, write_spans
from wsgi_calls import call, environ_of


def crash(environ, start_response):
    basket = {"apples": 3}
    raise ValueError(f"cannot price {basket}")


def slow(environ, start_response):

    start_response("200 OK", [])
    with (
        sdk.start_child_span("db", "SELECT * FROM apples"),
        sdk.start_child_span("net", "wait"),
    ):
        pass
    return []


@pytest.fixture(params=LIFECYCLES)
def spool(tmp_path, request):
    options = {"spool_dir": str(tmp_path / "spool"), "traces_sample_rate": 1.0, "release": "1.0"}
    found = Spool(tmp_path / "spool")
    call(SentryMiddleware(crash, **options, **request.param), environ_of("/shop", QUERY_STRING="page=2"))
    wait_for_files(found, 2)
    call(SentryMiddleware(slow, **options, **request.param), environ_of("/slow"))
    wait_for_files(found, 3)
    return found


def of_requests(spool):
    """The files with the transactions, or with the spans of a request in their place."""
    return spool.files("transaction", "span")


def test_list_is_a_table_with_the_newest_first(spool, capsys):
    assert main(["spool", "list", str(spool.directory)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *["TIME", "(UTC)", "KIND", "LEVEL", "TITLE", "TRANSACTION"],
        *["SIZE", "AGE", "STATE", "DESTINATION", "ID"],
    ]
    kind = of_requests(spool)[0].kind
    assert [line.split()[2] for line in lines[1:-1]] == [kind, kind, "error"]
    assert re.search(r" took \d+\.\d ms, 200 ok +GET /slow  ", lines[1])
    assert re.search(r" took \d+\.\d ms, internal_error +GET /shop  ", lines[2])
    assert re.search(r"  ValueError: cannot price {'apples': 3} +GET /shop", lines[3])
    assert lines[3].endswith(spool.files("error")[0].id)
    assert lines[4].startswith("3 files: 3 waiting (")


def test_list_of_a_kind_and_of_a_number(spool, capsys):
    assert main(["spool", "list", str(spool.directory), "--kind", "error"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("1 file: 1 waiting (")
    assert main(["spool", "list", str(spool.directory), "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("the newest 1 of 3 files: 3 waiting (")


def test_show_has_traceback_request_and_variables(spool, capsys):
    assert main(["spool", "show", str(spool.directory), spool.files("error")[0].id[:8]]) == 0
    text = capsys.readouterr().out
    for part in (
        "ValueError: cannot price {'apples': 3}\n",
        "Transaction: GET /shop\n",
        "Release:     1.0\n",
        "(wsgi, not handled)",
        "in crash\n",
        '      raise ValueError(f"cannot price {basket}")\n',
        "basket = {",
        "  GET http://localhost/shop?page=2\n",
        "  Host: localhost\n",
    ):
        assert part in text


def test_show_draws_the_spans_as_a_waterfall(spool, capsys):
    assert main(["spool", "show", str(spool.directory), of_requests(spool)[0].id]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("Spans")
    assert lines[start + 1].startswith("  http.server GET /slow ")
    assert lines[start + 2].startswith("    db SELECT * FROM apples ")
    assert lines[start + 3].startswith("      net wait ")
    assert all("#" in line and line.count("|") == 2 for line in lines[start + 1 : start + 4])


def outline(lines):
    """What is drawn below "Spans", without the bars."""
    start = lines.index("Spans") + 1
    return [line.partition("|")[0].rstrip() for line in lines[start:] if "|" in line]


def test_show_has_the_spans_of_a_request_from_all_its_envelopes(tmp_path, capsys):
    spool = Spool(tmp_path)
    write_spans(spool, span_item("2", "early"))
    write_spans(spool, span_item("8", "of another", segment="9"))
    orphan = span_item("4", "orphan", parent="7", start=0.6)
    whole = write_spans(spool, span_item("3", "child", start=0.5), segment_item(), orphan)
    write_spans(spool, span_item("5", "late", parent="3", start=3.0, end=4.0))
    assert main(["spool", "show", str(tmp_path), whole.id]) == 0
    assert outline(capsys.readouterr().out.splitlines()) == [
        "  http.server GET /",
        "    db early",
        "    db child",
        "      db late",
        "    db orphan",
    ]


@pytest.mark.parametrize("is_there", [True, False])
def test_show_has_the_request_of_spans_that_were_sent_alone(tmp_path, capsys, is_there):
    spool = Spool(tmp_path)
    early = write_spans(spool, span_item("2", "early"), span_item("3", "next", start=0.5))
    if is_there:
        write_spans(spool, segment_item())
    assert main(["spool", "show", str(tmp_path), early.id]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ("GET /" if is_there else "2 spans of GET /")
    root = "  http.server GET /" if is_there else "  GET /"
    assert outline(lines) == [root, "    db early", "    db next"]
    note = "  The request's own span is not in the spool: it has not ended, or was sent or lost"
    assert (note in lines) is not is_there


def test_each_request_of_a_trace_is_drawn_on_its_own_scale(tmp_path, capsys):
    segments = segment_item(), segment_item("9", name="GET /next", start=100.0, end=109.0)
    file = write_spans(Spool(tmp_path), *segments)
    assert main(["spool", "show", str(tmp_path), file.id]) == 0
    drawn = [line for line in capsys.readouterr().out.splitlines() if "|" in line]
    assert [line.split("|")[1] for line in drawn] == ["#" * 40, "#" * 40]
    assert main(["spool", "list", str(tmp_path)]) == 0
    assert "  2 requests, the slowest took 9000.0 ms  GET /  " in capsys.readouterr().out


def test_list_names_the_request_of_spans_that_were_sent_alone(tmp_path, capsys):
    write_spans(Spool(tmp_path), span_item("2", "early"))
    assert main(["spool", "list", str(tmp_path)]) == 0
    assert "  1 span of GET /  GET /  " in re.sub("  +", "  ", capsys.readouterr().out)


def test_list_of_an_empty_spool_says_so(tmp_path, capsys):
    assert main(["spool", "list", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{tmp_path} holds no envelopes\n"


def test_missing_directory_is_an_error(tmp_path, capsys):
    assert main(["spool", "list", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"sentry-paste: {tmp_path}/none is not a directory\n"


def test_unknown_id_is_an_error(spool, capsys):
    assert main(["spool", "show", str(spool.directory), "f" * 32]) == 1
    assert "has the id ffff" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["spool"],
        ["spool", "list"],
        ["nonsense"],
        ["spool", "list", ".", "--limit", "0"],
        ["check"],
        ["sample", "x"],
    ],
)
def test_wrong_arguments_print_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: sentry-paste" in capsys.readouterr().err


def test_control_characters_of_a_crash_do_not_reach_the_terminal(tmp_path, capsys):
    def app(environ, start_response):
        raise ValueError("\x1b]0;owned\x07\x1b[2J\u202e\udc80")

    call(SentryMiddleware(app, spool_dir=str(tmp_path / "spool")))
    spool = Spool(tmp_path / "spool")
    main(["spool", "list", str(spool.directory)])
    main(["spool", "show", str(spool.directory), spool.files()[0].id])
    out = capsys.readouterr().out
    assert "owned" in out
    assert all(char.isprintable() or char == "\n" for char in out)


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "sentry_paste"], ["sentry-paste"]], ids=["module", "script"]
)
def test_command_runs_in_a_process_of_its_own(spool, command):
    if command == ["sentry-paste"]:
        command = [sys.executable.rpartition("/")[0] + "/sentry-paste"]
    ended = subprocess.run(
        [*command, "spool", "list", str(spool.directory)], capture_output=True, encoding="utf-8", timeout=180
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "cannot price" in ended.stdout


def test_reader_that_goes_away_is_no_error(spool):
    script = (
        f"{sys.executable} -m sentry_paste spool show {spool.directory} {spool.files()[0].id} | head -c 1"
    )
    ended = subprocess.run(["sh", "-c", script], capture_output=True, encoding="utf-8", timeout=180)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB")]
)
def test_sizes(size, text):
    assert size_text(size) == text


def test_printable_keeps_what_can_be_printed():
    assert printable("café \u4e2d") == "café \u4e2d"


def test_sample_is_printed(capsys):
    assert main(["sample"]) == 0
    assert capsys.readouterr().out == sample()


def test_terminal_that_cannot_show_a_character_shows_its_escape(tmp_path):
    def app(environ, start_response):
        raise ValueError("caf\u00e9 \u2603")

    call(SentryMiddleware(app, spool_dir=str(tmp_path / "spool")))
    command = [sys.executable, "-m", "sentry_paste", "spool", "list", str(tmp_path / "spool")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(command, capture_output=True, encoding="ascii", timeout=180, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "caf\\xe9 \\u2603" in ended.stdout


@pytest.mark.parametrize("command", ["check", "send-test", "sample", "spool", "spool list", "spool purge"])
def test_help_of_a_command_says_what_it_does(command, capsys):
    for arguments in ([*command.split()[:-1], "--help"], [*command.split(), "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
    every, own = capsys.readouterr().out.split(f"usage: sentry-paste {command} ")
    summary = own.split("\n\n")[1].replace("\n", " ")
    assert summary[0].isupper()
    assert summary[1:].rstrip(".") in " ".join(every.split())
