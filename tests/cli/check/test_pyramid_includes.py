"""Sentry in an app's pyramid.includes, as sentry-paste check sees it."""

import textwrap

import pytest

from sentry_paste.cli.check.report import check
from sentry_paste.cli.check.text import report_text

from check_reports import states, values, warnings_of


class TestPyramidIncludes:
    APP = """
        [app:main]
        use = egg:myapp
        pyramid.includes = pyramid_tm
            sentry_paste
        sentry.dsn = https://public:secret@sentry.example/7
        sentry.release = shop@1
    """

    def test_app_that_includes_sentry_is_covered(self, write_ini):
        report = check(str(write_ini(self.APP)))
        assert report.status() == 0
        assert states(report) == [("SENTRY", "sentry"), ("covered", "main")]
        text = report_text(report)
        assert "https://***@sentry.example/7" in text
        assert "Sentry is started when the app's configuration includes it" in text

    def test_mistake_in_its_settings_is_shown(self, write_ini):
        report = check(str(write_ini(textwrap.dedent(self.APP) + "sentry.sample_rate = much\n")))
        assert report.status() == 2
        assert f"{report.path} [app:main]: 1 mistake" in report_text(report)
        assert "line 8: sentry.sample_rate = much" in report_text(report)

    def test_option_is_shown_with_its_section_and_line(self, write_ini):
        text = textwrap.dedent(self.APP) + "[DEFAULT]\nsentry.environment = test\n"
        found = values(check(str(write_ini(text))))
        assert found["release"] == ("shop@1", "[app:main] line 7")
        assert found["environment"] == ("test", "[DEFAULT] line 9")

    def test_option_that_default_hides_is_warned_of(self, write_ini):
        text = textwrap.dedent(self.APP) + "[DEFAULT]\nsentry.release = other\n"
        path = write_ini(text)
        hidden = f"sentry.release is hidden by sentry.release in [DEFAULT] of {path.name}"
        assert f"{hidden}; remove it from [DEFAULT]" in warnings_of(check(str(path)))

    def test_option_of_default_that_most_apps_do_not_pass_on_is_warned_of(self, write_ini, load):
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
        (warning,) = warnings_of(check(str(write_ini(ini.replace("breadcrumb ", "breadcrumbs ")))))
        assert warning == (
            "sentry.max_breadcrumbs in [DEFAULT] reaches Pyramid only if the app's factory passes "
            "global_config on, which most do not; move it to [app:main]"
        )

    @pytest.mark.parametrize("path", ["var/sentry", "${HOME_OF_NOTHING:-var}/sentry"])
    def test_relative_path_is_warned_of(self, write_ini, path):
        ini = textwrap.dedent(self.APP) + f"sentry.spool_dir = {path}\n"
        (warning,) = warnings_of(check(str(write_ini(ini))))
        assert warning == (
            "sentry.spool_dir is a relative path, and Pyramid does not say where the ini is: it is looked up "
            "from the directory in which the server is started; put %(here)s/ in front of it"
        )

    @pytest.mark.parametrize("path", ["%(here)s/var/sentry", "/var/sentry", "~/sentry"])
    def test_absolute_path_is_not_warned_of(self, write_ini, path):
        ini = textwrap.dedent(self.APP) + f"sentry.spool_dir = {path}\nsentry.error_page = true\n"
        assert warnings_of(check(str(write_ini(ini)))) == []

    def test_line_number_is_not_taken_from_another_file(self, write_ini):
        write_ini(textwrap.dedent(self.APP), "other.ini")
        path = write_ini(
            "[app:main]\nuse = egg:a\nsentry.release = 1\n[composite:both]\nuse = egg:Paste#urlmap\n"
            "/ = config:other.ini\n"
        )
        found = values(check(str(path), "both"))
        assert found["release"] == ("shop@1", "[app:main] of other.ini line 7")

    def test_filter_around_the_app_is_not_covered(self, write_ini):
        report = check(
            str(
                write_ini(
                    textwrap.dedent(self.APP).replace("app:main", "app:shop")
                    + "[filter:gzip]\nuse = egg:Paste#gzip\n[pipeline:main]\npipeline = gzip shop\n"
                )
            )
        )
        assert any(
            "add a [filter:sentry], and put sentry first in [pipeline:main]" in text
            for text in warnings_of(report)
        )

    def test_app_that_includes_only_others_has_no_sentry(self, write_ini):
        report = check(str(write_ini(self.APP.replace("sentry_paste", "sentry_paste_other"))))
        assert report.status() == 1
