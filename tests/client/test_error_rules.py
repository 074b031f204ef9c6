"""What the ini says about errors: which are none, and how the others are sent."""

import logging

import error_apps
import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client import error_rules
from sentry_paste.client.error_budget import kind_of
from sentry_paste.client.registry import registry
from sentry_paste.client.rule_matching import (
    ClassRules,
    GlobRules,
    MessageRules,
    class_of,
    messages_of,
    module_of,
)
from sentry_paste.config import ConfigError

from steps import steps_of
from traced_apps import LIFECYCLES
from wsgi_calls import call, environ_of


@pytest.fixture
def ini(load_failing, request):
    """Return a function that loads an app with some options."""
    checked = "captured_unchecked" not in request.fixturenames
    request.getfixturevalue("captured" if checked else "captured_unchecked")
    return load_failing


def raising(app, path):
    """Call an app, which may raise to the server."""
    return call(app, environ_of(path))


def titles(captured):
    """What each error says, whatever it was made of."""
    found = []
    for event in captured.errors:
        exception = (event.get("exception") or {}).get("values") or [{}]
        found.append(exception[-1].get("value") or event.get("message") or event["logentry"]["message"])
    return found


def sessions(captured):
    """How many sessions have ended in which way."""
    for client in registry.clients():
        client.flush()
    counts = {}
    for aggregates in captured.payloads("sessions"):
        for found in aggregates["aggregates"]:
            for key in ("exited", "errored", "crashed"):
                counts[key] = counts.get(key, 0) + found.get(key, 0)
    return {key: count for key, count in counts.items() if count}


def handled(captured):
    """Whether each error was handled, by its class."""
    return {found.type: found.handled for found in captured.exceptions}


QUOTA = "expected_exceptions = error_apps:QuotaError"


class TestExpectedExceptions:
    @pytest.fixture(params=LIFECYCLES)
    def traced(self, request, ini):
        """Return a function that loads an app whose requests are traced."""
        lifecycle = [f"trace_lifecycle = {request.param}"] if sdk.MAJOR == 2 and len(LIFECYCLES) > 1 else []
        return lambda *options: ini("traces_sample_rate = 1", *lifecycle, *options)

    def trace_status(self, captured):
        for client in registry.clients():
            client.flush()
        return [found["contexts"]["trace"].get("status") for found in captured.transactions]

    @pytest.mark.parametrize("page", ["true", "false"])
    @pytest.mark.parametrize(
        ("path", "query"),
        [
            ("/", "end=quota"),
            ("/", "end=user"),
            ("/status/500", "giveup=quota"),
            ("/status/503", "giveup=user"),
            ("/status/500", "logexc=quota&giveup=quota"),
            ("/status/500", "handle=quota&logexc=value&giveup=user"),
            ("/", "logexc=quota&end=quota"),
            ("/status/200", "handle=quota"),
        ],
    )
    def test_it_is_handled_and_has_failed_neither_session_nor_trace(
        self, traced, captured, path, query, page
    ):
        app = traced(QUOTA, f"error_page = {page}")
        call(app, environ_of(path, QUERY_STRING=query))
        assert set(handled(captured).values()) == {True}
        assert self.trace_status(captured)[0] in ("ok", None)
        expected = {"errored": 1} if "value" in query else {"exited": 1}
        assert sessions(captured) == expected

    @pytest.mark.parametrize(
        ("path", "query", "crashed"),
        [
            ("/", "giveup=quota&end=value", True),
            ("/", "logexc=quota&end=value", True),
            ("/status/500", "giveup=quota&giveup=value", True),
            ("/status/500", "handle=quota&logexc=value", True),
            ("/status/503", "handle=quota&logexc=value", False),
        ],
    )
    def test_another_error_fails_the_request_nevertheless(self, traced, captured, path, query, crashed):
        call(traced(QUOTA), environ_of(path, QUERY_STRING=query))
        assert handled(captured) == {"QuotaError": True, "ValueError": not crashed}
        assert self.trace_status(captured) != ["ok"]
        assert sessions(captured) == {"crashed" if crashed else "errored": 1}

    def test_answer_that_an_expected_error_does_not_explain_has_failed(self, traced, captured):
        call(traced(QUOTA), environ_of("/status/503", QUERY_STRING="handle=quota"))
        assert self.trace_status(captured)[0] not in ("ok", None)

    @pytest.mark.parametrize(
        ("rule", "query", "found"),
        [
            ("QuotaError", "end=user", True),
            ("UserQuotaError", "end=quota", False),
            ("error_apps.UserQuotaError", "end=quota", False),
            ("LookupError", "end=key", True),
            ("LookupError", "end=value", False),
            ("TimeoutError, ValueError", "end=value", True),
        ],
    )
    def test_subclasses_count_too_and_others_do_not(self, ini, captured, rule, query, found):
        call(ini(f"expected_exceptions = {rule}"), environ_of(QUERY_STRING=query))
        assert list(handled(captured).values()) == [found]
        assert sessions(captured) == {"exited" if found else "crashed": 1}

    @pytest.mark.parametrize("make", [error_apps.flask, error_apps.pyramid, error_apps.with_view])
    def test_framework_that_gives_up_has_not_failed_the_request(self, captured, make):
        options = {"expected_exceptions": [error_apps.QuotaError], "traces_sample_rate": 1.0, "release": "1"}
        call(SentryMiddleware(make(error_apps.UserQuotaError), **options), environ_of())
        assert handled(captured) == {"UserQuotaError": True}
        assert self.trace_status(captured) == ["ok"]
        assert sessions(captured) == {"exited": 1}

    @pytest.mark.parametrize(
        "hint",
        [None, {}, [], {"exc_info": None}, {"exc_info": ()}, {"exc_info": ("x",)}, {"exc_info": [KeyError]}],
    )
    def test_event_without_an_exception_has_no_class(self, hint):
        assert class_of(hint) is None

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_thread_that_crashes_as_expected_is_handled(self, ini, captured):
        call(ini(QUOTA), environ_of("/status/200", QUERY_STRING="thread=quota"))
        assert handled(captured) == {"QuotaError": True}
        assert sessions(captured) == {"exited": 1}

    def test_it_holds_outside_of_requests_too(self, ini, captured):
        ini(QUOTA)
        error_apps.give_up(error_apps.raised("quota"))
        error_apps.give_up(error_apps.raised("value"))
        assert handled(captured) == {"QuotaError": True, "ValueError": False}

    def test_class_is_asked_nothing(self, ini, captured):
        counts = []
        for options in ([], ["expected_exceptions = KeyError"], [QUOTA]):
            app = ini(*options)
            error_apps.asked.clear()
            call(app, environ_of(QUERY_STRING="end=liar"))
            counts.append(len(error_apps.asked))
        assert [found.handled for found in captured.exceptions] == [False, False, True]
        # Other paths of the SDK are taken by an error that is handled.
        assert counts[0] == counts[1]

    def test_event_that_before_send_drops_counts_once(self, ini, captured):
        app = ini(QUOTA, "before_send = error_apps:drop")
        call(app, environ_of(QUERY_STRING="end=quota"))
        assert captured.errors == []
        assert sessions(captured) == {"exited": 1}

    def test_failing_rule_loses_nothing(self, ini, captured, monkeypatch, caplog):
        app = ini(QUOTA)
        monkeypatch.setattr(ClassRules, "find", lambda self, cls: 1 / 0)
        call(app, environ_of(QUERY_STRING="end=quota"))
        assert handled(captured) == {"QuotaError": False}
        assert "a rule about errors is not applied" in caplog.text

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("error_apps:Quota", "error_apps has no Quota"),
            ("error_apps:app", "'app' is not an exception class"),
            ("Quota*", "expected names of exception classes, not 'Quota*'"),
        ],
    )
    def test_mistake_is_told_with_its_line(self, ini, text, reason):
        with pytest.raises(ConfigError) as caught:
            ini(f"expected_exceptions = {text}")
        assert reason in str(caught.value)
        assert f"line {5 + text.count(chr(10))}" in str(caught.value)

    def test_name_that_is_nearly_one_is_warned_of(self, ini, caplog):
        ini("expected_exceptions = TimeoutEror")
        assert "did you mean TimeoutError?" in caplog.text

    def test_a_thousand_rules_take_as_many_steps_as_one(self):
        def steps(count):
            rules = ClassRules([(f"Error{number}", True) for number in range(count)])
            return steps_of(lambda: rules.find(UnicodeDecodeError))

        assert steps(1000) == steps(1)


class TestErrorSampleRates:
    @pytest.mark.parametrize(
        ("rules", "query", "is_sent"),
        [
            ("QuotaError 0", "end=quota", False),
            ("QuotaError 0", "end=user", False),
            ("UserQuotaError 0", "end=quota", True),
            ("error_apps.UserQuotaError 1\n     error_apps:QuotaError 0", "end=user", True),
            ("error_apps:QuotaError 0\n     error_apps.UserQuotaError 1", "end=user", False),
            ("LookupError  0", "end=key", False),
            ("LookupError 0", "end=value", True),
        ],
    )
    def test_first_line_that_is_about_the_class_applies(self, ini, captured, rules, query, is_sent):
        app = ini(f"error_sample_rates = {rules}")
        call(app, environ_of(QUERY_STRING=query))
        assert len(captured.errors) == is_sent
        assert app.lost == ([] if is_sent else [("sample_rate", "error")])

    def test_request_has_crashed_though_its_error_is_not_sent(self, ini, captured):
        call(ini("error_sample_rates = QuotaError 0"), environ_of(QUERY_STRING="end=quota"))
        assert sessions(captured) == {"crashed": 1}

    def test_expected_error_that_is_not_sent_has_not_failed_the_request(self, ini, captured):
        call(ini("error_sample_rates = QuotaError 0", QUOTA), environ_of(QUERY_STRING="end=quota"))
        assert captured.errors == []
        assert sessions(captured) == {"exited": 1}

    def test_rate_is_a_part_of_the_errors(self, ini, captured):
        app = ini("error_sample_rates = QuotaError 0.25")
        for _ in range(200):
            call(app, environ_of(QUERY_STRING="handle=quota"))
        assert 20 < len(captured.errors) < 85
        assert len(captured.errors) + len(app.lost) == 200

    @pytest.mark.parametrize("other", ["sample_rate = 0", "error_sampler = error_apps:no_errors"])
    def test_other_errors_have_the_usual_rate(self, ini, captured, other):
        app = ini("error_sample_rates = QuotaError 1", other)
        for name in ("quota", "value", "user", "key"):
            call(app, environ_of(QUERY_STRING=f"handle={name}"))
        call(app, environ_of("/message/one"))
        assert [found.type for found in captured.exceptions] == ["QuotaError", "UserQuotaError"]
        assert len(captured.errors) == 2

    def test_it_holds_outside_of_requests_too(self, ini, captured):
        ini("error_sample_rates = QuotaError 0")
        error_apps.act("handle", "quota")
        error_apps.act("logexc", "value")
        assert [found.type for found in captured.exceptions] == ["ValueError"]

    def test_failing_rule_loses_nothing(self, ini, captured, monkeypatch, caplog):
        app = ini("error_sample_rates = QuotaError 0")
        monkeypatch.setattr(ClassRules, "find", lambda self, cls: 1 / 0)
        call(app, environ_of(QUERY_STRING="end=quota"))
        assert len(captured.errors) == 1
        assert "a rule about errors is not applied" in caplog.text

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("KeyError", "a class of exceptions and a rate from 0 to 1 on each line, not 'KeyError'"),
            ("int 1", "expected names of exception classes, not 'int'"),
            ("KeyError = 1", "not 'KeyError = 1'"),
            ("Key* 1", "expected names of exception classes, not 'Key*'; there are no patterns"),
            ("error_apps:app 1", "'app' is not an exception class"),
            ("nosuch_module:Error 1", "cannot import nosuch_module"),
        ],
    )
    def test_mistake_is_told_with_its_line(self, ini, text, reason):
        with pytest.raises(ConfigError) as caught:
            ini(f"error_sample_rates = {text}")
        assert reason in str(caught.value)
        assert f"line {5 + text.count(chr(10))}" in str(caught.value)

    def test_name_that_is_nearly_one_is_warned_of(self, ini, caplog):
        ini("error_sample_rates =\n     KeyErorr 0.5\n     OSError 1")
        assert "there is no built-in exception KeyErorr; did you mean KeyError?" in caplog.text


class TestLevels:
    def levels(self, captured):
        return [event.get("level") for event in captured.errors]

    @pytest.mark.parametrize(
        ("rules", "path", "query", "level"),
        [
            ("QuotaError warning", "/", "end=quota", "warning"),
            ("QuotaError Warn", "/", "end=user", "warning"),
            ("error_apps:UserQuotaError info", "/", "end=quota", "error"),
            ("error_apps.UserQuotaError info\n     QuotaError debug", "/", "end=user", "info"),
            ("QuotaError critical\n     UserQuotaError info", "/", "handle=user", "fatal"),
            ("logger app info", "/log/1", "", "info"),
            ("logger app.* info", "/log/1", "", "error"),
            ("logger ap* info", "/log/1", "", "info"),
            ("logger *.errors info\n     QuotaError warning", "/", "logexc=quota", "info"),
            ("QuotaError warning\n     Logger app.errors info", "/", "logexc=quota", "warning"),
            ("QuotaError warning\n     logger app.errors info", "/", "logexc=value", "info"),
            ("logger * info", "/message/one", "", "error"),
        ],
    )
    def test_first_line_that_is_about_the_event_applies(self, ini, captured, rules, path, query, level):
        call(ini(f"levels = {rules}"), environ_of(path, QUERY_STRING=query))
        assert self.levels(captured) == [level]

    def test_level_of_a_scope_takes_precedence(self, ini, captured):
        ini("levels = QuotaError info")
        with sentry_sdk.new_scope() as scope:
            scope.set_level("fatal")
            error_apps.act("handle", "quota")
        assert self.levels(captured) == ["fatal"]

    def test_it_holds_outside_of_requests_too(self, ini, captured):
        ini("levels = QuotaError info")
        error_apps.act("handle", "quota")
        error_apps.act("logexc", "value")
        assert self.levels(captured) == ["info", "error"]

    def test_exception_of_a_lower_level_fails_the_request(self, ini, captured):
        call(ini("levels = QuotaError info"), environ_of(QUERY_STRING="end=quota"))
        assert sessions(captured) == {"crashed": 1}

    def test_failing_rule_loses_nothing(self, ini, captured, monkeypatch, caplog):
        app = ini("levels = QuotaError info")
        monkeypatch.setattr(ClassRules, "find", lambda self, cls: 1 / 0)
        call(app, environ_of(QUERY_STRING="end=quota"))
        assert self.levels(captured) == ["error"]
        assert "a rule about errors is not applied" in caplog.text

    def test_transaction_and_check_in_have_no_level(self, ini, captured):
        app = ini("levels = logger * info", "traces_sample_rate = 1")
        call(app, environ_of())
        sentry_sdk.crons.capture_checkin("job", status="ok")
        app.client.flush()
        assert all("level" not in found for found in captured.payloads("transaction", "check_in"))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("KeyError", "expected a class of exceptions, or logger and the name of one, and debug, "),
            ("KeyError loud", "on each line, not 'KeyError loud'"),
            ("KeyError info\n     logger info info info", "not 'logger info info info'"),
            ("logging app info", "not 'logging app info'"),
            ("Key* info", "expected names of exception classes, not 'Key*'; there are no patterns"),
            ("error_apps:app info", "'app' is not an exception class"),
        ],
    )
    def test_mistake_is_told_with_its_line(self, ini, text, reason):
        with pytest.raises(ConfigError) as caught:
            ini(f"levels = {text}")
        assert reason in str(caught.value)
        assert f"line {5 + text.count(chr(10))}" in str(caught.value)

    def test_name_that_is_nearly_one_is_warned_of(self, ini, caplog):
        ini("levels =\n     KeyErorr info\n     logger OSErorr info")
        assert "there is no built-in exception KeyErorr; did you mean KeyError?" in caplog.text
        assert "OSErorr" not in caplog.text


class TestFingerprints:
    def fingerprints(self, captured):
        return [event.get("fingerprint") for event in captured.errors]

    @pytest.mark.parametrize(
        ("rules", "path", "query", "parts"),
        [
            ("QuotaError -> quota", "/", "end=user", ["quota"]),
            ("error_apps:UserQuotaError -> user", "/", "end=quota", None),
            ("QuotaError->{{default}},a part , b", "/", "end=quota", ["{{ default }}", "a part", "b"]),
            ("UserQuotaError -> user\n     QuotaError -> quota", "/", "handle=user", ["user"]),
            ("QuotaError -> quota\n     UserQuotaError -> user", "/", "handle=user", ["quota"]),
            ("message Task * failed -> task", "/log/42", "", ["task"]),
            ("message *sk 42 f* -> task", "/log/42", "", ["task"]),
            ("message *42* -> task", "/log/42", "", ["task"]),
            ("Message Task %%s failed -> task", "/log/42", "", ["task"]),
            ("message ValueError: a -> b", "/raise/a", "", ["b"]),
            ("message one -> two", "/message/one", "", ["two"]),
            ("message task * -> task", "/log/42", "", None),
            ("transaction GET /message/* -> {{ default }}, m", "/message/one", "", ["{{ default }}", "m"]),
            ("transaction POST * -> post", "/message/one", "", None),
            ("module error_apps -> apps", "/", "end=quota", ["apps"]),
            ("module error_* -> apps", "/", "logexc=quota", ["apps"]),
            ("module error -> apps", "/", "end=quota", None),
            ("module other.* -> a\n     message quota -> b\n     QuotaError -> c", "/", "end=quota", ["b"]),
        ],
    )
    def test_first_rule_that_is_about_the_event_applies(self, ini, captured, rules, path, query, parts):
        call(ini(f"fingerprints = {rules}"), environ_of(path, QUERY_STRING=query))
        assert self.fingerprints(captured) == [parts]

    def test_transaction_is_named_as_it_is_sent(self, ini, captured):
        app = ini(
            "fingerprints = transaction message* -> {{ transaction }}",
            "transaction_names = /message/* messages",
        )
        call(app, environ_of("/message/one"))
        assert self.fingerprints(captured) == [["{{ transaction }}"]]

    def test_fingerprint_of_the_app_takes_precedence(self, ini, captured):
        ini("fingerprints = QuotaError -> quota")
        with sentry_sdk.new_scope() as scope:
            scope.fingerprint = ["own"]
            error_apps.act("handle", "quota")
        assert self.fingerprints(captured) == [["own"]]

    def test_failed_status_keeps_its_own(self, ini, captured):
        call(ini("fingerprints = message * -> all", "failed_status_codes = 503"), environ_of("/status/503"))
        assert self.fingerprints(captured)[0][0] == "failed-status"

    def test_it_holds_outside_of_requests_too(self, ini, captured):
        ini("fingerprints = QuotaError -> quota")
        error_apps.act("handle", "quota")
        error_apps.act("logexc", "value")
        assert self.fingerprints(captured) == [["quota"], None]

    def test_before_send_sees_it(self, ini, captured):
        ini("fingerprints = QuotaError -> quota", "before_send = error_apps:tag_fingerprint")
        error_apps.act("handle", "quota")
        (event,) = captured.errors
        assert event["tags"]["seen"] == "quota"

    def test_failing_rule_loses_nothing(self, ini, captured, monkeypatch, caplog):
        app = ini("fingerprints = message * -> all")
        monkeypatch.setattr(GlobRules, "find", lambda self, text: 1 / 0)
        call(app, environ_of(QUERY_STRING="end=quota"))
        assert self.fingerprints(captured) == [None]
        assert "a rule about errors is not applied" in caplog.text

    def test_transaction_and_check_in_have_none(self, ini, captured):
        app = ini("fingerprints = transaction * -> all", "traces_sample_rate = 1")
        call(app, environ_of())
        sentry_sdk.crons.capture_checkin("job", status="ok")
        app.client.flush()
        assert all("fingerprint" not in found for found in captured.payloads("transaction", "check_in"))

    def test_part_is_the_message_without_ids(self, ini, captured):
        app = ini("fingerprints = message * -> a, b {{message_without_ids}}")
        for path in ("/raise/aB3xK9 is gone", "/message/user_12\nis", "/log/aB3xK9"):
            call(app, environ_of(path))
        assert self.fingerprints(captured) == [
            ["a", "b <id> is gone"],
            ["a", "b user_<id>\nis"],
            ["a", "b Task %s failed"],
        ]

    def test_part_is_sentrys_own_where_there_is_no_message(self, ini, captured):
        app = ini("fingerprints = ValueError -> a, b {{ message_without_ids }}")
        call(app, environ_of("/raise/"))
        assert self.fingerprints(captured) == [["a", "{{ default }}"]]

    def test_braces_are_no_template_that_was_not_rendered(self, ini, caplog):
        ini("fingerprints = QuotaError -> {{ default }}, quota")
        assert "rendered" not in caplog.text

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (
                "KeyError",
                "expected a rule on each line: a class of exceptions, or message, transaction or module",
            ),
            ("KeyError -> ,", "not 'KeyError -> ,'"),
            ("KeyError -> a\n     massage * -> b", "not 'massage * -> b'"),
            ("-> a", "not '-> a'"),
            ("Key* -> a", "expected names of exception classes, not 'Key*'; there are no patterns"),
            ("error_apps:app -> a", "'app' is not an exception class"),
        ],
    )
    def test_mistake_is_told_with_its_line(self, ini, text, reason):
        with pytest.raises(ConfigError) as caught:
            ini(f"fingerprints = {text}")
        assert reason in str(caught.value)
        assert f"line {5 + text.count(chr(10))}" in str(caught.value)

    def test_name_that_is_nearly_one_is_warned_of(self, ini, caplog):
        ini("fingerprints =\n     KeyErorr -> a\n     message OSErorr -> b")
        assert "there is no built-in exception KeyErorr; did you mean KeyError?" in caplog.text
        assert "OSErorr" not in caplog.text

    @pytest.mark.parametrize("form", ["a {}", "a {}*", "*a {}", "*a {}*", "?a {}*"])
    def test_first_of_a_thousand_globs_is_found(self, form):
        globs = [form.format(number) for number in range(1000)]
        rules = GlobRules([(glob, at) for at, glob in enumerate([*globs, *globs])])
        text = form.replace("*", "xx").replace("?", "x").format(500)
        # A word is also in what goes on after it.
        assert rules.find(text) in (500, 50, 5)

    @pytest.mark.parametrize(
        ("form", "more"),
        [
            # They differ in their lengths, of which there are three.
            ("a {}", 20),
            ("a {}*", 20),
            ("*a {}", 20),
            # One look at the text for each word, and a compiled pattern for each of the others.
            ("*a {}*", 1100),
            ("?a {}*", 2200),
        ],
    )
    def test_a_thousand_globs_take_few_steps_more_than_one(self, form, more):
        text = "another text that is not so short"

        def steps(count):
            rules = GlobRules([(form.format(number), number) for number in range(count)])
            return steps_of(lambda: rules.find(text))

        assert steps(1000) <= steps(1) + more

    def test_glob_that_is_tried_is_not_tried_again_for_the_same_text(self):
        rules = GlobRules([(f"?a {number}*", number) for number in range(1000)])
        assert steps_of(lambda: rules.find("another text")) > 1000
        assert steps_of(lambda: rules.find("another text")) < 100


class TestFingerprintWithoutIds:
    @pytest.fixture
    def grouped(self, ini, captured):
        """Return a function that makes a request, and returns the fingerprint of its error."""

        def grouped(path, *options, query=""):
            captured.clear()
            call(ini("fingerprint_without_ids = true", *options), environ_of(path, QUERY_STRING=query))
            (event,) = captured.errors
            return event.get("fingerprint")

        return grouped

    def test_messages_that_differ_in_ids_are_one_group(self, grouped):
        found = [grouped(f"/message/{each} is gone: 5") for each in ("aB3xK9", "bob@example.com", "7", "::1")]
        assert found == [["<id> is gone: <id>"]] * 4

    def test_logged_text_counts_as_messages_do(self, grouped, captured):
        grouped("/message/7")
        logging.getLogger("app").error(f"User {'aB3xK9'} failed")
        assert captured.errors[-1]["fingerprint"] == ["User <id> failed"]

    def test_arguments_of_a_logged_message_do_not_count(self, grouped):
        assert grouped("/log/aB3xK9") is None

    @pytest.mark.parametrize("path", ["/message/all is gone", "/raise/aB3xK9", "/capture/aB3xK9"])
    def test_what_has_no_ids_or_a_stack_trace_is_grouped_by_sentry(self, grouped, path):
        assert grouped(path) is None

    def test_stack_traces_of_messages_group_them(self, grouped):
        assert grouped("/message/aB3xK9", "attach_stacktrace = true") is None

    def test_rules_and_the_apps_own_come_first(self, grouped, captured):
        assert grouped("/message/aB3xK9", "fingerprints = message a* -> a") == ["a"]
        with sentry_sdk.new_scope() as scope:
            scope.fingerprint = ["own"]
            sentry_sdk.capture_message("aB3xK9", level="error")
        assert captured.errors[-1]["fingerprint"] == ["own"]

    def test_secrets_are_out_of_it(self, grouped):
        (text,) = grouped("/message/token=aB3xK9qqqq for user_12")
        assert text == "token=[Filtered] for user_<id>"

    def test_before_send_sees_it(self, grouped, captured):
        grouped("/message/7", "before_send = error_apps:tag_fingerprint")
        assert captured.errors[0]["tags"]["seen"] == "<id>"

    def test_nothing_is_computed_for_what_is_not_sent(self, ini, captured, monkeypatch):
        asked = []
        monkeypatch.setattr(error_rules, "without_ids", lambda text: asked.append(text) or text)
        app = ini("fingerprint_without_ids = true", "ignore_messages = no*", "error_budget = 1 per hour")
        for path in ("/message/no7", "/message/yes7", "/message/yes7"):
            call(app, environ_of(path))
        assert list(filter(None, asked)) == ["yes7"]


class TestIgnoredMessages:
    @pytest.mark.parametrize(
        ("rule", "path"),
        [
            ("Connection reset*", "/raise/Connection reset by 192.0.2.1"),
            ("ValueError: Connection *", "/raise/Connection reset"),
            ("*reset*", "/raise/Connection reset by peer"),
            ("[Cc]onnection ?eset", "/capture/connection reset"),
            ("Task 4? failed", "/log/42"),
            ("Task %%s failed", "/log/42"),
            (r"re:^Task \d+ failed$", "/log/42"),
            (r"re: (?i)RESET", "/message/Connection reset"),
            (r"re:(\w)\1", "/message/a book"),
            ("nothing\n     a message, with a comma\n     re:nothing", "/message/a message, with a comma"),
        ],
    )
    def test_message_that_a_rule_is_about_is_not_reported_but_counted(self, ini, captured, rule, path):
        app = ini(f"ignore_messages = {rule}")
        raising(app, path)
        assert captured.errors == []
        assert app.lost == [("event_processor", "error")]

    @pytest.mark.parametrize("rule", ["Connection", "connection reset", "reset*", "re:^reset", "*peers*"])
    def test_other_messages_are_reported(self, ini, captured, rule):
        app = ini(f"ignore_messages = {rule}")
        for path in ("/raise/Connection reset by peer", "/message/Connection reset by peer"):
            raising(app, path)
        assert titles(captured) == ["Connection reset by peer"] * 2
        assert app.lost == []

    def test_it_holds_outside_of_requests_too(self, ini, captured):
        ini("ignore_messages = *revoked*")
        sentry_sdk.capture_message("the task was revoked")
        logging.getLogger("tasks").error("the task %s was revoked", 7)
        sentry_sdk.capture_message("the task has failed")
        assert titles(captured) == ["the task has failed"]

    def test_client_of_the_app_has_no_rules(self, ini, captured):
        app, sent = ini("ignore_messages = *"), []
        own = sentry_sdk.Client(
            dsn="https://key@sentry.example/1", before_send=lambda event, hint: sent.append(event)
        )
        own.capture_event({"message": "of the app's own client"})
        own.close()
        raising(app, "/message/one")
        assert [event["message"] for event in sent] == ["of the app's own client"]
        assert captured.errors == []

    def test_request_with_an_ignored_error_has_not_crashed(self, ini, captured):
        raising(ini("ignore_messages = Connection*"), "/raise/Connection reset")
        assert sessions(captured) == {"exited": 1}

    def test_exception_is_asked_nothing(self, ini, captured):
        counts = []
        for options in ([], ["ignore_messages = Connection*"]):
            error_apps.asked.clear()
            raising(ini(*options), "/hostile")
            counts.append(len(error_apps.asked))
        assert len(captured.errors) == 2
        assert counts[0] == counts[1]

    def test_failing_rule_loses_nothing(self, ini, captured, monkeypatch, caplog):
        app = ini("ignore_messages = Connection*")
        monkeypatch.setattr(MessageRules, "matches", lambda self, text: 1 / 0)
        raising(app, "/raise/Connection reset")
        assert titles(captured) == ["Connection reset"]
        assert "a rule about errors is not applied" in caplog.text

    def test_message_of_any_length_and_kind_is_compared(self, ini, captured_unchecked):
        ini("ignore_messages = *x", "ignore_exceptions = KeyError")
        for message in ("x" * 100_000, "", None, 7, ["x"]):
            sentry_sdk.get_client().capture_event({"message": message, "logentry": message})
        assert len(captured_unchecked.errors) == 4

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("re:(", "expected a regular expression, but '(' is invalid"),
            ("*\n     re:", "expected a regular expression after re:, not 're:'"),
        ],
    )
    def test_mistake_is_told_with_its_line(self, ini, text, reason):
        with pytest.raises(ConfigError) as caught:
            ini(f"ignore_messages = {text}")
        assert reason in str(caught.value)
        assert f"line {5 + text.count(chr(10))}" in str(caught.value)

    @pytest.mark.parametrize(
        ("form", "more"),
        [
            # They differ in their lengths, of which there are three.
            ("message {}", 20),
            ("message {}*", 20),
            ("*message {}", 20),
            # One look at the text for each word; all expressions are compiled into one.
            ("*message {}*", 1100),
            ("re:^message {}$", 0),
        ],
    )
    def test_a_thousand_rules_take_few_steps_more_than_one(self, form, more):
        text = "this is another message of some length"

        def steps(count):
            rules = MessageRules([form.format(number) for number in range(count)])
            return steps_of(lambda: rules.matches(text))

        assert steps(1000) <= steps(1) + more


@pytest.mark.parametrize(
    ("exception", "stack"),
    [
        ([{"type": "E", "value": "late"}], None),
        ({"values": [{"type": "E", "value": "late"}]}, 5),
        ({"values": ({"type": "E", "value": "late"},)}, {"frames": 5}),
        ({"values": [{"type": "E", "value": "late"}]}, {"frames": [5, {"module": 5}]}),
    ],
)
def test_rules_apply_to_events_of_any_shape(exception, stack):
    values = exception if isinstance(exception, list) else exception["values"]
    values[-1]["stacktrace"] = stack
    event = {"exception": exception}
    assert list(messages_of(event)) == ["late", "E: late"]
    assert list(module_of(event)) == []
    assert kind_of(event).title.startswith("E")


@pytest.mark.parametrize("exception", [5, "E", [], [5], {"values": 5}, {"values": [5]}, {}])
def test_rules_do_not_fail_with_what_is_no_exception(exception):
    assert list(messages_of({"exception": exception, "message": "a"})) == ["a"]
    assert list(module_of({"exception": exception})) == []
