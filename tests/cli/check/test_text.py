"""The text that sentry-paste check prints: what to write, what start-up does, colours and columns."""

import os
import re
import subprocess
import sys

import pytest
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.main import main
from sentry_paste.cli.terminal import wants_colour

from check_reports import AROUND_A_PIPELINE, SENTRY, states, write_lines


def test_lines_to_write_are_shown_where_there_is_no_filter(starter, capsys):
    assert main(["check", str(starter())]) == 1
    text = capsys.readouterr().out
    assert "Sentry is missing: nothing is reported." in text
    assert "  [filter:sentry]\n  use = egg:sentry_paste\n  dsn = ${SENTRY_DSN}\n" in text
    assert "  [app:main]\n  filter-with = sentry\n" in text


def test_lines_to_write_put_sentry_around_the_app(starter, monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "https://public@sentry.example/7")
    advised = starter(
        "filter-with = sentry", "[filter:sentry]\nuse = egg:sentry_paste\ndsn = ${SENTRY_DSN}\n"
    )
    assert check(str(advised)).status() == 0


@pytest.mark.parametrize(
    "use",
    [
        "egg:sentry_past",
        "egg:sentry_paste ; ours",
        "egg:sentry_paste#inbox",
        "egg:raven#raven",
        "egg:sentry-sdk",
    ],
)
def test_filter_that_should_be_ours_is_corrected_in_its_section(starter, use):
    wrong = starter("filter-with = sentry", SENTRY.replace("egg:sentry_paste", use))
    report = check(str(wrong))
    stops = use == "egg:sentry_paste#inbox"  # there is an app of that name, and no filter
    assert report.status() == (2 if stops else 1)
    assert f"  [filter:sentry]\n  use = egg:sentry_paste\n\nin place of {use}," in report_text(report)
    assert "filter-with" not in report_text(report)
    assert "pyramid_scaffold is not installed here." in report_text(report)


def test_filter_that_should_be_ours_is_corrected_in_a_pipeline(zope):
    text = report_text(check(str(zope(first="egg:sentry_past", added=""))))
    assert "  egg:sentry_paste\n\nin place of egg:sentry_past," in text


def test_section_name_of_another_filter_is_not_suggested(starter):
    added = "[filter:sentry]\nuse = egg:c2cwsgiutils#sentry\n"
    text = report_text(check(str(starter("filter-with = sentry", added))))
    assert "  [filter:sentry_paste]\n  use = egg:sentry_paste\n" in text
    assert "filter-with = sentry_paste" in text


def lines_that_start_first(path):
    text = report_text(check(str(path)))
    return text[text.index("    [composite:main]") :].partition("\n\n[")[0].splitlines()


def test_lines_that_start_sentry_first_keep_the_pipeline(zope):
    path = zope(last="sentry")
    write_lines(path, lines_that_start_first(path))
    assert "[pipeline:main-app]\npipeline = egg:Zope#httpexceptions translogger zope\n" in path.read_text()
    report = check(str(path))
    assert report.filters[0].layer.placed == "composite"
    assert [state for state, _ in states(report)] == ["SENTRY", "covered", "covered", "covered"]


def test_lines_that_start_sentry_first_make_an_app_that_answers(write_ini):
    path = write_ini(f"{AROUND_A_PIPELINE}\n    [pipeline:main]\n    pipeline = sentry app\n")
    write_lines(path, lines_that_start_first(path))
    assert TestApp(loadapp(f"config:{path}")).get("/answer_list").status_int == 200


def test_composite_reports_a_crash_of_the_factory(write_ini):
    path = write_ini(
        SENTRY.replace("[filter:sentry]", "[composite:main]") + "app = a\n[app:a]\nuse = egg:a\n"
    )
    report = check(str(path))
    assert states(report) == [("SENTRY", "main"), ("covered", "a")]
    assert "A crash of the app's factory is reported" in report_text(report)


def test_filter_with_starts_sentry_first(starter):
    assert "Sentry is started before the app is created" in report_text(
        check(str(starter("filter-with = sentry", SENTRY)))
    )


def test_filter_app_does_not_report_a_crash_and_a_composite_is_suggested(write_ini):
    path = write_ini(
        SENTRY.replace("[filter:sentry]", "[filter-app:main]") + "next = a\n[app:a]\nuse = egg:a\n"
    )
    report = check(str(path))
    assert states(report) == [("SENTRY", "main"), ("covered", "a")]
    text = report_text(report)
    assert "not reported: [filter-app:main] creates the app before Sentry" in text.replace("\n  ", " ")
    assert "    [composite:main] " in text
    assert "    app = a\n    next                          remove this option" in text


STARTS = {
    "composite": "[composite:main]\nuse = egg:sentry_paste\ndsn = {dsn}\napp = app\n",
    "filter-with": "[app:main]\nuse = app\nfilter-with = sentry\n",
    "filter-with on a pipeline": "[pipeline:main]\npipeline = app\nfilter-with = sentry\n",
    "pipeline": "[pipeline:main]\npipeline = sentry app\n",
    "filter-app": "[filter-app:main]\nuse = egg:sentry_paste\ndsn = {dsn}\nnext = app\n",
}


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("start", STARTS)
def test_start_up_text_is_what_happens(write_ini, receiver, start):
    path = write_ini(
        f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {receiver.dsn}\n"
        + STARTS[start].format(dsn=receiver.dsn)
        + "[app:app]\npaste.app_factory = apps:make_crashing_factory\n"
    )
    code = f"from paste.deploy import loadapp; loadapp('config:{path}')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=180, env=environment)
    assert b"the app's factory crashed" in ended.stderr
    is_reported = "A crash of the app's factory is not reported" not in report_text(check(str(path)))
    assert len(receiver.errors) == is_reported


def test_colour_is_for_terminals_and_for_those_who_want_it(write_filter, monkeypatch):
    report = check(str(write_filter()))
    assert "\x1b[" not in report_text(report)
    assert "\x1b[32mSENTRY   \x1b[0m" in report_text(report, colour=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    leader, follower = os.openpty()
    with os.fdopen(leader), open(follower, "w") as terminal, open(os.devnull, "w") as file:
        assert wants_colour(terminal)
        assert not wants_colour(file)
        monkeypatch.setenv("NO_COLOR", "1")
        assert not wants_colour(terminal)


def test_control_characters_of_an_ini_do_not_reach_the_terminal(write_filter):
    path = write_filter("server_name = \x1b]0;owned\x07\n")
    text = report_text(check(str(path)))
    assert "owned" in text
    assert all(char.isprintable() or char == "\n" for char in text)


def test_options_are_aligned_whatever_the_longest_name_is(write_filter):
    report = check(
        str(write_filter("integration.logging.event_level = WARNING\ncontexts.deployment.rack = 12\n"))
    )
    lines = report_text(report).splitlines()
    begin = lines.index("[filter:sentry] options") + 1
    rows = lines[begin : lines.index("", begin)]
    assert len({re.match(r"  \S+ +", row).end() for row in rows}) == 1
