"""Which filters are around an app, as sentry-paste check reads them from an ini."""

import textwrap

import pytest
from webtest import TestApp

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text

from check_reports import AROUND_A_PIPELINE, INIS, SENTRY, states, values, warnings_of


def test_pyramid_starter_with_filter_with_is_covered_and_needs_no_egg(starter):
    report = check(str(starter("filter-with = sentry", SENTRY)))
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
    assert "pyramid_scaffold is not installed here." in report_text(report)
    assert (report.status(), report.warnings) == (0, ())


def test_filter_that_the_app_does_not_use_does_not_count(starter):
    report = check(str(starter(added=SENTRY)))
    assert report.status() == 1
    assert "[filter:sentry] is in the file, but nothing here uses it." in report_text(report)
    assert "  use = egg:sentry_paste\n" not in report_text(report)


def test_zope_with_the_filter_last_has_the_others_outside(zope):
    report = check(str(zope(last="sentry")))
    assert states(report) == [
        ("outside", "egg:Zope#httpexceptions"),
        ("outside", "translogger"),
        ("SENTRY", "sentry"),
        ("covered", "zope"),
    ]
    (text,) = warnings_of(report)
    assert text.startswith("egg:Zope#httpexceptions, translogger are outside sentry")
    assert text.endswith("put sentry first in [pipeline:main]")


def test_zope_with_the_filter_first_has_nothing_outside(zope):
    report = check(str(zope(first="sentry")))
    assert [state for state, _ in states(report)] == ["SENTRY", "covered", "covered", "covered"]
    assert report.warnings == ()


def test_pipeline_of_another_section_is_followed(write_filter):
    path = write_filter(
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


def test_urlmap_shows_which_apps_have_no_sentry(write_filter):
    path = write_filter(
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
        "static is not covered by Sentry: its errors are not reported; to cover everything, write "
        "filter-with = sentry in [composite:main]"
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
    assert "    use = egg:sentry_paste\n    app = main-app\n" in report_text(report)


def test_factory_that_is_named_without_an_egg_is_ours(write_ini):
    sentry = SENTRY.replace("use = egg:sentry_paste", "paste.filter_factory = sentry_paste:filter_factory")
    app = "[app:main]\npaste.app_factory = keystone.server:app_factory\nfilter-with = sentry\n"
    path = write_ini(sentry + app)
    report = check(str(path))
    assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
    assert "keystone is not installed here" in report_text(report)


def swift(write_ini, pipeline):
    """Swift's proxy, its sections named as its documentation has them."""
    sections = "[pipeline:main]\npipeline = " + pipeline + "\n[app:proxy-server]\nuse = egg:swift#proxy\n"
    for name in ("catch_errors", "gatekeeper"):
        sections += f"[filter:{name}]\nuse = egg:swift#{name}\n"
    return str(write_ini(SENTRY + sections))


def test_sentry_belongs_right_behind_swifts_error_catcher(write_ini):
    report = check(swift(write_ini, "catch_errors sentry gatekeeper proxy-server"))
    assert (report.status(strict=True), report.warnings) == (0, ())
    assert "filter-with" not in report_text(report)


def test_filter_between_swifts_error_catcher_and_sentry_is_warned_of(write_ini):
    report = check(swift(write_ini, "catch_errors gatekeeper sentry proxy-server"))
    (warning,) = warnings_of(report)
    assert warning.startswith("gatekeeper is outside sentry")
    assert warning.endswith("put sentry right after catch_errors")


class TestForwardedRequests:
    """egg:Paste#recursive answers an exception of the app's by another request to it."""

    @staticmethod
    def report(write_ini, pipeline):
        sections = "[app:app]\npaste.app_factory = apps:make_app\n[filter:again]\nuse = egg:Paste#recursive\n"
        return check(str(write_ini(f"{SENTRY}{sections}[pipeline:main]\npipeline = {pipeline}\n")))

    def test_outside_of_sentry_are_warned_of(self, write_ini):
        report = self.report(write_ini, "again sentry app")
        assert [warning.code for warning in report.warnings] == ["not-outermost", "forwards-outside"]
        assert warnings_of(report)[1].startswith("again forwards requests by an exception and is outside")

    def test_inside_are_one_request(self, write_ini):
        assert self.report(write_ini, "sentry again app").warnings == ()


def test_our_example_is_an_app(write_filter):
    report = check(
        str(write_filter(sections="[app:main]\nuse = egg:sentry_paste#example\nfilter-with = sentry\n"))
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


def test_health_check_needs_no_sentry(write_filter):
    """As docs/deployments/openstack.rst has it: Sentry in each pipeline, and a health check next to them."""
    composite = "[composite:main]\nuse = egg:Paste#urlmap\n/ = myapp\n/healthcheck = healthcheck\n"
    health = "[app:healthcheck]\npaste.app_factory = oslo_middleware:Healthcheck.app_factory\n"
    report = check(
        str(
            write_filter(
                sections=composite
                + health
                + "[pipeline:myapp]\npipeline = sentry app\n[app:app]\nuse = egg:myapp\n",
            )
        )
    )
    assert ("no Sentry", "/healthcheck") in [(state, name.split()[0]) for state, name in states(report)]
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_filter_around_a_filter_stands_outside_of_it(write_filter):
    sections = "[filter:gzip]\nuse = egg:gzip\n[pipeline:main]\npipeline = sentry a\n[app:a]\nuse = egg:a\n"
    path = write_filter("filter-with = gzip\n", sections)
    assert states(check(str(path))) == [("outside", "gzip"), ("SENTRY", "sentry"), ("covered", "a")]


def test_filter_with_that_is_taken_is_followed_to_its_end(write_ini):
    path = write_ini("[filter:gzip]\nuse = egg:gzip\n[app:main]\nuse = egg:a\nfilter-with = gzip\n")
    assert "  [filter:gzip]\n  filter-with = sentry\n" in report_text(check(str(path)))


def test_sentry_inside_sentry_is_warned_of(write_filter):
    path = write_filter(
        sections=SENTRY.replace("filter:sentry", "filter:again")
        + "[pipeline:main]\npipeline = again sentry a\n[app:a]\nuse = egg:a\n",
    )
    report = check(str(path))
    assert warnings_of(report) == [
        "sentry is inside another Sentry, which handles the request: it does nothing"
    ]
    text = " ".join(report_text(report).split())
    assert text.count("To start Sentry first") == 1
    assert "[filter:sentry] at start-up It is inside another Sentry" in text


@pytest.mark.parametrize(
    "section",
    ["[pipeline:main]\npipeline = app\n", "[filter-app:main]\nuse = egg:sentry_paste\nnext = app\n"],
)
def test_filter_with_that_paste_cannot_use_is_warned_of(write_ini, load, section):
    text = textwrap.dedent(AROUND_A_PIPELINE) + section + "filter-with = sentry\n"
    warned = warnings_of(check(str(write_ini(text))), "high")
    assert [found for found in warned if "with filter-with: every request fails" in found]
    with pytest.raises(TypeError):
        TestApp(load(text)).get("/answer_list")


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
    assert "The inbox is the only app here" in text
    assert "filter-with" not in text
    assert report.status() == 0


def test_composite_without_its_app_is_a_mistake(write_ini):
    report = check(str(write_ini(SENTRY.replace("[filter:sentry]", "[composite:main]"))))
    assert "app: expected the name of the app's section" in report_text(report)
    assert report.status() == 2
