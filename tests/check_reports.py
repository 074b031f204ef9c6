"""Read what ``check`` reports, for the tests of ``sentry-paste check``."""

from pathlib import Path

from sentry_paste.cli.check.text import report_text

#: Folder with the ini files of other projects.
INIS = Path(__file__).with_name("inis")

#: A filter that needs no warning.
SENTRY = """
[filter:sentry]
use = egg:sentry_paste
dsn = https://public:secret@sentry.example/7
release = shop@1
"""

#: A filter and an app that can be loaded, to put into a pipeline.
AROUND_A_PIPELINE = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = http://key@127.0.0.1:9/1
    [app:app]
    paste.app_factory = apps:make_app
"""


def states(report):
    """Return state and name of every layer, as the text shows them."""
    lines = report_text(report).splitlines()
    begin = lines.index("From the outermost to the app") + 1
    rows = [line for line in lines[begin : lines.index("", begin)] if line[2:3].strip()]
    found = [(line[2:11].strip(), line[13:].strip().split("  ")[0]) for line in rows]
    return [row for row in found if row[0] in ("SENTRY", "covered", "outside", "no Sentry")]


def warnings_of(report, severity=None):
    """Return the texts of the warnings, of one severity or of all."""
    return [warning.text for warning in report.warnings if severity in (None, warning.severity)]


def values(report, filter_=0):
    """Return value and origin of each option of a filter, by name."""
    return {value.name: (value.text, value.origin) for value in report.filters[filter_].values}
