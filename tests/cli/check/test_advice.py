"""The warnings of sentry-paste check."""

import json
import logging
import socket

import pytest
import sentry_sdk

from sentry_paste.cli.check.as_json import report_json
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.main import main

from check_reports import SENTRY, values, warnings_of


@pytest.mark.parametrize(
    ("options", "severity", "expected"),
    [
        (
            "traces_sample_rate = 1.0",
            "medium",
            "traces_sample_rate = 1 traces every request in production (env",
        ),
        ("traces_sample_rate = 1\nenvironment = production", "medium", "every request in production; 0.1"),
        ("send_default_pii = true", "medium", "send_default_pii sends cookies"),
        ("debug = on", "low", "debug makes the SDK write what it does to stderr"),
        ("sample_rate = 0", "high", "sample_rate = 0 reports no errors at all"),
        ("name = web1", "medium", "name is raven's name for server_name"),
        ("server_name = web1 ; the first", "medium", "put comments on separate lines"),
        ("server_name = ${NO_SUCH_HOST}", "medium", "the environment variable NO_SUCH_HOST is not set"),
    ],
)
def test_warning(write_filter, options, severity, expected):
    report = check(str(write_filter(options + "\n")))
    (text,) = warnings_of(report)
    assert expected in text
    assert warnings_of(report, severity) == [text]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            "error_sample_rates =\n    OSError 0.1\n    TimeoutError 1",
            "TimeoutError can never apply, as that about OSError",
        ),
        (
            "levels =\n    LookupError info\n    KeyError info",
            "levels: the rule about KeyError can never apply",
        ),
        (
            "levels =\n    logger a* info\n    logger a.b debug",
            "the rule about a.b can never apply, as that about a*",
        ),
        (
            "fingerprints =\n    OSError -> a\n    builtins:TimeoutError -> b",
            "fingerprints: the rule about TimeoutError",
        ),
        (
            "fingerprints =\n    message * -> a\n    message x* -> b",
            "the rule about message x* can never apply",
        ),
        (
            "fingerprints =\n    OwnError -> a\n    OwnError -> b",
            "fingerprints has two rules about OwnError, of which",
        ),
        (
            "ignore_messages =\n    *reset*\n    Connection reset ?y *",
            "the rule about Connection reset ?y * can never",
        ),
        (
            "traces_sample_rates =\n    * 0\n    /api/* 0.5",
            "traces_sample_rates: the rule about /api/* can never",
        ),
        (
            "transaction_names =\n    /a/* a\n    /a/*/b b",
            "transaction_names: the rule about /a/*/b can never",
        ),
        (
            "traces_keep =\n    /a* errors\n    /a/b status 500",
            "traces_keep: the rule about /a/b can never apply",
        ),
    ],
)
def test_rule_that_can_never_apply_is_warned_of(write_filter, rules, expected):
    report = check(str(write_filter(f"traces_sample_rate = 0.1\n{rules}\n")))
    (text,) = warnings_of(report, "medium")
    assert expected in text


@pytest.mark.parametrize(
    "rules",
    [
        "error_sample_rates =\n    TimeoutError 1\n    OSError 0.1\n    OwnError 1",
        "levels =\n    logger OSError info\n    OSError info\n    logger a.b info\n    logger a.* info",
        "fingerprints =\n    message * -> a\n    transaction x -> b\n    OSError -> c",
        "ignore_messages =\n    a?c\n    abc\n    re:.*\n    *a*\n    [abc]",
        "traces_sample_rates =\n    /api/* 0\n    * 0.5",
        "traces_keep =\n    errors\n    /a status 500\n    /a errors\n    /a* status 404",
    ],
)
def test_rules_that_can_apply_are_not_warned_of(write_filter, rules):
    report = check(str(write_filter(f"traces_sample_rate = 0.1\n{rules}\n")))
    assert warnings_of(report, "medium") == []


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        (
            "0 per hour",
            "error_budget = 0 per hour sends only the first error of each kind and release, and one",
        ),
        ("0 per day in all", "error_budget = 0 per day in all sends only the first"),
        ("\n    50 per hour\n    40 per hour in all", "50 per hour for each kind can never apply, as 40 per"),
        ("\n    50 per minute\n    40 per day in all", "50 per minute for each kind can never apply"),
        ("\n    961 per day\n    40 per hour in all", "961 per day for each kind can never apply"),
    ],
)
def test_budget_that_can_never_apply_is_warned_of(write_filter, budgets, expected):
    report = check(str(write_filter(f"spool_dir = spool\nerror_budget = {budgets}\n")))
    (text,) = warnings_of(report, "medium")
    assert expected in text


@pytest.mark.parametrize(
    "budgets",
    [
        "1 per hour",
        "1 per day in all",
        "50 per hour\n    50 per hour in all",
        "960 per day\n    40 per hour in all",
    ],
)
def test_budget_that_can_apply_is_not_warned_of_unless_workers_do_not_share_it(write_filter, budgets):
    option = f"error_budget =\n    {budgets}\n"
    assert check(str(write_filter(f"spool_dir = spool\n{option}"))).warnings == ()
    (text,) = warnings_of(check(str(write_filter(option))), "low")
    assert "each worker process has the budget for itself" in text


def test_profiles_of_all_requests_are_warned_of_by_the_option_of_the_ini(write_filter):
    # sentry-sdk 3 has no such option, which is a warning of its own.
    warned = warnings_of(check(str(write_filter("profiles_sample_rate = 1\n"))))
    (text,) = [text for text in warned if "in production" in text]
    assert text.startswith("profiles_sample_rate = 1 profiles every traced request in production")


@pytest.mark.parametrize(
    "options",
    [
        "traces_sample_rate = 0.2",
        "traces_sample_rate = 1.0\nenvironment = staging",
        "traces_sample_rate = 1.0\ntraces_sampler = builtins:len",
        "send_default_pii = false",
        "debug = off",
    ],
)
def test_no_warning(write_filter, options):
    assert check(str(write_filter(options + "\n"))).warnings == ()


def test_missing_dsn_comes_first_and_missing_release_last(starter):
    report = check(
        str(starter("filter-with = sentry", "[filter:sentry]\nuse = egg:sentry_paste\ndsn = ${SENTRY_DSN}\n"))
    )
    assert [warning.severity for warning in report.warnings] == ["high", "medium", "low"]
    assert report.warnings[0].text.startswith("This filter reports nothing: dsn has no value")
    assert report.warnings[2].text.startswith("release has no value")
    assert values(report)["dsn"] == ("not set", "default, no value in [filter:sentry]")
    assert report.filters[0].integrations is None


def test_spool_alone_is_a_place_to_report_to(starter):
    report = check(
        str(
            starter(
                "filter-with = sentry",
                "[filter:sentry]\nuse = egg:sentry_paste\nspool_dir = spool\nrelease = 1\n",
            )
        )
    )
    assert report.warnings == ()


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ("user_feedback = true", "user_feedback has no effect without error_page"),
        (
            "fingerprint_without_ids = true\nattach_stacktrace = true",
            "fingerprint_without_ids has no effect with attach_stacktrace: messages are grouped by their "
            "stack traces",
        ),
        (
            "propagate_traceparent = true\npropagate_traces = false",
            "propagate_traceparent has no effect with propagate_traces = false",
        ),
        (
            "spool_rate = 5\nspool_fsync = true",
            "spool_fsync, spool_rate have no effect without spool_dir",
        ),
    ],
)
def test_option_that_does_nothing_alone_is_warned_of(write_filter, options, warning):
    assert warning in warnings_of(check(str(write_filter(options + "\n"))))


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no data_collection")
@pytest.mark.parametrize(("value", "count"), [("true", 1), ("false", 0)])
def test_warning_of_personal_data_follows_data_collection(write_filter, value, count):
    report = check(str(write_filter(f"data_collection.user_info = {value}\n")))
    assert len(warnings_of(report)) == count


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("dsn = https://public@sentry.example/7", "to Sentry"),
        ("dsn = https://public@sentry.example/7\nspool_dir = spool", "to Sentry"),
        ("dsn = https://public@sentry.example/7\nspotlight = true", "to Sentry and to Spotlight"),
        ("spotlight = true", "to Spotlight"),
        ("spool_dir = spool", "into the files in spool_dir"),
        ("spool_dir = spool\nspotlight = true", "into the files in spool_dir and to Spotlight"),
        ("transport = builtins:print", "to its transport"),
    ],
)
def test_warning_of_personal_data_says_where_it_goes(starter, lines, expected):
    section = f"[filter:sentry]\nuse = egg:sentry_paste\nrelease = 1\nsend_default_pii = true\n{lines}\n"
    report = check(str(starter("filter-with = sentry", section)))
    what = "send_default_pii sends cookies, addresses and names of your users"
    assert f"{what} {expected}" in warnings_of(report)


def test_hidden_option_is_warned_of(starter):
    path = starter("filter-with = sentry", "[DEFAULT]\ndebug = false\n" + SENTRY + "debug = true\n")
    (warning,) = check(str(path)).warnings
    assert warning.text == f"debug is hidden by debug in [DEFAULT] of {path.name}; write sentry.debug instead"
    assert (warning.path, warning.line) == (str(path), 8)


def test_hidden_option_that_is_inherited_is_warned_of_at_its_line_of_its_file(write_ini):
    base = write_ini("[DEFAULT]\ndebug = false\n" + SENTRY + "debug = true\n", "base.ini")
    path = write_ini(
        "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
        "[filter:sentry]\nuse = config:base.ini#sentry\nrelease = 1\n"
    )
    report = check(str(path))
    (warning,) = [found for found in report.warnings if found.code == "hidden-option"]
    line = base.read_text().splitlines().index("debug = true") + 1
    text = "debug is hidden by debug in [DEFAULT] of base.ini; write sentry.debug instead"
    assert (warning.path, warning.line, warning.text) == (str(base), line, text)
    assert f"base.ini, line {line}: debug is hidden" in " ".join(report_text(report).split())
    (found,) = [one for one in json.loads(report_json(report))["warnings"] if one["code"] == "hidden-option"]
    assert (found["path"], found["line"], found["text"]) == (str(base), line, text)


def test_reader_s_warnings_are_in_the_report_and_not_in_the_log(write_filter, caplog):
    with caplog.at_level(logging.WARNING):
        report = check(str(write_filter("name = web1\n")))
    assert len(report.warnings) == 1
    assert caplog.records == []


def test_warnings_count_with_strict_only(write_filter):
    path = str(write_filter("send_default_pii = true\n"))
    assert main(["check", path]) == 0
    assert main(["check", path, "--strict"]) == 1
    assert main(["check", str(write_filter()), "--strict"]) == 0


@pytest.fixture
def dsn_of(write_filter):
    def write(dsn):
        path = write_filter()
        path.write_text(path.read_text().replace("https://public:secret@sentry.example/7", dsn))
        return str(path)

    return write


@pytest.mark.usefixtures("network")
def test_connect_reaches_the_host_and_sends_nothing(receiver, dsn_of):
    report = check(dsn_of(receiver.dsn), connect=True)
    assert report.warnings == ()
    assert "The DSN's host can be reached from here." in report_text(report)
    assert receiver.raw == []


@pytest.mark.usefixtures("network")
def test_connect_warns_of_a_refused_connection(dsn_of):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (text,) = warnings_of(check(dsn_of(f"http://key@127.0.0.1:{port}/1"), connect=True), "high")
    assert f"127.0.0.1:{port} refuses the connection" in text


@pytest.mark.usefixtures("network")
def test_connect_warns_of_a_server_without_tls(receiver, dsn_of):
    (text,) = warnings_of(check(dsn_of(receiver.dsn.replace("http:", "https:")), connect=True), "high")
    assert "TLS: " in text


@pytest.mark.usefixtures("network")
def test_connect_uses_the_proxy(receiver, write_filter):
    path = write_filter(f"https_proxy = {receiver.dsn.replace('public@', '').removesuffix('/1')}\n")
    assert check(str(path), connect=True).filters[0].reached


@pytest.mark.usefixtures("network")
def test_connect_warns_of_unreadable_certificates(write_filter, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    (text,) = warnings_of(check(str(write_filter("ca_certs = ca.pem\n")), connect=True), "high")
    assert text.startswith("The DSN's host cannot be reached from here: ca_certs: ")
