"""Clearing the list: files are hidden, back after an undo, and removed only when somebody asks for that."""

import os

import pytest
from webtest import TestApp

from sentry_paste.inbox import main
from sentry_paste.spool.owner import current

from spooled import ERROR_ID, LOOPBACK, TRACE, error_event, transaction_event, write_event

SAME_SITE = {"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_SEC_FETCH_MODE": "navigate"}


def press(page, label, **environ):
    """Press a button of a page, as a browser does."""
    (form,) = (form for form in page.forms.values() if label in form.text)
    return form.submit(extra_environ={**SAME_SITE, **environ})


@pytest.fixture
def cleared(app, spool):
    """The list after it was cleared of an error and a transaction."""
    write_event(spool, error_event())
    write_event(spool, transaction_event())
    return press(app.get("/"), "Clear").follow()


def test_clearing_hides_what_was_captured_and_removes_nothing(app, spool, cleared, titles, words):
    assert titles(cleared) == titles(app.get("/?kind=all")) == []
    assert (
        words(cleared.html.select_one(".cleared p"))
        == "The list was cleared. What it showed is hidden here, and still in the spool."
    )
    assert len(spool.files()) == 2
    app.get(f"/envelope/{ERROR_ID}", status=404)
    app.get(f"/trace/{TRACE}", status=404)


def test_what_is_captured_later_is_shown(app, spool, cleared, titles):
    write_event(spool, error_event(event_id="a" * 32))
    assert titles(app.get("/")) == ["OrderError"]


def test_file_from_the_future_does_not_hide_what_is_captured_later(app, spool, titles):
    """A clock was wrong. Else nobody would see later errors, and they would be removed with the others."""
    write_event(spool, error_event())
    (file,) = spool.files("error")
    file.path.rename(file.path.with_name(f"9999{file.path.name[4:]}"))
    page = press(app.get("/"), "Clear").follow()
    assert titles(page) == ["OrderError"]
    write_event(spool, error_event(event_id="a" * 32))
    assert page.html.select(".cleared") == []
    assert len(titles(app.get("/?kind=all"))) == len(spool.files()) == 2


def test_clearing_is_undone(cleared, titles):
    page = press(cleared, "Undo").follow()
    assert titles(page) == ["OrderError"]
    assert page.html.select(".cleared") == []


def test_cleared_files_are_removed_only_when_asked(app, spool, cleared, titles):
    write_event(spool, error_event(event_id="a" * 32))
    page = press(app.get("/"), "Remove").follow()
    assert [file.id for file in spool.files()] == ["a" * 32]
    assert titles(page) == ["OrderError"]
    assert page.html.select(".cleared") == []


def test_file_that_a_process_is_sending_is_not_removed(app, spool, cleared):
    (file,) = spool.files("error")
    claimed = spool.claim(file, current())
    press(cleared, "Remove").follow()
    assert [found.path for found in spool.files()] == [claimed.path]


def test_directory_with_the_name_of_a_file_is_left(app, spool, cleared):
    (file,) = spool.files("error")
    file.path.unlink()
    file.path.mkdir()
    press(cleared, "Remove").follow()
    assert spool.files("transaction") == []


def test_another_process_hides_the_same_files_also_after_a_restart(spool, cleared, titles):
    other = TestApp(main({}, spool_dir=str(spool.directory)), extra_environ=LOOPBACK)
    assert titles(other.get("/")) == []
    assert titles(press(other.get("/"), "Undo").follow()) == ["OrderError"]


def test_clearing_twice_hides_what_came_in_between(app, spool, cleared, titles):
    write_event(spool, error_event(event_id="a" * 32))
    page = press(app.get("/"), "Clear").follow()
    assert titles(page) == []
    assert "The list was cleared." in page.html.select_one(".cleared").get_text()
    assert "Everything works" not in page.text


@pytest.mark.parametrize("path", ["/clear", "/undo", "/purge"])
def test_links_change_nothing(app, spool, path):
    write_event(spool, error_event())
    response = app.get(path, status=405)
    assert response.headers["Allow"] == "POST"
    assert len(spool.files()) == 1
    assert not (spool.directory / ".inbox-cleared").exists()


@pytest.mark.parametrize(
    ("form", "environ"),
    [
        ({}, SAME_SITE),
        ({"check": ""}, SAME_SITE),
        ({"check": "a" * 64}, SAME_SITE),
        ({"check": "ü" * 9}, SAME_SITE),
        ({"check": "right", "more": "x" * 5000}, SAME_SITE),
        ({"check": "right"}, {"HTTP_SEC_FETCH_SITE": "none"}),
    ],
)
@pytest.mark.parametrize("path", ["/clear", "/undo", "/purge"])
def test_form_that_is_not_the_inboxs_own_is_refused(app, spool, form, environ, path):
    write_event(spool, error_event())
    right = app.get("/").html.select_one("[name=check]")["value"]
    given = {name: right if value == "right" else value for name, value in form.items()}
    app.post(path, given, extra_environ=environ, status=403)
    assert len(spool.files()) == 1
    assert not (spool.directory / ".inbox-cleared").exists()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_form_of_another_site_is_refused_even_with_the_cookie(inbox, spool, site):
    write_event(spool, error_event())
    app = inbox("spool_dir = spool\ninbox_token = 0123456789abcdef")
    app.get("/?token=0123456789abcdef", status=303)
    right = app.get("/").html.select_one("[name=check]")["value"]
    for mode in ("navigate", "cors"):
        environ = {"HTTP_SEC_FETCH_SITE": site, "HTTP_SEC_FETCH_MODE": mode}
        app.post("/purge", {"check": right}, extra_environ=environ, status=403)
    app.post("/clear", {"check": right}, extra_environ=SAME_SITE, status=303)


def test_whoever_may_not_look_may_not_clear(app, spool):
    write_event(spool, error_event())
    right = app.get("/").html.select_one("[name=check]")["value"]
    app.post("/clear", {"check": right}, extra_environ={**SAME_SITE, "REMOTE_ADDR": "192.0.2.1"}, status=403)


def test_proof_in_a_form_does_not_reveal_the_token(inbox, spool):
    write_event(spool, error_event())
    app = inbox("spool_dir = spool\ninbox_token = 0123456789abcdef")
    app.get("/?token=0123456789abcdef", status=303)
    page = app.get("/")
    assert "0123456789abcdef" not in page.text
    proof = page.html.select_one("[name=check]")["value"]
    assert not any(proof in cookie.value for cookie in app.cookiejar)


def test_option_keeps_files_from_being_cleared(inbox, spool):
    write_event(spool, error_event())
    app = inbox("spool_dir = spool\nallow_clear = false")
    page = app.get("/")
    assert "Clear" not in page.html.body.get_text()
    app.post("/clear", {}, extra_environ=SAME_SITE, status=405)


def test_directory_that_is_not_writable_is_reported(app, spool, monkeypatch):
    write_event(spool, error_event())
    page = app.get("/")

    def refuse(*_args):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("sentry_paste.inbox.cleared.write_small", refuse)
    (form,) = (form for form in page.forms.values() if "Clear" in form.text)
    response = form.submit(extra_environ=SAME_SITE, status=409)
    assert response.text == "This is not possible: Permission denied.\n"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-22T07:13:00", "\xff", "9" * 2000])
def test_malformed_file_hides_nothing(app, spool, titles, text):
    write_event(spool, error_event())
    (spool.directory / ".inbox-cleared").write_bytes(text.encode("latin-1"))
    assert titles(app.get("/")) == ["OrderError"]


def test_answer_leads_to_the_list_where_the_inbox_is_mounted(app, spool):
    write_event(spool, error_event())
    right = app.get("/").html.select_one("[name=check]")["value"]
    for root, place in (("", "/"), ("/inbox", "/inbox/"), ("//evil.example", "/evil.example/")):
        environ = {**SAME_SITE, "SCRIPT_NAME": root}
        response = app.post("/undo", {"check": right}, extra_environ=environ, status=303)
        assert response.headers["Location"] in (place, f"http://localhost{place}")
