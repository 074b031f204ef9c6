"""The report of ``check`` as text for a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from sentry_paste.cli.check.advice import Finding
from sentry_paste.cli.check.effective import OptionValue, without_secrets
from sentry_paste.cli.check.placement import find_intended_sentry
from sentry_paste.cli.check.report import Filter, Report
from sentry_paste.cli.check.source import LoadProblem
from sentry_paste.cli.check.structure import INCLUDES, RUN, SCRIPT, Layer, Structure
from sentry_paste.cli.terminal import terminal_width, text_width, wrapped
from sentry_paste.config.errors import printable, without_credentials

# Width of the column of values; a longer value pushes its origin to the right. It is less on a narrow
# terminal, where an origin for which there is no room is below its value.
_VALUE_WIDTH = 44
# Least and greatest width of the column of names.
_NAME_WIDTHS = 22, 40

# Columns in front of the text of a warning.
_ADVICE_INDENT = 10

_COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "faint": "2"}
_SEVERITY_COLOURS = {"high": "red", "medium": "yellow", "low": "bold"}

_STARTED_FIRST = (
    "Sentry is started before the app is created: what the app reports while it starts is sent, and so is an "
    "exception that ends the process."
)
_START_UP = {
    "composite": "A crash of the app's factory is reported: Sentry is started first, and loads the app.",
    "filter-with": _STARTED_FIRST,
    SCRIPT: "CKAN reads this file itself: your wsgi.py puts Sentry around the app, with these options. A "
    "crash of CKAN's factory is not reported.",
    INCLUDES: "Sentry is started when the app's configuration includes it: an error before that is not "
    "reported; an exception that ends the process after it is.",
    RUN: "sentry-paste run starts Sentry before the app is created, so a crash of its factory is reported. "
    "Apps whose ini has a filter of sentry_paste use that one's options.",
    "other composite": "Whether a crash of the app's factory is reported depends on {placed_in}.",
}
_READS_ITSELF = (
    "CKAN reads this file itself, without PasteDeploy, so a filter in it does nothing. Put SentryMiddleware "
    "around the app in your wsgi.py (see CKAN under A plain WSGI script in the documentation). Its options "
    "can be set here:"
)
_AFTER_MISTAKES = "What to write is shown when PasteDeploy can load the ini."
_NOTHING_WORKS = (
    "None of the changes that were tried works for this ini. See Filters, pipelines and inheritance in the "
    "documentation."
)
_NO_FILTER = (
    "The app runs without this filter, as there is nowhere to report to, unless the app or another filter "
    "has started a Sentry client by then."
)


def report_text(report: Report, *, colour: bool = False, explain: bool = True) -> str:
    """Return a report as text.

    Args:
        report: report on an ini.
        colour: whether to use ANSI colours.
        explain: whether advice is shown in full, with what to write, or in one line each.
    """
    # Whoever has written a text, and whatever an ini has in place of a name.
    return "\n".join(map(without_credentials, _Text(colour, explain).report(report))).rstrip()


class _Text:
    def __init__(self, colour: bool, explain: bool) -> None:
        self._colour = colour
        self._explain = explain

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def _title(self, text: str) -> str:
        return self._paint(text, "bold")

    def report(self, report: Report) -> Iterator[str]:
        """Yield the lines of a report.

        Args:
            report: on one app of a file.
        """
        yield self._title(f"{printable(report.path)}, {report.name}")
        yield ""
        yield from self._problems(report)
        yield from self._structure(report)
        if not report.structure.root.has_sentry:
            yield from self._no_sentry(report)
        for found in report.filters:
            yield from self._filter(found, report.structure)
        yield from self._warnings(report)

    def _problems(self, report: Report) -> Iterator[str]:
        if not report.problems:
            return
        count = len(report.problems)
        mistakes = "1 mistake keeps" if count == 1 else f"{count} mistakes keep"
        yield self._paint(f"{mistakes} PasteDeploy from loading the ini", "red")
        for problem in report.problems:
            first, *more = wrapped(printable(_problem_text(problem, report.structure.path)), "    ")
            yield from (first[2:], *more)
        yield ""

    def _structure(self, report: Report) -> Iterator[str]:
        yield self._title("From the outermost to the app")
        rows = list(_Rows(report.structure.path).of("", report.structure.root, 0, False))
        width = max(len(name) for _, name, _ in rows)
        for state, name, rest in rows:
            colour = {"SENTRY": "green", "no Sentry": "red", "outside": "yellow"}.get(state, "faint")
            yield f"  {self._paint(f'{state:<9}', colour)}  {name:<{width}}  {printable(rest)}".rstrip()
        # A filter that should be ours is shown below, and does matter.
        intended = None if report.structure.root.has_sentry else find_intended_sentry(report.structure)
        layers = [layer for _, layer in report.structure.root.walk() if layer is not intended]
        missing = dict.fromkeys(layer.missing for layer in layers if layer.missing)
        if missing:
            names = ", ".join(missing)
            are = "is" if len(missing) == 1 else "are"
            yield from wrapped(f"{names} {are} not installed here. That does not matter for this check.")
        yield ""

    def _no_sentry(self, report: Report) -> Iterator[str]:
        if report.structure.is_inbox:
            yield from wrapped("The inbox is the only app here, and needs no Sentry around it.", "")
            yield ""
            return
        if report.structure.reads_itself:
            yield self._paint("Sentry is missing", "red") + ": nothing is reported."
            yield ""
            yield from wrapped(_READS_ITSELF, "")
            yield from ("", f"  [{report.structure.section}]", "  sentry.dsn = ${SENTRY_DSN}", "")
            return
        missing = self._paint("Sentry is missing", "red") + ": nothing is reported."
        if report.remedy is None:
            yield missing
            advice = _AFTER_MISTAKES if report.problems else _NOTHING_WORKS
            yield from ("", *wrapped(advice, ""), "")
            return
        yield from (f"{missing} Write", "")
        yield from (f"  {printable(line)}".rstrip() for line in report.remedy.lines)
        yield ""
        for note in report.remedy.notes:
            yield from wrapped(printable(note), "")
        if report.remedy.notes:
            yield ""

    def _filter(self, found: Filter, structure: Structure) -> Iterator[str]:
        if not found.is_readable:
            return
        if found.mistake:
            yield self._paint(f"{found.title} keeps the app from starting", "red")
            yield from (f"  {printable(without_secrets(line))}" for line in str(found.mistake).splitlines())
            yield ""
            return
        yield self._title(f"{found.title} at start-up")
        yield from self._start_up(found, structure)
        yield ""
        yield self._title(f"{found.title} options")
        yield from _table(found.values)
        if found.reached:
            yield "  The DSN's host can be reached from here."
        yield ""
        yield self._title(f"{found.title} integrations")
        yield from wrapped(_integrations(found))
        yield ""

    def _start_up(self, found: Filter, structure: Structure) -> Iterator[str]:
        layer = found.layer
        text = _START_UP.get(layer.placed) if found.reports else _NO_FILTER
        if structure.is_inside_sentry(layer):
            text = "It is inside another Sentry: see there."
        if text:
            yield from wrapped(text.format(placed_in=f"[{layer.placed_in}]"))
            return
        section = layer.placed_in
        text = f"A crash of the app's factory is not reported: [{section}] creates the app before Sentry."
        if structure.is_caught(layer):
            yield from wrapped(text)
            return
        yield from wrapped(f"{text} To start Sentry first, write" if found.first_start else text)
        if found.first_start:
            yield ""
            yield from (f"    {printable(line)}".rstrip() for line in found.first_start)

    def _warnings(self, report: Report) -> Iterator[str]:
        if not report.warnings:
            if report.filters and not any(found.mistake for found in report.filters):
                yield self._paint("No warnings.", "green")
            return
        count = len(report.warnings)
        yield self._title("1 warning" if count == 1 else f"{count} warnings")
        is_short = False
        for warning in report.warnings:
            label = self._paint(f"{warning.severity:<6}", _SEVERITY_COLOURS[warning.severity])
            text = printable(_place(warning, report.structure.path) + warning.text)
            # What is reported wrongly or not at all is no advice, and is shown in full.
            if not self._explain and warning.severity != "high":
                line = _one_line(text)
                is_short = is_short or line != text or bool(warning.lines)
                yield f"  {label}  {line}"
                continue
            first, *more = wrapped(text, " " * _ADVICE_INDENT)
            yield f"  {label}  {first.strip()}"
            yield from more
            if warning.lines:
                yield from ("", *(f"{'':12}{printable(line)}".rstrip() for line in warning.lines), "")
        if is_short:
            yield ""
            yield from wrapped("With --explain each warning is shown in full, with what to write.", "")


def _one_line(text: str) -> str:
    """Return a text that is cut where the terminal's line ends, at the end of a clause if there is one."""
    room = text_width() - _ADVICE_INDENT
    if terminal_width() is None or len(text) <= room:
        return text
    clause = text[: room + 2].rpartition("; ")[0]
    return clause if len(clause) >= room // 2 else text[: room - 1].rpartition(" ")[0] + "…"


class _Rows:
    """The rows of the structure: state, name and the rest of the line.

    Args:
        path: path of the ini; a layer from another file is shown with that file's name.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: set[tuple[bool, str, str]] = set()

    def of(self, key: str, layer: Layer, depth: int, covered: bool) -> Iterator[tuple[str, str, str]]:
        """Yield the rows of a layer and of those inside it; a composite is expanded only once.

        Args:
            key: its mount point in a composite.
            layer: the layer.
            depth: how many composites it is in.
            covered: whether Sentry is around it.
        """
        waiting = [(key, layer, depth, covered)]
        while waiting:
            key, layer, depth, covered = waiting.pop()
            if key and layer.kind in ("filter", "sentry"):
                yield "", "  " * depth + printable(key), ""
                key, depth = "", depth + 1
            identity = (covered, layer.path, layer.section)
            again = layer.kind == "composite" and identity in self._seen
            self._seen.add(identity)
            name = "  " * depth + (f"{key}  {layer.name}" if key else layer.name)
            rest = [
                layer.spec if layer.spec != layer.name else "",
                os.path.basename(layer.path) if layer.path != self._path else "",
                "as above" if again else "",
            ]
            yield _state(layer, covered), printable(name), ", ".join(filter(None, rest))
            inner_depth = depth + 1 if layer.kind == "composite" else depth
            waiting += [
                (inner_key, inner, inner_depth, covered or layer.is_sentry)
                for inner_key, inner in reversed(() if again else layer.inner)
            ]


def _place(warning: Finding, path: str) -> str:
    """Return where the mistake of a warning is, in front of its text; empty if that is not one line."""
    if not warning.line:
        return ""
    file = (
        f"{os.path.relpath(warning.path, os.path.dirname(path))}, " if warning.path not in ("", path) else ""
    )
    return f"{file}line {warning.line}: "


def _problem_text(problem: LoadProblem, path: str) -> str:
    """Return a problem with its place, which has no file if that is the ini."""
    text = str(problem)
    return text[len(path) + 2 :] if text.startswith(f"{path}: ") else text


def _state(layer: Layer, covered: bool) -> str:
    if layer.is_sentry:
        return "SENTRY"
    if covered:
        return "covered"
    return "outside" if layer.has_sentry else "no Sentry"


def _table(values: Sequence[OptionValue]) -> Iterator[str]:
    least, most = _NAME_WIDTHS
    width = max([least, *(len(value.name) for value in values if len(value.name) <= most)])
    line_width = terminal_width()
    value_width = _VALUE_WIDTH
    if line_width is not None:
        room = line_width - width - 6
        fitting = [len(value.text) for value in values if len(value.text) + len(value.origin) <= room]
        value_width = min(value_width, max(fitting, default=0))
    for value in values:
        start = f"  {printable(value.name):<{width}}  {printable(value.text):<{value_width}}"
        if line_width is None or len(start) + 2 + len(value.origin) <= line_width:
            yield f"{start}  {value.origin}"
        else:
            yield start.rstrip()
            yield f"{'':{width + 4}}{value.origin}"


def _integrations(found: Filter) -> str:
    if found.integrations is None:
        return "None: with nowhere to report to, there is no client. If the app has its own, that is used."
    return ", ".join(found.integrations) or "None."
