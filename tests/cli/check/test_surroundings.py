"""Names that are nearly right, files of uWSGI, and directories in which nothing can be written."""

from importlib import metadata
from typing import ClassVar

import pytest

from sentry_paste.cli.check import surroundings
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.static import read_structure
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.main import main

from check_reports import SENTRY

APP = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"


def found(path, *codes):
    return [
        (one.severity, one.code, one.line, one.text) for one in check(str(path)).warnings if one.code in codes
    ]


def test_distribution_that_nearly_is_installed(write_ini):
    path = write_ini(SENTRY + APP.replace("egg:myapp", "egg:webtets"))
    assert found(path, "nearly-installed") == [
        ("medium", "nearly-installed", 7, "egg:webtets is not installed here; did you mean egg:webtest?")
    ]


@pytest.mark.parametrize(
    ("wanted", "installed", "group", "is_meant"),
    [
        ("Paste", "plaster", "paste.app_factory", False),  # a name that is well known
        ("myshop", "myshopp", "paste.app_factory", True),
        ("myshop", "myshopp", "paste.filter_factory", False),  # has no app
        ("myshop", "myship2", "paste.app_factory", False),  # not near enough
    ],
)
def test_distribution_that_may_be_meant(monkeypatch, wanted, installed, group, is_meant):
    class Installed:
        entry_points = (metadata.EntryPoint("main", "module:app", group),)
        metadata: ClassVar = {"Name": installed}

    monkeypatch.setattr(surroundings.metadata, "distributions", lambda: [Installed])
    surroundings._distributions.cache_clear()
    surroundings._nearest_distribution.cache_clear()
    try:
        assert surroundings._nearest_distribution(wanted, "app") == (installed if is_meant else "")
    finally:
        surroundings._distributions.cache_clear()
        surroundings._nearest_distribution.cache_clear()


def test_distribution_that_is_like_no_other_is_not_warned_of(write_ini):
    assert check(str(write_ini(SENTRY + APP.replace("myapp", "qqqzzz")))).warnings == ()


def test_factory_that_nearly_is_ours_next_to_another_of_ours(write_ini):
    other = "[filter:other]\nuse = egg:sentry_past\n"
    assert found(write_ini(SENTRY + other + APP), "nearly-ours") == [
        (
            "high",
            "nearly-ours",
            7,
            "egg:sentry_past in [filter:other] is nearly egg:sentry_paste; is that meant?",
        )
    ]


def test_entry_point_that_an_installed_distribution_does_not_have(write_ini, tmp_path):
    gzip = "[filter:gzip]\nuse = egg:Paste#gzipp\n[app:app]\nuse = egg:a\n"
    gzip += "[pipeline:main]\npipeline = sentry gzip app\n"
    assert found(write_ini(SENTRY + gzip), "no-entry-point") == [
        ("high", "no-entry-point", 7, "egg:Paste has no filter gzipp; did you mean gzip?")
    ]
    assert check(str(tmp_path / "test.ini")).status() == 2


def test_spool_in_which_nothing_can_be_written(write_ini, tmp_path):
    (tmp_path / "taken").write_text("")
    path = write_ini(SENTRY + "spool_dir = %(here)s/taken/spool\n" + APP)
    ((severity, _, line, text),) = found(path, "spool-not-writable")
    assert (severity, line) == ("high", 6)
    assert f"{tmp_path}/taken is not a directory" in text
    assert found(write_ini(SENTRY + "spool_dir = %(here)s/new/spool\n" + APP), "spool-not-writable") == []


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("ini-paste = %d/production.ini", "check {}/production.ini"),
        ("paste = config:/srv/app.ini#shop", "check /srv/app.ini#shop"),
        ("module = wsgi", "check the ini that its paste or ini-paste names"),
    ],
)
def test_file_of_uwsgi_names_the_ini_to_check(write_ini, tmp_path, line, advice):
    path = write_ini(f"[uwsgi]\nplugin = python\nplugin = x\n{line}\n")
    with pytest.raises(IniError) as caught:
        read_structure(str(path))
    assert str(caught.value) == f"{path}: is a file of uWSGI's, without an app; {advice.format(tmp_path)}"


def test_file_for_uwsgi_and_pastedeploy_is_checked(write_ini):
    assert check(str(write_ini(SENTRY + APP + "[uwsgi]\npaste = config:%p\n"))).status() == 0


def test_host_that_does_not_answer_counts(write_ini, network, capsys):
    path = write_ini(SENTRY.replace("https://public:secret@sentry.example/7", "http://k@127.0.0.1:9/1") + APP)
    assert main(["check", str(path)]) == 0
    assert main(["check", "--connect", str(path)]) == 1
    assert "The DSN's host cannot be reached from here" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("app", "codes"),
    [
        ("sentry.dsn = https://k@h/1\nsentry.include_paths = a\n", ["unread-options"]),
        ("sentry.dsn = https://k@h/1\npyramid.includes = sentry_paste\n", []),
        ("sentry.of_the_app = 1\n", []),
    ],
)
def test_options_of_ours_in_the_section_of_an_app(write_ini, app, codes):
    path = write_ini(f"[app:main]\nuse = egg:myapp\n{app}")
    warnings = found(path, "unread-options")
    assert [code for _, code, _, _ in warnings] == codes
    for _, _, line, text in warnings:
        assert line == 3
        assert "does not read sentry.dsn, sentry.include_paths in [app:main]: move them" in text
