"""Try a change to inis before it is shown: apply it to a copy, load that with stubs and ask it a request.

The copy is in memory: its paths are those of the files, and no secret is written anywhere.
"""

from __future__ import annotations

import enum
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from paste.deploy.loadwsgi import APP

from sentry_paste.cli.check.edits import Edit, apply
from sentry_paste.cli.check.files import UNREADABLE, Files, Place, is_any_used, reached_by
from sentry_paste.cli.check.structure import Layer
from sentry_paste.cli.check.stubs import Loaded, Loss, Part, Use, load

# Apps next to the one that is checked, and files in its directory, that a change must not break.
_MOST_APPS = 50
_MOST_FILES = 100
_LARGEST_FILE = 200_000

# How many changes are tried: fewer in a large ini, so that its check takes no longer than a second.
_FEWEST_TRIALS = 8
_MOST_PARTS = 5_000

_USE = re.compile(r"config:(?P<path>[^#]+)(?:#(?P<name>.*))?")


class Goal(enum.Enum):
    """What Sentry is to be around."""

    #: Every app.
    APPS = "apps"
    #: Every app and every filter.
    ALL = "all"
    #: What it is around already, at least.
    SAME = "same"
    #: An app at least.
    SOME = "some"


@dataclass(frozen=True)
class Change:
    """A change to inis.

    Attributes:
        phrase: the change in words, as an imperative clause; empty if only its lines are shown.
        edits: what it consists of.
        goal: what Sentry is around after it.
        restored: the section after which no options are lost any more, None if that is not the purpose.
    """

    phrase: str
    edits: tuple[Edit, ...]
    goal: Goal = Goal.APPS
    restored: Place | None = None


class Trial:
    """Tries changes to an ini.

    Args:
        path: absolute path of the ini.
        name: name of the app.
        variables: variables that the command line adds to ``[DEFAULT]``.
        texts: texts of files by absolute path; others are read from disk.
    """

    def __init__(
        self,
        path: str,
        name: str = "main",
        variables: Mapping[str, str] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.name = name
        self.files = Files(texts)
        self.loaded = load(self.files, path, name, variables)
        self._budget = max(_FEWEST_TRIALS, _MOST_PARTS // (len(self.loaded.parts) + 1))
        #: Sections of other files that inherit from the ini.
        self.heirs: tuple[Place, ...] = ()
        #: The changes that were found to work.
        self.accepted: list[Change] = []
        self._variables = variables
        self._others: dict[tuple[str, str], Loaded] | None = None
        self._around: dict[str, tuple[str, ...]] = {}
        self._before: dict[tuple[str, str], Loaded] = {}

    def find_heirs(self) -> None:
        """Look for inis that inherit from this one, or from one that loses options, in their directories."""
        bases = {self.path, *(loss.base.path for loss in self.loaded.losses)}
        self.heirs = tuple(_heirs(self.files, bases))
        self._others = None

    def losses(self) -> list[Loss]:
        """Return the options that are lost, in the ini and in those that inherit from it."""
        return list(dict.fromkeys(loss for loaded in self._all() for loss in loaded.losses))

    def uses(self, base: Place) -> list[Use]:
        """Return the sections that inherit from one, in the files that are known.

        Args:
            base: the section.
        """
        return list(dict.fromkeys(use for loaded in self._all() for use in loaded.uses if use.base == base))

    def _all(self) -> list[Loaded]:
        return [self.loaded, *self._loaded_others().values()]

    def first(self, changes: Iterable[Change]) -> Change | None:
        """Return the first change that works, None if none does.

        Args:
            changes: in order of preference.
        """
        if self._budget <= 0:
            return None
        try:
            for change in changes:
                if self.works(change):
                    self.accepted.append(change)
                    return change
        except (LookupError, *UNREADABLE):
            return None  # the ini has not what the next change needs
        return None

    def works(self, change: Change) -> bool:
        """Return whether the app is covered after a change, its options are the same, and it answers.

        Args:
            change: the change.
        """
        self._budget -= 1
        if self._budget < 0:
            return False
        try:
            files = apply(self.files, change.edits)
        except (LookupError, *UNREADABLE):
            return False
        after = load(files, self.path, self.name, self._variables)
        if (
            after.error
            or not _is_same(self.loaded, after)
            or not _is_covered(self.loaded, after, change.goal)
        ):
            return False
        losses = list(after.losses)
        for (path, name), before in self._loaded_others().items():
            other = load(files, path, name, self._variables)
            if not _is_no_worse(before, other):
                return False
            losses += other.losses
        if change.restored is not None and any(loss.base == change.restored for loss in losses):
            return False
        return self._breaks_nothing_else(change, files)

    def _breaks_nothing_else(self, change: Change, files: Files) -> bool:
        """Return whether all apps of the files that are edited, and of those that use them, still load."""
        edited = {edit.place.path for edit in change.edits}
        around = self._inis_around(edited)
        renamed = {edit.place for edit in change.edits if edit.title and edit.place.kind == "filter"}
        if is_any_used(files, renamed, around):
            return False
        for app in self._apps_of(reached_by(self.files, edited, around)):
            if app not in self._before:
                self._before[app] = load(self.files, *app, self._variables)
            if not _is_no_worse(self._before[app], load(files, *app, self._variables)):
                return False
        return True

    def _inis_around(self, edited: Iterable[str]) -> list[str]:
        paths = {self.path: None, **dict.fromkeys(sorted(edited))}
        for directory in sorted({os.path.dirname(path) for path in paths}):
            if directory not in self._around:
                self._around[directory] = tuple(_inis_in(directory))
            paths.update(dict.fromkeys(self._around[directory]))
        return list(paths)

    def _apps_of(self, paths: Iterable[str]) -> list[tuple[str, str]]:
        """Return the apps of files that are not tried already."""
        apps: list[tuple[str, str]] = []
        for path in paths:
            try:
                apps += [(path, place.name) for place in _app_sections(self.files, path)]
            except UNREADABLE:
                continue
        known = {(self.path, self.name), *self._loaded_others()}
        return [app for app in dict.fromkeys(apps) if app not in known][:_MOST_APPS]

    def _loaded_others(self) -> dict[tuple[str, str], Loaded]:
        """Return the other apps of the file, and those of other files that inherit from it."""
        if self._others is None:
            try:
                names = [place.name for place in _app_sections(self.files, self.path)]
            except UNREADABLE:
                names = []
            apps = [(self.path, name) for name in names if name != self.name]
            apps += [(heir.path, heir.name) for heir in self.heirs if heir.path != self.path]
            found = dict.fromkeys(apps[:_MOST_APPS])
            self._others = {app: load(self.files, *app, self._variables) for app in found}
        return self._others


_APPS = ("app", "composite")


def _is_same(before: Loaded, after: Loaded) -> bool:
    """Return whether apps, filters and Sentry have the options that they had, or that were lost."""
    # By their names: the sections may have others now.
    lost = Counter((loss.keys, loss.to_sentry) for loss in after.losses)
    if lost - Counter((loss.keys, loss.to_sentry) for loss in before.losses):
        return False
    apps = _confs(before, _APPS)
    if not apps:  # it could not be loaded before, with options in the wrong place
        keys = {key for loss in before.losses for key in loss.keys}
        return keys <= {key for part in after.parts if part.kind == "app" for key in part.local_conf}
    restored = _confs(before, _APPS, is_meant=True)
    if _confs(after, _APPS) not in ([apps, restored] if lost else [restored]):
        return False
    filters = _confs(after, ("filter",)) - _confs(before, ("filter",))
    if filters - _confs(before, ("filter",), is_meant=True):
        return False
    ours = _our_confs(before)
    return not ours or _our_confs(after) <= ours


def _confs(loaded: Loaded, kinds: tuple[str, ...], is_meant: bool = False) -> Counter[object]:
    """Return factories with the options that they received, or were meant to."""
    return Counter(_conf(part, is_meant) for part in loaded.parts if part.kind in kinds)


def _conf(part: Part, is_meant: bool) -> object:
    local_conf = {**part.local_conf, **(part.meant if is_meant else {})}
    # What an app sets is not for the filters around it, which may receive it nevertheless.
    global_conf = {} if part.kind == "filter" else part.global_conf
    return part.spec, frozenset(local_conf.items()), frozenset(global_conf.items())


def _our_confs(loaded: Loaded) -> set[frozenset[tuple[str, str]]]:
    """Return the options of our filters and composites, without those of apps."""
    of_apps = {"app", *(key for loss in loaded.losses if loss.to_sentry for key in loss.keys)}
    parts = [part for part in loaded.parts if part.kind == "sentry"]
    return {
        frozenset((key, value) for key, value in part.local_conf.items() if key not in of_apps)
        for part in parts
    }


def _is_covered(before: Loaded, after: Loaded, goal: Goal) -> bool:
    if goal is Goal.SAME:
        if before.error and _has_sentry(before):  # where nothing could be called
            return not _uncovered(after, "app")
        return not _uncovered(after, "app") - _uncovered(before, "app")
    if goal is Goal.SOME:
        return any(covered for part, covered in after.called if part.kind == "app")
    is_every_app = _has_sentry(after) and not _uncovered(after, "app")
    return is_every_app and not (goal is Goal.ALL and _uncovered(after, "filter"))


def _has_sentry(loaded: Loaded) -> bool:
    return any(part.kind == "sentry" for part in loaded.parts)


def _uncovered(loaded: Loaded, kind: str) -> Counter[str]:
    parts = [part for part, covered in loaded.called if part.kind == kind and not covered]
    return Counter(part.spec for part in parts if not _needs_none(part))


def _needs_none(part: Part) -> bool:
    layer = Layer("", "app", "", part.spec, "")
    return layer.is_inbox or layer.is_healthcheck


def _is_no_worse(before: Loaded, after: Loaded) -> bool:
    if before.error:
        return after.error in ("", before.error)
    if after.error or not _is_same(before, after):
        # Its options may have been lost before, and may still be.
        return (
            not after.error
            and after.losses == before.losses
            and _confs(before, ("app", "composite")) == _confs(after, ("app", "composite"))
        )
    return _is_covered(before, after, Goal.SAME)


def _app_sections(files: Files, path: str) -> Iterator[Place]:
    prefixes = {prefix for group in APP.config_prefixes for prefix in group}
    for section in files.parser(path).sections():
        place = Place(path, section)
        if place.kind in prefixes and place.name:
            yield place


def _heirs(files: Files, bases: set[str]) -> list[Place]:
    """Return the sections that inherit from files, or from each other, in the directories of these files."""
    waiting: dict[Place, str] = {}
    for directory in sorted({os.path.dirname(path) for path in bases}):
        for path in _inis_in(directory):
            waiting.update(_inheriting(files, path))
    found: list[Place] = []
    known = set(bases)
    while new := [place for place, parent in waiting.items() if parent in known]:
        for place in new:
            del waiting[place]
        found += new
        known.update(place.path for place in new)
    return found


def _inis_in(directory: str) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".ini"))[:_MOST_FILES]
        paths = [os.path.join(directory, name) for name in names]
        # Only files: opening a pipe or a device would block.
        return [path for path in paths if os.path.isfile(path) and os.path.getsize(path) <= _LARGEST_FILE]
    except OSError:
        return []


def _inheriting(files: Files, path: str) -> dict[Place, str]:
    """Return the sections of a file that inherit from another, with the path of that."""
    try:
        if "config:" not in files.text(path):
            return {}
        places = {place: inherits(files, place)[0] for place in _app_sections(files, path)}
    except UNREADABLE:
        return {}
    return {place: parent for place, parent in places.items() if parent not in ("", path)}


def inherits(files: Files, place: Place) -> tuple[str, str]:
    """Return the path and the name of what a section inherits by ``use``; empty if it inherits nothing.

    Args:
        files: the files.
        place: the section.
    """
    parser = files.parser(place.path)
    if not parser.has_section(place.section):
        return "", ""
    if not parser.has_option(place.section, "use"):
        return "", ""
    use = str(parser.get(place.section, "use")).strip()
    match = _USE.match(use)
    if match:
        path = os.path.abspath(os.path.join(os.path.dirname(place.path), match["path"]))
        return path, match["name"] or "main"
    return ("", "") if not use or ":" in use else (place.path, use)
