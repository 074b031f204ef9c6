"""What sentry-paste check tells of an ini, and what it leaves alone."""

import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import sentry_sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.static import read_structure
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.main import main
from sentry_paste.cli.terminal import wants_colour
from sentry_paste.config import read_ini

INIS = Path(__file__).parent.with_name("inis")

SENTRY = """
[filter:sentry]
use = egg:sentry_paste
dsn = https://public:secret@sentry.example/7
release = shop@1
"""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Nothing is connected to, unless a test says so."""

    def connect(*args, **kwargs):
        raise AssertionError(f"a connection to {args}")

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def _network(monkeypatch):
    monkeypatch.undo()


@pytest.fixture
def starter(write_ini):
    """The Pyramid starter's production.ini, with lines added to its app and to the file."""

    def write(in_app="", added=""):
        text = (INIS / "pyramid-starter-production.ini").read_text(encoding="utf-8")
        text = text.replace("use = egg:pyramid_scaffold\n", f"use = egg:pyramid_scaffold\n{in_app}\n")
        return write_ini(textwrap.dedent(added) + text)

    return write


@pytest.fixture
def zope(write_ini):
    """Zope's zope.ini, with entries added to its pipeline and lines to the file."""

    def write(first="", last="", added=SENTRY):
        text = (INIS / "zope.ini").read_text(encoding="utf-8")
        text = text.replace("pipeline =\n", f"pipeline =\n    {first}\n" if first else "pipeline =\n")
        text = text.replace("\n    zope\n", f"\n    {last}\n    zope\n" if last else "\n    zope\n")
        return write_ini(added + text)

    return write


def ini(write_ini, options="", sections="[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"):
    return write_ini(SENTRY + textwrap.dedent(options) + sections)


def states(report):
    """Name and state of every layer, as the text has them."""
    lines = report_text(report).splitlines()
    begin = lines.index("From the outermost to the app") + 1
    rows = [line for line in lines[begin : lines.index("", begin)] if line[2:3].strip()]
    found = [(line[2:11].strip(), line[13:].strip().split("  ")[0]) for line in rows]
    return [row for row in found if row[0] in ("SENTRY", "covered", "outside", "no Sentry")]


def warnings_of(report, severity=None):
    return [warning.text for warning in report.warnings if severity in (None, warning.severity)]


def values(report, filter_=0):
    return {value.name: (value.text, value.origin) for value in report.filters[filter_].values}


# Where Sentry stands.


def test_pyramid_starter_with_filter_with_is_covered_and_needs_no_egg(starter):
    report = check(str(starter("filter-with = sentry", SENTRY)))
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
    assert "pyramid_scaffold is not installed here." in report_text(report)
    assert (report.status(), report.warnings) == (0, ())


def test_pyramid_starter_without_a_filter_is_told_what_to_write(starter, capsys):
    assert main(["check", str(starter())]) == 1
    text = capsys.readouterr().out
    assert "Sentry is not there: nothing is reported." in text
    assert "  [filter:sentry]\n  use = egg:sentry_paste\n  dsn = ${SENTRY_DSN}\n" in text
    assert "  [app:main]\n  filter-with = sentry\n" in text


def test_what_is_told_to_write_puts_sentry_there(starter, monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "https://public@sentry.example/7")
    advised = starter(
        "filter-with = sentry", "[filter:sentry]\nuse = egg:sentry_paste\ndsn = ${SENTRY_DSN}\n"
    )
    assert check(str(advised)).status() == 0


def test_filter_that_the_app_does_not_use_is_no_filter(starter):
    report = check(str(starter(added=SENTRY)))
    assert report.status() == 1
    assert "[filter:sentry] is in the file, but nothing here uses it." in report_text(report)
    assert "  use = egg:sentry_paste\n" not in report_text(report)


@pytest.mark.parametrize(
    "use",
    [
        "egg:sentry_past",
        "egg:sentry_paste ; ours",
        "egg:sentry_paste#inbox",
        "egg:raven#raven",
        "egg:sentry-sdk",
    ],
)
def test_filter_that_is_meant_to_be_sentry_is_told_by_its_section(starter, use):
    wrong = starter("filter-with = sentry", SENTRY.replace("egg:sentry_paste", use))
    report = check(str(wrong))
    assert report.status() == 1
    assert f"  [filter:sentry]\n  use = egg:sentry_paste\n\nin place of {use}," in report_text(report)
    assert "filter-with" not in report_text(report)
    assert "pyramid_scaffold is not installed here." in report_text(report)


def test_filter_that_is_meant_to_be_sentry_is_told_in_a_pipeline(zope):
    text = report_text(check(str(zope(first="egg:sentry_past", added=""))))
    assert "  egg:sentry_paste\n\nin place of egg:sentry_past," in text


def test_section_that_another_filter_has_is_not_written_twice(starter):
    added = "[filter:sentry]\nuse = egg:c2cwsgiutils#sentry\n"
    text = report_text(check(str(starter("filter-with = sentry", added))))
    assert "  [filter:sentry_paste]\n  use = egg:sentry_paste\n" in text
    assert "filter-with = sentry_paste" in text


def test_zope_with_the_filter_last_has_the_others_outside(zope):
    report = check(str(zope(last="sentry")))
    assert states(report) == [
        ("outside", "egg:Zope#httpexceptions"),
        ("outside", "translogger"),
        ("SENTRY", "sentry"),
        ("covered", "zope"),
    ]
    (text,) = warnings_of(report)
    assert text.startswith("egg:Zope#httpexceptions, translogger are outside of sentry")
    assert text.endswith("make sentry the first of [pipeline:main]")


def test_zope_with_the_filter_first_has_nothing_outside(zope):
    report = check(str(zope(first="sentry")))
    assert [state for state, _ in states(report)] == ["SENTRY", "covered", "covered", "covered"]
    assert report.warnings == ()


def test_lines_that_start_sentry_first_have_the_pipeline_within(zope, write_ini):
    text = report_text(check(str(zope(last="sentry"))))
    begin = text.index("    [composite:main]")
    lines = textwrap.dedent(text[begin:].partition("\n\n[")[0])
    assert "in place of [pipeline:main]" in lines
    advised = re.sub(" {2,}.*", "", lines)
    assert advised.endswith("[pipeline:main-app]\npipeline = egg:Zope#httpexceptions translogger zope")
    before, _, after = zope(last="sentry").read_text().partition("[pipeline:main]")
    report = check(str(write_ini(before + advised + "\n\n[loggers]" + after.partition("[loggers]")[2])))
    assert report.filters[0].layer.placed == "composite"
    assert [state for state, _ in states(report)] == ["SENTRY", "covered", "covered", "covered"]


AROUND_A_PIPELINE = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = http://key@127.0.0.1:9/1
    [app:app]
    paste.app_factory = apps:make_app
"""


def test_lines_that_start_sentry_first_make_an_app_that_answers(write_ini, load):
    pipeline = f"{AROUND_A_PIPELINE}\n    [pipeline:main]\n    pipeline = sentry app\n"
    text = report_text(check(str(write_ini(pipeline))))
    lines = textwrap.dedent(text[text.index("    [composite:main]") :].partition("\n\n[")[0])
    advised = re.sub(" {2,}.*", "", lines)
    app = load(advised + textwrap.dedent(AROUND_A_PIPELINE))
    assert TestApp(app).get("/answer_list").status_int == 200


@pytest.mark.parametrize(
    "section",
    ["[pipeline:main]\npipeline = app\n", "[filter-app:main]\nuse = egg:sentry_paste\nnext = app\n"],
)
def test_filter_with_where_paste_makes_no_app_is_told(write_ini, load, section):
    text = textwrap.dedent(AROUND_A_PIPELINE) + section + "filter-with = sentry\n"
    warned = warnings_of(check(str(write_ini(text))), "high")
    assert [found for found in warned if "with filter-with: each request fails" in found]
    with pytest.raises(TypeError):
        TestApp(load(text)).get("/answer_list")


def test_pipeline_of_another_section_is_followed(write_ini):
    path = ini(
        write_ini,
        sections="""
[app:main]
use = inner

[pipeline:inner]
pipeline = sentry myapp

[app:myapp]
use = egg:myapp
""",
    )
    assert states(check(str(path))) == [("SENTRY", "sentry"), ("covered", "myapp")]


def test_sections_of_another_file_are_followed(write_ini):
    write_ini(SENTRY + "[app:shop]\nuse = egg:shop\nfilter-with = sentry\n", "other.ini")
    path = write_ini(
        "[composite:main]\nuse = egg:Paste#urlmap\n/shop = config:other.ini#shop\n/ = x\n"
        "[app:x]\nuse = egg:x\n"
    )
    report = check(str(path))
    assert states(report) == [
        ("outside", "main"),
        ("SENTRY", "sentry"),
        ("covered", "shop"),
        ("no Sentry", "/"),
    ]
    assert values(report)["release"] == ("shop@1", "[filter:sentry] of other.ini line 5")


def test_urlmap_tells_which_apps_have_no_sentry(write_ini):
    path = ini(
        write_ini,
        sections="""
[composite:main]
use = egg:Paste#urlmap
/ = shop
/static = static

[pipeline:shop]
pipeline = sentry myapp

[app:myapp]
use = egg:myapp

[app:static]
use = egg:Paste#static
""",
    )
    report = check(str(path))
    assert states(report) == [
        ("outside", "main"),
        ("SENTRY", "sentry"),
        ("covered", "myapp"),
        ("no Sentry", "/static"),
    ]
    assert warnings_of(report) == [
        "No Sentry stands around static: its errors are not reported; filter-with = sentry in "
        "[composite:main] is around everything"
    ]


def test_bare_egg_in_a_pipeline_is_ours(write_ini):
    path = write_ini(
        """
        [DEFAULT]
        sentry.dsn = https://public@sentry.example/7
        sentry.release = 1

        [pipeline:main]
        pipeline = egg:sentry_paste myapp

        [app:myapp]
        use = egg:myapp
        """
    )
    report = check(str(path))
    assert states(report) == [("SENTRY", "egg:sentry_paste"), ("covered", "myapp")]
    assert values(report)["dsn"] == ("https://***@sentry.example/7", "[DEFAULT] line 3")
    assert "    use = egg:sentry_paste " in report_text(report)


def test_factory_that_is_named_without_an_egg_is_ours(write_ini):
    sentry = SENTRY.replace("use = egg:sentry_paste", "paste.filter_factory = sentry_paste:filter_factory")
    app = "[app:main]\npaste.app_factory = keystone.server:app_factory\nfilter-with = sentry\n"
    path = write_ini(sentry + app)
    report = check(str(path))
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
    assert "keystone is not installed here" in report_text(report)


def test_what_is_not_installed_is_no_mistake_where_the_app_is_not_installed_either(write_ini):
    options = "before_send = swift.sentry:hook\n"
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    report = check(str(write_ini(SENTRY.replace("shop@1", "dist:swift") + options + app)))
    found = values(report)
    assert found["release"] == ("dist:swift", "[filter:sentry] line 5; swift is not installed here")
    assert found["before_send"][1].endswith("; swift is not installed here")
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_library_of_an_integration_is_no_mistake_where_the_app_is_not_installed_either(write_ini):
    options = (
        "integrations = sanic, no.such:Thing, sentry_sdk.integrations.huey.HueyIntegration\n"
        "integration.huey.x = 1\ndisabled_integrations = no.such:Other\n"
    )
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    report = check(str(write_ini(SENTRY + options + app)))
    found = {name: origin.partition("; ")[2] for name, (_, origin) in values(report).items()}
    assert found["integrations"] == "sanic, no, huey are not installed here"
    assert found["integration.huey.x"] == "huey is not installed here"
    assert found["disabled_integrations"] == "no is not installed here"
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_integration_that_there_is_not_is_a_mistake_wherever_the_app_is(write_ini):
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    report = check(str(write_ini(SENTRY + "integrations = sanik\n" + app)))
    assert report.status() == 2
    assert "did you mean sanic?" in report_text(report)


def swift(write_ini, pipeline):
    """Swift's proxy, its sections named as its documentation has them."""
    sections = "[pipeline:main]\npipeline = " + pipeline + "\n[app:proxy-server]\nuse = egg:swift#proxy\n"
    for name in ("catch_errors", "gatekeeper"):
        sections += f"[filter:{name}]\nuse = egg:swift#{name}\n"
    return str(write_ini(SENTRY + sections))


def test_behind_swifts_catcher_of_errors_sentry_is_in_its_place(write_ini):
    report = check(swift(write_ini, "catch_errors sentry gatekeeper proxy-server"))
    assert (report.status(strict=True), report.warnings) == (0, ())
    assert "filter-with" not in report_text(report)


def test_what_stands_between_swifts_catcher_and_sentry_is_told(write_ini):
    report = check(swift(write_ini, "catch_errors gatekeeper sentry proxy-server"))
    (told,) = warnings_of(report)
    assert told.startswith("gatekeeper is outside of sentry")
    assert told.endswith("write sentry right behind catch_errors")


def test_ckan_reads_its_ini_by_itself_so_its_script_is_told_and_no_filter(write_ini):
    report = check(str(write_ini("[app:main]\nuse = egg:ckan\nSECRET_KEY = x\n")))
    text = report_text(report)
    assert states(report) == [("no Sentry", "main")]
    assert "CKAN reads this file by itself" in text
    assert "SentryMiddleware" in text
    assert "  [app:main]\n  sentry.dsn = ${SENTRY_DSN}" in text
    assert "filter-with" not in text
    assert report.status() == 1


CKAN = """
[app:main]
use = egg:ckan
sentry.dsn = https://public:secret@sentry.example/7
sentry.release = dist:ckan
"""


def test_options_of_a_script_are_read_from_ckans_section(write_ini):
    report = check(str(write_ini(CKAN)))
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
    assert values(report)["dsn"] == ("https://***@sentry.example/7", "[app:main] line 4")
    assert "CKAN reads this file by itself" in report_text(report)
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_mistake_in_ckans_section_is_told(write_ini):
    report = check(str(write_ini(CKAN + "sentry.sample_rate = many\n")))
    assert report.status() == 2
    assert "line 6: sentry.sample_rate = many: expected a number from 0 to 1" in report_text(report)


@pytest.mark.parametrize(
    "options", ["", "sentry.release = shop@1\nsentry.dsn = https://key@sentry.example/7\n"]
)
def test_filter_that_ckan_does_not_read_of_is_told(write_ini, options):
    sections = f"[app:main]\nuse = egg:ckan\n{options}filter-with = sentry\n"
    report = check(str(write_ini(SENTRY + sections)))
    assert states(report)[0] == (("SENTRY", "sentry") if options else ("no Sentry", "main"))
    assert warnings_of(report, "high") == [
        "sentry does nothing: CKAN reads this file by itself, and no filter in it"
    ]


def test_other_mistakes_are_told_all_the_same(write_ini):
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    options = "sample_rate = many\nbefore_send = email:no_such_hook\n"
    (mistake,) = [
        found.mistake
        for found in check(str(write_ini(SENTRY.replace("shop@1", "dist:swift") + options + app))).filters
    ]
    assert [problem.option for problem in mistake.problems] == ["sample_rate", "before_send"]


def test_what_is_not_installed_stops_the_start_where_the_app_is_installed(write_ini):
    app = "[app:main]\nuse = egg:sentry_paste#example\nfilter-with = sentry\n"
    for sentry in (SENTRY.replace("shop@1", "dist:swift"), SENTRY + "integrations = sanic\n"):
        assert check(str(write_ini(sentry + app))).status() == 2


def test_the_example_of_ours_is_an_app(write_ini):
    report = check(
        str(ini(write_ini, sections="[app:main]\nuse = egg:sentry_paste#example\nfilter-with = sentry\n"))
    )
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]


def test_openstack_composites_are_followed_into_their_pipelines(write_ini):
    text = (INIS / "glance-api-paste.ini").read_text(encoding="utf-8")
    path = write_ini(SENTRY + text.replace("keystone = cors", "keystone = sentry cors"))
    report = check(str(path), "glance-api")
    assert ("SENTRY", "sentry") in states(report)
    assert ("covered", "authtoken") in states(report)
    assert ("no Sentry", "unauthenticated-context") in states(report)
    assert "depends on [composite:api]" in report_text(report)


def test_health_check_can_do_without_sentry(write_ini):
    """With Sentry in each pipeline, as our page has it, and a health check beside them."""
    composite = "[composite:main]\nuse = egg:Paste#urlmap\n/ = myapp\n/healthcheck = healthcheck\n"
    health = "[app:healthcheck]\npaste.app_factory = oslo_middleware:Healthcheck.app_factory\n"
    report = check(
        str(
            ini(
                write_ini,
                sections=composite
                + health
                + "[pipeline:myapp]\npipeline = sentry app\n[app:app]\nuse = egg:myapp\n",
            )
        )
    )
    assert ("no Sentry", "/healthcheck") in [(state, name.split()[0]) for state, name in states(report)]
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_filter_around_a_filter_stands_outside_of_it(write_ini):
    sections = "[filter:gzip]\nuse = egg:gzip\n[pipeline:main]\npipeline = sentry a\n[app:a]\nuse = egg:a\n"
    path = ini(write_ini, "filter-with = gzip\n", sections)
    assert states(check(str(path))) == [("outside", "gzip"), ("SENTRY", "sentry"), ("covered", "a")]


def test_filter_with_that_is_taken_is_followed_to_a_free_one(write_ini):
    path = write_ini("[filter:gzip]\nuse = egg:gzip\n[app:main]\nuse = egg:a\nfilter-with = gzip\n")
    assert "  [filter:gzip]\n  filter-with = sentry\n" in report_text(check(str(path)))


def test_sentry_inside_of_sentry_is_told(write_ini):
    path = ini(
        write_ini,
        sections="[filter:again]\nuse = sentry\n[pipeline:main]\npipeline = again sentry a\n"
        "[app:a]\nuse = egg:a\n",
    )
    report = check(str(path))
    assert warnings_of(report) == [
        "sentry stands inside another Sentry, which has the request: it does nothing"
    ]
    text = " ".join(report_text(report).split())
    assert text.count("To start Sentry first") == 1
    assert "[filter:sentry] at start-up It stands inside another Sentry" in text


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
def test_check_reads_what_a_start_reads(write_ini, monkeypatch, layout, variables):
    write_ini("[DEFAULT]\nzone = g\n[filter:base]\nuse = egg:sentry_paste\nserver_name = h\n", "other.ini")
    path = write_ini(textwrap.dedent(LAYOUTS[layout]) + "\n[app:app]\npaste.app_factory = apps:make_app\n")
    read = {"start": [], "check": []}

    def noting(who):
        def read_and_note(global_conf, local_conf, *_more):
            read[who].append((dict(global_conf), dict(local_conf)))
            return read_ini(global_conf, local_conf)

        return read_and_note

    monkeypatch.setattr("sentry_paste.factories.read_ini", noting("start"))
    monkeypatch.setattr("sentry_paste.cli.check.report.read_ini", noting("check"))
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


# Start-up.


def test_composite_reports_a_crash_of_the_factory(write_ini):
    path = write_ini(
        SENTRY.replace("[filter:sentry]", "[composite:main]") + "app = a\n[app:a]\nuse = egg:a\n"
    )
    report = check(str(path))
    assert states(report) == [("SENTRY", "main"), ("covered", "a")]
    assert "A crash of the app's factory is reported" in report_text(report)


def test_composite_without_its_app_is_a_mistake(write_ini):
    report = check(str(write_ini(SENTRY.replace("[filter:sentry]", "[composite:main]"))))
    assert "app: expected the name of the app's section" in report_text(report)
    assert report.status() == 2


def test_filter_with_starts_sentry_first(starter):
    assert "Sentry is started before the app is made" in report_text(
        check(str(starter("filter-with = sentry", SENTRY)))
    )


def test_filter_app_does_not_report_a_crash_and_is_told_what_does(write_ini):
    path = write_ini(
        SENTRY.replace("[filter:sentry]", "[filter-app:main]") + "next = a\n[app:a]\nuse = egg:a\n"
    )
    report = check(str(path))
    assert states(report) == [("SENTRY", "main"), ("covered", "a")]
    text = report_text(report)
    assert "not reported: [filter-app:main] makes the app before Sentry" in text.replace("\n  ", " ")
    assert "    [composite:main] " in text
    assert "    app = a " in text


STARTS = {
    "composite": "[composite:main]\nuse = egg:sentry_paste\ndsn = {dsn}\napp = app\n",
    "filter-with": "[app:main]\nuse = app\nfilter-with = sentry\n",
    "filter-with on a pipeline": "[pipeline:main]\npipeline = app\nfilter-with = sentry\n",
    "pipeline": "[pipeline:main]\npipeline = sentry app\n",
    "filter-app": "[filter-app:main]\nuse = egg:sentry_paste\ndsn = {dsn}\nnext = app\n",
}


@pytest.mark.usefixtures("_network")
@pytest.mark.parametrize("start", STARTS)
def test_what_is_told_of_start_up_is_what_happens(write_ini, receiver, start):
    path = write_ini(
        f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = {receiver.dsn}\n"
        + STARTS[start].format(dsn=receiver.dsn)
        + "[app:app]\npaste.app_factory = apps:make_crashing_factory\n"
    )
    code = f"from paste.deploy import loadapp; loadapp('config:{path}')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, env=environment)
    assert b"the app's factory crashed" in ended.stderr
    told = "A crash of the app's factory is not reported" not in report_text(check(str(path)))
    assert len(receiver.errors) == told


# Options.


def test_each_option_is_told_with_its_origin(write_ini, monkeypatch):
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "staging")
    path = write_ini(
        """
        [DEFAULT]
        sentry.server_name = web1

        [filter:sentry]
        use = egg:sentry_paste
        dsn = https://public:secret@sentry.example/7
        release = 1
        tags.region = eu
        proxy_headers.Proxy-Authorization = Basic dXNlcjpwYXNz

        [app:main]
        use = egg:myapp
        filter-with = sentry
        """
    )
    report = check(str(path), variables={"release": "2"})
    assert values(report) == {
        "dsn": ("https://***@sentry.example/7", "[filter:sentry] line 7"),
        "environment": ("staging", "environment SENTRY_ENVIRONMENT"),
        "release": ("2", "command line"),
        "sample_rate": ("1.0", "default"),
        "traces_sample_rate": ("not set", "default"),
        "send_default_pii": ("false", "default"),
        "proxy_headers.Proxy-Authorization": ("***", "[filter:sentry] line 10"),
        "server_name": ("web1", "[DEFAULT] line 3"),
        "tags.region": ("eu", "[filter:sentry] line 9"),
    }
    for secret in ("public", "secret", "dXNlcjpwYXNz"):
        assert secret not in report_text(report)


def test_release_of_a_distribution_is_told_with_its_version(write_ini):
    path = ini(write_ini, "traces_sample_rate = 0.5\n")
    path.write_text(path.read_text().replace("shop@1", "dist:pytest"))
    text, origin = values(check(str(path)))["release"]
    assert text == f"pytest@{pytest.__version__} (dist:pytest)"
    assert origin == "[filter:sentry] line 5"


def test_dsn_of_a_file_is_told_as_such(write_ini, tmp_path):
    (tmp_path / "dsn").write_text("https://public@sentry.example/9\n")
    path = ini(write_ini, "dsn_file = dsn\n")
    path.write_text(path.read_text().replace("dsn = https://public:secret@sentry.example/7\n", ""))
    assert values(check(str(path)))["dsn"] == ("https://***@sentry.example/9", "from dsn_file")


def test_integrations_are_those_of_the_client(write_ini):
    # In a process of its own: the SDK keeps an integration for all clients once one has turned it on.
    path = ini(write_ini, "disabled_integrations = excepthook\nauto_enabling_integrations = false\n")
    command = [sys.executable, "-m", "sentry_paste", "check", str(path)]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    names = ended.stdout.partition("[filter:sentry] integrations\n")[2].split("\n\n")[0].split()
    names = [name.strip(",") for name in names]
    assert {"dedupe", "logging", "stdlib"} <= set(names)
    assert not {"excepthook", "pyramid"} & set(names)
    assert ended.stderr == ""


def test_check_leaves_no_client_behind(write_ini):
    check(str(ini(write_ini)))
    assert not sentry_sdk.get_client().is_active()


def test_check_does_not_import_the_app(starter, tmp_path, monkeypatch):
    (tmp_path / "poisoned.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = starter("filter-with = sentry", SENTRY)
    path.write_text(
        path.read_text().replace("use = egg:pyramid_scaffold", "paste.app_factory = poisoned:main")
    )
    assert check(str(path)).status() == 0
    assert "poisoned" not in sys.modules


# Warnings.


@pytest.mark.parametrize(
    ("options", "severity", "told"),
    [
        (
            "traces_sample_rate = 1.0",
            "medium",
            "traces_sample_rate = 1 measures every request in production (env",
        ),
        ("traces_sample_rate = 1\nenvironment = production", "medium", "every request in production; 0.1"),
        ("profiles_sample_rate = 1", "medium", "profiles_sample_rate = 1 profiles every measured request"),
        ("send_default_pii = true", "medium", "send_default_pii sends cookies"),
        ("debug = on", "low", "debug has the SDK write on stderr"),
        ("sample_rate = 0", "high", "sample_rate = 0 reports no errors at all"),
        ("name = web1", "medium", "name is raven's name for server_name"),
        ("server_name = web1 ; the first", "medium", "comments belong on lines of their own"),
        ("server_name = ${NO_SUCH_HOST}", "medium", "the environment variable NO_SUCH_HOST is not set"),
    ],
)
def test_warning(write_ini, options, severity, told):
    report = check(str(ini(write_ini, options + "\n")))
    (text,) = warnings_of(report)
    assert told in text
    assert warnings_of(report, severity) == [text]


@pytest.mark.parametrize(
    "options",
    [
        "traces_sample_rate = 0.2",
        "traces_sample_rate = 1.0\nenvironment = staging",
        "traces_sample_rate = 1.0\ntraces_sampler = builtins:len",
        "send_default_pii = false",
        "debug = off",
    ],
)
def test_no_warning(write_ini, options):
    assert check(str(ini(write_ini, options + "\n"))).warnings == ()


def test_no_dsn_is_the_weightiest_and_no_release_the_lightest(starter):
    report = check(
        str(starter("filter-with = sentry", "[filter:sentry]\nuse = egg:sentry_paste\ndsn = ${SENTRY_DSN}\n"))
    )
    assert [warning.severity for warning in report.warnings] == ["high", "medium", "low"]
    assert report.warnings[0].text.startswith("Nothing is reported from here: dsn has no value")
    assert report.warnings[2].text.startswith("release has no value")
    assert values(report)["dsn"] == ("not set", "default, no value in [filter:sentry]")
    assert report.filters[0].integrations is None


@pytest.mark.parametrize(
    "sections",
    [
        "[filter:sentry]\nuse = egg:sentry_paste\n[app:main]\nuse = egg:myapp\nfilter-with = sentry\n",
        "[filter:sentry]\nuse = egg:sentry_paste\n[app:a]\nuse = egg:a\n"
        "[pipeline:main]\npipeline = sentry a\n",
        "[composite:main]\nuse = egg:sentry_paste\napp = a\n[app:a]\nuse = egg:a\n",
    ],
)
def test_filter_with_nowhere_to_report_to_is_told_and_counts_as_no_sentry(write_ini, sections):
    report = check(str(write_ini(sections)))
    assert report.status() == 1
    text = " ".join(report_text(report).split())
    assert "The app stands alone: with nowhere to report to" in text
    assert "reported: " not in text
    assert "To start Sentry first" not in text


def test_one_filter_with_somewhere_to_report_to_is_enough(write_ini):
    text = """
        [filter:other]
        use = egg:sentry_paste
        [composite:main]
        use = egg:Paste#urlmap
        / = a
        /b = b
        [app:a]
        use = egg:a
        filter-with = sentry
        [app:b]
        use = egg:b
        filter-with = other
    """
    report = check(str(write_ini(SENTRY + textwrap.dedent(text))))
    assert [found.reports for found in report.filters] == [True, False]
    assert report.status() == 0


@pytest.mark.parametrize(
    "sections",
    [
        "[app:main]\nuse = egg:sentry_paste#inbox\nspool_dir = x\n",
        "[composite:main]\nuse = egg:Paste#urlmap\n/a = a\n"
        "[app:a]\nuse = egg:sentry-paste#inbox\nspool_dir = x\n",
        "[app:main]\npaste.app_factory = sentry_paste.inbox:app_factory\nspool_dir = x\n",
    ],
)
def test_inbox_alone_needs_no_sentry(write_ini, sections):
    report = check(str(write_ini(sections)))
    text = report_text(report)
    assert "There is only the inbox here" in text
    assert "filter-with" not in text
    assert report.status() == 0


def test_spool_alone_is_a_place_to_report_to(starter):
    report = check(
        str(
            starter(
                "filter-with = sentry",
                "[filter:sentry]\nuse = egg:sentry_paste\nspool_dir = spool\nrelease = 1\n",
            )
        )
    )
    assert report.warnings == ()


def test_hidden_option_is_told(starter):
    path = starter("filter-with = sentry", "[DEFAULT]\ndebug = false\n" + SENTRY + "debug = true\n")
    assert warnings_of(check(str(path))) == [
        "debug (line 8) is hidden by debug of [DEFAULT]; write sentry.debug instead"
    ]


def test_reader_s_warnings_are_in_the_report_and_not_in_the_log(write_ini, caplog):
    with caplog.at_level(logging.WARNING):
        report = check(str(ini(write_ini, "name = web1\n")))
    assert len(report.warnings) == 1
    assert caplog.records == []


def test_warnings_count_with_strict_only(write_ini):
    path = str(ini(write_ini, "send_default_pii = true\n"))
    assert main(["check", path]) == 0
    assert main(["check", path, "--strict"]) == 1
    assert main(["check", str(ini(write_ini)), "--strict"]) == 0


# Mistakes.


def test_mistakes_are_told_as_at_a_start(write_ini, load, capsys):
    path = ini(write_ini, "trace_sample_rate = 1\nsend_default_pii = maybe\n")
    assert main(["check", str(path)]) == 2
    text = capsys.readouterr().out
    assert "[filter:sentry] stops the start" in text
    assert "line 6: trace_sample_rate: is no option of sentry_paste" in text
    assert "line 7: send_default_pii = maybe: expected true or false" in text
    assert "No warnings." not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[app:shop]\nuse = egg:a\n", "its apps are: shop; name one, as in test.ini#shop"),
        ("nonsense\n", "File contains no section headers"),
        ("[app:main]\nuse = main\n", "a section leads back to itself"),
        ("[app:main]\nuse = egg:a\nx = %(nowhere)s\n", "Bad value substitution"),
        (
            "[app:main]\nuse = egg:a\nrate = 50%\n",
            "found: '%', in rate of [app:main]; a percent sign itself is written %%",
        ),
        (
            "[app:main]\nuse = egg:a\nget x = nowhere\n",
            "get x asks for nowhere, which [DEFAULT] does not have",
        ),
        ("[pipeline:main]\npipeline =\n", "pipeline of [pipeline:main] names no app"),
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
def test_ini_that_does_not_load_is_one_line_on_stderr(write_ini, capsys, text, told):
    assert main(["check", str(write_ini(text))]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sentry-paste: ")
    assert told in captured.err
    assert captured.err.count("\n") == 1


def test_file_that_is_not_there_is_one_line_on_stderr(capsys):
    assert main(["check", "none.ini"]) == 2
    assert capsys.readouterr().err.endswith("none.ini: No such file or directory\n")


def test_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "x.ini").write_bytes(b"[app:main]\nuse = \xff\xfe\n")
    with pytest.raises(IniError, match=r"x.ini: is no text in utf-8: line 2"):
        read_structure(str(tmp_path / "x.ini"))


# Calls.


def test_name_scheme_and_variables_are_those_of_pserve(write_ini, capsys):
    path = write_ini(SENTRY + "tags.zone = %(zone)s\n[app:shop]\nuse = egg:a\nfilter-with = sentry\n")
    assert main(["check", f"config:{path}#shop", "zone=a"]) == 0
    assert "tags.zone               a " in capsys.readouterr().out
    assert main(["check", "--variable", "zone=b", f"{path}#shop"]) == 0
    assert "tags.zone               b " in capsys.readouterr().out


def test_variable_without_a_value_is_told(write_ini, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", str(ini(write_ini)), "zone"])
    assert caught.value.code == 2
    assert "expected NAME=VALUE, not 'zone'" in capsys.readouterr().err


def test_colour_is_for_terminals_and_for_those_who_want_it(write_ini, monkeypatch):
    report = check(str(ini(write_ini)))
    assert "\x1b[" not in report_text(report)
    assert "\x1b[32mSENTRY   \x1b[0m" in report_text(report, colour=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    leader, follower = os.openpty()
    with os.fdopen(leader), open(follower, "w") as terminal, open(os.devnull, "w") as file:
        assert wants_colour(terminal)
        assert not wants_colour(file)
        monkeypatch.setenv("NO_COLOR", "1")
        assert not wants_colour(terminal)


def test_control_characters_of_an_ini_do_not_reach_the_terminal(write_ini):
    path = ini(write_ini, "server_name = \x1b]0;owned\x07\n")
    text = report_text(check(str(path)))
    assert "owned" in text
    assert all(char.isprintable() or char == "\n" for char in text)


# --connect.


@pytest.fixture
def dsn_of(write_ini):
    def write(dsn):
        path = ini(write_ini)
        path.write_text(path.read_text().replace("https://public:secret@sentry.example/7", dsn))
        return str(path)

    return write


@pytest.mark.usefixtures("_network")
def test_connect_reaches_the_host_and_sends_nothing(receiver, dsn_of):
    report = check(dsn_of(receiver.dsn), connect=True)
    assert report.warnings == ()
    assert "The DSN's host can be reached from here." in report_text(report)
    assert receiver.raw == []


@pytest.mark.usefixtures("_network")
def test_connect_tells_of_a_refused_connection(dsn_of):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (text,) = warnings_of(check(dsn_of(f"http://key@127.0.0.1:{port}/1"), connect=True), "high")
    assert f"127.0.0.1:{port} refuses the connection" in text


@pytest.mark.usefixtures("_network")
def test_connect_tells_of_a_server_without_tls(receiver, dsn_of):
    (text,) = warnings_of(check(dsn_of(receiver.dsn.replace("http:", "https:")), connect=True), "high")
    assert "TLS: " in text


@pytest.mark.usefixtures("_network")
def test_connect_goes_to_the_proxy_where_there_is_one(receiver, write_ini):
    path = ini(write_ini, f"https_proxy = {receiver.dsn.replace('public@', '').removesuffix('/1')}\n")
    assert check(str(path), connect=True).filters[0].reached


@pytest.mark.usefixtures("_network")
def test_connect_tells_of_certificates_that_cannot_be_read(write_ini, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    (text,) = warnings_of(check(str(ini(write_ini, "ca_certs = ca.pem\n")), connect=True), "high")
    assert text.startswith("dsn cannot be reached from here: ca_certs: ")


@pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no data_collection")
@pytest.mark.parametrize(("value", "count"), [("true", 1), ("false", 0)])
def test_warning_of_personal_data_is_by_what_the_sdk_goes_by(write_ini, value, count):
    report = check(str(ini(write_ini, f"data_collection.user_info = {value}\n")))
    assert len(warnings_of(report)) == count


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("dsn = https://public@sentry.example/7", "to Sentry"),
        ("dsn = https://public@sentry.example/7\nspool_dir = spool", "to Sentry"),
        ("dsn = https://public@sentry.example/7\nspotlight = true", "to Sentry and to Spotlight"),
        ("spotlight = true", "to Spotlight"),
        ("spool_dir = spool", "into the files of spool_dir"),
        ("spool_dir = spool\nspotlight = true", "into the files of spool_dir and to Spotlight"),
        ("transport = builtins:print", "to its transport"),
    ],
)
def test_warning_of_personal_data_says_where_it_goes(starter, lines, told):
    section = f"[filter:sentry]\nuse = egg:sentry_paste\nrelease = 1\nsend_default_pii = true\n{lines}\n"
    report = check(str(starter("filter-with = sentry", section)))
    what = "send_default_pii sends cookies, addresses and names of your users"
    assert f"{what} {told}" in warnings_of(report)


class TestPyramidIncludes:
    APP = """
        [app:main]
        use = egg:myapp
        pyramid.includes = pyramid_tm
            sentry_paste
        sentry.dsn = https://public:secret@sentry.example/7
        sentry.release = shop@1
    """

    def test_app_that_includes_sentry_is_in_sentry(self, write_ini):
        report = check(str(write_ini(self.APP)))
        assert report.status() == 0
        assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
        text = report_text(report)
        assert "https://***@sentry.example/7" in text
        assert "Sentry is started where the app's configuration includes it" in text

    def test_mistake_in_its_settings_is_told(self, write_ini):
        report = check(str(write_ini(textwrap.dedent(self.APP) + "sentry.sample_rate = much\n")))
        assert report.status() == 2
        assert f"{report.path} [app:main]: 1 mistake" in report_text(report)
        assert "line 8: sentry.sample_rate = much" in report_text(report)

    def test_option_is_told_with_its_section_and_line(self, write_ini):
        text = textwrap.dedent(self.APP) + "[DEFAULT]\nsentry.environment = test\n"
        found = values(check(str(write_ini(text))))
        assert found["release"] == ("shop@1", "[app:main] line 7")
        assert found["environment"] == ("test", "[DEFAULT] line 9")

    def test_option_that_default_hides_is_told(self, write_ini):
        text = textwrap.dedent(self.APP) + "[DEFAULT]\nsentry.release = other\n"
        told = "sentry.release (line 7) is hidden by sentry.release of [DEFAULT]; remove that one"
        assert told in warnings_of(check(str(write_ini(text))))

    def test_option_of_default_that_most_apps_do_not_hand_on_is_warned_of(self, write_ini, load):
        ini = """
            [DEFAULT]
            sentry.max_breadcrumb = 7

            [app:main]
            paste.app_factory = test_pyramid:make
            pyramid.includes = sentry_paste
            sentry.dsn = https://public@sentry.example/7
            sentry.release = 1
        """
        load(ini)  # would be refused if the setting were there
        (told,) = warnings_of(check(str(write_ini(ini.replace("breadcrumb ", "breadcrumbs ")))))
        assert told == (
            "sentry.max_breadcrumbs of [DEFAULT] reaches Pyramid only where the app's factory hands "
            "global_config on, which most do not; write it in [app:main]"
        )

    @pytest.mark.parametrize("path", ["var/sentry", "${HOME_OF_NOTHING:-var}/sentry"])
    def test_relative_path_is_warned_of_as_the_app_does_not_know_its_ini(self, write_ini, path):
        ini = textwrap.dedent(self.APP) + f"sentry.spool_dir = {path}\n"
        (told,) = warnings_of(check(str(write_ini(ini))))
        assert told == (
            "sentry.spool_dir is relative, and Pyramid does not tell Sentry where the ini is: it is taken "
            "from the directory that the server is started in; write %(here)s/ before it"
        )

    @pytest.mark.parametrize("path", ["%(here)s/var/sentry", "/var/sentry", "~/sentry"])
    def test_path_that_is_whole_is_not_warned_of(self, write_ini, path):
        ini = textwrap.dedent(self.APP) + f"sentry.spool_dir = {path}\nsentry.error_page = true\n"
        assert warnings_of(check(str(write_ini(ini)))) == []

    def test_section_of_another_file_is_not_taken_for_one_of_this(self, write_ini):
        write_ini(textwrap.dedent(self.APP), "other.ini")
        path = write_ini(
            "[app:main]\nuse = egg:a\nsentry.release = 1\n[composite:both]\nuse = egg:Paste#urlmap\n"
            "/ = config:other.ini\n"
        )
        found = values(check(str(path), "both"))
        assert found["release"] == ("shop@1", "[app:main]")

    def test_filter_outside_of_it_is_not_covered(self, write_ini):
        report = check(
            str(
                write_ini(
                    textwrap.dedent(self.APP).replace("app:main", "app:shop")
                    + "[filter:gzip]\nuse = egg:Paste#gzip\n[pipeline:main]\npipeline = gzip shop\n"
                )
            )
        )
        assert any(
            "a [filter:sentry], and sentry as the first of [pipeline:main]" in text
            for text in warnings_of(report)
        )

    def test_app_that_includes_others_only_is_without(self, write_ini):
        report = check(str(write_ini(self.APP.replace("sentry_paste", "sentry_paste_other"))))
        assert report.status() == 1


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ("user_feedback = true", "user_feedback is without effect: it is for error_page"),
        (
            "spool_rate = 5\nspool_fsync = true",
            "spool_fsync, spool_rate: without effect, as there is no spool_dir",
        ),
    ],
)
def test_option_that_does_nothing_alone_is_told(write_ini, options, warning):
    assert warning in warnings_of(check(str(ini(write_ini, options + "\n"))))


def test_mistake_in_the_section_of_the_inbox_is_told(starter, write_ini, capsys):
    inbox = "use = egg:sentry_paste#inbox\nallowed = 192.0.2.7\nspool_dir = x\n"
    assert main(["check", str(write_ini(f"[app:main]\n{inbox}"))]) == 2
    assert "line 3: allowed: is no option of the inbox; did you mean allow?" in capsys.readouterr().out

    mounted = f"[composite:main]\nuse = egg:Paste#urlmap\n/ = shop\n/inbox = inbox\n[app:inbox]\n{inbox}"
    shop = "[app:shop]\nuse = egg:myapp\n"
    report = check(str(write_ini(mounted + shop)))
    assert report.status() == 2
    text = report_text(report)
    assert "Sentry is not there" in text
    assert "[app:inbox] stops the start" in text
    assert check(str(write_ini(SENTRY + mounted + shop + "filter-with = sentry\n"))).status() == 2


def test_options_stand_below_each_other_whatever_the_longest_is_called(write_ini):
    report = check(
        str(ini(write_ini, "integration.logging.event_level = WARNING\ncontexts.deployment.rack = 12\n"))
    )
    lines = report_text(report).splitlines()
    begin = lines.index("[filter:sentry] options") + 1
    rows = lines[begin : lines.index("", begin)]
    assert len({re.match(r"  \S+ +", row).end() for row in rows}) == 1


def test_template_that_is_not_there_is_a_mistake(write_ini):
    report = check(str(ini(write_ini, "error_page = nothere.html\n")))
    assert report.status() == 2
    assert "nothere.html cannot be read: No such file or directory" in report_text(report)


def test_factory_that_is_none_of_ours_is_a_mistake(write_ini, capsys):
    wrong = SENTRY.replace("use = egg:sentry_paste", "paste.filter_factory = sentry_paste:filter_factorie")
    assert main(["check", str(write_ini(wrong + "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"))]) == 2
    assert "has no attribute 'filter_factorie'" in capsys.readouterr().err
