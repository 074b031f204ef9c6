"""The file of ``sentry-paste run`` is checked as run reads it."""

import json
import os

import pytest

from sentry_paste.cli.check.as_json import report_json
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.main import main

from check_reports import values, warnings_of

DSN = "dsn = https://key@sentry.example/1\nrelease = 1\n"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in os.environ:
        if name.startswith("SENTRY_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "section", ["[sentry]", "[filter:sentry]", "[filter:sentry]\nuse = egg:sentry_paste"]
)
def test_file_that_is_well_has_no_warnings(write_ini, section):
    report = check(str(write_ini(f"{section}\n{DSN}environment = test\n")))
    assert (report.status(strict=True), warnings_of(report)) == (0, [])
    text = " ".join(report_text(report).split())
    assert "covered the apps that the command loads" in text
    assert "sentry-paste run starts Sentry before the app is created" in text


def test_options_are_shown_with_their_origins(write_ini, monkeypatch):
    monkeypatch.setenv("SENTRY_PASTE_ENVIRONMENT", "staging")
    monkeypatch.setenv("SENTRY_PASTE_TAGS__REGION", "eu")
    path = write_ini(f"[DEFAULT]\nsentry.server_name = web1\n[sentry]\n{DSN}environment = test\n")
    found = values(check(str(path)))
    assert found["release"] == ("1", "[sentry] line 5")
    assert found["server_name"] == ("web1", "[DEFAULT] line 2")
    assert found["environment"] == ("staging", "environment SENTRY_PASTE_ENVIRONMENT")
    assert found["tags.region"] == ("eu", "environment SENTRY_PASTE_TAGS__REGION")


def test_mistakes_have_their_lines(write_ini):
    path = write_ini(f"[sentry]\n{DSN}sample_rate = 3\nrelaese = 1\n")
    report = check(str(path))
    assert report.status() == 2
    assert "line 4: sample_rate = 3: expected a number from 0 to 1" in report_text(report)
    found = json.loads(report_json(report))["mistakes"]
    assert [(one["path"], one["line"], one["option"]) for one in found] == [
        (str(path), 4, "sample_rate"),
        (str(path), 5, "relaese"),
    ]


def test_mistake_of_a_variable_names_it(write_ini, monkeypatch):
    monkeypatch.setenv("SENTRY_PASTE_SAMPLE_RATE", "3")
    report = check(str(write_ini(f"[sentry]\n{DSN}")))
    assert report.status() == 2
    assert "SENTRY_PASTE_SAMPLE_RATE = 3: expected" in report_text(report)


@pytest.mark.parametrize(
    ("lines", "line", "text"),
    [
        ("release = 50%\n", 2, "percent sign"),
        ("release = %(nowhere)s\n", 2, "nowhere"),
        ("no option\n", 2, ""),
    ],
)
def test_what_keeps_the_file_from_being_read_has_its_line(write_ini, lines, line, text):
    report = check(str(write_ini(f"[sentry]\n{lines}")))
    assert report.status() == 2
    (problem, *_) = report.problems
    assert problem.line == line
    assert text in problem.text
    assert report_text(report).count("mistake") == 1


def test_file_that_is_inherited_from_and_not_there_is_a_mistake(write_ini):
    report = check(str(write_ini("[filter:sentry]\nuse = config:nowhere.ini#sentry\n")))
    assert report.status() == 2
    assert [problem.line for problem in report.problems] == [2]
    assert report_text(report).count("mistake") == 1


def test_use_that_is_not_followed_is_a_mistake(write_ini):
    write_ini(f"[filter:sentry]\nuse = egg:sentry_paste\n{DSN}", "base.ini")
    report = check(str(write_ini("[sentry]\nuse = config:base.ini#sentry\n")))
    assert report.status() == 2
    assert "name the section [filter:sentry]" in " ".join(report_text(report).split())


def test_inherited_options_are_shown(write_ini):
    write_ini(f"[filter:sentry]\nuse = egg:sentry_paste\n{DSN}", "base.ini")
    report = check(str(write_ini("[filter:sentry]\nuse = config:base.ini#sentry\nenvironment = test\n")))
    assert (report.status(), values(report)["release"][0]) == (0, "1")


def test_second_section_is_warned_of(write_ini):
    report = check(str(write_ini(f"[sentry]\n{DSN}[filter:sentry]\n{DSN}environment = test\n")))
    assert any("only the options of the first are read" in text for text in warnings_of(report))


def test_file_without_a_destination_reports_nothing(write_ini):
    assert check(str(write_ini("[sentry]\nrelease = 1\n"))).status() == 1


def test_file_with_an_app_is_no_file_of_run(write_ini):
    report = check(
        str(write_ini(f"[filter:sentry]\nuse = egg:sentry_paste\n{DSN}[app:main]\nuse = egg:myapp\n"))
    )
    assert not report.structure.root.has_sentry


def test_app_that_is_named_is_not_in_it(write_ini):
    with pytest.raises(IniError, match="has no section for an app 'shop'"):
        check(str(write_ini(f"[sentry]\n{DSN}")), "shop")


def test_ini_that_inherits_from_it_is_not_looked_at(write_ini):
    path = write_ini(f"[sentry]\n{DSN}environment = test\n")
    write_ini("[app:main]\nuse = config:base.ini\nx = 1\n", "child.ini")
    write_ini("[app:main]\nuse = egg:myapp\nfilter-with = f\n[filter:f]\nuse = egg:other\n", "base.ini")
    assert warnings_of(check(str(path))) == []


def test_command_prints_it_and_its_json(write_ini, capsys):
    path = write_ini(f"[sentry]\n{DSN}environment = test\n")
    assert main(["check", str(path)]) == 0
    assert main(["check", "--json", str(path)]) == 0
    assert '"placed": "run"' in capsys.readouterr().out
