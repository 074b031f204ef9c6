"""Every change that check advises has been written to a copy, loaded by PasteDeploy and asked."""

import re
from collections import Counter
from pathlib import Path

import pytest

from sentry_paste.cli.check.edits import apply
from sentry_paste.cli.check.files import Files
from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.check.trial import Goal

from check_reports import INIS, SENTRY, write_lines
from random_inis import write_random_inis
from recorded_apps import load_and_ask
from steps import steps_of

FILTERS = "[filter:gzip]\nuse = egg:gzip\n[filter:log]\nuse = egg:log\n"
APP = "[app:a]\nuse = egg:myapp\ndb = 1\n"

# Inis without Sentry.
PLAIN = {
    "app": "[app:main]\nuse = egg:myapp\ndb = 1\n",
    "app with filter-with": f"[app:main]\nuse = egg:myapp\nfilter-with = gzip\n{FILTERS}",
    "pipeline": f"[pipeline:main]\npipeline = gzip log a\n{FILTERS}{APP}",
    "long pipeline": "[pipeline:main]\npipeline =\n  gzip\n# not a filter\n"
    f"  {'log ' * 40}\n\n  a\n{FILTERS}{APP}",
    "filter-app": f"[filter-app:main]\nuse = egg:gzip\nnext = a\n{APP}",
    "urlmap": "[composite:main]\nuse = egg:Paste#urlmap\n/ = a\n/b = b\n"
    f"[pipeline:b]\npipeline = gzip a\n{FILTERS}{APP}",
    "use of a pipeline": f"[app:main]\nuse = p\n[pipeline:p]\npipeline = gzip a\n{FILTERS}{APP}",
    "use of a filter-with": f"[app:main]\nuse = a\ndb = 2\n{APP}filter-with = gzip\n{FILTERS}",
    "use of an app": f"[app:main]\nuse = a\ndb = 2\n{APP}",
    "inherited in the file": "[app:main]\nuse = egg:myapp\ndb = 1\n[app:test]\nuse = main\ndb = 2\n",
    "colons": f"[composite:main]\nuse: egg:Paste#urlmap\n/: a\n{APP}",
    "unused filter": f"[app:main]\nuse = egg:myapp\n{SENTRY}",
    "unused filter of raven": "[app:main]\nuse = egg:myapp\n[filter:sentry]\nuse = egg:raven\ndsn =\n",
    "unused filter of others": "[pipeline:main]\npipeline = a\n[filter:sentry]\n"
    f"paste.filter_factory = sapcc.paste:factory\nlevel = ERROR\n{APP}",
    "filter of raven": "[pipeline:main]\npipeline = gzip raven a\n[filter:raven]\nuse = egg:raven\n"
    f"{FILTERS}{APP}",
    "entry of raven": f"[pipeline:main]\npipeline = egg:raven a\n{APP}",
    "another sentry": "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
    "[filter:sentry]\nuse = egg:other#sentry\n",
}
# Inis with Sentry, somewhere.
COVERED = {
    "first in the pipeline": f"[pipeline:main]\npipeline = sentry gzip a\n{FILTERS}{APP}",
    "last in the pipeline": f"[pipeline:main]\npipeline = gzip log sentry a\n{FILTERS}{APP}",
    "filter-with inside a pipeline": "[pipeline:main]\npipeline = gzip a\n"
    f"{FILTERS}{APP}filter-with = sentry\n",
    "filter-with inside a filter-with": "[app:main]\nuse = egg:myapp\nfilter-with = gzip\n"
    "[filter:gzip]\nuse = egg:gzip\nfilter-with = log\n[filter:log]\nuse = egg:log\nfilter-with = sentry\n",
    "filter around a filter-with": "[pipeline:main]\npipeline = gzip a\n"
    f"[filter:gzip]\nuse = egg:gzip\n{APP}filter-with = sentry\n",
    "one app of two": f"[composite:main]\nuse = egg:Paste#urlmap\n/ = a\n/b = b\n{APP}filter-with = sentry\n"
    "[app:b]\nuse = egg:b\n",
    "one pipeline of two": "[composite:main]\nuse = egg:Paste#urlmap\n/ = p\n/b = a\n"
    f"[pipeline:p]\npipeline = sentry a\n{APP}",
    "use of one pipeline of two": "[app:main]\nuse = c\n"
    "[composite:c]\nuse = egg:Paste#urlmap\n/ = p\n/b = a\n"
    f"[pipeline:p]\npipeline = gzip sentry a\n{FILTERS}{APP}",
    "Swift's catcher": "[pipeline:main]\npipeline = catch gzip sentry a\n"
    f"[filter:catch]\nuse = egg:swift#catch_errors\n{FILTERS}{APP}",
    "filter-with on a filter app": "[filter-app:main]\nuse = egg:gzip\nnext = a\nfilter-with = sentry\n"
    f"{APP}",
    "filter-with on a pipeline": f"[pipeline:main]\npipeline = gzip a\nfilter-with = sentry\n{FILTERS}{APP}",
    "filter-with on the use of a pipeline": "[app:main]\nuse = p\nfilter-with = sentry\n"
    f"[pipeline:p]\npipeline = gzip a\n{FILTERS}{APP}",
    "bare egg": f"[pipeline:main]\npipeline = egg:sentry_paste a\n{APP}",
    "two of ours": f"[pipeline:main]\npipeline = sentry a\n{APP}filter-with = sentry\n",
    "lost in the file": f"[app:main]\nuse = a\ndb = 2\n{APP}filter-with = sentry\n",
    "lost in a pipeline": "[app:main]\nuse = p\ndb = 2\n[pipeline:p]\npipeline = sentry gzip a\n"
    f"{FILTERS}{APP}",
    "pyramid.includes": "[pipeline:main]\npipeline = gzip a\n[filter:gzip]\nuse = egg:gzip\n"
    f"{APP}pyramid.includes = sentry_paste\nsentry.dsn = http://key@127.0.0.1:9/1\n",
}


def of_files(folder):
    for path in sorted(folder.glob("*.ini")):
        text = path.read_text(encoding="utf-8")
        yield path.name, text
        filter_of_raven = "\n[filter:sentry]\nuse = egg:raven#raven\n"
        yield f"{path.name} with an unused filter", text + filter_of_raven
        if "pipeline =\n" in text:
            last = re.sub(r"\n(    \w+)\n\n", r"\n    sentry\n\1\n\n", text)
            yield f"{path.name} with Sentry last", last + SENTRY
        inside = re.sub(r"^(\[app:\w+\]\n)", r"\1filter-with = sentry\n", text, count=1, flags=re.MULTILINE)
        yield f"{path.name} with Sentry", inside + SENTRY


ALL = {
    **PLAIN,
    **{name: text + SENTRY for name, text in COVERED.items()},
    **dict(of_files(INIS)),
}
NAMES = {"zope.ini": "main", "glance-api-paste.ini": "glance-api-keystone"}


@pytest.fixture(autouse=True)
def _dsn(monkeypatch):
    monkeypatch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")


def name_of(case):
    return next((name for file, name in NAMES.items() if file in case), "main")


def options_of(recorded):
    return sorted((spec, sorted(options.items())) for spec, options, _ in recorded.apps)


def has_sentry(path):
    return "sentry_paste" in path.read_text()


def uncovered(recorded):
    return Counter(spec for spec, is_covered in recorded.covered if not is_covered)


def ask(path, name):
    try:
        return load_and_ask(str(path), name)
    except Exception as error:
        return error


@pytest.mark.parametrize("case", ALL)
def test_each_change_and_the_lines_that_show_it_cover_the_app_and_keep_its_options(tmp_path, case):
    name = name_of(case)
    path = tmp_path / "test.ini"
    path.write_text(ALL[case])
    report = check(str(path), name)
    before = ask(path, name)
    for change in report.changes:
        path.write_text(ALL[case])
        path.write_text(apply(Files(), change.edits).text(str(path)))
        after = load_and_ask(str(path), name)
        assert not has_sentry(path) or any(covered for _, covered in after.covered)
        if isinstance(before, Exception):
            assert "composed" in str(before)
        elif change.restored is None:
            assert options_of(after) == options_of(before)
        if change.phrase and "right after" not in change.phrase and not isinstance(before, Exception):
            assert all(covered for _, covered in after.covered)
            assert after.outside == []

    text = report_text(report)
    for lines in [
        *(found.first_start for found in report.filters),
        *(warned.lines for warned in report.warnings),
        report.remedy.lines if report.remedy else (),
    ]:
        if not lines or lines == ("egg:sentry_paste",):
            continue
        assert all(line in text for line in lines)
        path.write_text(ALL[case])
        write_lines(path, lines)
        after = load_and_ask(str(path), name)
        assert not has_sentry(path) or any(covered for _, covered in after.covered)


@pytest.mark.parametrize("case", PLAIN)
def test_there_is_something_to_write_for_each_ini_without_sentry(tmp_path, case):
    path = tmp_path / "test.ini"
    path.write_text(PLAIN[case])
    report = check(str(path))
    assert report.remedy is not None
    write_lines(path, report.remedy.lines) if report.remedy.lines != ("egg:sentry_paste",) else None
    if report.remedy.lines != ("egg:sentry_paste",):
        assert check(str(path)).status() == 0


@pytest.mark.parametrize("case", [case for case in PLAIN if "unused filter" in case])
def test_section_that_is_in_the_file_is_not_written_again(tmp_path, case):
    path = tmp_path / "test.ini"
    path.write_text(PLAIN[case])
    text = report_text(check(str(path)))
    assert "[filter:sentry] is in the file, but" in text
    assert "dsn = ${SENTRY_DSN}" not in text


@pytest.mark.parametrize("seed", range(80))
def test_each_change_works_for_whatever_ini(tmp_path, seed):
    texts = write_random_inis(tmp_path, seed)
    path = tmp_path / "test.ini"
    report = check(str(path))
    before = ask(path, "main")
    for change in report.changes:
        changed = apply(Files(), change.edits)
        for place in {edit.place.path for edit in change.edits}:
            Path(place).write_text(changed.text(place))
        after = load_and_ask(str(path))
        if not isinstance(before, Exception):
            assert not uncovered(after) - uncovered(before)
            assert change.restored or options_of(after) == options_of(before)
        if change.goal in (Goal.ALL, Goal.APPS):
            assert not uncovered(after)
            assert change.goal is Goal.APPS or after.outside == []
        for other, text in texts.items():
            other.write_text(text)


LONG = 400


def long_pipeline(folder, *entries, count=LONG, files=50):
    """Write a pipeline of hundreds of filters around a composite of many other files."""
    names = [f"f{number}" for number in range(count)]
    text = f"[pipeline:main]\npipeline = {' '.join([*names, *entries, 'c'])}\n{SENTRY}"
    text += "".join(f"[filter:{name}]\nuse = egg:others#{name}\nlevel = 1\n" for name in names)
    text += "[composite:c]\nuse = egg:Paste#urlmap\n"
    for number in range(files):
        text += f"/m{number} = config:shop{number}.ini\n"
        (folder / f"shop{number}.ini").write_text(f"[app:main]\nuse = egg:shop\nnumber = {number}\n")
    (folder / "test.ini").write_text(text)
    return folder / "test.ini"


def test_steps_to_check_a_large_ini_grow_with_its_size(tmp_path):
    def steps(count, files):
        path = str(long_pipeline(tmp_path, "sentry", count=count, files=files))
        report_text(check(path))  # and fill caches
        return steps_of(lambda: report_text(check(path)))

    # About 6 times as many; it would be 16 times with the square of the size.
    assert steps(200, 24) < 7 * steps(50, 6)


def test_large_ini_is_reported_in_short(tmp_path):
    path = long_pipeline(tmp_path, "sentry")
    report = check(str(path))
    assert "f8, f9 and 390 more are outside sentry" in " ".join(report_text(report).split())
    write_lines(path, report.filters[0].first_start)
    assert check(str(path)).filters[0].layer.placed == "composite"


@pytest.mark.parametrize("entries", [(), ("sentry",)])
def test_pipeline_that_is_longer_than_pythons_stack_is_reported(tmp_path, entries):
    report = check(str(long_pipeline(tmp_path, *entries, count=1_500)))
    assert "f1499" in report_text(report)


@pytest.mark.parametrize("written", ["sentri", "sentri log", ""])
def test_filter_with_that_names_no_filter_is_replaced_by_the_line_advised(tmp_path, written):
    path = tmp_path / "test.ini"
    path.write_text(f"[app:main]\nuse = egg:myapp\nfilter-with = {written}\n{FILTERS}")
    remedy = check(str(path)).remedy
    assert remedy is not None
    shown = f"filter-with = {written}".rstrip()
    assert remedy.notes == (f"The last line goes in place of {shown} (line 3).",)


def test_sentry_inside_another_is_named_with_its_file(tmp_path):
    (tmp_path / "base.ini").write_text(f"[app:main]\nuse = egg:myapp\nfilter-with = sentry\n{SENTRY}")
    path = tmp_path / "test.ini"
    path.write_text(f"[composite:main]\nuse = egg:sentry_paste\napp = config:base.ini\n{SENTRY}")
    (found,) = [warned for warned in check(str(path)).warnings if warned.code == "inside-sentry"]
    assert found.text.startswith("sentry of base.ini is inside another Sentry")
    assert found.path == str(tmp_path / "base.ini")


def test_filter_with_is_not_advised_where_another_file_inherits_the_app(tmp_path):
    path = tmp_path / "base.ini"
    path.write_text(PLAIN["app"])
    (tmp_path / "test.ini").write_text("[app:main]\nuse = config:base.ini\n")
    remedy = check(str(path)).remedy
    assert remedy.lines[0] == "[composite:main]"
    write_lines(path, remedy.lines)
    for name in ("base.ini", "test.ini"):
        recorded = load_and_ask(str(tmp_path / name))
        assert [options for _, options, _ in recorded.apps] == [{"db": "1"}]
        assert [is_covered for _, is_covered in recorded.covered] == [True]
