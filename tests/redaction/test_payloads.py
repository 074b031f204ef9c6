"""Redaction of an event, a transaction, a log item: secrets are removed, everything else stays."""

import copy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sentry_paste.redaction import Matcher, Names, values
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.payloads import (
    NOTHING_KEPT,
    Kept,
    clean_event,
    clean_item,
    clean_profile,
    strip_event,
    strip_item,
)

REMARK = {"": {"rem": [["!config", "s"]]}}
SECRET = "q8fh23fh28hf2"


def cleaned(event, kept=NOTHING_KEPT, **strings):
    names = Names()
    clean_event(event, Matcher(values.of_request({"HTTP_X_API_KEY": SECRET, **strings}, names)), names, kept)
    return event


def event_with(variables, **more):
    frame = {"function": "f", "module": "m", "lineno": 1, "vars": variables}
    return {"exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [frame]}}]}, **more}


def variables_of(event):
    return event["exception"]["values"][0]["stacktrace"]["frames"][0]["vars"]


def remarks_of(event):
    return event["_meta"]["exception"]["values"]["0"]["stacktrace"]["frames"]["0"]["vars"]


class TestVariables:
    def test_environ_is_secret_by_its_keys_at_any_depth(self):
        event = cleaned(
            event_with({"a": {"b": [{"HTTP_COOKIE": "'x=1'", "HTTP_HOST": "'h'", "REMOTE_ADDR": "'1'"}]}})
        )
        assert variables_of(event) == {
            "a": {"b": [{"HTTP_COOKIE": FILTERED, "HTTP_HOST": "'h'", "REMOTE_ADDR": FILTERED}]}
        }
        assert remarks_of(event)["a"]["b"]["0"] == {"HTTP_COOKIE": REMARK, "REMOTE_ADDR": REMARK}

    def test_everything_under_a_secret_key_is_hidden(self):
        assert variables_of(cleaned(event_with({"a": {"beaker.session": {"user": "'x'"}}}))) == {
            "a": {"beaker.session": FILTERED}
        }

    def test_value_of_a_form_field_goes_at_any_depth(self):
        form = {"new_password": "'x'", "colour": "'green'", "token": "'y'"}
        assert variables_of(cleaned(event_with({"a": {"form": form}})))["a"]["form"] == {
            "new_password": FILTERED,
            "colour": "'green'",
            "token": FILTERED,
        }

    @pytest.mark.parametrize("value", ["None", "True", "''", "5", "[]", "100", None, {}, []])
    def test_what_cannot_be_a_secret_stays_under_a_likely_name(self, value):
        assert variables_of(cleaned(event_with({"a": {"max_tokens": value}}))) == {"a": {"max_tokens": value}}

    @pytest.mark.parametrize("name", ["'Cookie'", "b'Cookie'", "Set-Cookie", "'X-Api-Key'", "'password'"])
    def test_pair_of_a_name_and_a_value(self, name):
        assert variables_of(cleaned(event_with({"a": [[name, "'x=1'"], ["'Host'", "'h'"]]})))["a"] == [
            [name, FILTERED],
            ["'Host'", "'h'"],
        ]

    def test_keys_that_are_secret_values_go(self):
        event = cleaned(event_with({"sessions": {SECRET: {"a": SECRET}, "other": "1"}}))
        assert variables_of(event) == {"sessions": {FILTERED: {"a": FILTERED}, "other": "1"}}

    def test_query_string_keeps_what_is_no_secret(self):
        event = cleaned(event_with({"environ": {"QUERY_STRING": "'a=1&token=x&b=2'"}}))
        assert variables_of(event)["environ"]["QUERY_STRING"] == f"'a=1&token={FILTERED}&b=2'"

    @pytest.mark.parametrize(
        ("shown", "expected"),
        [
            ("<_io.BytesIO object at 0x7f>", "<_io.BytesIO>"),
            ("<gunicorn.http.body.Body object at 0x7f>", "<gunicorn.http.body.Body>"),
            ("Input('the body')", FILTERED),
            (["the body"], FILTERED),
        ],
    )
    def test_input_shows_as_its_type(self, shown, expected):
        assert (
            variables_of(cleaned(event_with({"environ": {"wsgi.input": shown}})))["environ"]["wsgi.input"]
            == expected
        )

    def test_code_stays_though_a_cookie_reads_as_it(self):
        event = event_with({"x": "1"})
        frame = event["exception"]["values"][0]["stacktrace"]["frames"][0]
        frame.update(
            function="checkout_page", context_line="return checkout_page(x)", abs_path="/a/checkout_page.py"
        )
        before = copy.deepcopy(event)
        assert cleaned(event, HTTP_COOKIE="page=checkout_page") == before

    def test_threads_have_variables_too(self):
        frame = {"vars": {"environ": {"HTTP_COOKIE": "'x'"}, "a": SECRET}}
        event = cleaned({"threads": {"values": [{"id": 1, "stacktrace": {"frames": [frame]}}]}})
        assert event["threads"]["values"][0]["stacktrace"]["frames"][0]["vars"] == {
            "environ": {"HTTP_COOKIE": FILTERED},
            "a": FILTERED,
        }


class TestRequest:
    def test_headers_are_secret_by_name(self):
        headers = {
            "Cookie": "a=1",
            "Forwarded": "for=1.2.3.4",
            "Host": "h",
            "Referer": "http://h/?token=x&a=1",
        }
        event = cleaned({"request": {"headers": headers, "cookies": {"a": "1"}}})
        assert event["request"]["headers"] == {
            "Cookie": FILTERED,
            "Forwarded": FILTERED,
            "Host": "h",
            "Referer": f"http://h/?token={FILTERED}&a=1",
        }
        assert event["request"]["cookies"] == {"a": FILTERED}
        assert event["_meta"]["request"]["headers"] == {"Cookie": REMARK, "Forwarded": REMARK}

    def test_form_that_an_integration_sends(self):
        event = cleaned({"request": {"data": {"password2": "'x'", "colour": "green", "n": [SECRET]}}})
        assert event["request"]["data"] == {"password2": FILTERED, "colour": "green", "n": [FILTERED]}


class TestElsewhere:
    def test_secret_in_every_text(self):
        text = f"a {SECRET} b"
        event = {
            "message": text,
            "logentry": {"message": text, "params": [text, 1]},
            "exception": {
                "values": [{"type": "E", "value": text, "mechanism": {"type": "x", "data": {"a": text}}}]
            },
            "breadcrumbs": {"values": [{"message": text, "data": {"a": text}}]},
            "spans": [{"description": text, "data": {"a": text}, "op": "db"}],
            "extra": {"a": [text]},
            "tags": {"a": text},
            "contexts": {"a": {"b": text}, "trace": {"data": {"c": text}}},
            "user": {"id": text},
            "transaction": text,
            "fingerprint": [text],
            "request": {"url": text},
        }
        expected = copy.deepcopy(event)

        def replaced(node):
            if isinstance(node, dict):
                return {key: replaced(value) for key, value in node.items()}
            if isinstance(node, list):
                return [replaced(value) for value in node]
            return f"a {FILTERED} b" if node == text else node

        assert cleaned(event) == replaced(expected)

    def test_what_the_app_has_set_stays(self):
        event = {
            "tags": {"mine": SECRET, "other": SECRET},
            "contexts": {"mine": {"token": SECRET}, "other": {"a": SECRET}},
            "user": {"id": SECRET, "ip_address": "1.2.3.4", "email": SECRET},
        }
        kept = Kept({"mine": SECRET}, {"mine": {}}, {"id": SECRET, "ip_address": "1.2.3.4"})
        assert cleaned(event, kept) == {
            "tags": {"mine": SECRET, "other": FILTERED},
            "contexts": {"mine": {"token": SECRET}, "other": {"a": FILTERED}},
            "user": {"id": SECRET, "ip_address": "1.2.3.4", "email": FILTERED},
        }

    def test_what_no_request_influences_stays(self):
        event = {"environment": "production", "release": SECRET, "server_name": SECRET, "platform": "python"}
        before = dict(event)
        assert cleaned(event, HTTP_COOKIE="page=production") == before

    def test_remarks_of_the_sdk_stay(self):
        event = event_with({"a": {"password": "'x'", "b": "1"}}, _meta={"extra": {"x": {"": {"len": 5}}}})
        cleaned(event)
        assert event["_meta"]["extra"] == {"x": {"": {"len": 5}}}
        assert remarks_of(event)["a"]["password"] == REMARK

    def test_remark_is_under_no_secret(self):
        event = cleaned(
            event_with({"a": {SECRET: {"password": "'x'"}}}, _meta={"extra": {SECRET: {"": {"len": 5}}}})
        )
        assert SECRET not in str(event)

    def test_log_item(self):
        attributes = {"a": SECRET, "b": [SECRET, "x"], "password": "x", "n": 5, "o": {SECRET: 1}}
        item = {
            "severity_text": "info",
            "body": f"a {SECRET}",
            "trace_id": "1" * 32,
            "attributes": attributes,
        }
        names = Names()
        clean_item(item, Matcher(values.of_request({"HTTP_X_API_KEY": SECRET}, names)), names)
        assert item["body"] == f"a {FILTERED}"
        assert item["attributes"] == {
            "a": FILTERED,
            "b": [FILTERED, "x"],
            "password": FILTERED,
            "n": 5,
            "o": "{'" + FILTERED + "': 1}",
        }


class TestStripped:
    def test_event_keeps_type_and_stack(self):
        event = event_with({"a": SECRET})
        event.update(request={"url": SECRET}, message=SECRET, tags={"a": SECRET}, user={"id": SECRET})
        event.update(contexts={"trace": {"trace_id": "1", "data": {"a": SECRET}}, "x": {"y": SECRET}})
        event.update(breadcrumbs={"values": [SECRET]}, spans=[{"description": SECRET}], extra={"a": SECRET})
        event.update(transaction=SECRET, event_id="1", level="error")
        event["exception"]["values"][0]["value"] = SECRET
        strip_event(event, "failed")
        assert SECRET not in str(event)
        assert event["exception"]["values"][0]["type"] == "E"
        assert event["exception"]["values"][0]["stacktrace"]["frames"] == [
            {"function": "f", "module": "m", "lineno": 1}
        ]
        assert event["tags"] == {"sentry_paste.redaction": "failed"}
        assert event["contexts"] == {"trace": {"trace_id": "1"}}

    def test_item_keeps_its_kind(self):
        item = {"severity_text": "info", "body": SECRET, "trace_id": "1", "attributes": {"a": SECRET}}
        strip_item(item, "failed")
        assert item == {
            "severity_text": "info",
            "body": FILTERED,
            "trace_id": "1",
            "attributes": {"sentry_paste.redaction": "failed"},
        }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=20,
)


PARTS = ["exception", "threads", "request", "contexts", "tags", "user", "extra", "breadcrumbs",
         "spans",
         "_meta", "message", "stacktrace"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(PARTS), JSON))
def test_event_of_a_wrong_shape_is_cleaned_or_refused_but_never_half(event):
    event = copy.deepcopy(event)
    try:
        cleaned(event)
    except (AttributeError, TypeError):
        strip_event(event, "failed")


@given(JSON, st.text(alphabet="abcdef0123456789", min_size=12, max_size=12))
def test_no_value_survives_anywhere(found, value):
    assume(value not in str(found))
    event = event_with(
        {"x": [found, value, {"k": value, value: [value]}, f"..{value}.."]}, extra={"y": [found, value]}
    )
    assert value not in str(cleaned(event, HTTP_COOKIE=f"sid={value}"))


class TestStreamedSpan:
    def cleaned(self, name, attributes=None, is_segment=False, **strings):
        names = Names()
        item = {"name": name, "is_segment": is_segment, "attributes": attributes or {}, "span_id": "1"}
        clean_item(item, Matcher(values.of_request(strings, names)), names)
        return item

    def test_name_of_a_span_is_a_text(self):
        item = self.cleaned("SELECT 'alice.liddell'", REMOTE_USER="alice.liddell")
        assert item["name"] == f"SELECT '{FILTERED}'"
        assert self.cleaned('x {"password": "abc"}')["name"] == f'x {{"password": "{FILTERED}"}}'

    @pytest.mark.parametrize("name", ["GET /shop/production", "/shop/production", "shop.production"])
    def test_name_of_a_segment_is_a_path(self, name):
        attributes = {"sentry.segment.name": name}
        item = self.cleaned(name, attributes, is_segment=True, HTTP_COOKIE="page=production")
        assert item["name"] == item["attributes"]["sentry.segment.name"] == name

    def test_name_of_a_segment_that_is_a_sentence_is_a_text(self):
        item = self.cleaned("login of alice.liddell", is_segment=True, REMOTE_USER="alice.liddell")
        assert item["name"] == f"login of {FILTERED}"

    @pytest.mark.parametrize("made", [str, lambda value: [value]], ids=["text", "list"])
    def test_header_is_judged_alike_as_a_text_and_in_a_list(self, made):
        """sentry-sdk 2 has texts, sentry-sdk 3 has lists."""
        values = {
            "baggage": "sentry-user_id=alice,sentry-trace_id=17,colour=green",
            "referer": "https://al:b1@h/?token=x17&page=3",
            "cookie": "a=b",
            "x-acme": SECRET,
            "accept": "text/html",
        }
        shown = self.cleaned("x", {f"http.request.header.{key}": made(text) for key, text in values.items()})
        assert shown["attributes"] == {
            "http.request.header.baggage": made(f"sentry-user_id={FILTERED},sentry-trace_id=17,colour=green"),
            "http.request.header.referer": made(f"https://{FILTERED}@h/?token={FILTERED}&page=3"),
            "http.request.header.cookie": made(FILTERED),
            "http.request.header.x-acme": made(FILTERED),
            "http.request.header.accept": made("text/html"),
        }

    def test_header_of_several_values_stays_a_list(self):
        name = "http.request.header.accept"
        attributes = {name: ["a/b", "c/d"], f"{name}-charset": []}
        assert self.cleaned("x", dict(attributes))["attributes"] == attributes

    def test_operation_is_not_changed_by_a_word_of_a_client_s(self):
        attributes = {"sentry.op": "template.render", "n": "render it: template"}
        item = self.cleaned("x", attributes, HTTP_COOKIE="a=template")
        assert item["attributes"] == {"sentry.op": "template.render", "n": f"render it: {FILTERED}"}


class TestProfile:
    def test_names_of_threads_that_the_app_gives_go(self):
        names = {"1": "MainThread", "2": "Thread-3 (work)", "3": "ThreadPoolExecutor-0_1", "4": "waitress-0"}
        more = {"5": "worker of alice", "6": "alice-3", "7": f"Thread-3 ({SECRET}!)"}
        threads = {number: {"name": name} for number, name in {**names, **more}.items()}
        profile = {"profile": {"frames": [], "thread_metadata": threads}}
        clean_profile(profile)
        found = {number: thread["name"] for number, thread in threads.items()}
        assert found == {**names, "5": "Thread 5", "6": "Thread 6", "7": "Thread 7"}

    @pytest.mark.parametrize("profile", [{}, {"profile": None}, {"profile": {"thread_metadata": {"1": {}}}}])
    def test_profile_without_names_is_left_alone(self, profile):
        before = copy.deepcopy(profile)
        clean_profile(profile)
        assert profile == before

    def test_chunk_of_a_continuous_profile(self):
        profiler = pytest.importorskip("sentry_sdk.profiler.continuous_profiler")
        import threading

        from sentry_paste.redaction import Redaction

        options = {"release": None, "environment": None, "dist": None}
        options.update(in_app_exclude=[], in_app_include=[], project_root=None)
        Redaction(Names()).use_options(options)
        done = threading.Event()
        thread = threading.Thread(target=done.wait, name="worker of alice")
        thread.start()
        try:
            for pii in (False, True):
                asked_for = {"send_default_pii": pii, "data_collection": {"user_info": pii}}
                sent_options = {**options, **asked_for}
                chunk = profiler.ProfileChunk().to_json("1", sent_options, {"name": "x"})
                assert ("alice" in str(chunk)) is pii
        finally:
            done.set()
            thread.join()
