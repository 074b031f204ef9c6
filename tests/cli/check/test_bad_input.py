"""Whatever is in a file, check and send-test say something about it, and never raise."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentry_paste.cli.main import main

import pages
from check_reports import INIS, SENTRY
from steps import steps_of

COMPLETE = (
    SENTRY
    + """
[DEFAULT]
sentry.environment = ${STAGE:-test}
zone = %(here)s

[composite:main]
use = egg:Paste#urlmap
/ = shop
/admin = config:test.ini#admin
/other = config:other.ini

[pipeline:admin]
pipeline = sentry
    egg:Paste#gzip
    shop

[app:shop]
use = base
set debug = true
get zone = zone
filter-with = second

[app:base]
paste.app_factory = apps:make_app
url = postgresql://u:p@h/db

[filter:second]
use = config:other.ini#sentry
sample_rate = 0.5

[loggers]
keys = root

[handlers]
keys = sentry

[handler_sentry]
class = sentry_sdk.integrations.logging.EventHandler
args = ('https://k@h/1',)
"""
)

OF_DOCS = [
    block.text
    for folder in ("deployments", "moving")
    for page in pages.all_pages(folder)
    for block in page.blocks
    if block.language == "ini"
]
FILES = [*sorted(INIS.glob("*.ini")), Path(__file__).parents[3] / "example.ini"]
TEXTS = [COMPLETE, *(path.read_text(encoding="utf-8") for path in FILES), *OF_DOCS]

#: Lines that lead back to where they are, or nowhere.
CIRCLES = [
    "use = main",
    "use = shop",
    "use = base",
    "use = config:test.ini",
    "use = config:other.ini",
    "use = config:other.ini#sentry",
    "use = config:.",
    "use = config:",
    "use = egg:",
    "use = egg:#",
    "use = call:",
    "use = :",
    "use = sentry",
    "use =",
    "app = main",
    "next = main",
    "pipeline = main",
    "pipeline = sentry main",
    "pipeline = sentry sentry sentry",
    "filter-with = sentry",
    "filter-with = second",
    "filter-with =",
    "/ = main",
    "/ =",
    "x = %(x)s",
    "here = %(here)s",
    "__file__ = x",
    "set __file__ = /",
    "get a = b",
    "set = 1",
    "get = 1",
    "paste.app_factory = :",
    "paste.filter_factory = sentry_paste:filter_factory",
    "paste.composite_factory = sentry_paste",
    "[filter:sentry]",
    "[app:main]",
    "[DEFAULT]",
    "[]",
    "[ ]",
    "[:]",
    "[composite:main]",
]


@st.composite
def spoiled(draw):
    """Return bytes that were an ini before."""
    data = draw(st.sampled_from(TEXTS)).encode()
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["cut", "swap", "byte", "line", "double", "encoding"]))
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        if kind == "cut":
            data = data[:place]
        elif kind == "swap":
            other = draw(st.integers(0, max(len(data) - 1, 0)))
            low, high = sorted((place, other))
            data = (
                data[:low]
                + data[high : high + 20]
                + data[low + 20 : high]
                + data[low : low + 20]
                + data[high:]
            )
        elif kind == "byte":
            data = data[:place] + draw(st.binary(min_size=1, max_size=3)) + data[place + 1 :]
        elif kind == "double":
            data = data + data[place : place + 200]
        elif kind == "encoding":
            data = data.decode("utf-8", "replace").encode(
                draw(st.sampled_from(["utf-16", "utf-8-sig", "utf-32", "cp037", "utf-7"])), "replace"
            )
        else:
            lines = data.split(b"\n")
            number = place % len(lines)
            lines.insert(number, draw(st.sampled_from(CIRCLES)).encode())
            data = b"\n".join(lines)
    return data


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=spoiled(), other=spoiled(), command=st.sampled_from([["check"], ["check", "--json"], ["send-test"]])
)
def test_spoiled_ini_is_no_traceback(tmp_path_factory, capsys, data, other, command):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "test.ini"
    path.write_bytes(data)
    (folder / "other.ini").write_bytes(other)
    if command == ["send-test"]:
        command = ["send-test", "--timeout", "0.1"]
    assert main([*command, str(path)]) in (0, 1, 2)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    if command == ["check", "--json"]:
        json.loads(captured.out)


@pytest.mark.parametrize("name", ["", "main", "sentry", "#", "\0", "a b", "main#x", "%(here)s"])
def test_name_of_an_app_may_be_anything(write_ini, capsys, name):
    assert main(["check", f"{write_ini(COMPLETE)}#{name}"]) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", ["", ".", "/", "/dev/null", "\0", "config:", "c2c://", "x" * 5000, "?", "#", "*.ini"]
)
def test_path_may_be_anything(capsys, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["check", path]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("sentry-paste: ")
    assert Path.cwd() == tmp_path


def test_steps_to_read_a_large_ini_grow_with_its_size(write_ini):
    """A pipeline of many filters, and many files that are mounted."""

    def steps(filters, files):
        names = [f"f{number}" for number in range(filters)]
        sections = "".join(f"[filter:{name}]\nuse = egg:none#{name}\n" for name in names)
        mounts = ""
        for number in range(files):
            write_ini(SENTRY + "[app:main]\nuse = egg:none\nfilter-with = sentry\n", f"m{number}.ini")
            mounts += f"/{number} = config:m{number}.ini\n"
        path = write_ini(
            SENTRY + sections + f"[composite:shop]\nuse = egg:Paste#urlmap\n{mounts}"
            "[pipeline:main]\npipeline = sentry " + " ".join(names) + " shop\n"
        )
        assert main(["check", str(path)]) == 0  # and fill caches
        return steps_of(lambda: main(["check", str(path)]))

    # It is linear; it would be 16 times with the square of the size.
    assert steps(200, 24) < 5 * steps(50, 6)


@pytest.mark.parametrize("title", ["[app:main", "[app:main ; the app"])
def test_title_without_its_bracket_is_named_with_its_line(write_ini, capsys, title):
    path = write_ini(SENTRY + title + "\nuse = egg:myapp\nfilter-with = sentry\n")
    assert main(["check", "--json", str(path)]) == 2
    mistakes = json.loads(capsys.readouterr().out)["mistakes"]
    line = SENTRY.count("\n") + 1
    (named,) = [one for one in mistakes if one["code"] == "syntax"]
    assert (named["line"], named["text"]) == (line, "is the title of a section, and has no ] at its end")


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("filter-with = sentry", "filter-with =", 8, "filter-with in [app:main] has no value"),
        ("use = egg:myapp", "use =", 7, "use in [app:main] has no value"),
        ("= sentry", "= sentry f", 8, "filter-with in [app:main] names sentry f"),
    ],
)
def test_value_that_is_no_name_is_named_with_its_line(write_ini, capsys, old, new, line, text):
    app = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
    path = write_ini(SENTRY + app.replace(old, new))
    assert main(["check", "--json", str(path)]) == 2
    (mistake,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert (mistake["path"], mistake["line"]) == (str(path), line)
    assert mistake["text"].startswith(text)
