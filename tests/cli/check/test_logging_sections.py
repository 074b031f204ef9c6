"""Handlers for Sentry in the logging sections of the ini are told by line, with what to do."""

import importlib.util
import logging.config
import re
import textwrap

import pytest
import sentry_sdk.integrations.logging

from sentry_paste.cli.check.report import check

from check_reports import SENTRY

APP = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"

LOGGING = """
    [loggers]
    keys = root

    [handlers]
    keys = console, sentry

    [formatters]
    keys =

    [logger_root]
    level = INFO
    handlers = console, sentry

    [handler_console]
    class = StreamHandler
    args = (sys.stderr,)

    [handler_sentry]
    class = {}
    args = {}
    level = {}
"""


@pytest.fixture
def findings(write_ini):
    """Severity, code, line and text of the warnings about an ini with a handler."""

    def findings(handler, args="()", level="WARNING", options="", app=APP):
        text = textwrap.dedent(LOGGING).format(handler, args, level)
        report = check(str(write_ini(SENTRY + options + app + text)))
        stops = any(re.search("stops? the start", found.text) for found in report.warnings)
        assert (report.status() == 2) is stops
        return [
            (found.severity, found.code, found.line, found.text)
            for found in report.warnings
            if "handler" in found.code
        ]

    return findings


@pytest.mark.parametrize("app", [APP, "[app:main]\nuse = egg:myapp\n"])
def test_handler_of_raven_that_is_not_installed_stops_the_start(findings, app):
    assert importlib.util.find_spec("raven") is None
    ((severity, code, line, text),) = findings(
        "raven.handlers.logging.SentryHandler", "('https://k@h/1',)", app=app
    )
    assert (severity, code, line) == ("high", "raven-handler", 28 + app.count("\n") - APP.count("\n"))
    assert "stops the start" in text
    assert "remove sentry from keys in [handlers] and from handlers in [logger_root]" in text
    assert "integration.logging.event_level = WARNING" in text


# sentry-sdk 3 has no SentryHandler.
HANDLERS = ["EventHandler", "BreadcrumbHandler", "SentryHandler"]
THERE = [name for name in HANDLERS if hasattr(sentry_sdk.integrations.logging, name)]


@pytest.mark.parametrize("name", THERE)
def test_dsn_in_the_arguments_stops_the_start(findings, tmp_path, name):
    handler = f"sentry_sdk.integrations.logging.{name}"
    ((severity, code, line, text),) = findings(handler, "('https://k3y@h/1',)")
    assert (severity, code, line) == ("high", "logging-handler-args", 29)
    assert "k3y" not in text
    path = tmp_path / "logging.ini"
    path.write_text(textwrap.dedent(LOGGING).format(handler, "('https://k3y@h/1',)", "INFO"))
    with pytest.raises(ValueError, match="Unknown level"):
        logging.config.fileConfig(path, disable_existing_loggers=False)


def test_handler_that_the_sdk_does_not_have_stops_the_start(findings, monkeypatch):
    monkeypatch.delattr("sentry_sdk.integrations.logging.SentryHandler", raising=False)
    ((severity, code, line, text),) = findings("sentry_sdk.integrations.logging.SentryHandler")
    assert (severity, code, line) == ("high", "logging-handler-gone", 28)
    assert "this sentry-sdk has no SentryHandler; remove sentry from keys in [handlers]" in text


def test_handler_without_arguments_reports_each_record_twice(findings):
    ((severity, code, line, text),) = findings("sentry_sdk.integrations.logging.EventHandler")
    assert (severity, code, line) == ("medium", "logging-handler-twice", 28)
    assert "a second event of each log record" in text
    assert "integration.logging.event_level = none" in text


@pytest.mark.parametrize(
    ("handler", "options"),
    [
        ("EventHandler", "integration.logging.event_level = none\n"),
        ("BreadcrumbHandler", "integration.logging.level = off\n"),
        ("EventHandler", "disabled_integrations = logging\n"),
        ("EventHandler", "default_integrations = false\n"),
    ],
)
def test_handler_in_place_of_the_filter_s_is_right(findings, handler, options):
    assert findings(f"sentry_sdk.integrations.logging.{handler}", "('ERROR',)", options=options) == []


def test_handler_that_is_not_used_is_right(write_ini):
    text = textwrap.dedent(LOGGING).format("raven.handlers.logging.SentryHandler", "()", "INFO")
    path = write_ini(SENTRY + APP + text.replace("keys = console, sentry", "keys = console"))
    assert check(str(path)).warnings == ()


def test_handler_of_others_is_right(findings):
    assert findings("handlers.RotatingFileHandler", "('x.log', 'a', 1000, 3)") == []
