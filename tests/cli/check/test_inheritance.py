"""Options that an app loses where its section inherits from one with a filter, as PasteDeploy drops them."""

import json
import re
import textwrap
from pathlib import Path

import pytest

from sentry_paste.cli.check.as_json import report_json
from sentry_paste.cli.check.changes import make_callable, restore_options
from sentry_paste.cli.check.edits import apply
from sentry_paste.cli.check.files import Files
from sentry_paste.cli.check.inheritance import loss_text, uncallable_text
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.stubs import load
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.check.trial import Trial
from sentry_paste.config import ConfigError
from sentry_paste.factories import filter_factory

from check_reports import values, write_lines
from random_inis import write_random_inis
from recorded_apps import load_and_ask

EGG = "use = egg:myapp\ndb = prod\nmore = base\n"
FACTORY = "paste.app_factory = myapp:main\ndb = prod\nmore = base\n"
SENTRY = "[filter:sentry]\nuse = egg:sentry_paste\ndsn = http://key@127.0.0.1:9/1\n"
OPTIONS = SENTRY.partition("\n")[2]
OURS_BY_NAME = OPTIONS.replace("use = egg:sentry_paste", "paste.filter_factory = sentry_paste:filter_factory")

BASES = {
    "filter-with": f"[app:main]\n{EGG}filter-with = sentry\n{SENTRY}",
    "filter-with, factory by name": f"[app:main]\n{FACTORY}filter-with = sentry\n{SENTRY}",
    "filter-with, call:": f"[app:main]\nuse = call:myapp:main\ndb = prod\nmore = base\n"
    f"filter-with = sentry\n{SENTRY}",
    "filter-with around a use": f"[app:main]\nuse = a\nfilter-with = sentry\n[app:a]\n{EGG}{SENTRY}",
    "filter-with in what is used": f"[app:main]\nuse = a\n[app:a]\n{EGG}filter-with = sentry\n{SENTRY}",
    "pipeline": f"[pipeline:main]\npipeline = sentry a\n[app:a]\n{EGG}{SENTRY}",
    "pipeline that is used": "[app:main]\nuse = p\n[pipeline:p]\npipeline = sentry a\n"
    f"[app:a]\n{EGG}{SENTRY}",
    "filter-app": f"[filter-app:main]\n{OPTIONS}next = a\n[app:a]\n{EGG}",
    "filter-app, factory by name": f"[filter-app:main]\n{OURS_BY_NAME}next = a\n[app:a]\n{EGG}",
    "filter-app of a filter": f"[filter-app:main]\nuse = sentry\nnext = a\n[app:a]\n{EGG}{SENTRY}",
    "name that is taken": f"[app:main]\n{EGG}filter-with = sentry\n[app:main-app]\nuse = egg:other\n{SENTRY}",
    "composite": f"[composite:main]\n{OPTIONS}app = a\n[app:a]\n{EGG}",
    "another filter": f"[app:main]\n{EGG}filter-with = gzip\n[filter:gzip]\nuse = egg:gzip\nlevel = 9\n",
    "a pipeline of others": "[pipeline:main]\npipeline = gzip egg:log a\n"
    f"[filter:gzip]\nuse = egg:gzip\nlevel = 9\n[app:a]\n{EGG}",
    "nothing": f"[app:main]\n{EGG}",
}
CHILDREN = {
    "child": "[app:main]\nuse = config:base.ini\ndb = test\nset zone = z\n",
    "child of a child": "[app:main]\nuse = config:middle.ini\ndb = test\n",
    "child in a pipeline": "[pipeline:main]\npipeline = log a\n[filter:log]\nuse = egg:log\n"
    "[app:a]\nuse = config:base.ini\ndb = test\n",
    "name that is taken": "[app:main]\nuse = config:base.ini\ndb = test\n[app:main-app]\nuse = egg:other\n",
    "path with %(here)s": "[app:main]\nuse = config:%(here)s/base.ini\ndb = test\n",
    "get": "[DEFAULT]\ntest_db = test\n[app:main]\nuse = config:base.ini\nget db = test_db\n",
}
MIDDLE = "[app:main]\nuse = config:base.ini\nmore = middle\n"


@pytest.fixture
def files(write_ini):
    """Write base.ini, middle.ini and test.ini; return the path of test.ini."""

    def write(base, child):
        write_ini(base, "base.ini")
        write_ini(MIDDLE, "middle.ini")
        return str(write_ini(child))

    return write


def write_edits(change):
    """Write a change to the files on disk."""
    changed = apply(Files(), change.edits)
    texts = {edit.place.path: changed.text(edit.place.path) for edit in change.edits}
    for path, text in texts.items():
        with open(path, "w") as file:
            file.write(text)


def of_apps(recorded):
    return [(options.get("db"), options.get("more")) for _, options, _ in recorded.apps]


@pytest.mark.parametrize("child", CHILDREN)
@pytest.mark.parametrize("base", BASES)
def test_stubs_receive_what_real_factories_receive(files, base, child):
    path = files(BASES[base], CHILDREN[child])
    loaded = load(Files(), path)
    try:
        recorded = load_and_ask(path)
    except Exception:
        assert loaded.error or loaded.losses[0].to_sentry
        return
    assert loaded.error == ""
    stubs = [
        (part.spec, dict(part.local_conf), dict(part.global_conf))
        for part in loaded.parts
        if part.kind == "app"
    ]
    assert recorded.apps == stubs
    called = [(part.spec, covered) for part, covered in loaded.called if part.kind == "app"]
    assert recorded.covered == called
    meant = "middle" if child == "child of a child" else "base"
    assert bool(loaded.losses) is (of_apps(recorded) != [("test", meant)])


@pytest.mark.usefixtures("_dsn")
@pytest.mark.parametrize("seed", range(150))
def test_stubs_of_whatever_ini_receive_what_real_factories_receive(tmp_path, seed):
    write_random_inis(tmp_path, seed)
    path = str(tmp_path / "test.ini")
    loaded = load(Files(), path)
    try:
        recorded = load_and_ask(path)
    except Exception:
        assert loaded.error
        return
    if not loaded.error.startswith("LookupError"):  # these composites pass over names that are not there
        assert loaded.error == ""
        parts = [part for part in loaded.parts if part.kind == "app"]
        assert [(part.spec, part.local_conf, part.global_conf) for part in parts] == recorded.apps
        called = [(part.spec, covered) for part, covered in loaded.called if part.kind == "app"]
        assert called == recorded.covered


@pytest.mark.parametrize("child", [name for name in CHILDREN if name != "child in a pipeline"])
@pytest.mark.parametrize(
    "base", [name for name in BASES if name not in ("nothing", "filter-with, factory by name")]
)
def test_lines_that_restore_options_work_in_all_files(files, base, child):
    path = files(BASES[base], CHILDREN[child])
    trial = Trial(path)
    trial.find_heirs()
    change = trial.first(restore_options(trial, trial.losses()[0]))
    write_edits(change)
    recorded = load_and_ask(path)
    meant = "middle" if child == "child of a child" else "base"
    assert of_apps(recorded) == [("test", meant)]
    assert of_apps(load_and_ask(path.replace("test.ini", "middle.ini"))) == [("prod", "middle")]
    assert of_apps(load_and_ask(path.replace("test.ini", "base.ini"))) == [("prod", "base")]
    if "other" not in base:  # the filters of others
        assert [covered for _, covered in recorded.covered] == [True]


def test_lost_options_are_described_by_file_and_line(files):
    path = files(BASES["filter-with"], "[app:main]\nuse = config:base.ini\n# The tests' own.\ndb = test\n")
    (loss,) = load(Files(), path).losses
    assert loss_text(Files(), loss, path) == (
        "db (line 4) of [app:main] does not reach the app: the section inherits [app:main] of base.ini, "
        "where PasteDeploy drops its options at filter-with = sentry; the app runs with the values of "
        "[app:main] of base.ini"
    )


def test_each_level_that_loses_options_is_described(files):
    path = files(BASES["pipeline"], CHILDREN["child of a child"])
    texts = [loss_text(Files(), loss, path) for loss in load(Files(), path).losses]
    assert [text.partition(" does")[0] for text in texts] == [
        "more (line 3) of [app:main] of middle.ini",
        "db (line 3) of [app:main]",
    ]
    assert all("at the pipeline (sentry)" in text for text in texts)
    assert all(text.endswith("the app runs with the values of [app:a] of base.ini") for text in texts)


def test_option_with_the_value_of_the_base_is_not_lost(files):
    path = files(BASES["filter-with"], CHILDREN["child"].replace("db = test", "db = prod"))
    assert load(Files(), path).losses == []


def test_set_is_lost_where_the_base_sets_the_same(files):
    base = BASES["pipeline"].replace("[app:a]\n", "[app:a]\nset zone = production\n")
    path = files(base, CHILDREN["child"])
    (loss,) = load(Files(), path).losses
    assert loss.keys == ("db", "set zone")


def test_options_of_a_filter_are_lost_in_the_same_way(files):
    sentry = "[filter:sentry]\nuse = egg:sentry_paste\nserver_name = a\nfilter-with = gzip\n"
    base = f"{sentry}[filter:gzip]\nuse = egg:gzip\n"
    child = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n" + (
        "[filter:sentry]\nuse = config:base.ini#sentry\nserver_name = b\n"
    )
    path = files(base, child)
    (loss,) = load(Files(), path).losses
    assert loss.keys == ("server_name",)
    assert "does not reach the filter" in loss_text(Files(), loss, path)


UNCALLABLE = {
    "filter app": f"[filter-app:main]\n{OPTIONS}next = a\nfilter-with = gzip\n[app:a]\n{EGG}",
    "pipeline": f"[pipeline:main]\npipeline = a\nfilter-with = sentry\n[app:a]\n{EGG}{SENTRY}",
    "use of a pipeline": f"[app:main]\nuse = p\nfilter-with = sentry\n[pipeline:p]\npipeline = gzip a\n"
    f"[app:a]\n{EGG}{SENTRY}",
    "use of a filter-with": "[app:main]\nuse = a\nfilter-with = sentry\n"
    f"[app:a]\n{EGG}filter-with = gzip\n{SENTRY}",
    "use of another file": f"[app:main]\nuse = config:base.ini\nfilter-with = sentry\n{SENTRY}",
}


@pytest.mark.parametrize("form", UNCALLABLE)
def test_section_that_cannot_answer_is_found_and_its_advice_answers(files, form):
    gzip = "[filter:gzip]\nuse = egg:gzip\n"
    path = files(f"[app:main]\n{EGG}filter-with = gzip\n{gzip}", UNCALLABLE[form] + gzip)
    with pytest.raises(TypeError, match="composed"):
        load_and_ask(path)
    trial = Trial(path)
    (found,) = trial.loaded.uncallable
    assert "every request fails with a TypeError" in uncallable_text(found, path)
    change = trial.first(make_callable(trial, found))
    write_edits(change)
    recorded = load_and_ask(path)
    assert of_apps(recorded) == [("prod", "base")]
    assert [covered for _, covered in recorded.covered] == [True]


def test_composite_of_others_and_an_app_with_a_filter_can_be_called(files):
    urlmap = "[composite:main]\nuse = egg:Paste#urlmap\n/ = a\nfilter-with = sentry\n"
    path = files("", f"{urlmap}[app:a]\n{EGG}{SENTRY}")
    assert load(Files(), path).uncallable == []
    assert of_apps(load_and_ask(path)) == [("prod", "base")]


@pytest.mark.parametrize(
    "text", ["[app:main]\nuse = main\n", "[app:main]\nuse = config:test.ini\n", "nonsense", "[app:main]\n"]
)
def test_ini_that_cannot_be_loaded_has_an_error(files, text):
    assert load(Files(), files("", textwrap.dedent(text))).error


LOST = "db (line 3) of [app:main] does not reach the app: the section inherits"


@pytest.mark.parametrize("base", ["filter-with", "pipeline", "filter-app"])
def test_start_warns_of_options_that_are_lost(files, caplog, base):
    path = files(BASES[base], CHILDREN["child"])
    load_and_ask(path)
    (message,) = [record.getMessage() for record in caplog.records if "does not reach" in record.getMessage()]
    assert message.startswith(f"{path}: {LOST}")
    assert message.endswith("; sentry-paste check shows what to write")


@pytest.mark.parametrize("base", ["filter-app, factory by name", "composite"])
def test_start_that_refuses_the_app_s_options_says_why(files, base):
    path = files(BASES[base], CHILDREN["child"])
    with pytest.raises(ConfigError) as caught:
        load_and_ask(path)
    assert "db: is not an option" in str(caught.value)
    assert LOST in str(caught.value)
    assert str(caught.value).endswith("so PasteDeploy gives the options to Sentry")


def test_start_warns_of_an_app_that_cannot_answer(files, caplog):
    path = files("", UNCALLABLE["pipeline"])
    with pytest.raises(TypeError):
        load_and_ask(path)
    assert "every request fails with a TypeError" in caplog.text


@pytest.mark.parametrize("base", ["filter-with, factory by name", "another filter", "nothing"])
def test_start_is_silent_where_sentry_loses_nothing(files, caplog, base):
    load_and_ask(files(BASES[base], CHILDREN["child"]))
    load_and_ask(files("", f"[app:main]\n{EGG}filter-with = sentry\n{SENTRY}"))
    assert "reach" not in caplog.text


@pytest.mark.parametrize("text", ["", "[app:main", "\0", "[app:main]\nuse = config:none.ini\n%(\n"])
def test_file_that_is_not_what_the_loader_has_read_keeps_nothing_from_starting(write_ini, text):
    path = write_ini(text)
    filter_factory({"__file__": str(path), "here": str(path.parent)}, server_name="a")


@pytest.mark.parametrize(
    ("base", "severity", "status"), [("filter-with", "high", 2), ("another filter", "medium", 1)]
)
def test_check_reports_lost_options_with_what_to_write(files, base, severity, status):
    path = files(BASES[base], CHILDREN["child"])
    report = check(path)
    (lost,) = [warned for warned in report.warnings if (warned.code, warned.path) == ("options-lost", path)]
    assert (lost.severity, lost.line) == (severity, 3)
    assert lost.text.startswith("db of [app:main] does not reach the app")
    assert "use = config:base.ini#main-app" in lost.lines
    assert all(line in report_text(report) for line in lost.lines)
    assert report.status() == status


def test_command_that_changes_no_ini_is_named_where_no_change_works(files):
    base = f"[filter-app:main]\nuse = sentry\nenvironment = test\nnext = a\n[app:a]\n{EGG}{SENTRY}"
    report = check(files(base, CHILDREN["child"]))
    lost, *_ = [found for found in report.warnings if found.code == "options-lost"]
    assert lost.lines == ()
    assert lost.text.endswith("start the server with sentry-paste run, which changes no ini")


def test_check_of_a_base_reports_what_those_who_inherit_from_it_lose(files):
    path = files(BASES["filter-with"], CHILDREN["child of a child"])
    report = check(path.replace("test.ini", "base.ini"))
    lost = [warned for warned in report.warnings if warned.code == "options-lost"]
    assert [(warned.path, warned.line) for warned in lost] == [
        (path.replace("test.ini", "middle.ini"), 3),
        (path, 3),
    ]
    assert report.status() == 2


@pytest.mark.parametrize("unused", ["", SENTRY, SENTRY.replace("egg:sentry_paste", "egg:raven")])
def test_sentry_is_advised_in_a_form_that_others_can_inherit(files, unused):
    path = files(BASES["nothing"] + unused, CHILDREN["child"]).replace("test.ini", "base.ini")
    remedy = check(path).remedy
    assert remedy.lines[0].startswith("[composite:main]")
    write_lines(Path(path), remedy.lines)
    for name, db in [("base", "prod"), ("middle", "prod"), ("test", "test")]:
        recorded = load_and_ask(path.replace("base.ini", f"{name}.ini"))
        assert [options["db"] for _, options, _ in recorded.apps] == [db]


@pytest.mark.parametrize("form", UNCALLABLE)
def test_check_reports_an_app_that_cannot_answer(files, form):
    gzip = "[filter:gzip]\nuse = egg:gzip\n"
    report = check(files(f"[app:main]\n{EGG}filter-with = gzip\n{gzip}", UNCALLABLE[form] + gzip))
    (found,) = [warned for warned in report.warnings if warned.code == "filter-with-unusable"]
    assert found.text.count("TypeError") == 1
    assert report.changes
    assert report.status() == 2


def test_json_has_the_lines_to_write(files):
    path = files(BASES["pipeline"], CHILDREN["child"])
    (lost, *_) = json.loads(report_json(check(path)))["warnings"]
    assert (lost["code"], lost["path"], lost["line"]) == ("options-lost", path, 3)
    assert lost["write"][:2] == ["[pipeline:main]", "pipeline = sentry main-app"]
    base = path.replace("test.ini", "base.ini")
    (sentry,) = json.loads(report_json(check(base)))["filters"]
    assert sentry["write"] == []  # with a composite there, those who inherit from it would not start
    for name in ("test.ini", "middle.ini"):
        Path(base).with_name(name).unlink()
    (sentry,) = json.loads(report_json(check(base)))["filters"]
    assert sentry["write"][0].startswith("[composite:main]")
    missing = json.loads(report_json(check(files("", BASES["nothing"]))))
    assert missing["write"][0] == "[filter:sentry]"


def test_mistakes_of_inherited_options_have_their_file_in_json(files):
    path = files(SENTRY + "sample_rate = x\n", f"[app:main]\n{EGG}filter-with = sentry\n{SENTRY}")
    Path(path).write_text(Path(path).read_text().replace(OPTIONS, "use = config:base.ini#sentry\n"))
    report = check(path)
    (mistake,) = json.loads(report_json(report))["mistakes"]
    assert (mistake["path"], mistake["line"]) == (path.replace("test.ini", "base.ini"), 4)


PAGE = (Path(__file__).parents[3] / "docs" / "configuration.rst").read_text(encoding="utf-8")


def ini_of_the_page(name):
    block = re.search(rf"   :caption: {name}\n\n((?:   .*\n|\n)+)", PAGE)[1]
    return textwrap.dedent(block)


@pytest.fixture
def _dsn(monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")


@pytest.mark.usefixtures("_dsn")
def test_inis_of_the_page_keep_the_options_of_each(files):
    path = files(ini_of_the_page("base.ini"), ini_of_the_page("test.ini"))
    for name, database in [("base", "production.db"), ("test", "test.db")]:
        recorded = load_and_ask(path.replace("test.ini", f"{name}.ini"))
        assert [options["database"] for _, options, _ in recorded.apps] == [database]
        assert [covered for _, covered in recorded.covered] == [True]
    assert values(check(path))["environment"] == ("test", "[composite:main] line 4")


@pytest.mark.usefixtures("_dsn")
@pytest.mark.parametrize("base", [*BASES, "urlmap"])
def test_served_ini_of_the_page_is_right_whatever_it_serves(files, base):
    urlmap = f"[composite:main]\nuse = egg:Paste#urlmap\n/ = a\n[app:a]\n{EGG}"
    recorded = load_and_ask(files(BASES.get(base, urlmap), ini_of_the_page("served.ini")))
    assert of_apps(recorded) == [("prod", "base")]
    assert [covered for _, covered in recorded.covered] == [True]


ROWS = {
    "``use = egg:myapp`` or": ("filter-with", "are dropped"),
    "``use = other``, with": ("filter-with in what is used", "are dropped"),
    "``paste.app_factory": ("filter-with, factory by name", "reach the app"),
    "a pipeline": ("pipeline", "are dropped"),
    "``[filter-app:main]`` with ``use``": ("filter-app", "are dropped"),
    "``[filter-app:main]`` with ``paste": ("filter-app, factory by name", "go to the filter"),
    "``[composite:main]`` with": ("composite", "go to Sentry"),
    "the app alone": ("nothing", "reach the app"),
}


@pytest.mark.parametrize("row", ROWS)
def test_table_of_the_page_is_what_happens(files, row):
    base, outcome = ROWS[row]
    assert re.search(rf"   \* - {re.escape(row)}.*\n     - {outcome}", PAGE)
    path = files(BASES[base], CHILDREN["child"])
    if outcome.startswith("go to"):
        with pytest.raises(ConfigError, match="db: is not an option"):
            load_and_ask(path)
    else:
        is_test = of_apps(load_and_ask(path)) == [("test", "base")]
        assert is_test is (outcome == "reach the app")


ADMIN = f"[app:admin]\n{EGG}filter-with = sentry\n"
# What else may use the filter of base.ini: in base.ini itself, and in a third file.
OTHER_USERS = {
    "another app": (ADMIN, ""),
    "a pipeline": (f"[pipeline:admin]\npipeline = sentry b\n[app:b]\n{EGG}", ""),
    "a filter around it": (
        f"[app:admin]\n{EGG}filter-with = outer\n[filter:outer]\nuse = egg:gzip\nfilter-with = sentry\n",
        "",
    ),
    "an app of another file": (
        "",
        f"[app:main]\n{EGG}filter-with = sentry\n[filter:sentry]\nuse = config:base.ini#sentry\n",
    ),
    "a pipeline of another file": (
        "",
        f"[pipeline:main]\npipeline = config:base.ini#sentry a\n[app:a]\n{EGG}",
    ),
    "a filter of another file that no app uses": (
        "",
        f"[app:main]\n{EGG}[filter:x]\nuse = config:base.ini#sentry\n",
    ),
    "a composite of another file": (
        ADMIN,
        "[composite:main]\nuse = egg:Paste#urlmap\n/ = config:base.ini#admin\n",
    ),
}


@pytest.mark.parametrize("other", OTHER_USERS)
@pytest.mark.parametrize("base", ["filter-with", "pipeline"])
def test_advice_leaves_other_users_of_a_filter_as_they_are(files, write_ini, base, other):
    in_base, third = OTHER_USERS[other]
    path = files(BASES[base] + in_base, CHILDREN["child"])
    if third:
        write_ini(third, "third.ini")
    others = [(path.replace("test.ini", "base.ini"), "admin")] if in_base else []
    others += [(path.replace("test.ini", "third.ini"), "main")] if third else []
    before = [load_and_ask(*place) for place in others]
    report = check(path)
    assert any(change.restored for change in report.changes)
    for change in report.changes:
        texts = {edit.place.path: Path(edit.place.path).read_text() for edit in change.edits}
        write_edits(change)
        after = [load_and_ask(*place) for place in others]
        assert [recorded.covered for recorded in after] == [recorded.covered for recorded in before]
        assert [of_apps(recorded) for recorded in after] == [of_apps(recorded) for recorded in before]
        assert "[filter:sentry]" in Path(path.replace("test.ini", "base.ini")).read_text()
        for changed, text in texts.items():
            Path(changed).write_text(text)


def test_unused_filter_that_another_file_inherits_stays_one(files):
    path = files(
        BASES["nothing"] + SENTRY,
        f"[app:main]\nuse = config:base.ini\ndb = test\n[app:x]\n{EGG}filter-with = sentry\n"
        "[filter:sentry]\nuse = config:base.ini#sentry\n",
    )
    base = path.replace("test.ini", "base.ini")
    report = check(base)
    assert report.changes
    for change in report.changes:
        assert "[filter:sentry]" in apply(Files(), change.edits).text(base)


def test_app_that_is_broken_is_not_broken_in_another_way(files):
    broken = f"[app:broken]\nuse = a\nfilter-with = sentry\n[app:a]\n{EGG}filter-with = gzip\n"
    path = files(
        f"{BASES['filter-with']}{broken}[filter:gzip]\nuse = egg:gzip\n",
        CHILDREN["child"],
    )
    for change in check(path).changes:
        assert "[filter:sentry]" in apply(Files(), change.edits).text(path.replace("test.ini", "base.ini"))
