"""What sentry-paste check reports about each filter: its options, integrations and mistakes."""

import subprocess
import sys
import textwrap

import pytest
import sentry_sdk

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text
from sentry_paste.cli.main import main

from check_reports import SENTRY, values


def test_each_option_is_shown_with_its_origin(write_ini, monkeypatch):
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


def test_release_of_a_distribution_is_shown_with_its_version(write_filter):
    path = write_filter("traces_sample_rate = 0.5\n")
    path.write_text(path.read_text().replace("shop@1", "dist:pytest"))
    text, origin = values(check(str(path)))["release"]
    assert text == f"pytest@{pytest.__version__} (dist:pytest)"
    assert origin == "[filter:sentry] line 5"


def test_dsn_from_a_file_is_shown_as_such(write_filter, tmp_path):
    (tmp_path / "dsn").write_text("https://public@sentry.example/9\n")
    path = write_filter("dsn_file = dsn\n")
    path.write_text(path.read_text().replace("dsn = https://public:secret@sentry.example/7\n", ""))
    assert values(check(str(path)))["dsn"] == ("https://***@sentry.example/9", "from dsn_file")


def test_integrations_are_those_of_the_client(write_filter):
    # In a process of its own: the SDK keeps an integration for all clients once one has turned it on.
    path = write_filter("disabled_integrations = excepthook\nauto_enabling_integrations = false\n")
    command = [sys.executable, "-m", "sentry_paste", "check", str(path)]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180)
    names = ended.stdout.partition("[filter:sentry] integrations\n")[2].split("\n\n")[0].split()
    names = [name.strip(",") for name in names]
    assert {"logging", "stdlib", "threading"} <= set(names)
    assert not {"excepthook", "pyramid"} & set(names)
    assert ended.stderr == ""


def test_check_leaves_no_client_behind(write_filter):
    check(str(write_filter()))
    assert not sentry_sdk.get_client().is_active()


@pytest.mark.parametrize(
    "sections",
    [
        "[filter:sentry]\nuse = egg:sentry_paste\n[app:main]\nuse = egg:myapp\nfilter-with = sentry\n",
        "[filter:sentry]\nuse = egg:sentry_paste\n[app:a]\nuse = egg:a\n"
        "[pipeline:main]\npipeline = sentry a\n",
        "[composite:main]\nuse = egg:sentry_paste\napp = a\n[app:a]\nuse = egg:a\n",
    ],
)
def test_filter_with_nowhere_to_report_to_counts_as_no_sentry(write_ini, sections):
    report = check(str(write_ini(sections)))
    assert report.status() == 1
    text = " ".join(report_text(report).split())
    assert "The app runs without this filter, as there is nowhere to report to" in text
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


def test_missing_distribution_is_no_mistake_where_the_app_is_missing_too(write_ini):
    options = "before_send = swift.sentry:hook\n"
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    report = check(str(write_ini(SENTRY.replace("shop@1", "dist:swift") + options + app)))
    found = values(report)
    assert found["release"] == ("dist:swift", "[filter:sentry] line 5; swift is not installed here")
    assert found["before_send"][1].endswith("; swift is not installed here")
    assert (report.status(strict=True), report.warnings) == (0, ())


def test_missing_library_of_an_integration_is_no_mistake_where_the_app_is_missing_too(write_ini):
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


def test_unknown_integration_is_a_mistake_even_where_the_app_is_missing(write_ini):
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    report = check(str(write_ini(SENTRY + "integrations = sanik\n" + app)))
    assert report.status() == 2
    assert "did you mean sanic?" in report_text(report)


def test_other_mistakes_are_shown_where_the_app_is_missing(write_ini):
    app = "[app:main]\nuse = egg:swift#proxy\nfilter-with = sentry\n"
    options = "sample_rate = many\nbefore_send = email:no_such_hook\n"
    (mistake,) = [
        found.mistake
        for found in check(str(write_ini(SENTRY.replace("shop@1", "dist:swift") + options + app))).filters
    ]
    assert [problem.option for problem in mistake.problems] == ["sample_rate", "before_send"]


def test_missing_distribution_is_a_mistake_where_the_app_is_installed(write_ini):
    app = "[app:main]\nuse = egg:sentry_paste#example\nfilter-with = sentry\n"
    for sentry in (SENTRY.replace("shop@1", "dist:swift"), SENTRY + "integrations = sanic\n"):
        assert check(str(write_ini(sentry + app))).status() == 2


def test_mistakes_are_shown_as_at_a_start(write_filter, load, capsys):
    path = write_filter("trace_sample_rate = 1\nsend_default_pii = maybe\n")
    assert main(["check", str(path)]) == 2
    text = capsys.readouterr().out
    assert "[filter:sentry] keeps the app from starting" in text
    assert "line 6: trace_sample_rate: is not an option of sentry_paste" in text
    assert "line 7: send_default_pii = maybe: expected true or false" in text
    assert "No warnings." not in text


def test_mistake_in_the_section_of_the_inbox_is_shown(starter, write_ini, capsys):
    inbox = "use = egg:sentry_paste#inbox\nallowed = 192.0.2.7\nspool_dir = x\n"
    assert main(["check", str(write_ini(f"[app:main]\n{inbox}"))]) == 2
    assert "line 3: allowed: is no option of the inbox; did you mean allow?" in capsys.readouterr().out

    mounted = f"[composite:main]\nuse = egg:Paste#urlmap\n/ = shop\n/inbox = inbox\n[app:inbox]\n{inbox}"
    shop = "[app:shop]\nuse = egg:myapp\n"
    report = check(str(write_ini(mounted + shop)))
    assert report.status() == 2
    text = report_text(report)
    assert "Sentry is missing" in text
    assert "[app:inbox] keeps the app from starting" in text
    assert check(str(write_ini(SENTRY + mounted + shop + "filter-with = sentry\n"))).status() == 2


def test_missing_template_is_a_mistake(write_filter):
    report = check(str(write_filter("error_page = nothere.html\n")))
    assert report.status() == 2
    assert "nothere.html cannot be read: No such file or directory" in report_text(report)


def test_mistake_in_a_filter_that_is_not_used_is_warned_of(write_ini):
    idle = "[filter:idle]\nuse = egg:sentry_paste\nsample_rate = 7\n"
    app = "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
    report = check(str(write_ini(SENTRY + idle + app)))
    assert report.status() == 0
    assert [(found.severity, found.code, found.line, found.text) for found in report.warnings] == [
        (
            "medium",
            "unused-filter-mistake",
            8,
            "[filter:idle], which nothing here uses: sample_rate = 7: expected a number from 0 to 1",
        )
    ]


def test_filter_that_is_not_used_in_a_mounted_file_is_checked_too(write_ini):
    write_ini(SENTRY.replace("shop@1", "1\nsample_rate = 7") + "[app:main]\nuse = egg:other\n", "other.ini")
    mounts = "[composite:main]\nuse = egg:Paste#urlmap\n/ = shop\n/other = config:other.ini\n"
    report = check(str(write_ini(SENTRY + mounts + "[app:shop]\nuse = egg:myapp\nfilter-with = sentry\n")))
    assert [found.line for found in report.warnings if found.code == "unused-filter-mistake"] == [6]
    (title,) = [found.title for found in report.filters]
    assert title == "[filter:sentry]"


def test_mistake_that_is_inherited_is_told_once(write_ini):
    base = "[filter:base]\nuse = egg:sentry_paste\nsample_rate = 7\n[filter:heir]\nuse = base\n"
    report = check(str(write_ini(base + "[app:main]\nuse = egg:myapp\nfilter-with = heir\n")))
    assert len(report.filters[0].mistake.problems) == 1
    assert report.warnings == ()


def test_options_of_mounted_files_have_the_lines_of_their_files(write_ini):
    for name in ("shop", "admin"):
        write_ini(SENTRY + "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n", f"{name}.ini")
    mounts = "[composite:main]\nuse = egg:Paste#urlmap\n/ = config:shop.ini\n/a = config:admin.ini\n"
    report = check(str(write_ini(mounts)))
    origins = [values(report, number)["dsn"][1] for number in (0, 1)]
    assert origins == ["[filter:sentry] of shop.ini line 4", "[filter:sentry] of admin.ini line 4"]


def test_warning_about_a_filter_that_is_not_used(write_ini):
    unused = "[filter:other]\nuse = egg:sentry_paste\nsample_rate = 7\nname = web1\n"
    report = check(str(write_ini(SENTRY + unused + "[app:main]\nuse = egg:myapp\nfilter-with = sentry\n")))
    assert [(found.code, found.line) for found in report.warnings] == [
        ("unused-filter-mistake", 8),
        ("older-name", 9),
    ]
    assert all(
        found.text.startswith("[filter:other], which nothing here uses: ") for found in report.warnings
    )
