"""The page that answers a crash, and the event's id on error responses."""

import json
import logging
import re
import sys
import textwrap
from functools import lru_cache
from pathlib import Path
from wsgiref.validate import validator

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from sentry_paste import ConfigError, SentryMiddleware
from sentry_paste.client.registry import registry
from sentry_paste.config import read_ini
from sentry_paste.request import error_page
from sentry_paste.request.error_page import ErrorPage
from sentry_paste.request.error_texts import TEXTS

import apps
from wsgi_calls import call, environ_of

DSN = "https://public:secret@sentry.example/base/42"


def crash(environ, start_response):
    raise ZeroDivisionError("here")


def crash_in_first_chunk(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise ZeroDivisionError("here")
    yield b"never"


def crash_after_empty_chunk(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b""
    raise ZeroDivisionError("here")


class CrashInIter:
    def __init__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])

    def __iter__(self):
        raise ZeroDivisionError("here")


def crash_after_start(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise ZeroDivisionError("here")


EARLY = [crash, crash_in_first_chunk, crash_after_empty_chunk, CrashInIter, crash_after_start]


def around(app, **options):
    return TestApp(validator(SentryMiddleware(validator(app), **{"error_page": True, **options})), lint=False)


def get(app, accept="text/html", **options):
    return around(app, **options).get("/shop", headers={"Accept": accept}, expect_errors=True)


@lru_cache
def plain_page():
    return ErrorPage(SentryMiddleware(crash, error_page=True).settings, None)


class TestPage:
    @pytest.mark.parametrize("app", EARLY)
    def test_crash_before_the_first_byte_is_answered_with_the_id_of_its_event(self, app, captured):
        answer = get(app)
        assert answer.status == "500 Internal Server Error"
        assert captured.errors[0]["event_id"] in answer.text
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(captured.errors) == 1

    @pytest.mark.parametrize("app", EARLY)
    def test_transaction_and_session_are_those_of_a_crash(self, app, captured):
        get(app, traces_sample_rate=1.0, release="1")
        registry.clients()[0].flush()
        (transaction,) = captured.transactions
        assert transaction["contexts"]["trace"]["status"] == "internal_error"
        assert [session.get("crashed") for session in captured.sessions] == [1]

    def test_crash_after_the_first_byte_goes_up_as_it_came(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"begun"
            raise ZeroDivisionError("here")

        with pytest.raises(ZeroDivisionError):
            around(app).get("/")
        assert len(captured.errors) == 1

    def test_crash_after_write_goes_up_as_it_came(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])(b"begun")
            raise ZeroDivisionError("here")

        with pytest.raises(ZeroDivisionError):
            around(app).get("/")

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(3)])
    def test_end_of_the_process_is_no_crash(self, error, captured):
        def app(environ, start_response):
            raise error

        with pytest.raises(BaseException) as raised:
            SentryMiddleware(app, error_page=True)({"REQUEST_METHOD": "GET"}, lambda *args: None)
        assert isinstance(raised.value, (KeyboardInterrupt, SystemExit))

    def test_server_that_has_sent_headers_gets_the_crash(self, captured):
        def refuse(status, headers, exc_info=None):
            if exc_info:
                raise exc_info[1]

        with pytest.raises(ZeroDivisionError):
            SentryMiddleware(crash, error_page=True)({"REQUEST_METHOD": "GET"}, refuse)

    def test_without_the_option_the_crash_goes_up(self, captured):
        with pytest.raises(ZeroDivisionError):
            get(crash, error_page=False)

    def test_crash_is_logged_as_no_server_sees_it_and_is_reported_once(self, captured, caplog):
        get(crash)
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.getMessage() == "GET '/shop' crashed"
        assert record.exc_info[0] is ZeroDivisionError
        assert len(captured.errors) == 1

    def test_event_that_is_only_kept_is_recorded_and_not_reported(self, tmp_path):
        text = get(crash, spool_dir=str(tmp_path / "spool")).text
        assert "has been recorded" in text
        assert "reported" not in text

    def test_event_that_is_not_sent_is_not_promised(self, captured):
        answer = get(crash, before_send=lambda event, hint: None)
        assert "reported" not in answer.text
        assert re.search("[0-9a-f]{32}", answer.text) is None

    def test_error_that_an_integration_has_captured_gives_its_id(self, captured):
        def app(environ, start_response):
            try:
                raise ZeroDivisionError("here")
            except ZeroDivisionError:
                sentry_sdk.capture_exception()
                raise

        assert captured is not None
        answer = get(app)
        assert captured.errors[0]["event_id"] in answer.text
        assert len(captured.errors) == 1

    def test_id_of_another_request_is_not_shown(self, captured):
        sentry_sdk.get_isolation_scope()._last_event_id = "a" * 32
        assert "a" * 32 not in get(crash, before_send=lambda event, hint: None).text

    def test_head_has_no_body(self, captured):
        answer = around(crash).head("/", expect_errors=True)
        assert (answer.status_int, answer.body) == (500, b"")

    def test_nothing_of_the_request_or_the_error_is_on_the_page(self, captured):
        answer = around(crash).get("/<script>?q=<script>", headers={"Accept": "<script>"}, expect_errors=True)
        assert "script" not in answer.text
        assert "ZeroDivisionError" not in answer.text

    def test_page_runs_and_fetches_nothing(self, captured):
        assert get(crash).headers["Content-Security-Policy"].startswith("default-src 'none';")

    @pytest.mark.parametrize("accept", ["text/html", "application/json"])
    def test_head_has_the_headers_of_get(self, accept, captured):
        app, headers = around(crash), {"Accept": accept, "Accept-Language": "ja"}
        head, get = (
            dict(method("/", headers=headers, expect_errors=True).headers) for method in (app.head, app.get)
        )
        assert head == get


def links(answer):
    return [(link["class"][0], link["href"]) for link in answer.html.select("a")]


class TestLinks:
    def test_page_leads_home_and_tries_again(self, captured):
        assert links(get(crash)) == [("retry", ""), ("home", "/")]

    def test_home_is_that_of_the_app(self, captured):
        answer = around(crash).get("/shop", extra_environ={"SCRIPT_NAME": "/demo"}, expect_errors=True)
        assert links(answer)[-1] == ("home", "/demo/")

    @pytest.mark.parametrize(
        ("script", "home"),
        [
            ("//evil.example", "/evil.example/"),
            ('/"><script>', "/%22%3E%3Cscript%3E/"),
            ("/caf\u00c3\u00a9", "/caf%C3%A9/"),
        ],
    )
    def test_home_is_a_path_of_this_host(self, script, home, captured):
        (body,) = list(
            SentryMiddleware(crash, error_page=True)(environ_of("/shop", SCRIPT_NAME=script), lambda *_: None)
        )
        assert f'href="{home}"'.encode() in body

    def test_home_page_only_tries_again(self, captured):
        assert links(around(crash).get("/", expect_errors=True)) == [("retry", "")]

    def test_form_cannot_be_sent_again_by_a_link(self, captured):
        assert links(around(crash).post("/", {"a": "b"}, expect_errors=True)) == [("home", "/")]


class TestLanguage:
    @pytest.mark.parametrize("language", TEXTS)
    def test_page_is_in_the_language_of_the_visitor(self, language, captured):
        header = {"Accept-Language": f"tlh, {language};q=0.5, *;q=0.1"}
        answer = around(crash).get("/shop", headers=header, expect_errors=True)
        assert answer.headers["Content-Language"] == answer.html.html["lang"] == language
        assert answer.html.h1.text == answer.html.title.text == TEXTS[language]["title"]
        assert TEXTS[language]["reported"] in answer.html.main.text
        assert [link.text for link in answer.html.select("a")] == [
            TEXTS[language]["retry"],
            TEXTS[language]["home"],
        ]
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert "$" not in answer.text

    def test_page_is_in_english_without_the_header(self, captured):
        assert get(crash).headers["Content-Language"] == "en"

    def test_caches_learn_what_the_answer_depends_on(self, captured):
        assert get(crash).headers["Vary"] == "Accept, Accept-Language"
        answer = get(crash, "application/json")
        assert answer.headers["Vary"] == "Accept"
        assert "Content-Language" not in answer.headers

    def test_every_language_has_every_text(self):
        assert len(TEXTS) == 6
        assert {frozenset(texts) for texts in TEXTS.values()} == {frozenset(TEXTS["en"])}
        assert all(text.strip() == text != "" for texts in TEXTS.values() for text in texts.values())

    @given(header=st.text())
    def test_any_header_is_answered(self, header):
        headers, (body,) = plain_page().answer({"HTTP_ACCEPT_LANGUAGE": header}, "a" * 32)
        assert dict(headers)["Content-Language"] in TEXTS
        assert dict(headers)["Content-Length"] == str(len(body))

    def test_healthy_request_does_not_look_at_the_languages(self, captured, monkeypatch):
        monkeypatch.setattr(error_page, "best_language", None)
        assert around(apps.answer_list).get("/").status_int == 200


class TestJson:
    @pytest.mark.parametrize(
        ("accept", "is_json"),
        [
            ("application/json", True),
            ("application/problem+json", True),
            ("text/html,application/json;q=0.9", False),
            ("text/html;q=0.5, application/json", True),
            ("application/json, text/html", False),
            ("*/*", False),
            ("", False),
            ("application/json;q=0", False),
            ("application/json;q=x", False),
        ],
    )
    def test_client_that_would_rather_have_json_gets_it(self, accept, is_json, captured):
        answer = get(crash, accept)
        assert answer.content_type == ("application/json" if is_json else "text/html")

    def test_json_has_the_event_id(self, captured):
        answer = json.loads(get(crash, "application/json").body)
        assert answer == {"error": "Internal Server Error", "event_id": captured.errors[0]["event_id"]}

    @given(accept=st.text())
    def test_any_accept_header_is_answered(self, accept):
        headers, body = plain_page().answer({"HTTP_ACCEPT": accept}, "a" * 32)
        assert dict(headers)["Content-Length"] == str(len(body[0]))


class TestTemplate:
    def test_own_template_is_filled(self, captured, tmp_path):
        (tmp_path / "page.html").write_text("<p>$event_id</p> costs 5 $ $unknown $feedback")
        answer = get(crash, error_page=str(tmp_path / "page.html"))
        assert answer.text == f"<p>{captured.errors[0]['event_id']}</p> costs 5 $ $unknown "
        assert "Content-Security-Policy" not in answer.headers
        assert answer.headers["Vary"] == "Accept"
        assert "Content-Language" not in answer.headers

    def answer(self, path, text, language="", **options):
        path.write_text(text, encoding="utf-8")
        header = {"Accept": "text/html", "Accept-Language": language}
        app = around(crash, error_page=str(path), **options)
        return app.get("/shop", headers=header, expect_errors=True)

    def test_own_template_has_the_texts_and_links(self, captured, tmp_path):
        text = '<html lang="$lang" dir="$dir"><p>$title <a href="${home_url}x">$home</a> $report $retry_link'
        answer = self.answer(tmp_path / "page.html", text, "de")
        assert answer.text == (
            '<html lang="de" dir="ltr"><p>Etwas ist schiefgegangen <a href="/x">Zur Startseite</a> '
            f"{TEXTS['de']['reported']}\n<code>{captured.errors[0]['event_id']}</code> "
            '<a class="retry" href="">Noch einmal versuchen</a>'
        )
        assert answer.headers["Content-Language"] == "de"

    TABLE = textwrap.dedent(
        """
        <!-- error_page
        [en]
        call = Call 555
        [nl]
        title = Er ging iets mis
        call = Bel 555 <nu>
        [he]
        title = \u05e9\u05d2\u05d9\u05d0\u05d4
        call = 555
        -->
        """
    ).lstrip()

    @pytest.mark.parametrize(
        ("language", "expected"),
        [
            ("nl", "nl ltr Er ging iets mis Bel 555 &lt;nu&gt;"),
            ("he", "he rtl \u05e9\u05d2\u05d9\u05d0\u05d4 555"),
            ("en", "en ltr Something went wrong Call 555"),
            ("de", "en ltr Something went wrong Call 555"),
        ],
    )
    def test_own_template_adds_languages_and_texts_to_the_table(self, language, expected, captured, tmp_path):
        answer = self.answer(tmp_path / "page.html", f"{self.TABLE}$lang $dir $title $call", language)
        assert answer.text == expected

    def test_language_that_is_added_stands_beside_the_others(self, captured, tmp_path):
        for language, title in (("nl", "Er ging iets mis"), ("de", "Etwas ist schiefgegangen")):
            assert self.answer(tmp_path / "page.html", f"{self.TABLE}$title", language).text == title

    def test_template_in_one_language_is_in_that(self, captured, tmp_path):
        table = "<!-- error_page\n[nl]\ncall = Bel 555\n-->"
        answer = self.answer(tmp_path / "page.html", f"{table}$call", "de")
        assert (answer.text, answer.headers["Content-Language"]) == ("Bel 555", "nl")
        assert answer.headers["Vary"] == "Accept"

    @pytest.mark.parametrize(
        ("table", "reason"),
        [
            ("[nl]\ntitle = x", r"its texts in \[nl\] lack home, message"),
            ("[dutch language]\ntitle = x", r"\[dutch language\] are in no language"),
            ("[en]\nlang = x", r"lang in \[en\] cannot be the name of a text"),
            ("title = x", "its texts cannot be read: File contains no section headers"),
        ],
    )
    def test_mistake_in_the_texts_is_one_of_the_ini(self, table, reason, tmp_path):
        (tmp_path / "page.html").write_text(f"<!-- error_page\n{table}\n-->$title $message $home_link")
        with pytest.raises(ConfigError, match=reason):
            get(crash, error_page=str(tmp_path / "page.html"), spool_dir=str(tmp_path / "spool"))

    def test_template_of_the_docs_speaks_english_and_dutch(self, captured, tmp_path):
        page = (Path(__file__).parents[2] / "docs" / "errorpage.rst").read_text(encoding="utf-8")
        block = textwrap.dedent(re.search(r"code-block:: html\n\n((?:   .*\n|\n)+)", page)[1]).strip()
        for language, title in (("nl", "Er ging iets mis"), ("de", "Something went wrong")):
            answer = self.answer(tmp_path / "page.html", block, language)
            assert answer.html.h1.text == title
            assert "$" not in answer.text
            assert "<!--" not in answer.text

    def test_template_may_be_in_a_package(self, captured, tmp_path, monkeypatch):
        (tmp_path / "webshop" / "pages").mkdir(parents=True)
        (tmp_path / "webshop" / "__init__.py").write_text("raise AssertionError('imported')")
        (tmp_path / "webshop" / "pages" / "crash.html").write_text("of a package")
        monkeypatch.syspath_prepend(tmp_path)
        for path in ("webshop:pages/crash.html", "webshop.pages:crash.html"):
            assert get(crash, error_page=path).text == "of a package"

    def test_package_of_a_template_that_is_not_installed_is_a_mistake_of_the_ini(self, tmp_path):
        with pytest.raises(ConfigError, match=r"error_page = nowhere:crash\.html: the package nowhere"):
            read_ini({"here": str(tmp_path)}, {"error_page": "nowhere:crash.html"})
        settings = read_ini({"here": str(tmp_path)}, {"error_page": "nowhere:crash.html"}, allow_missing=True)
        assert settings.absent == {"error_page": ("nowhere",)}

    def test_template_that_is_not_there_is_a_mistake_of_the_ini(self, load):
        ini = """
            [filter:sentry]
            use = egg:sentry_paste
            dsn = http://a@127.0.0.1:9/1
            error_page = missing.html

            [app:app]
            paste.app_factory = apps:make_app

            [pipeline:main]
            pipeline = sentry app
        """
        with pytest.raises(ConfigError, match=r"line 5: error_page = .*missing\.html cannot be read"):
            load(ini)

    def test_missing_template_is_reported_with_all_other_mistakes(self, tmp_path):
        options = {"error_page": "missing.html", "send_default_pii": "maybe"}
        with pytest.raises(ConfigError) as mistakes:
            read_ini({"here": str(tmp_path)}, options)
        assert [problem.option for problem in mistakes.value.problems] == ["error_page", "send_default_pii"]


class TestDialog:
    def page(self, **options):
        settings = SentryMiddleware(apps.answer_list, error_page=True, **options).settings
        return ErrorPage(settings, DSN)

    def test_dialog_is_for_the_event_and_the_dsn_without_its_secret(self):
        _, (body,) = self.page(user_feedback=True).answer({}, "a" * 32)
        (source,) = re.findall(r'src="([^"]*)"', body.decode())
        assert source == (
            "https://sentry.example/base/api/embed/error-page/"
            "?dsn=https%3A%2F%2Fpublic%40sentry.example%2Fbase%2F42&amp;eventId=" + "a" * 32
        )

    def test_there_is_none_without_an_event(self):
        _, (body,) = self.page(user_feedback=True).answer({}, None)
        assert b"<script" not in body

    def test_there_is_none_unless_asked_for(self):
        _, (body,) = self.page().answer({}, "a" * 32)
        assert b"<script" not in body


def test_log_handler_that_fails_costs_the_log_alone(captured, monkeypatch):
    class Filter(logging.Filter):
        def filter(self, record):
            raise LookupError

    own = logging.getLogger("sentry_paste")
    found = Filter()
    own.addFilter(found)
    try:
        assert get(crash).status_int == 500
    finally:
        own.removeFilter(found)


class TestHeader:
    HEADER = {"error_page": False, "event_id_header": "X-Sentry-ID"}

    def test_error_response_of_a_reported_error_has_the_id(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError
            except ValueError:
                sentry_sdk.capture_exception()
            start_response("503 Busy", [("Content-Type", "text/plain")])
            return [b"busy"]

        answer = get(app, **self.HEADER)
        assert answer.headers["X-Sentry-ID"] == captured.errors[0]["event_id"]

    def test_exc_info_is_reported_before_the_header_is_made(self, captured):
        answer = get(apps.answer_exc_info, **self.HEADER)
        assert answer.headers["X-Sentry-ID"] == captured.errors[0]["event_id"]
        assert len(captured.errors) == 1

    def test_cookie_that_the_response_sets_is_no_less_a_secret(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError("could not store s3cr3t-mint-0123456789")
            except ValueError:
                headers = [("Content-Type", "text/plain"), ("Set-Cookie", "session=s3cr3t-mint-0123456789")]
                start_response("500 Oops", headers, sys.exc_info())
            return [b"x"]

        get(app, **self.HEADER)
        value = captured.errors[0]["exception"]["values"][0]["value"]
        assert value == "could not store [Filtered]"

    def test_crash_that_the_server_raises_again_is_unhandled(self, captured):
        def refuse(status, headers, exc_info=None):
            if exc_info:
                raise exc_info[1]

        def app(environ, start_response):
            start_response("200 OK", [])
            yield b"begun"
            try:
                raise ZeroDivisionError("here")
            except ZeroDivisionError:
                start_response("500 Oops", [], sys.exc_info())

        with pytest.raises(ZeroDivisionError):
            list(SentryMiddleware(app, **self.HEADER)(environ_of(), refuse))
        (error,) = captured.errors
        assert error["exception"]["values"][0]["mechanism"]["handled"] is False

    def test_id_of_a_status_is_that_of_the_error_that_comes_after_it(self, captured):
        def app(environ, start_response):
            start_response("503 Busy", [("Content-Type", "text/plain")])
            yield b"x"
            raise ZeroDivisionError("here")

        seen = call(SentryMiddleware(app, failed_status_codes="503", **self.HEADER))
        (error,) = captured.errors
        assert dict(seen.starts[0][1])["X-Sentry-ID"] == error["event_id"]

    def test_status_that_is_an_event_by_itself_has_the_id_of_that(self, captured):
        def app(environ, start_response):
            start_response("502 Bad Gateway", [("Content-Type", "text/plain")])
            return [b"bad"]

        answer = get(app, failed_status_codes="500-599", **self.HEADER)
        assert answer.headers["X-Sentry-ID"] == captured.errors[0]["event_id"]

    def test_error_response_without_an_event_has_none(self, captured):
        def app(environ, start_response):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"none"]

        assert "X-Sentry-ID" not in get(app, **self.HEADER).headers

    def test_answer_that_is_no_error_has_none(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_message("seen")
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"fine"]

        assert "X-Sentry-ID" not in get(app, **self.HEADER).headers

    def test_app_s_own_list_of_headers_stays_as_it_is(self, captured):
        own = [("Content-Type", "text/plain")]

        def app(environ, start_response):
            sentry_sdk.capture_message("seen")
            start_response("500 Oops", own)
            return [b"x"]

        assert "X-Sentry-ID" in get(app, **self.HEADER).headers
        assert own == [("Content-Type", "text/plain")]

    def test_page_has_it_too(self, captured):
        answer = get(crash, event_id_header="X-Sentry-ID")
        assert answer.headers["X-Sentry-ID"] == captured.errors[0]["event_id"]

    def test_start_response_that_is_called_wrongly_is_the_server_s_to_refuse(self, captured):
        def app(environ, start_response):
            start_response()

        def start_response(status, headers, exc_info=None):
            raise AssertionError("not reached")

        with pytest.raises(TypeError):
            SentryMiddleware(app, **self.HEADER)({"REQUEST_METHOD": "GET"}, start_response)
