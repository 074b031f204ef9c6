"""Scopes that are not opened until they are used: what is reported must not differ."""

import _thread
import contextvars
import logging
import queue
import sys
import threading
import time
import warnings
from datetime import timedelta

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.spool import fields
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

import apps
from traced_apps import traced
from wsgi_calls import call, environ_of

# The categories in which a trace counts as lost.
CATEGORIES = ["transaction", "span"] if sdk.MAJOR == 2 else ["span"]


class TestUnusedScopes:
    """Scopes are not opened until they are used, and reports do not show the difference."""

    def reported(self, app, **options):
        with capture_envelopes() as found:
            middleware = traced(app, **{"traces_sample_rate": 1.0, **options})
            for path in ("/a", "/b"):
                call(middleware, environ_of(path, QUERY_STRING="page=1", HTTP_USER_AGENT="x/1"))
            for client in registry.clients():
                client.flush()
        plain = []
        for payload in [*found.errors, *found.transactions]:
            trace = payload["contexts"]["trace"]
            plain.append(
                {
                    "trace": sorted(trace),
                    "status": trace.get("status"),
                    "op": trace.get("op"),
                    "spans": [span["description"] for span in payload.get("spans", [])],
                    "crumbs": [
                        crumb["message"] for crumb in payload.get("breadcrumbs", {}).get("values", [])
                    ],
                    **{
                        key: payload.get(key)
                        for key in ("transaction", "transaction_info", "request", "tags", "level", "message")
                    },
                }
            )
        sessions = [{key: value for key, value in one.items() if key != "started"} for one in found.sessions]
        totals = {}
        for one in sessions:
            for key, value in one.items():
                totals[key] = totals.get(key, 0) + value
        return plain, totals

    @pytest.mark.parametrize("name", sorted(apps.APPS))
    def test_reports_are_those_of_scopes_opened_at_once(self, name, open_scopes_at_once):
        late = self.reported(apps.APPS[name])
        open_scopes_at_once()
        assert late == self.reported(apps.APPS[name])

    def test_what_an_app_does_with_its_scopes_is_reported_in_the_same_way(self, open_scopes_at_once):
        def app(environ, start_response):
            sentry_sdk.set_tag("a", environ["PATH_INFO"])
            logging.getLogger("shop").warning("crumb of %s", environ["PATH_INFO"])
            with sdk.start_child_span("x", "inner"):
                pass
            start_response("500 Oops", [])
            yield b"x"
            sentry_sdk.capture_message("in the body")

        late = self.reported(app)
        open_scopes_at_once()
        assert late == self.reported(app)
        assert {event["tags"].get("a") for event in late[0] if event["tags"]} == {"/a", "/b"}

    @pytest.mark.parametrize("path", ["/a", "/crash"])
    @pytest.mark.parametrize("rate", [None, 0.0, 1.0])
    def test_what_integrations_set_is_reported_in_the_same_way(self, path, rate, open_scopes_at_once):
        def app(environ, start_response):
            isolation = sentry_sdk.get_isolation_scope()
            sentry_sdk.get_current_scope().set_transaction_name("of the current scope", source="route")
            isolation.add_event_processor(lambda event, hint: {**event, "level": "fatal"})
            isolation.set_transaction_name("of the isolation scope")
            start_response("200 OK", [])
            if environ["PATH_INFO"] == "/crash":
                raise ZeroDivisionError("here")
            return []

        def reported():
            registry.reset()
            with capture_envelopes() as found:
                call(SentryMiddleware(app, traces_sample_rate=rate), environ_of(path))
            return [
                {key: event.get(key) for key in ("type", "transaction", "transaction_info", "level")}
                for event in [*found.errors, *found.transactions]
            ]

        late = reported()
        open_scopes_at_once()
        assert late == reported()
        assert len(late) == (rate == 1.0) + (path == "/crash")

    def test_name_and_processor_alone_do_not_open_a_request(self, captured):
        held = []

        def app(environ, start_response):
            held.append(sdk.scopes._isolation_scope.get())
            assert sentry_sdk.get_current_scope()._server_segment_span is None
            sentry_sdk.get_current_scope().set_transaction_name("named")
            sentry_sdk.get_isolation_scope().add_event_processor(lambda event, hint: event)
            return []

        call(SentryMiddleware(app, release="1"), environ_of())
        assert type(held[0]) is sdk.UnusedScope

    def test_what_is_set_on_a_scope_is_there_after_the_request_too(self, captured):
        contexts = []

        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().add_event_processor(
                lambda event, hint: {**event, "extra": {"seen": "yes"}}
            )
            contexts.append(contextvars.copy_context())
            start_response("200 OK", [])
            return []

        call(SentryMiddleware(app, release="1"), environ_of())
        contexts[0].run(sentry_sdk.capture_message, "late")
        assert captured.errors[0]["extra"] == {"seen": "yes"}

    def test_what_the_server_sets_for_the_next_request_is_not_in_events_of_this_one(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"begun"
            sentry_sdk.capture_message("of " + environ["PATH_INFO"])
            yield b"ended"

        filtered = SentryMiddleware(app)
        bodies = []
        for who in ("alice", "bob"):
            # An outer middleware, in the server's own context.
            sentry_sdk.get_isolation_scope().set_user({"id": who})
            sentry_sdk.get_current_scope().set_tag("who", who)
            body = iter(filtered(environ_of(f"/{who}"), lambda *args: None))
            next(body)
            bodies.append(body)
        for body in bodies:
            list(body)
        message = {event["message"]: (event["user"]["id"], event["tags"]["who"]) for event in captured.errors}
        assert message == {"of /alice": ("alice", "alice"), "of /bob": ("bob", "bob")}

    def test_tag_of_the_server_s_scope_is_in_events_of_requests(self, captured):
        sentry_sdk.get_isolation_scope().set_tag("of", "the server")
        call(traced(apps.crash), environ_of())
        assert captured.errors[0]["tags"]["of"] == "the server"

    def test_tag_of_a_request_is_not_in_the_server_s_scope(self, captured):
        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().set_tag("of", "a request")
            sentry_sdk.get_current_scope().set_level("fatal")
            return []

        call(traced(app), environ_of())
        sentry_sdk.capture_message("outside")
        assert "of" not in captured.errors[-1].get("tags", {})

    def test_first_thing_set_on_a_scope_stays(self, captured):
        def app(environ, start_response):
            sentry_sdk.get_isolation_scope().set_level("fatal")
            sentry_sdk.capture_message("said")
            return []

        call(traced(app), environ_of())
        assert captured.errors[0]["level"] == "fatal"

    def test_request_that_does_not_use_its_scopes_has_none(self, captured):
        held = []

        def app(environ, start_response):
            held.append(sdk.scopes._isolation_scope.get())
            assert sentry_sdk.get_client().is_active()
            start_response("200 OK", [])
            return []

        call(SentryMiddleware(app, release="1"), environ_of())
        assert type(held[0]) is sdk.UnusedScope

    def test_transaction_that_is_made_late_begins_when_its_request_began(self, captured):
        def app(environ, start_response):
            time.sleep(0.05)
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of())
        (transaction,) = captured.transactions
        began, ended = (fields.time(transaction[key]) for key in ("start_timestamp", "timestamp"))
        assert timedelta(seconds=0.05) <= ended - began < timedelta(seconds=30)

    def test_about_as_many_are_sampled_as_the_rate_says(self, captured):
        app = traced(apps.answer_list, traces_sample_rate=0.5)
        for _ in range(400):
            call(app, environ_of())
        assert 130 < len(captured.transactions) < 270

    def test_what_is_not_sampled_is_counted_as_lost(self, captured):
        app = traced(apps.answer_list, traces_sample_rate=0.0)
        lost = []
        app.client.transport.record_lost_event = lambda reason, data_category=None, **_: lost.append(
            (reason, data_category)
        )
        call(app, environ_of())
        assert lost == [("sample_rate", category) for category in CATEGORIES]

    def test_stream_that_is_not_sampled_and_used_late_is_counted_once(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"one"
            yield b"two"
            sentry_sdk.set_tag("late", "x")
            yield b"three"

        app = traced(app, traces_sample_rate=0.0)
        lost = []
        app.client.transport.record_lost_event = lambda reason, data_category=None, **_: lost.append(
            data_category
        )
        call(app, environ_of())
        assert lost == CATEGORIES
        assert captured.transactions == []

    @pytest.mark.parametrize(("flag", "count"), [("0", 0), ("1", 1)])
    def test_caller_s_decision_holds(self, captured, flag, count):
        trace = f"771a43a4192642f0b136d5159a501700-1234567890abcdef-{flag}"
        call(traced(apps.answer_list, traces_sample_rate=0.5), environ_of(HTTP_SENTRY_TRACE=trace))
        assert len(captured.transactions) == count

    def test_scope_that_is_first_used_after_its_request_knows_it(self, captured):
        held = []

        def app(environ, start_response):
            held.append(contextvars.copy_context())
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of("/late"))
        held[0].run(sentry_sdk.capture_message, "late")
        assert captured.errors[0]["request"]["url"] == "http://localhost/late"

    def test_request_that_is_over_leaves_no_span(self, captured):
        held = []

        def app(environ, start_response):
            sentry_sdk.set_tag("a", "b")
            held.append(contextvars.copy_context())
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of())
        assert held[0].run(lambda: sentry_sdk.get_current_scope().span) is None

    def test_thread_that_the_app_starts_first_of_all_hangs_nothing(self, captured):
        def app(environ, start_response):
            thread = threading.Thread(target=lambda: sentry_sdk.capture_message("in a thread"))
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
            start_response("200 OK", [])
            return []

        seen = call(traced(app), environ_of("/thread"))
        assert seen.error is None
        assert captured.errors[0]["transaction"] == "GET /thread"

    def test_scope_that_threads_use_first_at_once_is_made_once(self, captured):
        def app(environ, start_response):
            contexts = [contextvars.copy_context() for _ in range(8)]
            ready = threading.Barrier(8)

            def work(number):
                ready.wait()
                sentry_sdk.get_isolation_scope().set_tag(f"t{number}", "x")

            # Threads of the interpreter itself: those that the SDK has patched fork the scope.
            done = [threading.Event() for _ in contexts]
            for number, context in enumerate(contexts):
                _thread.start_new_thread(lambda n=number, c=context: (c.run(work, n), done[n].set()), ())
            assert all(event.wait(30) for event in done)
            sentry_sdk.capture_message("done")
            return []

        call(SentryMiddleware(app), environ_of("/a"))
        (event,) = captured.errors
        assert len(event["tags"]) == 8
        assert event["request"]["url"] == "http://localhost/a"

    def test_scope_that_a_worker_of_the_process_uses_first_is_the_request_s(self, captured, flushed):
        jobs, done = queue.Queue(), queue.Queue()

        def work():
            while True:
                job = jobs.get()
                if job is None:
                    return
                job()
                done.put(1)

        # Before any request: it has scopes of its own.
        _thread.start_new_thread(work, ())

        def app(environ, start_response):
            scope = sentry_sdk.get_isolation_scope()
            jobs.put(lambda: scope.set_tag("who", environ["PATH_INFO"]))
            done.get()
            with sdk.start_child_span("x", "child"):
                sentry_sdk.capture_message("in " + environ["PATH_INFO"])
            start_response("200 OK", [])
            return []

        middleware = traced(app)
        for path in ("/a", "/b"):
            call(middleware, environ_of(path))
        jobs.put(lambda: sentry_sdk.capture_message("job"))
        done.get()
        jobs.put(None)
        assert [(event["message"], event.get("transaction")) for event in captured.errors] == [
            ("in /a", "GET /a"),
            ("in /b", "GET /b"),
            ("job", None),
        ]
        assert "request" not in captured.errors[2]
        assert [len(found["spans"]) for found in captured.transactions] == [1, 1]
        assert sum(one["exited"] for one in flushed().sessions) == 2

    def test_threads_that_use_a_request_first_at_once_open_it_once(self, captured):
        def app(environ, start_response):
            ready = threading.Barrier(4)

            def work():
                ready.wait()
                sentry_sdk.capture_message(environ["PATH_INFO"])

            done = [threading.Event() for _ in range(4)]
            for event in done:
                context = contextvars.copy_context()
                _thread.start_new_thread(lambda e=event, c=context: (c.run(work), e.set()), ())
            assert all(event.wait(30) for event in done)
            start_response("200 OK", [])
            return []

        middleware = traced(app)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for number in range(40):
                call(middleware, environ_of(f"/{number}"))
        finally:
            sys.setswitchinterval(interval)
        middleware.client.flush()
        traces = {
            found["transaction"]: found["contexts"]["trace"]["trace_id"] for found in captured.transactions
        }
        assert len(traces) == 40
        assert len(captured.errors) == 160
        for event in captured.errors:
            assert event["request"]["url"].endswith(event["message"])
            assert event["contexts"]["trace"]["trace_id"] == traces[event["transaction"]]
        assert sum(one.get("exited", 0) for one in captured.sessions) == 40

    def test_scope_that_is_current_for_a_while_does_not_get_the_trace(self, captured):
        from sentry_sdk.scope import ScopeType, use_scope

        own = sentry_sdk.Scope(ty=ScopeType.CURRENT)

        def app(environ, start_response):
            with use_scope(own):
                sentry_sdk.capture_message("within")
            with sdk.start_child_span("x", "child"):
                pass
            sentry_sdk.capture_message("after")
            start_response("200 OK", [])
            return []

        call(traced(app), environ_of("/a"))
        assert captured.errors[1]["transaction"] == "GET /a"
        assert [span["description"] for span in captured.transactions[0]["spans"]] == ["child"]

    def test_views_of_a_client_of_the_app_s_are_not_kept(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sentry_sdk.init(transport=MemoryTransport(CapturedEnvelopes()), traces_sample_rate=1.0)
        middleware = SentryMiddleware(apps.answer_list, traces_sample_rates="/a* 0.5")
        for number in range(20):
            call(middleware, environ_of(f"/a{number}"))
        assert len(middleware.filter_state._views_by_rate) == 1
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
