"""Have the filters of this process read their inis again, between two requests.

Nothing here runs by itself: there is no thread and no timer. A filter with ``reload`` compares the time
before each request; every five seconds one of them looks whether a file has changed, while others go on.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import Any
from weakref import WeakSet

from sentry_paste.client.views import ClientsAgain
from sentry_paste.client.workers import WorkerFile
from sentry_paste.config.errors import ConfigError, Problem, printable, shown, without_credentials
from sentry_paste.config.own_options import ON_COMMAND
from sentry_paste.config.reload import Change, Reread, compare, needs_client, read_again
from sentry_paste.config.reload_sources import Source
from sentry_paste.config.settings import Settings
from sentry_paste.config.watched import Look, Texts, is_fresh, look_at
from sentry_paste.sdk.failures import inform, log_failure, logged_once, warn
from sentry_paste.sdk.forks import reset_when_forked

#: Seconds between two looks at the files.
INTERVAL = 5.0

# How many mistakes the command is told: there may be as many as lines, and each line may have some.
_MOST_MISTAKES = 100

# What a filter says to the command.
CHANGED, UNCHANGED, MISTAKE, FAILED = "changed", "unchanged", "mistake", "failed"


class Watch:
    """The files of one section, and the filters whose options they have.

    Args:
        source: where the options come from.
        settings: as they were read at the start.

    Attributes:
        settings: that apply.
    """

    def __init__(self, source: Source, settings: Settings) -> None:
        self.source = source
        self.settings = settings
        self._start = settings
        self._filters: WeakSet[Any] = WeakSet()
        self._logged: set[str] = set()
        self._fixed: tuple[str, ...] = ()
        self._mistake = ""
        self._has_failed = False
        self._report = self._described(UNCHANGED)
        self._last: dict[str, Any] | None = None
        texts = Texts()
        with logged_once(self._logged, is_silent=True):
            # At the start, what was just read is read again, to know its files and what has been warned of.
            found = read_again(source, settings, texts)
        self._paths = tuple(dict.fromkeys(texts.paths))
        # What was read last: the texts of the files, and what is wrong with them.
        self._seen = texts.digest(), ""
        # What the files looked like when they were read with a result that stands.
        self._settled: tuple[Look | None, ...] | None = look_at(self._paths)
        if found.changes or found.fixed or is_fresh(self._settled):
            # It has changed since the loader has read it, or may change without looking different.
            self._settled = None

    @property
    def has_files(self) -> bool:
        """Return whether there is a file that may change."""
        return bool(self._paths)

    def add(self, found: Any) -> None:
        """Add a filter that has these settings.

        Args:
            found: its ``prepare`` is called with other settings, and then what that has returned.
        """
        self._filters.add(found)

    def has(self, source: Source, settings: Settings) -> bool:
        """Return whether another filter has the same options from the same place.

        Args:
            source: where they come from.
            settings: as they were read.
        """
        if source != self.source:
            return False
        found = compare(self.settings, settings)
        return not (found.changes or found.fixed)

    @property
    def is_used(self) -> bool:
        """Return whether there is a filter with these settings."""
        return bool(self._filters)

    def look(self, *, is_asked: bool) -> bool:
        """Read the files if they have changed, or if somebody asks for it; return whether they were read.

        What is new is read a second time with the next look, and applies if it is the same then, if it may
        not be complete yet: because it has just been written, ends in the middle of a line, or is wrong.

        Args:
            is_asked: whether somebody says that the files are as they are to be.
        """
        if not is_asked and self.settings.reload == ON_COMMAND:
            return False
        before, looks = self._paths, look_at(self._paths)
        if looks == self._settled and not is_asked:
            return False
        self._settled = None
        texts = Texts()
        found, error = self._read(texts)
        seen = texts.digest(), str(error or "")
        is_same, self._seen = seen == self._seen, seen
        # A file that is missing by now may be what is wrong.
        self._paths = tuple(dict.fromkeys([*texts.paths, *(before if error else ())]))
        after = look_at(self._paths)
        is_written = is_fresh(after) or (self._paths == before and after != looks)
        if (is_written or error or texts.is_unfinished()) and not (is_same or is_asked):
            return True
        if error is not None:
            self._refuse(error)
        elif found is not None:
            self._mistake = ""
            self._apply(found)
        if is_same or not is_fresh(after):
            self._settled = after
        return True

    def look_without_failing(self, *, is_asked: bool) -> bool:
        """Look as ``look`` does; a failure is logged once, until it has worked again.

        Args:
            is_asked: likewise.
        """
        try:
            is_read = self.look(is_asked=is_asked)
        except Exception:
            if not self._has_failed:
                source = printable(self.settings.source)
                log_failure(f"{source} is not read again, and the rules that were read before still apply")
            self._has_failed = True
            self._report = self._described(FAILED)
            return False
        self._has_failed = False
        return is_read

    def _read(self, texts: Texts) -> tuple[Reread | None, ConfigError | None]:
        try:
            with logged_once(self._logged):
                return read_again(self.source, self.settings, texts, self._start), None
        except ConfigError as error:
            return None, error

    def _refuse(self, error: ConfigError) -> None:
        """Keep the rules, and log the mistakes unless they were logged before."""
        self._report = self._described(MISTAKE, problems=error.problems)
        text = str(error)
        if text != self._mistake:
            self._mistake = text
            warn("%s\n  The rules that were read before still apply", text)

    def _apply(self, read: Reread) -> None:
        settings, changes, fixed = read
        if changes:
            self._use(settings)
        idle = () if self._has_client() else tuple(c.option for c in changes if needs_client(c.option))
        changes = tuple(change for change in changes if change.option not in idle)
        # Only now: the command is not told of what has failed.
        self._report = self._described(CHANGED if changes else UNCHANGED, changes, fixed, idle)
        source = printable(settings.source)
        if changes:
            self._last = self._report
            inform("%s has been read again: %s", source, "; ".join(map(change_text, changes)))
        if idle:
            message = "%s: a change of %s has no effect: the app's own client is used"
            warn(message, source, printable(", ".join(idle)))
        if fixed and fixed != self._fixed:
            message = "%s: a change of %s takes effect at the next start"
            warn(message, source, printable(", ".join(fixed)))
        self._fixed = fixed

    def _use(self, settings: Settings) -> None:
        """Let all filters use other settings, or none if one of them fails to."""
        clients = ClientsAgain(settings)
        prepared = [found.prepare(settings, clients) for found in list(self._filters)]
        clients.use()
        for use in prepared:
            use()
        self.settings = settings

    def _has_client(self) -> bool:
        return any(found.client is not None for found in list(self._filters))

    def _described(
        self,
        result: str,
        changes: tuple[Change, ...] = (),
        fixed: tuple[str, ...] = (),
        idle: tuple[str, ...] = (),
        problems: tuple[Problem, ...] = (),
    ) -> dict[str, Any]:
        return {
            "source": self.settings.source,
            "result": result,
            "changes": [change._asdict() for change in changes],
            "at_next_start": list(fixed),
            "without_effect": list(idle),
            "mistakes": [
                {
                    "source": found.source or self.settings.source,
                    "line": found.line,
                    "option": found.option,
                    "value": None if found.value is None else shown(found.value),
                    "reason": without_credentials(found.reason),
                }
                for found in problems[:_MOST_MISTAKES]
            ],
            "more_mistakes": len(problems[_MOST_MISTAKES:]),
            "read": time.time(),
        }

    def report(self) -> dict[str, Any]:
        """Return what came of the last look, for the command."""
        last = self._last if self._last is not self._report else None
        spool = self.settings.spool_dir
        return {**self._report, "files": list(self._paths), "spool_dir": spool, "last_change": last}


def change_text(change: Change) -> str:
    """Return a change in words.

    Args:
        change: of an option.
    """
    option = printable(change.option)
    if change.before is None:
        return f"{option} = {change.after}"
    if change.after is None:
        return f"{option} is no longer set"
    if change.before == change.after:  # long values that differ only after what is shown of them
        return f"{option} has changed: {change.after}"
    return f"{option} = {change.after} (was {change.before})"


class Reloading:
    """All filters of this process that read their inis again.

    Attributes:
        due: when to look at the files again, by ``time.monotonic``.
    """

    def __init__(self) -> None:
        self.due = float("inf")
        self._watches: WeakSet[Watch] = WeakSet()
        self._file = WorkerFile()
        self._begin()
        self._has_warned = False
        reset_when_forked(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._has_looked = False
        self._is_outdated = False

    def watch(self, source: Source, settings: Settings) -> Watch:
        """Return the watch over the files of a section, one for all filters with the same options.

        Args:
            source: where the options come from.
            settings: as they were read.

        Raises:
            ConfigError: the options cannot be read again, or do not come from a file.
        """
        found = next((watch for watch in list(self._watches) if watch.has(source, settings)), None)
        if found is None:
            found = Watch(source, settings)
            if not found.has_files:
                reason = "the options come from variables alone; set SENTRY_PASTE_CONFIG to a file"
                raise ConfigError(settings.source, [Problem("reload", None, reason)])
            self._watches.add(found)
        if self.due == float("inf"):
            self.due = time.monotonic() + INTERVAL
            atexit.register(self._file.remove)
        return found

    def show(self) -> None:
        """Write the file of this process, by which the command finds it, or have a look that goes on do it.

        It may be that of this thread: a log handler that is informed of a change may load another app.
        """
        self._is_outdated = True
        if self._lock.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._lock.release()

    def look(self) -> None:
        """Look at all files; only one thread does, and others go on at once."""
        if self._pid != os.getpid():  # forked in C without Python's fork hooks, as uWSGI does
            self.reset_after_fork()
        if not self._lock.acquire(blocking=False):
            return
        try:
            # At once, so that no other request comes here, and it is not tried more often if it fails.
            self.due = time.monotonic() + INTERVAL
            self._look()
        except Exception:
            log_failure("the ini is not read again")
        finally:
            self._lock.release()

    def _look(self) -> None:
        begun = time.monotonic()
        is_touched = self._file.is_touched()
        is_asked = bool(is_touched)
        results = [watch.look_without_failing(is_asked=is_asked) for watch in self._watches_in_use()]
        is_first, self._has_looked = not self._has_looked, True
        # It is gone after a fork, and where temporary files are removed when they are old.
        if is_touched or is_touched is None or is_first or self._is_outdated or any(results):
            self._write(begun, is_asked=is_asked)

    def _watches_in_use(self) -> list[Watch]:
        return sorted(
            (watch for watch in list(self._watches) if watch.is_used), key=lambda w: w.settings.source
        )

    def _write(self, begun: float | None = None, *, is_asked: bool = False) -> None:
        self._is_outdated = False
        report = {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "program": _program(),
            "serves": self._has_looked,
            # All processes have the same clock, which nobody sets.
            "begun": begun or time.monotonic(),
            "asked": is_asked,
            "filters": [watch.report() for watch in self._watches_in_use()],
        }
        try:
            self._file.write(report)
        except OSError as error:
            if not self._has_warned:
                warn("sentry-paste reload will not find this process: %s", error)
            self._has_warned = True

    def reset_after_fork(self) -> None:
        """Look before the first request of a child: the file of the process is the parent's."""
        self._begin()
        if self.due != float("inf"):
            self.due = float("-inf")
        self._file.forget()

    def reset(self) -> None:
        """Forget all filters, for tests."""
        self._watches.clear()
        self._file.remove()
        self.due = float("inf")
        self._has_warned = False
        self._begin()


def _program() -> str:
    path = sys.argv[0] if sys.argv else ""
    folder, name = os.path.split(path)
    return os.path.basename(folder) if name == "__main__.py" else name  # python -m gunicorn


#: The filters of this process.
reloading = Reloading()
