"""The section of the inbox: what it may say, and how mistakes are told."""

import pytest

from sentry_paste import ConfigError
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.inbox import main
from sentry_paste.spool import Spool

from spooled import error_event, keep


def test_spool_dir_is_relative_to_the_ini(inbox, tmp_path, titles):
    keep(Spool(tmp_path / "var" / "sentry"), error_event())
    assert titles(inbox("spool_dir = var/sentry").get("/")) == ["OrderError"]
    assert titles(inbox("spool_dir = %(here)s/var/sentry").get("/")) == ["OrderError"]


def test_spool_dir_may_hold_variables(inbox, tmp_path, titles, monkeypatch):
    monkeypatch.setenv("SPOOL", str(tmp_path / "elsewhere"))
    keep(Spool(tmp_path / "elsewhere"), error_event())
    assert titles(inbox("spool_dir = ${SPOOL}").get("/")) == ["OrderError"]


def test_what_default_says_to_the_filter_holds_here_too(inbox, spool, titles):
    keep(spool, error_event())
    assert titles(inbox(default="sentry.spool_dir = spool").get("/")) == ["OrderError"]


def test_all_mistakes_are_told_at_once_with_their_lines(write_ini, inbox):
    with pytest.raises(ConfigError) as caught:
        inbox("allow = here, 10.0.0.1/8\nallow_hosts = a:1\nalow = 127.0.0.1\n")
    told = str(caught.value).splitlines()
    assert told[0].endswith("test.ini [app:main]: 5 mistakes in the options of sentry_paste")
    assert sorted(line.strip() for line in told[1:]) == [
        "line 5: allow = 10.0.0.1/8: expected an IP address or a network, 192.0.2.7 or 192.0.2.0/24",
        "line 5: allow = here: expected an IP address or a network, 192.0.2.7 or 192.0.2.0/24",
        "line 6: allow_hosts = a:1: expected the name of a host, without a port",
        "line 7: alow: is no option of the inbox; did you mean allow?",
        "spool_dir: expected the directory of the envelope files, the filter's spool_dir",
    ]


def test_a_variable_that_is_written_wrong_is_told():
    with pytest.raises(ConfigError, match=r"spool_dir = \$\{X: expected \$\{NAME\}"):
        main({}, spool_dir="${X")


def test_the_filter_beside_it_is_not_told_of_its_options(load):
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
