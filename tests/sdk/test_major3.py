"""Options that sentry-sdk 3 has dropped mean what they mean with 2, or a warning names their line."""

import logging
from pathlib import Path

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk

import apps
from traced_apps import answer, traced
from wsgi_calls import call, environ_of

needs_3 = pytest.mark.skipif(sdk.MAJOR == 2, reason="sentry-sdk 2 has the option")


INI = """
[filter:sentry]
use = egg:sentry_paste
{line}
[app:main]
paste.app_factory = apps:make_app
filter-with = sentry
"""


def frames(captured):
    return captured.errors[0]["exception"]["values"][-1]["stacktrace"]["frames"]


class TestMeaningIsKept:
    """These run with every sentry-sdk."""

    @pytest.mark.parametrize(("value", "user"), [("true", {"ip_address": "192.0.2.1"}), ("false", None)])
    def test_send_default_pii(self, captured, value, user):
        call(SentryMiddleware(apps.crash, send_default_pii=value), environ_of(REMOTE_ADDR="192.0.2.1"))
        assert captured.errors[0].get("user") == user

    def test_nothing_personal_is_sent_by_default(self, captured):
        environ = environ_of(
            REMOTE_ADDR="192.0.2.77", HTTP_COOKIE="sid=hunter22zz9q", REMOTE_USER="ann.blyth"
        )
        call(traced(apps.crash), environ)
        captured.transactions  # noqa: B018 - spans are sent first
        sent = b"".join(item.get_bytes() for envelope in captured for item in envelope.items)
        assert sent
        for personal in (b"192.0.2.77", b"hunter22zz9q", b"ann.blyth"):
            assert personal not in sent

    @pytest.mark.parametrize(("value", "has_variables"), [("true", True), ("false", False)])
    def test_include_local_variables(self, captured, value, has_variables):
        call(SentryMiddleware(apps.crash, include_local_variables=value), environ_of())
        assert ("vars" in frames(captured)[-1]) is has_variables

    @pytest.mark.parametrize(("value", "has_lines"), [("true", True), ("false", False)])
    def test_include_source_context(self, captured, value, has_lines):
        call(SentryMiddleware(apps.crash, include_source_context=value), environ_of())
        assert bool(frames(captured)[-1].get("context_line")) is has_lines

    @pytest.mark.parametrize(("value", "count"), [("true", 1), ("false", 0)])
    def test_enable_tracing(self, captured, value, count):
        call(SentryMiddleware(answer, enable_tracing=value), environ_of())
        assert len(captured.transactions) == count

    def test_event_scrubber_denylist(self, captured):
        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().set_extra("garden", "secret-garden")
            raise ValueError

        options = {"event_scrubber.denylist": "garden", "send_default_pii": "true"}
        call(SentryMiddleware(app, **options), environ_of())
        assert captured.errors[0]["extra"]["garden"] == "[Filtered]"

    def test_usual_names_are_hidden_with_personal_data_too(self, captured):
        def app(environ, start_response):
            password, name = "hunter22zz9q", "ann"  # noqa: F841
            raise ValueError

        call(SentryMiddleware(app, send_default_pii="true"), environ_of())
        variables = frames(captured)[-1]["vars"]
        assert (variables["password"], variables["name"]) == ("[Filtered]", "'ann'")

    def test_scrubber_by_its_dotted_name(self, captured):
        app = SentryMiddleware(apps.crash, event_scrubber="sentry_sdk.scrubber:EventScrubber")
        call(app, environ_of())
        assert len(captured.errors) == 1

    def test_error_that_is_logged_is_an_event_and_others_are_breadcrumbs(self, captured):
        def app(environ, start_response):
            logging.getLogger("shop").warning("a crumb")
            logging.getLogger("shop").error("an error")
            return answer(environ, start_response)

        call(SentryMiddleware(app), environ_of())
        (error,) = captured.errors
        assert error["logger"] == "shop"
        assert [crumb["message"] for crumb in error["breadcrumbs"]["values"]] == ["a crumb"]

    def test_error_that_loguru_logs_is_an_event(self, captured):
        loguru = pytest.importorskip("loguru")

        def app(environ, start_response):
            loguru.logger.warning("a crumb")
            loguru.logger.error("an error")
            return answer(environ, start_response)

        middleware = SentryMiddleware(app)
        call(middleware, environ_of())
        middleware.client.flush()
        assert len(captured.errors) == 1
        assert captured.payloads("log") == []

    @needs_3
    @pytest.mark.parametrize(("options", "count"), [({}, 1), ({"enable_logs": "false"}, 0)])
    def test_what_an_app_logs_with_the_sdk_is_sent_unless_it_is_off(self, captured, options, count):
        def app(environ, start_response):
            sentry_sdk.logger.warning("by the app")
            return answer(environ, start_response)

        middleware = SentryMiddleware(app, **options)
        call(middleware, environ_of())
        middleware.client.flush()
        assert len(captured.payloads("log")) == count

    @needs_3
    def test_scrubber_of_the_users_is_called_with_each_event(self, captured):
        class Scrubber:
            def scrub_event(self, event):
                event["extra"] = {"scrubbed": "yes"}

        call(SentryMiddleware(apps.crash, event_scrubber=Scrubber()), environ_of())
        assert captured.errors[0]["extra"]["scrubbed"] == "yes"

    @pytest.mark.parametrize("options", [{}, {"enable_logs": "false"}])
    def test_logging_makes_no_log_items_unless_asked(self, captured, options):
        if not options.keys() <= {name for name, _, _ in sdk.client_options()}:
            pytest.skip("this sentry-sdk does not have the option yet")

        def app(environ, start_response):
            logging.getLogger("shop").warning("a crumb")
            return answer(environ, start_response)

        middleware = SentryMiddleware(app, **options)
        call(middleware, environ_of())
        middleware.client.flush()
        assert captured.payloads("log") == []

    def test_message_has_no_stack_trace_unless_asked(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_message("hello")
            return answer(environ, start_response)

        call(SentryMiddleware(app), environ_of())
        assert "threads" not in captured.errors[0]

    def test_trace_of_an_ignored_status_is_not_sent(self, captured):
        if "trace_ignore_status_codes" not in {name for name, _, _ in sdk.client_options()}:
            pytest.skip("this sentry-sdk does not have the option yet")

        def app(environ, start_response):
            with sdk.start_child_span("x", "child"):
                start_response(environ["PATH_INFO"][1:] + " So", [])
            return []

        middleware = traced(app, trace_ignore_status_codes="404")
        for status in ("404", "200"):
            call(middleware, environ_of("/" + status))
        assert [found["transaction"] for found in captured.transactions] == ["GET /200"]
        assert [len(found["spans"]) for found in captured.transactions] == [1]

    @needs_3
    def test_dropped_traces_leave_nothing_behind(self, captured):
        def app(environ, start_response):
            with sdk.start_child_span("x", "child"):
                start_response("404 So", [])
            return []

        middleware = traced(app, trace_ignore_status_codes="404")
        for _ in range(20):
            call(middleware, environ_of())
        batcher = middleware.client.span_batcher
        assert len(batcher._span_buffer) == len(batcher._running_size) == 0

    @needs_3
    def test_ignored_status_of_a_trace_that_is_not_sampled_is_lost_by_its_rate(self, captured):
        lost = []

        def app(environ, start_response):
            sentry_sdk.set_tag("a", "b")
            start_response("404 So", [])
            return []

        middleware = traced(app, trace_ignore_status_codes="404", traces_sample_rate=0.0)
        middleware.client.transport.record_lost_event = lambda reason, **_: lost.append(reason)
        call(middleware, environ_of())
        assert lost == ["sample_rate"]

    def test_exception_that_is_raised_again_in_another_request_is_another_error(self, captured):
        error = ZeroDivisionError("one object for all requests")

        def app(environ, start_response):
            raise error

        middleware = SentryMiddleware(app)
        for _ in range(3):
            call(middleware, environ_of())
        assert len(captured.errors) == 3

    def test_exception_of_the_app_is_not_changed(self, captured):
        error = ZeroDivisionError("of the app")
        before = dict(vars(error))

        def app(environ, start_response):
            raise error

        call(SentryMiddleware(app), environ_of())
        assert len(captured.errors) == 1
        assert vars(error) == before

    def test_transport_can_be_a_function(self):
        events = []
        app = SentryMiddleware(apps.crash, transport=events.append, dsn="http://k@sentry.example/1")
        call(app, environ_of())
        assert len(events) == 1


@needs_3
class TestWarnings:
    LINES = (
        ("before_send_transaction = builtins:print", "there are no transactions"),
        ("instrumenter = otel", "creates its own spans"),
        ("profiles_sample_rate = 0.5", "write profile_session_sample_rate"),
        ("profiles_sampler = builtins:print", "write profile_session_sample_rate"),
        ("stream_gen_ai_spans = false", "all spans are streamed"),
        ("integration.flask.transaction_style = url", "the pattern of the route"),
        ("integration.threading.propagate_hub = true", "propagate_scope"),
    )

    @pytest.mark.parametrize(("line", "words"), LINES)
    def test_what_has_another_meaning_is_warned_of_by_line(self, load, caplog, captured, line, words):
        app = load(INI.format(line=line))
        (message,) = [r.getMessage() for r in caplog.records if r.name == "sentry_paste"]
        assert f"line 4: {line.partition(' ')[0]}" in message
        assert words in message
        assert app.client is not None

    @pytest.mark.parametrize(
        "line", ["send_default_pii = true", "enable_logs = true", "enable_tracing = true"]
    )
    def test_what_means_the_same_is_not(self, load, caplog, captured, line):
        load(INI.format(line=line))
        assert [r.getMessage() for r in caplog.records if r.name == "sentry_paste"] == []

    def test_share_of_profiles_is_that_of_continuous_profiling(self):
        found = sdk.for_client({"profiles_sample_rate": 0.5})
        assert (found["profile_session_sample_rate"], found["profile_lifecycle"]) == (0.5, "trace")

    def test_new_name_takes_precedence(self):
        found = sdk.for_client({"profiles_sample_rate": 0.5, "profile_session_sample_rate": 1.0})
        assert found["profile_session_sample_rate"] == 1.0

    def test_traces_are_not_passed_on(self):
        assert sdk.for_client({"propagate_traces": False})["trace_propagation_targets"] == []

    def test_metrics_can_be_off(self, captured):
        def app(environ, start_response):
            sentry_sdk.metrics.count("x", 1)
            return answer(environ, start_response)

        for options in ({"enable_metrics": "false"}, {}):
            middleware = SentryMiddleware(app, **options)
            call(middleware, environ_of())
            middleware.client.flush()
            assert bool(captured.payloads("trace_metric")) is (not options)


def test_page_names_every_option_that_is_gone():
    text = (Path(__file__).parents[2] / "docs/moving/sdk-3.rst").read_text(encoding="utf-8")
    assert [name for name in sdk.GONE_IN_3 if f"``{name}``" not in text] == []
