"""The section of the inbox: its options, and how mistakes are reported."""

from pathlib import Path

import pytest

from sentry_paste import ConfigError
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.inbox import main
from sentry_paste.inbox.editor import NAMES
from sentry_paste.inbox.settings import OPTIONS
from sentry_paste.spool import Spool

from spooled import error_event, write_event


def test_spool_dir_is_relative_to_the_ini(inbox, tmp_path, titles):
    write_event(Spool(tmp_path / "var" / "sentry"), error_event())
    assert titles(inbox("spool_dir = var/sentry").get("/")) == ["OrderError"]
    assert titles(inbox("spool_dir = %(here)s/var/sentry").get("/")) == ["OrderError"]


def test_spool_dir_may_hold_variables(inbox, tmp_path, titles, monkeypatch):
    monkeypatch.setenv("SPOOL", str(tmp_path / "elsewhere"))
    write_event(Spool(tmp_path / "elsewhere"), error_event())
    assert titles(inbox("spool_dir = ${SPOOL}").get("/")) == ["OrderError"]


def test_default_section_applies_to_filter_and_inbox(inbox, spool, titles):
    write_event(spool, error_event())
    assert titles(inbox(default="sentry.spool_dir = spool").get("/")) == ["OrderError"]


def test_all_mistakes_are_reported_at_once_with_their_lines(write_ini, inbox):
    with pytest.raises(ConfigError) as caught:
        inbox("allow = here, 10.0.0.1/8\nallow_hosts = a:1\nalow = 127.0.0.1\n")
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("test.ini [app:main]: 5 mistakes in the options of sentry_paste")
    assert sorted(line.strip() for line in lines[1:]) == [
        "line 5: allow = 10.0.0.1/8: expected an IP address or a network, such as 192.0.2.7 or 192.0.2.0/24",
        "line 5: allow = here: expected an IP address or a network, such as 192.0.2.7 or 192.0.2.0/24",
        "line 6: allow_hosts = a:1: expected a host name without a port",
        "line 7: alow: is no option of the inbox; did you mean allow?",
        "spool_dir: expected the directory of envelope files: the spool_dir of the filter",
    ]


def test_malformed_variable_is_reported():
    with pytest.raises(ConfigError, match=r"spool_dir = \$\{X: expected \$\{NAME\}"):
        main({}, spool_dir="${X")


def test_filter_ignores_the_options_of_the_inbox(load):
    app = load(
        """
        [filter:sentry]
        use = egg:sentry_paste
        dsn = http://key@127.0.0.1:9/1
        [app:inbox]
        use = egg:sentry_paste#inbox
        spool_dir = spool
        allow = 192.0.2.7
        [pipeline:main]
        pipeline = sentry inbox
        """
    )
    assert app.client is not None


def test_check_does_not_ask_for_sentry_around_the_inbox(write_ini):
    path = write_ini(
        """
        [composite:main]
        use = egg:Paste#urlmap
        / = site
        /inbox = inbox
        [pipeline:site]
        pipeline = sentry app
        [filter:sentry]
        use = egg:sentry_paste
        dsn = http://key@127.0.0.1:9/1
        [app:app]
        paste.app_factory = apps:make_app
        [app:inbox]
        use = egg:sentry_paste#inbox
        spool_dir = spool
        """
    )
    text = report_text(check(str(path)), colour=False)
    (line,) = (line for line in text.splitlines() if "#inbox" in line)
    assert line.split()[:2] == ["no", "Sentry"]
    assert "No Sentry stands around" not in text
    assert "stops the start" not in text


def test_mistakes_in_the_options_of_the_pages_are_reported(inbox):
    with pytest.raises(ConfigError) as caught:
        inbox(
            "spool_dir = spool\neditor = javascript:{path}\napp_url = //evil.example\nallow_clear = perhaps\n"
        )
    lines = sorted(line.strip() for line in str(caught.value).splitlines()[1:])
    assert lines[0].startswith("line 6: editor = javascript:{path}: expected one of cursor, emacs, idea, ")
    assert lines[1:] == [
        "line 7: app_url = //evil.example: expected a path or a URL, such as / or http://localhost:6543/",
        "line 8: allow_clear = perhaps: expected true or false",
    ]


@pytest.mark.parametrize(
    "editor",
    [
        *("notepad", "vscode {path}", "myeditor://open", "myeditor://{line}", "{path}", "a:{path}{column}"),
        *("javascript:alert('{path}')", "JavaScript:{path}", " data:text/html,{path}", "vbscript:{path}"),
        *("file://{path}", "blob:{path}", "about:{path}", "my\x00editor:{path}"),
    ],
)
def test_editor_that_is_none_is_a_mistake(tmp_path, editor):
    with pytest.raises(ConfigError, match="expected one of cursor"):
        main({}, spool_dir=str(tmp_path), editor=editor)


@pytest.mark.parametrize(
    "editor", ["", "VSCode", "pycharm", "my.editor+x://open?f={path}&l={line}", "http://localhost:1/{path}"]
)
def test_editors_are_known_by_name_or_address(tmp_path, editor):
    assert main({}, spool_dir=str(tmp_path), editor=editor)


def test_options_of_the_inbox_are_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs/inbox.rst").read_text(encoding="utf-8")
    for name in OPTIONS:
        assert f"\n``{name}``\n    " in page
    for name in NAMES:
        assert f"``{name}``" in page
