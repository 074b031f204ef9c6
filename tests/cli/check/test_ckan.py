"""CKAN, which reads its ini without PasteDeploy."""

import pytest

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text

from check_reports import SENTRY, states, values, warnings_of


def test_for_ckan_middleware_is_suggested_instead_of_a_filter(write_ini):
    report = check(str(write_ini("[app:main]\nuse = egg:ckan\nSECRET_KEY = x\n")))
    text = report_text(report)
    assert states(report) == [("no Sentry", "main")]
    assert "CKAN reads this file itself" in text
    assert "SentryMiddleware" in text
    assert "  [app:main]\n  sentry.dsn = ${SENTRY_DSN}" in text
    assert "filter-with" not in text
    assert report.status() == 1


CKAN = """
[app:main]
use = egg:ckan
sentry.dsn = https://public:secret@sentry.example/7
sentry.release = dist:ckan
"""


def test_options_of_a_script_are_read_from_ckans_section(write_ini):
    report = check(str(write_ini(CKAN)))
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
    assert values(report)["dsn"] == ("https://***@sentry.example/7", "[app:main] line 4")
    assert "CKAN reads this file itself" in report_text(report)
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_mistake_in_ckans_section_is_shown(write_ini):
    report = check(str(write_ini(CKAN + "sentry.sample_rate = many\n")))
    assert report.status() == 2
    assert "line 6: sentry.sample_rate = many: expected a number from 0 to 1" in report_text(report)


@pytest.mark.parametrize(
    "options", ["", "sentry.release = shop@1\nsentry.dsn = https://key@sentry.example/7\n"]
)
def test_filter_that_ckan_ignores_is_warned_of(write_ini, options):
    sections = f"[app:main]\nuse = egg:ckan\n{options}filter-with = sentry\n"
    report = check(str(write_ini(SENTRY + sections)))
    assert states(report)[0] == (("SENTRY", "sentry") if options else ("no Sentry", "main"))
    assert warnings_of(report, "high") == [
        "sentry does nothing: CKAN reads this file itself and ignores its filters"
    ]
