"""The helper for users' tests."""

import logging
import os
import subprocess
import sys
import textwrap
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste import SentryMiddleware, filter_factory, sdk, testing
from sentry_paste.client import registry as registry_module
from sentry_paste.client.registry import registry
from sentry_paste.config.options import options
from sentry_paste.testing import NoFilterWarning, capture_envelopes

import apps
from spooled import LIFECYCLES
from wsgi_calls import call, environ_of


def divide(environ, start_response):
    return [1 / 0]


def test_example_of_the_docstring_runs(tmp_path):
    """It is the first that somebody copies; only the path of the ini is another one."""
    (tmp_path / "test.ini").write_text(
        "[app:main]\npaste.app_factory = test_testing:make_divide\nfilter-with = sentry\n"
        "[filter:sentry]\nuse = egg:sentry_paste\n"
    )
    example = textwrap.dedent(testing.__doc__.partition("::\n")[2].partition("\nThe fixture")[0])
    assert "/srv/app/test.ini" in example
    names = {}
    exec(example.replace("/srv/app/test.ini", str(tmp_path / "test.ini")), names)
    names["test_crash_is_reported"]()


def make_divide(global_conf):
    return divide


def test_app_without_a_dsn_is_captured():
    with capture_envelopes() as captured:
        app = TestApp(filter_factory({}, traces_sample_rate="1", release="1")(apps.by_path))
        app.get("/answer_list")
        with pytest.raises(ValueError, match="in the call"):
            app.get("/crash")
    assert len(captured.errors) == 1
    assert [transaction["transaction"] for transaction in captured.transactions] == [
        "GET /answer_list",
        "GET /crash",
    ]
    assert captured.sessions[0]["crashed"] == 1


def test_nothing_is_left_behind():
    with capture_envelopes():
        filter_factory({}, release="1")
    assert registry.clients() == []
    assert not sentry_sdk.get_client().is_active()
    assert filter_factory({})(apps.by_path) is apps.by_path


def test_app_that_was_loaded_before_is_captured_and_nothing_of_it_is_sent(receiver):
    app = SentryMiddleware(apps.by_path, dsn=receiver.dsn)
    with capture_envelopes() as captured:
        call(app, environ_of("/crash"))
    assert len(captured.errors) == 1
    app.client.flush()
    assert receiver.envelopes == []
    call(app, environ_of("/crash"))
    app.client.flush()
    receiver.wait(errors=1)


def test_client_of_the_app_is_captured(receiver):
    sentry_sdk.init(dsn=receiver.dsn)
    with capture_envelopes() as captured:
        sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
    assert [error["message"] for error in captured.errors] == ["hello"]
    assert receiver.envelopes == []


def test_other_payloads_by_their_type():
    with capture_envelopes() as captured:
        SentryMiddleware(apps.by_path)
        sentry_sdk.capture_message("hello")
    assert captured.payloads("event", "transaction") == captured.errors
    assert captured.payloads("log") == []


# Records to assert on.


def traced(environ, start_response):
    logging.getLogger("kitchen").warning("the soup is %s", "cold")
    with sdk.start_child_span("db", "SELECT 1"):
        pass
    start_response("404 Not Found", [])
    return []


def chained(environ, start_response):
    sentry_sdk.set_tag("table", "7")
    try:
        raise KeyError("soup")
    except KeyError as error:
        raise ValueError("no such dish") from error


def test_exception_has_what_a_test_asks_for():
    with capture_envelopes() as captured:
        call(filter_factory({})(chained), environ_of("/order"))
    error = captured.exceptions.one()
    assert str(error) == "ValueError: no such dish"
    assert (error.type, error.value, error.handled, error.mechanism) == (
        "ValueError",
        "no such dish",
        False,
        "wsgi",
    )
    assert (error.level, error.transaction, error.tags) == ("error", "GET /order", {"table": "7"})
    assert error.causes == ("KeyError: 'soup'",)
    assert error.event == captured.errors[0]


def test_message_is_no_exception():
    with capture_envelopes() as captured:
        SentryMiddleware(apps.by_path)
        sentry_sdk.capture_message("hello")
    assert captured.exceptions == []
    assert len(captured.errors) == 1


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_transaction_and_its_spans(lifecycle):
    with capture_envelopes() as captured:
        app = filter_factory({}, traces_sample_rate="1", **lifecycle)(traced)
        call(app, environ_of("/menu"))
        inside = captured.transactions.one(name="GET /menu")
    transaction = captured.transactions.one()
    assert transaction == inside
    assert (transaction.op, transaction.status, transaction.http_status) == ("http.server", "not_found", 404)
    assert 0 < transaction.duration < 60
    assert str(transaction) == "GET /menu 404 not_found"
    span = captured.spans.one(op="db")
    assert (span.name, span.transaction, span.trace_id) == ("SELECT 1", "GET /menu", transaction.trace_id)
    assert 0 <= span.duration <= transaction.duration
    assert transaction.spans == captured.spans
    assert str(span) == "db SELECT 1"


def test_transaction_is_the_payload_too():
    with capture_envelopes() as captured:
        call(filter_factory({}, traces_sample_rate="1")(traced), environ_of("/menu"))
    assert captured.transactions[0]["transaction"] == "GET /menu"


@pytest.mark.skipif("enable_logs" not in options(), reason="this SDK sends no logs")
def test_logs_within_the_block_and_after_it():
    with capture_envelopes() as captured:
        call(filter_factory({}, enable_logs="true")(traced), environ_of("/menu"))
        assert captured.logs.one().message == "the soup is cold"
    line = captured.logs.one(logger="kitchen")
    assert (line.level, str(line)) == ("warn", "warn kitchen: the soup is cold")
    assert line.attributes["sentry.message.parameter.0"] == "cold"
    assert len(line.trace_id) == 32


def test_record_that_is_not_there_names_all_that_are():
    with capture_envelopes() as captured:
        app = filter_factory({})(chained)
        call(app, environ_of("/one"))
        call(app, environ_of("/two"))
    with pytest.raises(AssertionError) as caught:
        captured.exceptions.one(type="KeyError")
    assert str(caught.value) == (
        "expected one record with type='KeyError', found 0; captured:\n"
        "  ValueError: no such dish\n  ValueError: no such dish"
    )
    with pytest.raises(AssertionError, match="expected one record, found 2"):
        captured.exceptions.one()
    with pytest.raises(AssertionError, match="captured:\n  nothing"):
        captured.transactions.one()
    assert [error.transaction for error in captured.exceptions.matching(type="ValueError")] == [
        *["GET /one", "GET /two"]
    ]


# Where no filter took part.


def test_block_without_a_filter_warns_at_its_line():
    app = filter_factory({})(apps.by_path)
    warned = pytest.warns(NoFilterWarning, match="load the app within the block")
    with warned as caught, capture_envelopes() as captured:
        call(app, environ_of("/crash"))
    assert captured.exceptions == []
    assert caught[0].filename == __file__


def test_failure_in_the_block_is_not_replaced_by_the_warning():
    with pytest.raises(AssertionError, match="nothing was reported"), capture_envelopes():
        raise AssertionError("nothing was reported")


def test_clients_of_filters_and_of_the_app_are_no_reason_to_warn():
    with capture_envelopes():
        filter_factory({})
    sentry_sdk.init(dsn="http://key@127.0.0.1:1/1")
    with capture_envelopes():
        pass
    sentry_sdk.get_client().close()
    with capture_envelopes(warn=False):
        pass


# The plugin for pytest.


# All warnings are errors but one that Pyramid causes, which the SDK imports.
STRICT = ("-W", "error", "-W", "ignore:pkg_resources is deprecated:UserWarning")


def run_pytest(tmp_path, test, *arguments):
    (tmp_path / "test_app.py").write_text(textwrap.dedent(test))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PYTHONPATH": str(Path(testing.__file__).parents[2]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", *STRICT, *arguments, str(tmp_path / "test_app.py")]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120
    )
    return ended.returncode, ended.stdout + ended.stderr


PLUGIN = ("-p", "sentry_paste.pytest_plugin")


def test_fixture_captures_what_the_test_does(tmp_path):
    status, output = run_pytest(
        tmp_path,
        """
        import pytest
        from sentry_paste import filter_factory

        @pytest.fixture
        def app(sentry_captured):
            def crash(environ, start_response):
                raise ZeroDivisionError
            return filter_factory({})(crash)

        def test_crash(app, sentry_captured):
            with pytest.raises(ZeroDivisionError):
                app({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, None)
            assert sentry_captured.exceptions.one().type == "ZeroDivisionError"

        def test_next_one_begins_anew(app, sentry_captured):
            assert sentry_captured.exceptions == []
        """,
        *PLUGIN,
    )
    assert (status, "2 passed" in output) == (0, True), output


def test_fixture_warns_where_no_filter_took_part(tmp_path):
    test = "def test_nothing(sentry_captured):\n    pass\n"
    status, output = run_pytest(tmp_path, test, *PLUGIN)
    assert (status, "NoFilterWarning: no filter of sentry_paste took part" in output) == (1, True), output


def test_plugin_imports_nothing_unless_a_test_asks_for_it(tmp_path):
    status, output = run_pytest(
        tmp_path,
        """
        import sys

        def test_nothing_is_imported():
            own = {name for name in sys.modules if name.startswith("sentry")}
            assert own == {"sentry_paste", "sentry_paste.pytest_plugin"}
        """,
        *PLUGIN,
    )
    assert (status, "1 passed" in output) == (0, True), output


def test_pytest_imports_the_package_as_python_does():
    """Otherwise Pyramid finds no static files and templates in it."""
    assert type(registry_module.__spec__.loader) is SourceFileLoader
