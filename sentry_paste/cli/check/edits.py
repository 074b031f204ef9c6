"""Changes to ini files: applied to their text, and shown as the lines to write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sentry_paste.cli.check.files import Files, Place

_HEADER = re.compile(r"\[(?P<title>.+)\]")
_KEY = re.compile(r"(?P<key>[^\s#;\[=:][^=:]*?)\s*[=:]")


class EditError(LookupError):
    """A change does not fit the file; the message names what is missing."""


@dataclass(frozen=True)
class Edit:
    """A change to one section.

    Attributes:
        place: the section as it is now.
        added: lines of a section that is new.
        title: the section's new title, empty to keep it.
        options: options to write, by name, also in place of those that are there.
        removed: names of options to remove.
        remark: shown beside the first of the options.
    """

    place: Place
    added: tuple[str, ...] = ()
    title: str = ""
    options: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    remark: str = ""


def new_section(path: str, title: str, *lines: str) -> Edit:
    """Return the change that adds a section.

    Args:
        path: of the file.
        title: of the section, without brackets.
        lines: of the section.
    """
    return Edit(Place(path, title), added=lines)


def write(place: Place, **options: str) -> Edit:
    """Return the change that writes options.

    Args:
        place: the section.
        options: values by name, with underscores for hyphens.
    """
    return Edit(place, options=tuple((name.replace("_", "-"), value) for name, value in options.items()))


def remove(place: Place, *options: str) -> Edit:
    """Return the change that removes options.

    Args:
        place: the section.
        options: their names.
    """
    return Edit(place, removed=options)


def rename(place: Place, title: str, *removed: str, **options: str) -> Edit:
    """Return the change that gives a section another title.

    Args:
        place: the section.
        title: the new one, without brackets.
        removed: names of options to remove.
        options: values to write, by name, with underscores for hyphens.
    """
    return replace(write(place, **options), title=title, removed=removed)


@dataclass
class _Lines:
    """The lines of a file.

    Attributes:
        path: of the file.
        lines: without line ends.
    """

    path: str
    lines: list[str] = field(default_factory=list)

    def span(self, title: str) -> tuple[int, int]:
        """Return where a section begins, and where it ends."""
        begin = next((number for number, line in enumerate(self.lines) if _title(line) == title), None)
        if begin is None:
            raise EditError(f"{self.path} has no [{title}]")
        following = range(begin + 1, len(self.lines))
        return begin, next((number for number in following if _title(self.lines[number])), len(self.lines))

    def option(self, title: str, key: str) -> tuple[int, int] | None:
        """Return where an option begins, and where it ends with its last indented line."""
        begin, end = self.span(title)
        for number in range(begin + 1, end):
            match = _KEY.match(self.lines[number])
            if match and match["key"] == key:
                last = number
                for other in range(number + 1, end):
                    line = self.lines[other]
                    if line[:1].isspace() and line.strip():
                        last = other
                    elif line.strip() and line[0] not in "#;":
                        break
                return number, last + 1
        return None

    def apply(self, edit: Edit) -> None:
        """Change the lines as an edit says.

        Args:
            edit: for this file.

        Raises:
            EditError: the section or an option to remove is missing, or a new title is taken.
        """
        title = edit.place.section
        if edit.added:
            if any(_title(line) == title for line in self.lines):
                raise EditError(f"{self.path} has [{title}]")
            self.lines += ["", f"[{title}]", *edit.added]
            return
        begin, _ = self.span(title)
        for key in edit.removed:
            found = self.option(title, key)
            if found is None:
                raise EditError(f"[{title}] of {self.path} has no {key}")
            del self.lines[slice(*found)]
        for key, value in edit.options:
            found = self.option(title, key) or (begin + 1, begin + 1)
            self.lines[slice(*found)] = [f"{key} = {value}"]
        if edit.title:
            if any(_title(line) == edit.title for line in self.lines):
                raise EditError(f"{self.path} has [{edit.title}]")
            self.lines[begin] = f"[{edit.title}]"


def _title(line: str) -> str:
    match = _HEADER.match(line)
    return match["title"] if match else ""


def apply(files: Files, edits: Iterable[Edit]) -> Files:
    """Return files with changes, which are not written to disk.

    Args:
        files: as they are.
        edits: the changes, all of them to sections as they are now.

    Raises:
        EditError: a change does not fit.
        OSError: a file cannot be read.
        ValueError: a file is no text.
    """
    changed: dict[str, _Lines] = {}
    # New titles after what is written to a section, whose present title each change has; then new sections,
    # which may have the title that another had.
    ordered = sorted(edits, key=lambda edit: (bool(edit.added), bool(edit.title)))
    for edit in ordered:
        path = edit.place.path
        if path not in changed:
            changed[path] = _Lines(path, files.text(path).split("\n"))
        changed[path].apply(edit)
    return files.with_changes({path: "\n".join(lines.lines) + "\n" for path, lines in changed.items()})


def line_of(files: Files, place: Place, key: str) -> int | None:
    """Return the number of the line that has an option, from 1; None if there is none.

    Args:
        files: the files.
        place: the section.
        key: name of the option.
    """
    lines = _Lines(place.path, files.text(place.path).split("\n"))
    try:
        found = next(filter(None, (lines.option(place.section, word) for word in (key, f"get {key}"))), None)
    except EditError:
        return None
    return found[0] + 1 if found else None


# Column of the remarks beside the lines.
_REMARK = 30

# A longer pipeline is shown as its first entry.
_LONGEST = 80


def shown_edits(edits: Iterable[Edit], path: str) -> Iterator[str]:
    """Yield the lines that describe changes, with remarks to the right of them.

    Args:
        edits: the changes.
        path: the ini that is checked; other files are named.
    """
    for number, edit in enumerate(edits):
        if number:
            yield ""
        place = edit.place
        remarks = []
        if place.path != path:
            remarks.append(f"in {os.path.relpath(place.path, os.path.dirname(path))}")
        if edit.title:
            remarks.append(f"in place of [{place.section}]")
        yield _with_remark(f"[{edit.title or place.section}]", ", ".join(remarks))
        yield from edit.added
        remark = edit.remark
        for key, value in edit.options:
            yield _with_remark(f"{key} = {_shortened(value)}", remark)
            remark = ""
        for key in edit.removed:
            yield _with_remark(key, "remove this option")


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value.split()[0]} ..."


def _with_remark(line: str, remark: str) -> str:
    return f"{line:<{_REMARK - 2}}  {remark}".rstrip()
