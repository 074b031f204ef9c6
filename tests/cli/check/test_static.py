"""An ini is read without loading it, and as PasteDeploy reads it."""

import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paste.deploy import loadapp

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.static import read_structure
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.main import main
from sentry_paste.config import read_ini

from check_reports import SENTRY

LAYOUTS = {
    "pipeline": """
        [filter:sentry]
        use = egg:sentry_paste
        server_name = %(here)s

        [pipeline:main]
        pipeline = sentry app
        """,
    "bare egg": """
        [DEFAULT]
        sentry.server_name = a

        [pipeline:main]
        pipeline = egg:sentry_paste app
        """,
    "filter-with, set and get": """
        [DEFAULT]
        zone = a
        debug = false

        [filter:sentry]
        use = base
        set debug = true
        get tags.zone = zone

        [filter:base]
        use = egg:sentry_paste#sentry
        tags.zone = b
        server_name = c

        [app:main]
        use = app
        filter-with = sentry
        set zone = d
        """,
    "filter-app": """
        [filter-app:main]
        use = egg:sentry_paste
        next = app
        server_name = b
        """,
    "composite": """
        [composite:main]
        use = egg:sentry_paste
        app = app
        server_name = b
        """,
    "composite in a section that says app": """
        [app:main]
        use = egg:sentry_paste
        app = app
        server_name = b
        """,
    "other file": """
        [DEFAULT]
        server_name = d

        [pipeline:main]
        pipeline = sentry app

        [filter:sentry]
        use = config:other.ini#base
        tags.zone = a
        """,
    "factory by name": """
        [filter:sentry]
        paste.filter_app_factory = sentry_paste:filter_app_factory
        server_name = a

        [pipeline:main]
        pipeline = sentry app
        """,
}


@pytest.mark.parametrize("variables", [{}, {"server_name": "e", "zone": "f"}], ids=["plain", "variables"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_check_reads_the_settings_that_a_start_reads(write_ini, monkeypatch, layout, variables):
    write_ini("[DEFAULT]\nzone = g\n[filter:base]\nuse = egg:sentry_paste\nserver_name = h\n", "other.ini")
    path = write_ini(textwrap.dedent(LAYOUTS[layout]) + "\n[app:app]\npaste.app_factory = apps:make_app\n")
    read = {"start": [], "check": []}

    def recorder(reader):
        def read_and_record(global_conf, local_conf, *_more):
            read[reader].append((dict(global_conf), dict(local_conf)))
            return read_ini(global_conf, local_conf)

        return read_and_record

    monkeypatch.setattr("sentry_paste.factories.read_ini", recorder("start"))
    monkeypatch.setattr("sentry_paste.cli.check.report.read_ini", recorder("check"))
    loadapp(f"config:{path}", global_conf=dict(variables))
    check(str(path), variables=variables)
    assert read["check"] == read["start"]
    assert len(read["start"]) == 1


SECTIONS = {
    "app:a": "use = egg:none",
    "filter:sentry": "use = egg:sentry_paste\ndsn = https://key@host.example/1",
    "filter:f": "use = egg:other",
}


MAINS = [
    ("app:main", "use = egg:none"),
    ("app:main", "use = a"),
    ("pipeline:main", "pipeline = sentry a"),
    ("pipeline:main", "pipeline = f sentry f a"),
    ("composite:main", "use = egg:sentry_paste\napp = a"),
    ("composite:main", "use = egg:Paste#urlmap\n/ = a\n/b = a"),
    ("filter-app:main", "use = egg:sentry_paste\nnext = a"),
]


OPTIONS = """
use = egg:sentry_paste
use = egg:none
use = a
use = f
use = main
use = sentry
use = config:test.ini#a
use = egg:Paste#urlmap
app = a
app = main
next = a
pipeline = sentry a
pipeline = f sentry f a
pipeline = main
filter-with = sentry
filter-with = f
filter-with = egg:sentry_paste
/ = a
/b = main
c = sentry a
dsn = https://key@host.example/1
dsn = %(x)s
x = %(here)s
set x = 1
get x = y
paste.app_factory = none:f
paste.filter_factory = none:f
paste.app_factory = oslo_middleware:Healthcheck.app_factory
require = none
use = egg:ckan
use = egg:swift#catch_errors
use = egg:sentry_paste#inbox
pyramid.includes = sentry_paste
sentry.dsn = https://key@host.example/1
sentry.before_send = none:f
before_send = none:f
""".strip().splitlines()


def name_of(line):
    return line.partition(" = ")[0]


@settings(max_examples=300)
@given(
    main=st.sampled_from(MAINS),
    # One section or two are changed: of what is all by chance, nearly nothing is an ini.
    changed=st.dictionaries(
        st.sampled_from(["main", *SECTIONS]),
        st.lists(st.sampled_from(OPTIONS), max_size=2, unique_by=name_of),
        max_size=2,
    ),
)
def test_any_ini_is_reported_or_refused_in_one_line(tmp_path_factory, main, changed):
    path = tmp_path_factory.getbasetemp() / "test.ini"
    written = []
    for section, text in {**SECTIONS, main[0]: main[1]}.items():
        more = changed.get("main" if section == main[0] else section, [])
        lines = {name_of(line): line for line in [*text.splitlines(), *more]}
        written += [f"[{section}]", *lines.values()]
    path.write_text("\n".join(written))
    try:
        report = check(str(path))
    except IniError as error:
        refusal = str(error)
        assert len(refusal.splitlines()) == 1
        return
    assert report_text(report)
    assert (report.status() == 2) is any(found.mistake for found in report.filters)
    assert report.status(strict=True) >= report.status()
    assert [warned for warned in report.warnings if "\n" in warned.text] == []


def test_check_does_not_import_the_app(starter, tmp_path, monkeypatch):
    (tmp_path / "poisoned.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = starter("filter-with = sentry", SENTRY)
    path.write_text(
        path.read_text().replace("use = egg:pyramid_scaffold", "paste.app_factory = poisoned:main")
    )
    assert check(str(path)).status() == 0
    assert "poisoned" not in sys.modules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[app:shop]\nuse = egg:a\n", "its apps are: shop; name one, as in test.ini#shop"),
        ("nonsense\n", "File contains no section headers"),
        ("[app:main]\nuse = main\n", "a section refers back to itself"),
        ("[app:main]\nuse = egg:a\nx = %(nowhere)s\n", "Bad value substitution"),
        (
            "[app:main]\nuse = egg:a\nrate = 50%\n",
            "found: '%', in rate of [app:main]; write a percent sign as %%",
        ),
        (
            "[app:main]\nuse = egg:a\nget x = nowhere\n",
            "get x refers to nowhere, which [DEFAULT] does not have",
        ),
        ("[pipeline:main]\npipeline =\n", "pipeline in [pipeline:main] names no app"),
        ("\ufeff[app:main]\nuse = egg:a\n", "begins with a byte order mark"),
        ("[app:main]\nx = 1\n", "No loader given in section 'app:main'"),
        ("[app:main]\nuse = ftp:a\n", "'ftp:a' has a scheme that PasteDeploy does not know"),
        ("[app:main]\nuse = egg:a\nfilter-with = b\n", "No section 'b'"),
        ("[pipeline:main]\npipeline = a\nx = 1\n[app:a]\nuse = egg:a\n", "extra (disallowed) settings: x"),
        (
            "[app:main]\nuse = egg:a\n[pipeline:main]\npipeline = a\n",
            "more than one section for the app 'main'",
        ),
        ("[app:main]\nuse = config:none.ini\n", "none.ini: No such file or directory"),
        ("[app:main]\nuse = egg:a\nfilter-with = egg:sentry_paste#none\n", "Entry point 'none' not found"),
    ],
)
def test_ini_that_does_not_load_is_one_line_on_stderr(write_ini, capsys, text, expected):
    assert main(["check", str(write_ini(text))]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sentry-paste: ")
    assert expected in captured.err
    assert captured.err.count("\n") == 1


def test_missing_file_is_one_line_on_stderr(capsys):
    assert main(["check", "none.ini"]) == 2
    assert capsys.readouterr().err.endswith("none.ini: No such file or directory\n")


def test_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "x.ini").write_bytes(b"[app:main]\nuse = \xff\xfe\n")
    with pytest.raises(IniError, match=r"x.ini: is not text in utf-8: line 2"):
        read_structure(str(tmp_path / "x.ini"))


def test_factory_that_we_do_not_have_is_a_mistake(write_ini, capsys):
    wrong = SENTRY.replace("use = egg:sentry_paste", "paste.filter_factory = sentry_paste:filter_factorie")
    assert main(["check", str(write_ini(wrong + "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"))]) == 2
    assert "has no attribute 'filter_factorie'" in capsys.readouterr().err


def test_name_scheme_and_variables_are_those_of_pserve(write_ini, capsys):
    path = write_ini(SENTRY + "tags.zone = %(zone)s\n[app:shop]\nuse = egg:a\nfilter-with = sentry\n")
    assert main(["check", f"config:{path}#shop", "zone=a"]) == 0
    assert "tags.zone               a " in capsys.readouterr().out
    assert main(["check", "--variable", "zone=b", f"{path}#shop"]) == 0
    assert "tags.zone               b " in capsys.readouterr().out


def test_variable_without_a_value_is_refused(write_filter, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", str(write_filter()), "zone"])
    assert caught.value.code == 2
    assert "expected NAME=VALUE, not 'zone'" in capsys.readouterr().err
