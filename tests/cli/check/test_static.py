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

from check_reports import SENTRY, values

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
    assert len(read["start"]) == 1
    # Then it reads the filters that are not used.
    assert read["check"][:1] == read["start"]


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
    mistakes = [*report.problems, *(found.mistake for found in report.filters)]
    mistakes += [warned.is_mistake for warned in report.warnings]
    assert (report.status() == 2) is any(mistakes)
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
        ("nonsense\n", ["line 1: stands before the first section; is a section's [title] missing?"]),
        (
            "[app:main]\nuse = egg:a\nnonsense\n",
            ["line 3: is neither a section nor an option: there is no ="],
        ),
        ("[app:main]\nuse = egg:a\nx = 1\nx = 2\n", ["line 4: x is twice in [app:main]"]),
        ("[app:main]\nuse = egg:a\n[app:main]\nuse = egg:b\n", ["line 3: [app:main] is there twice"]),
        (
            "[app:main]\nuse = main\n",
            ["line 2: use in [app:main] names main: [app:main] refers back to itself"],
        ),
        (
            "[app:main]\nuse = egg:a\nrate = 50%\n",
            ["line 3: rate in [app:main] has a percent sign that", "write it as %%"],
        ),
        (
            "[app:main]\nuse = egg:a\nget x = nowhere\n",
            ["line 1: get x refers to nowhere, which [DEFAULT] does not have"],
        ),
        ("[pipeline:main]\npipeline =\n", ["line 1: pipeline in [pipeline:main] names no app"]),
        ("\ufeff[app:main]\nuse = egg:a\n", ["line 1: begins with a byte order mark"]),
        ("[app:main]\nx = 1\n", ["line 1: No loader given in section 'app:main'"]),
        ("[app:main]\nuse = ftp:a\n", ["line 2: use in [app:main] names ftp:a: 'ftp:a' has a scheme that"]),
        (
            "[app:main]\nuse = egg:a\nfilter-with = b\n",
            ["line 3: filter-with in [app:main] names b: there is no"],
        ),
        (
            "[pipeline:main]\npipeline = a\nx = 1\n[app:a]\nuse = egg:a\n",
            ["line 1: The [pipeline:main]", "extra (disallowed) settings: x"],
        ),
        (
            "[app:main]\nuse = config:none.ini\n",
            ["line 2: use in [app:main] names", "No such file or directory"],
        ),
        (
            "[app:main]\nuse = egg:a\nfilter-with = egg:sentry_paste#none\n",
            ["line 3: filter-with in [app:main]", "Entry point 'none' not found"],
        ),
    ],
)
def test_what_keeps_the_ini_from_loading_is_shown_with_its_line(write_ini, capsys, text, expected):
    assert main(["check", str(write_ini(text))]) == 2
    captured = capsys.readouterr()
    shown = " ".join((captured.out + captured.err).split())
    assert [part for part in expected if part not in shown] == []
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[app:shop]\nuse = egg:a\n", "its apps are: shop; name one, as in test.ini#shop"),
        (
            "[app:main]\nuse = egg:a\n[pipeline:main]\npipeline = a\n",
            "more than one section for the app 'main'",
        ),
    ],
)
def test_app_that_is_not_there_is_one_line_on_stderr(write_ini, capsys, text, expected):
    assert main(["check", str(write_ini(text))]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("sentry-paste: ")
    assert expected in captured.err
    assert captured.err.count("\n") == 1


def problems_of(path):
    return [str(found).partition("test.ini: ")[2] for found in check(str(path)).problems]


def test_all_mistakes_are_found_at_once(write_ini):
    path = write_ini(
        """
        dsn = https://stray@sentry.example/1

        [filter:sentry]
        use = egg:sentry_paste
        dsn = https://public@%(NOWHERE)s/1
        sample_rate = 7
        nonsense

        [app:shop]
        use = egg:shop
        x = 1
        x = 2
        rate = 50%

        [pipeline:main]
        pipeline =
            sentri
            sentry
            shop
        """
    )
    assert [text.partition(":")[0] for text in problems_of(path)] == [
        "line 2",
        "line 6",
        "line 8",
        "line 13",
        "line 14",
        "line 18",
    ]
    (found,) = check(str(path)).filters
    assert [str(problem) for problem in found.mistake.problems] == [
        "line 7: sample_rate = 7: expected a number from 0 to 1"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "dsn = https://k3y:s3cr3t@%(SENTRY_HOST)s/1",
        "http_proxy = http://user:pa%s3cr3t@proxy:3128",
        "https://k3y:s3cr3t@sentry.example/1",
    ],
)
def test_text_that_cannot_be_parsed_is_not_shown(write_filter, capsys, line):
    assert main(["check", str(write_filter(f"{line}\n"))]) == 2
    captured = capsys.readouterr()
    assert "s3cr3t" not in captured.out + captured.err
    assert "k3y" not in captured.out + captured.err


def test_line_before_the_first_section_is_not_shown(write_ini, capsys):
    path = write_ini("dsn = https://k3y:s3cr3t@sentry.example/1\n[app:main]\nuse = egg:a\n")
    assert main(["check", str(path)]) == 2
    captured = capsys.readouterr()
    assert "k3y" not in captured.out + captured.err


def test_name_that_nearly_is_there_is_suggested(write_ini):
    ini = SENTRY + "[app:myapp]\nuse = egg:myapp\n[pipeline:main]\npipeline = sentri myap\n"
    assert problems_of(write_ini(ini)) == [
        "line 9: pipeline in [pipeline:main] names myap: there is no [app:myap]; did you mean [app:myapp]?",
        "line 9: pipeline in [pipeline:main] names sentri: there is no [filter:sentri]; "
        "did you mean [filter:sentry]?",
    ]


class TestLoadersOfOthers:
    """Values that somebody else's loader completes are not ours."""

    APP = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\nsqlalchemy.url = %(SQLALCHEMY_URL)s\n"

    def test_variable_in_an_option_of_the_app_is_not_read(self, write_ini):
        report = check(str(write_ini("[DEFAULT]\nroot = %(TOP)s/a\n" + SENTRY + self.APP)))
        assert (report.status(), report.problems) == (0, ())

    def test_variable_in_an_option_of_ours_is_needed(self, write_ini):
        path = write_ini(SENTRY + "environment = %(STAGE)s\n" + self.APP)
        assert problems_of(path) == [
            "line 6: environment in [filter:sentry] needs %(STAGE)s, which neither its section nor [DEFAULT] "
            "has: give it as STAGE=VALUE after the ini, or write ${STAGE} for a variable of the environment"
        ]
        report = check(str(path), variables={"STAGE": "staging"})
        assert values(report)["environment"][0] == "staging"

    def test_swift_has_its_own_rule_for_percent_signs(self, write_ini):
        swift = (
            "[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = te%sting .admin\n"
            "[app:proxy]\nuse = egg:swift#proxy\n[pipeline:main]\npipeline = tempauth sentry proxy\n"
        )
        report = check(str(write_ini(SENTRY + "server_name = 5% off\n" + swift)))
        assert report.problems == ()
        assert values(report)["server_name"][0] == "5% off"

    def test_percent_sign_in_a_password_is_not_shown(self, write_ini, capsys):
        path = write_ini(SENTRY + self.APP + "password = te%sting\n")
        assert main(["check", str(path)]) == 2
        captured = capsys.readouterr()
        assert "line 10: password in [app:main] has a percent sign" in captured.out
        assert "te%" not in captured.out + captured.err

    def test_directory_of_swift_is_read_as_one_ini(self, tmp_path, capsys):
        folder = tmp_path / "proxy-server.conf.d"
        folder.mkdir()
        (folder / "10-sentry.conf").write_text(SENTRY + "sample_rate = 3\n")
        (folder / "20-swift.conf").write_text(
            "[pipeline:main]\npipeline = sentry proxy\n[app:proxy]\nuse = egg:swift#proxy\n"
        )
        (folder / "notes.txt").write_text("nonsense")
        assert main(["check", str(folder)]) == 2
        out = capsys.readouterr().out
        assert f"{folder}/10-sentry.conf [filter:sentry]: 1 mistake in the options" in out
        assert "line 6: sample_rate = 3" in out


def test_filters_of_the_same_name_in_mounted_files_are_all_checked(write_ini):
    for name, option in (("shop", ""), ("admin", "sample_rate = 3\n")):
        ini = SENTRY + option + "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
        write_ini(ini, f"{name}.ini")
    path = write_ini("[composite:main]\nuse = egg:Paste#urlmap\n/ = config:shop.ini\n/a = config:admin.ini\n")
    report = check(str(path))
    assert report.status() == 2
    assert [(found.title, bool(found.mistake)) for found in report.filters] == [
        ("[filter:sentry] of shop.ini", False),
        ("[filter:sentry] of admin.ini", True),
    ]


def test_missing_file_is_one_line_on_stderr(capsys):
    assert main(["check", "none.ini"]) == 2
    assert capsys.readouterr().err.endswith("none.ini: No such file or directory\n")


def test_line_that_is_not_text_is_named(tmp_path):
    (tmp_path / "x.ini").write_bytes(b"[app:main]\nuse = egg:a\ntitle = \xff\xfe\n")
    (problem,) = read_structure(str(tmp_path / "x.ini")).problems
    assert str(problem).endswith("x.ini: line 3: is not text in utf-8")


def test_factory_that_we_do_not_have_is_a_mistake(write_ini, capsys):
    wrong = SENTRY.replace("use = egg:sentry_paste", "paste.filter_factory = sentry_paste:filter_factorie")
    assert main(["check", str(write_ini(wrong + "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"))]) == 2
    assert "has no attribute 'filter_factorie'" in capsys.readouterr().out


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
