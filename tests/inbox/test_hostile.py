"""What anybody may have put into a spool: it is shown as text, and breaks nothing."""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webtest import TestApp

from sentry_paste.inbox import main, traces
from sentry_paste.spool import Spool

from spooled import (
    ERROR_ID,
    LOOPBACK,
    SCRIPT,
    TRACE,
    TRANSACTION_ID,
    error_event,
    frame,
    transaction_event,
    write_event,
    write_item,
)

PATHS = (
    "/",
    "/?kind=all",
    "/?kind=transaction",
    "/?kind=session",
    "/?kind=log",
    "/?kind=span",
    "/?kind=all&q=level:error+status:failed+!user:x+after:9h",
    "/list",
    f"/trace/{TRACE}",
)

# Ids and times say where a thing is shown; all other text of an event may be anybody's.
KEPT = {"event_id", "trace_id", "timestamp", "start_timestamp", "end_timestamp", "started"}


def with_text(value, text):
    """A payload's copy in which every text that a page may show is another."""
    if isinstance(value, dict):
        return {name: item if name in KEPT else with_text(item, text) for name, item in value.items()}
    if isinstance(value, list):
        return [with_text(item, text) for item in value]
    return text if isinstance(value, str) else value


LOG = {
    "items": [
        {
            "timestamp": 1,
            "level": "info",
            "body": "b",
            "trace_id": TRACE,
            "attributes": {"logger.name": {"value": "l"}},
        }
    ]
}
SPANS = {
    "items": [
        {
            "trace_id": TRACE,
            "span_id": "s",
            "name": "n",
            "status": "ok",
            "start_timestamp": 1,
            "end_timestamp": 2,
            "attributes": {"sentry.op": {"value": "db"}, "a": {"value": "b"}},
        }
    ]
}
SESSIONS = {"aggregates": [{"started": "2026-11-22T07:13:00Z", "exited": 1}], "attrs": {"release": "r"}}


def fill_spool(spool, change):
    """Put one of everything into a spool, changed by a function."""
    transaction = {**change(transaction_event()), "type": "transaction"}
    return [
        # As JSON of Python's own, which has no objection to numbers that are none.
        write_item(spool, type_, json.dumps(payload).encode()).id
        for type_, payload in (
            ("event", change(error_event(user={"id": "7"}, extra={"e": "x"}))),
            ("transaction", transaction),
            ("log", change(LOG)),
            ("span", change(SPANS)),
            ("sessions", change(SESSIONS)),
            ("novelty", change({"shape": "round"})),
        )
    ]


def all_pages(app, ids):
    for path in (*PATHS, *(f"/envelope/{identity}" for identity in ids)):
        response = app.get(path, expect_errors=True)
        assert response.status_int in (200, 404), (path, response.status)
        yield response
        for link in response.html.select("a.bar[href^='?']")[:5]:
            yield app.get(response.request.path + link["href"].partition("#")[0], status=200)
        for link in response.html.select(".grid tbody a, .chips a, .sorts a")[:5]:
            yield app.get(link["href"], status=200)


def all_copies(app, ids):
    """What can be copied of each envelope and of the trace."""
    for of in (*(f"/envelope/{identity}" for identity in ids), f"/trace/{TRACE}"):
        for name in ("text", "markdown", "curl", "download"):
            response = app.get(f"{of}/{name}", expect_errors=True)
            assert response.status_int in (200, 404), (of, name, response.status)
            if response.status_int == 200:
                assert response.content_type in ("text/plain", "application/x-sentry-envelope")
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                yield response


@pytest.mark.parametrize(
    "text",
    [
        SCRIPT,
        "\"'><script>alert(1)</script>",
        "' onload=alert(1) x='",
        "{{ 7 * 7 }}{% raw %}",
        "javascript:alert(1)",
    ],
)
def test_an_injection_in_every_field_stays_text(app, spool, text):
    ids = fill_spool(spool, lambda payload: with_text(payload, text))
    plain = 0
    for response in all_pages(app, ids):
        html = response.html
        assert [script["src"] for script in html.select("script")] in ([], ["/static/inbox.js"])
        assert not html.select("img:not(.home img), iframe, object, [onload], [style]")
        assert not [tag for tag in html.select("[href]") if tag["href"].lower().startswith("javascript:")]
        plain += html.get_text().count(text)
        assert text not in ("{{ 7 * 7 }}",) or "49" not in html.get_text()
    assert plain > 40


@pytest.mark.parametrize("name", ["tags", "extra", "contexts", "user", "request"])
def test_an_injection_in_a_name_stays_text(app, spool, name):
    write_event(spool, error_event(**{name: {SCRIPT: {SCRIPT: SCRIPT}}}))
    response = app.get(f"/envelope/{ERROR_ID}")
    assert "<script>alert" not in response.text
    assert SCRIPT in response.html.get_text()


def test_an_injection_in_a_search_stays_text(app, spool):
    write_event(spool, error_event())
    response = app.get("/", {"q": SCRIPT + '"', "transaction": SCRIPT, "group": SCRIPT, "kind": SCRIPT})
    assert "<script>alert" not in response.text
    assert response.html.select_one("[name=q]")["value"] == SCRIPT + '"'


def test_what_turns_text_around_or_cannot_be_seen_is_made_visible(app, spool):
    write_event(
        spool,
        error_event(exception=[{"type": "A\u202eB", "value": "nul\x00 esc\x1b del\x7f \u2066x \ud83d"}]),
    )
    response = app.get(f"/envelope/{ERROR_ID}")
    assert "A\ufffdB" in response.text
    assert "nul\u2400 esc\u241b del\u2421 \ufffdx ?" in response.text


@pytest.mark.parametrize(
    "junk", [None, 7, -1.5, "text", [], {}, [[]], [None], {"values": 3}, True, 10**30, {"a": {}}]
)
def test_fields_of_the_wrong_type_do_not_break_a_page(app, spool, junk):
    def change(payload):
        return dict.fromkeys(payload, junk)

    ids = fill_spool(spool, change)
    for response in all_pages(app, ids):
        assert response.html.select_one("h1, #live")
    list(all_copies(app, ids))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


def replaced(draw, value):
    """Draw a payload in which some parts are anything else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {name: replaced(draw, item) for name, item in value.items()}
    if isinstance(value, list):
        return [replaced(draw, item) for item in value]
    return value


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nothing_in_an_envelope_breaks_a_page(tmp_path_factory, data):
    spool = Spool(tmp_path_factory.mktemp("hostile") / "spool")

    def change(payload):
        found = replaced(data.draw, payload)
        return found if isinstance(found, dict) else {"what": found}

    ids = fill_spool(spool, change)
    app = TestApp(main({}, spool_dir=str(spool.directory)), extra_environ=LOOPBACK)
    for response in all_pages(app, ids):
        assert "<script>" not in response.text
        response.body.decode("utf-8")
    for response in all_copies(app, ids):
        if response.content_type == "text/plain":
            response.body.decode("utf-8")


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=200), cut=st.integers(0, 400))
def test_nothing_in_a_file_breaks_a_page(tmp_path_factory, content, cut):
    spool = Spool(tmp_path_factory.mktemp("hostile") / "spool")
    whole = write_event(spool, error_event())
    whole.path.write_bytes(whole.path.read_bytes()[:cut] + content)
    app = TestApp(main({}, spool_dir=str(spool.directory)), extra_environ=LOOPBACK)
    for path in ("/", f"/envelope/{ERROR_ID}"):
        assert app.get(path).html.h1


@settings(max_examples=60)
@given(path=st.text(max_size=30), query=st.text(max_size=60))
def test_nothing_in_an_address_breaks_a_page(tmp_path_factory, path, query):
    app = main({}, spool_dir="/nowhere/at/all")
    environ = TestApp.RequestClass.blank("/").environ
    environ.update(LOOPBACK, PATH_INFO="/" + path.encode("utf-8", "replace").decode("latin-1"))
    environ["QUERY_STRING"] = query.encode("utf-8", "replace").decode("latin-1")
    started = []
    b"".join(app(environ, lambda status, headers: started.append(status)))
    assert started[0][:3] in ("200", "404")


def test_deeply_nested_payloads_are_reported(app, spool):
    file = write_item(spool, "novelty", {})
    deep = "[" * 900 + "]" * 900
    for payload in (
        json.dumps({"exception": 1})[:-1] + f', "extra": {{"a": {deep}}}}}',
        "[" * 9000 + "]" * 9000,
    ):
        header = json.dumps({"type": "event", "length": len(payload)})
        file.path.write_text(f"{{}}\n{header}\n{payload}\n")
        os.utime(file.path, ns=(1, len(payload)))
        assert app.get(f"/envelope/{file.id}").html.h1
        assert app.get("/?kind=other").html.h1


# Files


def test_a_file_that_is_half_there_does_not_break_the_list(app, spool, titles, words):
    write_event(spool, error_event())
    broken = write_event(spool, transaction_event())
    broken.path.write_bytes(b"\xff garbage")
    assert titles(app.get("/?kind=all")) == ["Unreadable transaction", "OrderError"]
    assert words(app.get(f"/envelope/{TRANSACTION_ID}").html.h1) == "This file cannot be read"


def test_irregular_files_are_reported(app, spool, titles, tmp_path):
    for number, make in enumerate((os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path))):
        file = write_event(spool, error_event(event_id=f"{number:032x}"))
        file.path.unlink()
        make(file.path)
    response = app.get("/")
    assert titles(response) == ["Unreadable error"] * 3
    assert "root:" not in app.get(f"/envelope/{2:032x}").text


def test_files_of_others_are_counted_and_left_alone(app, spool, titles, words):
    write_event(spool, error_event())
    for name in ("event.envelope", "notes.txt", ".hidden.envelope.partial", "x" * 200 + ".envelope"):
        (spool.directory / name).write_text(SCRIPT)
    response = app.get("/")
    assert titles(response) == ["OrderError"]
    assert "2 files with names that are not a spool" in words(response.html.select_one(".foot"))


def test_file_that_disappears_during_the_request_is_not_found(app, spool, words, monkeypatch):
    from sentry_paste.inbox import details

    file = write_event(spool, error_event())
    load = details.load

    def gone(entry):
        file.path.unlink(missing_ok=True)
        return load(entry)

    monkeypatch.setattr(details, "load", gone)
    response = app.get(f"/envelope/{ERROR_ID}", status=404)
    assert "It may have been sent since" in words(response.html.main)


def test_file_that_is_renamed_during_the_request_is_found(app, spool, words, monkeypatch):
    from sentry_paste.inbox import details

    file = write_event(spool, error_event())
    load = details.load

    def claimed(entry):
        if entry.file.state == "waiting":
            spool.set_aside(file, "http 413")
        return load(entry)

    monkeypatch.setattr(details, "load", claimed)
    assert words(app.get(f"/envelope/{ERROR_ID}").html.h1) == "OrderError"


def test_a_file_that_goes_before_it_is_read_is_no_row(app, spool, titles, monkeypatch):
    from sentry_paste.inbox import index

    file = write_event(spool, error_event())
    summarise = index.summarise

    def gone(*args):
        file.path.unlink(missing_ok=True)
        return summarise(*args)

    monkeypatch.setattr(index, "summarise", gone)
    assert titles(app.get("/")) == []


def test_unreadable_directory_is_reported(inbox, tmp_path, words):
    (tmp_path / "file").write_text("")
    text = words(inbox("spool_dir = file").get("/").html.main)
    assert "The spool directory cannot be read." in text


def test_nothing_in_the_spool_is_changed_by_looking(app, spool):
    ids = fill_spool(spool, dict)
    before = {path.name: path.stat().st_mtime_ns for path in spool.directory.iterdir()}
    list(all_pages(app, ids))
    assert {path.name: path.stat().st_mtime_ns for path in spool.directory.iterdir()} == before


def test_variables_with_the_names_of_python_are_text(app, spool):
    values = [{"type": "E", "stacktrace": {"frames": [frame("f", True, vars={"__class__": SCRIPT})]}}]
    write_event(spool, error_event(exception=values))
    assert SCRIPT in app.get(f"/envelope/{ERROR_ID}").html.select_one(".variables").get_text()


def test_equal_lines_of_a_long_trace_are_compared_with_a_few_others(app, spool, monkeypatch):
    """Clients choose how many requests are of one trace, and each of them may log the same."""
    compared = []

    class Counted(float):
        def __lt__(self, other):
            compared.append(1)
            return float(self) < other

        def __sub__(self, other):
            compared.append(1)
            return float(self) - other

        __rsub__ = __gt__ = __sub__

    write_item(spool, "log", {"items": [{**LOG["items"][0], "timestamp": 1 + n / 10} for n in range(3000)]})
    crumbs = [{"type": "log", "message": "b", "timestamp": n} for n in range(1000, 1100)]
    write_event(spool, error_event(timestamp=2000, breadcrumbs=crumbs))
    seconds = traces.seconds
    monkeypatch.setattr(traces, "seconds", lambda time: Counted(seconds(time)))
    page = app.get(f"/envelope/{ERROR_ID}")
    assert "earlier lines not shown" in page.text
    assert len(compared) < 100_000


@pytest.mark.parametrize("root", ["//evil.example", "//evil.example/inbox", "//"])
def test_no_link_leads_to_another_host_by_where_the_inbox_is_mounted(app, spool, root):
    """Some routes put a part of the address that a client chooses into SCRIPT_NAME."""
    write_event(spool, error_event())
    for path in ("/", f"/envelope/{ERROR_ID}", f"/trace/{TRACE}"):
        html = app.get(path, extra_environ={"SCRIPT_NAME": root}).html
        for name in ("href", "src", "action"):
            assert not [tag for tag in html.select(f"[{name}]") if tag[name].startswith("//")]
