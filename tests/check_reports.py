"""Read what ``check`` reports, for the tests of ``sentry-paste check``."""

import re
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


def write_lines(path, lines):
    """Write the lines that a report shows to the ini, and to the others that they name.

    The remarks to the right of the lines are followed as a reader would.
    """
    home, title = path, None
    for line in lines:
        text, remark = ([*re.split(" {2,}", line.strip(), maxsplit=1), ""])[:2]
        if text.startswith("["):
            title = text.strip("[]")
            home = path.parent / remark[3:].partition(",")[0] if remark.startswith("in ") else path
            home = path if remark.startswith("in place") else home
            old = re.search(r"in place of \[(.*)\]", remark)
            content = home.read_text()
            if old:
                assert content.count(f"[{old[1]}]\n") == 1
                content = content.replace(f"[{old[1]}]\n", f"[{title}]\n")
            elif f"[{title}]\n" not in content:
                content += f"\n[{title}]\n"
            home.write_text(content)
        elif text:
            _write_option(home, title, text, remark)


def _write_option(path, title, text, remark):
    before, header, after = path.read_text().partition(f"[{title}]\n")
    end = re.search(r"^\[", after, re.MULTILINE)
    section, rest = (after[: end.start()], after[end.start() :]) if end else (after, "")
    key, _, value = text.partition(" = ")
    pattern = re.compile(
        rf"^{re.escape(key)}\s*[=:].*\n(?:(?:[ \t#].*)?\n?(?=[ \t#]))*(?:[ \t].*\n)?", re.MULTILINE
    )
    old = pattern.search(section)
    if remark == "remove this option":
        assert old
        text = ""
    elif value.endswith("..."):
        assert old
        entries = " ".join(line for line in old[0].splitlines() if not line.startswith("#")).partition("=")[2]
        if remark.startswith("without "):
            entries = entries.replace(f" {remark[8:]} ", " ")
        else:
            entries = value[:-3] + entries
        text = f"{key} = {entries}\n"
    else:
        text += "\n"
    section = section.replace(old[0], text) if old else text + section
    path.write_text(before + header + section + rest)
