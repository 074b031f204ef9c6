"""``sentry-paste reload``: have running processes read their inis again, and say what came of it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sentry_paste.cli.terminal import wrapped
from sentry_paste.client.reloading import CHANGED, FAILED, MISTAKE, change_text
from sentry_paste.client.workers import Worker, find_workers
from sentry_paste.config.errors import Problem, printable
from sentry_paste.config.reload import Change
from sentry_paste.spool.owner import Owner, exists

#: How long to wait for answers: a process answers with the first request after up to five seconds.
ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.05
# Where other users' processes may have their files; those of services with PrivateTmp are below /proc.
_BASES = ("/tmp", "/var/tmp")  # noqa: S108
_MAX_PARENTS = 20


@dataclass
class Answer:
    """What came of it in one process.

    Attributes:
        worker: the process.
        has_answered: whether it has read its inis since it was asked.
    """

    worker: Worker
    has_answered: bool = False

    def filters(self) -> list[dict[str, Any]]:
        """Return what each of its filters says, none before it has answered."""
        found = self.worker.report.get("filters") if self.has_answered else None
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def has_mistakes(self) -> bool:
        """Whether an ini has mistakes, so that the old rules still apply, or cannot be read again."""
        return any(found.get("result") in (MISTAKE, FAILED) for found in self.filters())


def reload(
    target: str, seconds: float = ANSWER_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> list[Answer]:
    """Ask processes to read their inis, and wait for their answers.

    Args:
        target: id of a process, or of one that has started it; path of an ini, or of a spool directory.
        seconds: how long to wait.
        sleep: waits for a number of seconds.

    Raises:
        ValueError: there are none.
        OSError: a process belongs to another user.
    """
    begun = time.monotonic()
    answers: dict[Owner, Answer] = {}
    asked: dict[Owner, Any] = {}
    while True:
        try:
            targets = find_targets(target)
        except ValueError:
            if not answers:
                raise
            targets = Targets([], [])
        for worker in [*targets.serving, *targets.masters]:
            has_answered = _has_answered_since(worker, begun)
            # One that was just looking when it was asked has written its file again, and is asked again.
            if not has_answered and asked.get(worker.owner) != worker.report.get("sequence"):
                asked[worker.owner] = worker.report.get("sequence")
                with suppress(FileNotFoundError):  # it has ended
                    worker.touch()
        # Not those that have ended meanwhile. Workers of a master may appear with their first request.
        found = {
            worker.owner: Answer(worker, _has_answered_since(worker, begun)) for worker in targets.serving
        }
        answers = {**{owner: old for owner, old in answers.items() if old.has_answered}, **found}
        if not answers:
            raise ValueError("all processes have ended")
        if all(answer.has_answered for answer in answers.values()) or time.monotonic() - begun >= seconds:
            return sorted(answers.values(), key=lambda answer: answer.worker.owner.pid)
        sleep(_POLL_SECONDS)


def _has_answered_since(worker: Worker, begun: float) -> bool:
    looked = worker.report.get("begun")
    return isinstance(looked, (int, float)) and looked >= begun and worker.report.get("asked") is True


class Targets(NamedTuple):
    """Processes that are meant.

    Attributes:
        serving: those that have requests.
        masters: those that have loaded the app for others. Workers that they start from now on look at their
            files.
    """

    serving: list[Worker]
    masters: list[Worker]


def find_targets(target: str) -> Targets:
    """Return the processes that are meant.

    Args:
        target: as for ``reload``.

    Raises:
        ValueError: there are none.
    """
    is_process = target.isdecimal()
    workers, closed = find_workers(_bases(int(target) if is_process else None))
    if is_process:
        found = [worker for worker in workers if int(target) in _lineage(worker)]
        what = f"process {target} has no filter"
        if not found and not exists(int(target)):
            raise ValueError(f"there is no process {target}")
    else:
        found = [worker for worker in workers if _uses(worker, os.path.realpath(target))]
        what = f"no process with the same TMPDIR that uses {target} has a filter"
        if not os.path.exists(target):
            raise ValueError(f"{target} is neither the id of a process nor a file or directory")
    if found:
        parents = [worker.report.get("parent") for worker in found]
        masters = [w for w in found if not w.report.get("serves") and w.owner.pid in parents]
        return Targets([worker for worker in found if worker not in masters], masters)
    hint = (
        f"; {', '.join(closed)} may not be read: run it as the user of the process, or as root"
        if closed
        else ""
    )
    raise ValueError(f"{what} with reload = true or command{hint}")


def _uses(worker: Worker, path: str) -> bool:
    for found in _dicts(worker.report.get("filters")):
        paths = [*_texts(found.get("files")), *_texts([found.get("spool_dir")])]
        if path in map(os.path.realpath, paths):
            return True
    return False


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _texts(found: Any) -> list[str]:
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _bases(process: int | None) -> list[str]:
    own = [tempfile.gettempdir(), *_BASES]
    if process is None:
        return own
    try:
        with open(f"/proc/{process}/environ", "rb") as file:
            variables = file.read(1_000_000).split(b"\0")
        own += [os.fsdecode(each[7:]) for each in variables if each.startswith(b"TMPDIR=")]
    except OSError:  # of another user, or another system
        pass
    # A service with PrivateTmp has a /tmp of its own.
    return [*own, *(f"/proc/{process}/root{base}" for base in own if base.startswith("/"))]


def _lineage(worker: Worker) -> Iterator[int]:
    """Yield the ids of a process and of those that it descends from."""
    parent = worker.report.get("parent")
    found = worker.owner.pid, parent if isinstance(parent, int) else 0
    for _ in range(_MAX_PARENTS):
        if found[0] <= 0:
            return
        yield found[0]
        # Where there is no /proc, only the parent that the process itself has named.
        found = _parent_of(found[0]) or found[1], 0


def _parent_of(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def status(answers: Sequence[Answer]) -> int:
    """Return the exit status: 2 if there are mistakes, 1 if a process has not answered, else 0.

    Args:
        answers: of all processes.
    """
    if any(answer.has_mistakes for answer in answers):
        return 2
    return 0 if all(answer.has_answered for answer in answers) else 1


def answers_json(answers: Sequence[Answer]) -> str:
    """Return the answers as JSON.

    Args:
        answers: of all processes.
    """
    processes = [
        {
            "pid": answer.worker.owner.pid,
            "parent": answer.worker.report.get("parent"),
            "program": answer.worker.report.get("program"),
            "answered": answer.has_answered,
            "filters": answer.filters(),
        }
        for answer in answers
    ]
    return json.dumps({"ok": status(answers) == 0, "processes": processes}, indent=2)


def answers_text(answers: Sequence[Answer]) -> str:
    """Return the answers as text.

    Args:
        answers: of all processes.
    """
    return "\n".join(printable(line) for answer in answers for line in _lines(answer))


def _lines(answer: Answer) -> Iterator[str]:
    report = answer.worker.report
    title = f"{answer.worker.owner.pid} {report.get('program') or ''}".rstrip()
    if not answer.has_answered:
        yield f"{title}: no request yet; it reads the ini before its next one"
        return
    yield f"{title}:"
    for found in answer.filters():
        yield f"  {found.get('source')}"
        yield from _filter_lines(found)


def _filter_lines(found: Mapping[str, Any]) -> Iterator[str]:
    changes = _changes(found)
    if found.get("result") == MISTAKE:
        yield "    mistakes, so the rules that were read before still apply:"
        for mistake in _dicts(found.get("mistakes")):
            yield from wrapped(str(_problem(mistake, found)), "      ")
        if found.get("more_mistakes"):
            yield f"      and {found['more_mistakes']} more"
    elif found.get("result") == FAILED:
        yield "    could not be read again; the log of the process says why"
    elif found.get("result") == CHANGED:
        yield "    changed:"
        yield from _change_lines(changes)
    else:
        if not found.get("without_effect"):
            yield "    nothing has changed since it was read last"
        last = found.get("last_change")
        if isinstance(last, dict) and isinstance(last.get("read"), float):
            yield f"    last change, {_duration(time.time() - last['read'])} ago:"
            yield from _change_lines(_changes(last))
    idle = _texts(found.get("without_effect"))
    if idle:
        yield from wrapped(f"no effect on the app's own client: {', '.join(idle)}", "    ")
    fixed = _texts(found.get("at_next_start"))
    if fixed:
        yield from wrapped(f"takes effect at the next start: {', '.join(fixed)}", "    ")


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _change_lines(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        yield from wrapped(change_text(change), "      ")


def _changes(found: Mapping[str, Any]) -> list[Change]:
    return [
        Change(str(each.get("option")), _or_none(each.get("before")), _or_none(each.get("after")))
        for each in _dicts(found.get("changes"))
    ]


def _or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _problem(mistake: Mapping[str, Any], found: Mapping[str, Any]) -> Problem:
    line = mistake.get("line")
    source = str(mistake.get("source") or "")
    return Problem(
        str(mistake.get("option")),
        _or_none(mistake.get("value")),
        str(mistake.get("reason")),
        line if isinstance(line, int) else None,
        "" if source == found.get("source") else source,
    )
