"""What the page of an error or a trace shows first: its request, the code, variables, links to the editor."""

import subprocess
import sys

import pytest

from sentry_paste import SentryMiddleware
from sentry_paste.config.options import options
from sentry_paste.inbox.editor import NAMES, Editor
from sentry_paste.inbox.highlight import Sources, source
from sentry_paste.inbox.present import raising_frame
from sentry_paste.spool.contents import Error, Frame

from spooled import ERROR_ID, SCRIPT, TRACE, error_event, frame, transaction_event, write_event, write_item
from wsgi_calls import call, environ_of


@pytest.fixture
def shown(app, spool):
    """The page of an error."""

    def shown(**event):
        for file in spool.directory.glob("*.envelope") if spool.directory.exists() else ():
            file.unlink()
        write_event(spool, error_event(**event))
        return app.get(f"/envelope/{ERROR_ID}").html

    return shown


def one_error(*frames, **more):
    return {"exception": [{"type": "E", "value": "v", "stacktrace": {"frames": list(frames)}, **more}]}


# The request


def traced(**more):
    at = {"trace": {"trace_id": TRACE, "span_id": "1" * 16, **more.pop("trace", {})}}
    request = {"method": "POST", "url": "http://shop.example/pay", "query_string": "table=7"}
    return transaction_event(**{"contexts": {**at, **more.pop("contexts", {})}, "request": request, **more})


@pytest.mark.parametrize(
    ("trace", "contexts", "status", "tone"),
    [
        ({"status": "ok"}, {"response": {"status_code": 200}}, "200 OK", "fine"),
        (
            {"status": "internal_error"},
            {"response": {"status_code": 500}},
            "500 Internal Server Error",
            "failed",
        ),
        ({}, {"response": {"status_code": "404"}}, "404 Not Found", "refused"),
        (
            {"status": "internal_error"},
            {"response": {"status_code": 200}},
            "200 OK, internal error",
            "failed",
        ),
        ({"status": "internal_error"}, {}, "internal error", "failed"),
        ({"status": "permission_denied"}, {}, "permission denied", "refused"),
        ({}, {"response": {"status_code": 799}}, "", ""),
        ({}, {"response": {"status_code": 599}}, "599", "failed"),
    ],
)
def test_trace_says_how_its_request_ended(app, spool, words, trace, contexts, status, tone):
    write_event(spool, traced(trace=trace, contexts=contexts))
    line = app.get(f"/trace/{TRACE}").html.select_one(".request-line")
    assert words(line.select_one(".method")) == "POST"
    assert line.select_one(".request-url").get_text() == "http://shop.example/pay?table=7"
    found = line.select_one(".status")
    assert (words(found), found["data-tone"]) == (status, tone) if status else found is None


def test_error_has_the_status_of_its_request(app, spool, words):
    write_event(spool, error_event())
    other = {"url": "http://other.example/", "method": "GET"}
    write_event(
        spool, {**traced(event_id="a" * 32, contexts={"response": {"status_code": 201}}), "request": other}
    )
    write_event(spool, traced(contexts={"response": {"status_code": 503}}))
    line = app.get(f"/envelope/{ERROR_ID}").html.select_one(".request-line")
    assert words(line) == "POST http://shop.example /pay?table=7 503 Service Unavailable in checkout"
    assert line.select_one(".status")["data-tone"] == "failed"


def test_error_that_nobody_handled_crashed_its_request(shown, words):
    assert words(shown().select_one(".status")) == "crashed"


def test_error_without_a_request_has_no_line_for_it(shown):
    assert shown(request=None, transaction=None, exception=[{"type": "E"}]).select(".request-line") == []


def test_failed_trace_leads_to_its_error_from_the_top(app, spool, words):
    write_event(spool, error_event())
    write_event(spool, traced())
    (link,) = app.get(f"/trace/{TRACE}").html.select(".trace-error a")
    assert (words(link), link["href"]) == ("OrderError: table 7", f"/envelope/{ERROR_ID}")


@pytest.mark.parametrize(
    ("status", "shown", "tone"),
    [
        ("internal_error", "internal error", "failed"),
        ("error", "error", "failed"),
        ("not_found", "not found", "refused"),
        ("ok", None, None),
        (None, None, None),
        (SCRIPT, SCRIPT, "failed"),
    ],
)
def test_spans_that_failed_look_failed(app, spool, status, shown, tone):
    event = traced()
    event["spans"][0]["status"] = status
    write_event(spool, event)
    bar = app.get(f"/trace/{TRACE}").html.select("a.bar")[1]
    assert bar.get("data-failed") == tone
    assert [one.get_text() for one in bar.select(".bar-failed")] == ([shown] if shown else [])


# The code


def test_values_are_shown_as_they_were(app, spool, words):
    """An app's own variables, as the SDK captures them."""

    def shop(environ, start_response):
        cart = {"soup": 2, "risotto": "1", "nested": {"ok": True}}
        raise ValueError(len(cart))

    call(SentryMiddleware(shop, spool_dir=str(spool.directory)), environ_of("/"))
    (link,) = app.get("/").html.select("a.row")
    pairs = app.get(link["href"]).html.select_one(".variables .pairs")
    assert '{"soup": 2, "risotto": "1", "nested": {"ok": True}}' in [words(dd) for dd in pairs.select("dd")]


def test_variables_are_open_only_in_the_frame_that_raised(shown):
    html = shown(
        **one_error(
            frame("outer", True, vars={"a": "1"}),
            frame("inner", True, vars={"b": "2"}),
            frame("library", False, vars={"c": "3"}),
        )
    )
    opened = [variables.dt.get_text() for variables in html.select(".variables[open]")]
    assert opened == ["b"]


@pytest.mark.parametrize("name", ["<module>", "<lambda>", "<listcomp>"])
def test_frames_with_names_in_angle_brackets_are_folded(shown, words, name):
    html = shown(**one_error(frame(name, True, filename="a.py"), frame("charge", True)))
    frames = {words(one.summary.code): one.has_attr("open") for one in html.select(".frame")}
    assert frames == {"charge": True, name: False}


def test_frames_of_generated_code_are_among_those_of_libraries(shown, words):
    html = shown(
        **one_error(frame("charge", True), {"function": "__init__", "filename": "<string>", "lineno": 2})
    )
    assert words(html.select_one(".library > summary")) == "1 library frame"
    assert words(html.select_one(".frame[open] code")) == "charge"


def test_frame_that_raised_is_open_even_if_its_name_is_in_angle_brackets(shown, words):
    html = shown(**one_error(frame("charge", True), frame("<lambda>", True, filename="a.py")))
    assert [one.has_attr("open") for one in html.select(".frame")] == [True, True]


def made(name, in_app=True, filename="a.py", context=((1, "x"),)):
    return Frame(name, filename, 1, in_app, context, ())


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ([made("a"), made("b")], "b"),
        ([made("a"), made("b", in_app=False)], "a"),
        ([made("a"), made("b", filename="<string>")], "a"),
        ([made("a"), made("b", context=())], "a"),
        ([made("a", context=()), made("b", in_app=False)], "a"),
        ([made("a", in_app=False), made("b", in_app=False, context=())], "a"),
        ([made("a", in_app=False, context=())], "a"),
        ([], None),
    ],
)
def test_frame_to_look_at_first_is_the_innermost_of_the_app_with_source(frames, found):
    frame_ = raising_frame(Error("E", "", None, "", tuple(frames)))
    assert (frame_.function if frame_ else None) == found


# Highlighting


def lines_of(*lines, current=1, filename="shop.py"):
    context = tuple(enumerate(lines, start=1))
    return [str(line) for _, line in source(Frame("f", filename, current, True, context, ()))]


def test_source_is_highlighted():
    pytest.importorskip("pygments")
    assert lines_of('    return "soup"  # hot') == [
        '    <span class="hl-keyword">return</span> <span class="hl-string">&#34;</span>'
        '<span class="hl-string">soup</span><span class="hl-string">&#34;</span>'
        '  <span class="hl-comment"># hot</span>'
    ]


def test_snippet_that_begins_within_a_docstring_is_highlighted_as_code():
    pytest.importorskip("pygments")
    lines = lines_of("    of a docstring.", '    """', "    return None", current=3)
    assert "hl-keyword" in lines[2]
    assert 'class="hl-string">    of a docstring.<' in lines[0]


@pytest.mark.parametrize(
    "line", [SCRIPT, f'"{SCRIPT}"', f"# {SCRIPT}", f"@{SCRIPT}", f"'''{SCRIPT}", "\r<b>\x00\u202e"]
)
def test_highlighted_source_is_escaped(shown, line):
    html = shown(**one_error(frame("f", True, context_line=line)))
    (current,) = html.select(".source .current")
    assert not current.find(["script", "b"])
    assert line[-5:].replace("\x00\u202e", "\u2400\ufffd") in current.get_text()


@pytest.mark.parametrize(
    ("lines", "filename"),
    [
        (["x" * 2000], "a.py"),
        (["x = 1"] * 3000, "a.py"),
        (["{% if x %}"], "a.jinja2"),
        ([], "a.py"),
        ([""], "a.py"),
    ],
)
def test_other_source_is_plain(lines, filename):
    assert lines_of(*lines, filename=filename) == lines


def test_page_takes_only_so_long_to_highlight(monkeypatch):
    pytest.importorskip("pygments")
    monkeypatch.setattr("sentry_paste.inbox.highlight._MAX_SECONDS", 1e-9)
    sources = Sources()
    frames = [Frame("f", "a.py", 1, True, ((1, f"return {number}"),), ()) for number in range(2)]
    assert "hl-keyword" in sources(frames[0])[0][1]
    assert sources(frames[1]) == [(1, "return 1")]


def test_source_is_plain_without_pygments(tmp_path):
    script = (
        "import sys\n"
        "sys.modules['pygments'] = sys.modules['pygments.lexers.python'] = None\n"
        "from sentry_paste.inbox.highlight import source\n"
        "from sentry_paste.spool.contents import Frame\n"
        "print(source(Frame('f', 'a.py', 1, True, ((1, 'return 1'),), ())))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=180
    )
    assert ended.stdout == "[(1, 'return 1')]\n"


# Links into the editor


def link(editor, path="/srv/a b&c.py", line=7):
    return Editor(editor).link(Frame("f", "a.py", line, True, (), (), path))


@pytest.mark.parametrize(
    ("editor", "address"),
    [
        ("vscode", "vscode://file/srv/a%20b%26c.py:7"),
        ("PyCharm", "pycharm://open?file=/srv/a%20b%26c.py&line=7"),
        ("sublime", "subl://open?url=file:///srv/a%20b%26c.py&line=7"),
        ("my-editor://open?f={path}#{line}", "my-editor://open?f=/srv/a%20b%26c.py#7"),
        (
            "vscode://vscode-remote/wsl+Ubuntu{path}:{line}",
            "vscode://vscode-remote/wsl+Ubuntu/srv/a%20b%26c.py:7",
        ),
        ("http://localhost:63342/api/file{path}", "http://localhost:63342/api/file/srv/a%20b%26c.py"),
        ("", ""),
    ],
)
def test_editor_has_an_address_for_a_line(editor, address):
    assert link(editor) == address


@pytest.mark.parametrize("name", NAMES)
def test_editor_opens_paths_of_windows(name):
    assert "C:/shop/a.py" in link(name, "C:\\shop\\a.py")


@pytest.mark.parametrize(
    "path", ["", "a.py", "../a.py", "//host/share/a.py", "\\\\host\\share", "/a\nb", "<string>"]
)
def test_path_that_is_not_of_this_machine_has_no_link(path):
    assert link("vscode", path) == ""


def test_line_that_is_unknown_has_no_link():
    assert link("vscode", line=None) == ""


def test_frames_link_into_the_editor(inbox, spool, words):
    write_event(spool, error_event(**one_error(frame("charge", True, abs_path="/srv/charge.py"))))
    html = inbox("spool_dir = spool\neditor = vscode").get(f"/envelope/{ERROR_ID}").html
    (found,) = html.select(".frame a")
    assert (words(found), found["href"]) == ("Open in VS Code", "vscode://file/srv/charge.py:12")


def test_frames_link_nowhere_without_the_option(shown):
    assert shown(**one_error(frame("charge", True, abs_path="/srv/charge.py"))).select(".frame a") == []


# What is missing


def test_page_names_the_options_that_would_have_captured_more(shown, words):
    bare = {"function": "f", "filename": "a.py", "in_app": True}
    hints = [words(one) for one in shown(**one_error(bare)).select(".hints li")]
    assert hints == [
        "The source around each frame: set include_source_context = true",
        "Local variables: set include_local_variables = true",
        "Where the time of the request went: set traces_sample_rate = 1.0",
        *(["Log lines before it: set enable_logs = true"] if "enable_logs" in options() else []),
        "The body of the request: set max_request_body_size = medium",
    ]


def test_option_that_the_sdk_does_not_know_is_not_named(shown, words, monkeypatch):
    known = {name: option for name, option in options().items() if name != "include_source_context"}
    monkeypatch.setattr("sentry_paste.inbox.details.options", lambda: known)
    html = shown(**one_error({"function": "f", "filename": "a.py", "in_app": True}))
    assert words(html.select_one(".hints li")) == "Local variables: set include_local_variables = true"


def test_sessions_are_a_table_before_their_json(app, spool, words):
    aggregates = [{"started": "2026-11-22T07:13:00Z", "exited": 8, "errored": 2, "crashed": 1}]
    attrs = {"release": "shop@2.1", "environment": "staging"}
    file = write_item(spool, "sessions", {"aggregates": aggregates, "attrs": attrs})
    html = app.get(f"/envelope/{file.id}").html
    assert words(html.select_one(".ended tbody")) == "2026-11-22 07:13:00.000 UTC 8 2 1"
    assert "Environment staging Release shop@2.1" in words(html.select_one(".facts"))
    assert not html.select_one("details.raw").has_attr("open")


# The way back to the app


def test_header_leads_back_to_the_app(inbox):
    app = inbox("spool_dir = spool\napp_url = http://localhost:6543/")
    assert app.get("/").html.select_one("a.app-link")["href"] == "http://localhost:6543/"


@pytest.mark.parametrize(("root", "address"), [("/inbox", "/"), ("/a/inbox", "/a/")])
def test_app_is_thought_above_the_inbox(app, root, address):
    html = app.get("/", extra_environ={"SCRIPT_NAME": root}).html
    assert html.select_one("a.app-link")["href"] == address


def test_inbox_at_the_root_leads_nowhere_else(app):
    assert app.get("/").html.select("a.app-link") == []


def test_times_keep_utc_in_their_title(shown):
    for time in shown().select("time"):
        assert time["title"].endswith(" UTC")
