"""What the commands find in a spool and do with it, as text for a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone

from sentry_paste.cli.spool.inventory import Held, Plan, Survey
from sentry_paste.cli.spool.sending import Progress
from sentry_paste.cli.terminal import clean
from sentry_paste.spool.contents import Breadcrumb, Contents, Error, Frame, Span, read_contents
from sentry_paste.spool.names import ANY_DESTINATION, ASIDE, CLAIMED, WAITING, SpoolFile

_TITLE_WIDTH = 60
_TRANSACTION_WIDTH = 32
_BAR_WIDTH = 40
_NAME_WIDTH = 46

_HEADINGS = (
    "TIME (UTC)",
    "KIND",
    "LEVEL",
    "TITLE",
    "TRANSACTION",
    "SIZE",
    "AGE",
    "STATE",
    "DESTINATION",
    "ID",
)
_TO_THE_RIGHT = ("SIZE", "AGE")


def table_text(files: Sequence[SpoolFile], names: Mapping[str, str]) -> str:
    """Return a table of envelope files: what they tell, what becomes of them, and for which DSN they are.

    Args:
        files: in the order in which they are listed.
        names: of the destinations that have one.
    """
    rows = [_HEADINGS, *(_row(file, names) for file in files)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if heading in _TO_THE_RIGHT else cell.ljust(width)
            for heading, cell, width in zip(_HEADINGS, row, [*widths, 0])
        ).rstrip()
        for row in rows
    )


def _row(file: SpoolFile, names: Mapping[str, str]) -> tuple[str, ...]:
    now = datetime.now(timezone.utc)
    time = file.time.strftime("%Y-%m-%d %H:%M:%S")
    age = age_text((now - file.time).total_seconds())
    destination = clean(names.get(file.destination, file.destination))
    return (time, file.kind, *_told(file), age, state_text(file), destination, file.id)


def _told(file: SpoolFile) -> tuple[str, str, str, str]:
    """Return level, title, transaction and size of a file."""
    try:
        contents = read_contents(file)
    except (OSError, ValueError) as error:
        return "", f"(unreadable: {_line(str(error), _TITLE_WIDTH - 14)})", "", ""
    # A transaction's title is its name, which the next column has.
    title = f"took {_milliseconds(contents.duration)}" if contents.spans else contents.title
    return (
        _line(contents.level, 10),
        _line(title, _TITLE_WIDTH),
        _line(contents.transaction, _TRANSACTION_WIDTH),
        size_text(contents.size),
    )


def state_text(file: SpoolFile) -> str:
    """Return what becomes of a file, with the process that has it, or the reason why it was set aside.

    Args:
        file: in any state.
    """
    if file.state == WAITING:
        return "waiting"
    if file.state == ASIDE:
        return f"set aside: {file.detail}"
    owner = file.owner
    if owner is None:
        return "claimed, by nobody that is known"
    life = {True: "runs", False: "has ended", None: "on another host"}[owner.is_alive()]
    return f"claimed by {owner.pid} ({life})"


def age_text(seconds: float) -> str:
    """Return an age for reading, 0 s where it is in the future: a clock was set back.

    Args:
        seconds: since it was captured.
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds / length)} {unit}"
    return f"{max(int(seconds), 0)} s"


def contents_text(contents: Contents, names: Mapping[str, str], *, all_frames: bool = False) -> str:
    """Return all that an envelope tells, for reading.

    Args:
        contents: of the envelope.
        names: of the destinations that have one.
        all_frames: whether frames of libraries show their source lines, as the app's own do.
    """
    return "\n".join(_contents(contents, names, all_frames)).rstrip()


def _contents(contents: Contents, names: Mapping[str, str], all_frames: bool) -> Iterator[str]:
    yield clean(contents.title)
    yield ""
    destination = contents.file.destination
    name = names.get(destination)
    facts = {
        "Kind": contents.file.kind,
        "Level": contents.level,
        "Id": contents.file.id,
        "Time": contents.file.time.strftime("%Y-%m-%d %H:%M:%S.%f UTC"),
        "Transaction": contents.transaction,
        "Trace": contents.trace_id,
        "Release": contents.release,
        "Environment": contents.environment,
        "Size": size_text(contents.size),
        "State": state_text(contents.file),
        "Destination": f"{name} ({destination})" if name else destination,
    }
    yield from (f"{fact + ':':<13}{clean(value)}" for fact, value in facts.items() if value)
    for error in reversed(contents.errors):
        yield ""
        yield from _error(error, all_frames)
    if contents.stack:
        yield ""
        yield "Stack"
        for frame in contents.stack:
            yield from _frame(frame, all_frames)
    if contents.spans:
        yield ""
        yield "Spans"
        yield from _waterfall(contents.spans)
    if contents.request:
        yield ""
        yield "Request"
        yield from _request(contents)
    if contents.tags:
        yield ""
        yield "Tags"
        yield from (f"  {clean(name)}: {clean(value)}" for name, value in contents.tags)
    for title, pairs in contents.details:
        yield ""
        yield clean(title.capitalize())
        yield from (f"  {clean(name)}: {_line(value, 100)}" for name, value in pairs)
    if contents.breadcrumbs:
        yield ""
        yield "Breadcrumbs"
        yield from map(_breadcrumb, contents.breadcrumbs)
    if not contents.errors and not contents.spans:
        for type_, payload in contents.payloads:
            if type_ not in ("event", "transaction"):
                yield ""
                yield clean(type_)
                yield json.dumps(payload, indent=2)


def _error(error: Error, all_frames: bool) -> Iterator[str]:
    handled = {True: ", handled", False: ", not handled", None: ""}[error.handled]
    mechanism = f" ({error.mechanism}{handled})" if error.mechanism else ""
    yield clean(f"{error.type}: {error.value}{mechanism}")
    for frame in error.frames:
        yield from _frame(frame, all_frames)


def _frame(frame: Frame, all_frames: bool) -> Iterator[str]:
    yield clean(f"  File {frame.filename}, line {frame.line}, in {frame.function}")
    for number, line in frame.context:
        if number == frame.line or frame.in_app or all_frames:
            yield f"  {'>' if number == frame.line else ' '} {number:>5}  {clean(line)}"
    if frame.in_app or all_frames:
        yield from (f"           {clean(name)} = {_line(value, 100)}" for name, value in frame.variables)


def _request(contents: Contents) -> Iterator[str]:
    request = contents.request
    query = request.get("query_string")
    url = f"{request.get('url', '')}{'?' + str(query) if query else ''}"
    yield f"  {clean(str(request.get('method', '')))} {clean(url)}"
    for part in ("headers", "env"):
        pairs = request.get(part)
        if isinstance(pairs, dict):
            yield from (f"  {clean(name)}: {clean(str(value))}" for name, value in pairs.items())


def _breadcrumb(crumb: Breadcrumb) -> str:
    time = _clock(crumb.time) if crumb.time else ""
    return clean(f"  {time:<12}  {crumb.level:<8} {crumb.category}: {crumb.message}")


def _waterfall(spans: Iterable[Span]) -> Iterator[str]:
    spans = list(spans)
    whole = max((span.offset + span.duration for span in spans), default=0.0) or 1.0
    for span in spans:
        name = _line("  " * min(span.depth, 15) + f"{span.op} {span.description}".strip(), _NAME_WIDTH)
        begin = min(int(_BAR_WIDTH * max(span.offset, 0.0) / whole), _BAR_WIDTH - 1)
        length = max(1, min(round(_BAR_WIDTH * span.duration / whole), _BAR_WIDTH - begin))
        bar = (" " * begin + "#" * length).ljust(_BAR_WIDTH)
        line = f"  {name:<{_NAME_WIDTH}} |{bar}| {_milliseconds(span.duration):>11} {clean(span.status)}"
        yield line.rstrip()


def size_text(size: int) -> str:
    """Return a number of bytes for reading.

    Args:
        size: bytes.
    """
    return (
        f"{size} B"
        if size < 1000
        else f"{size / 1000:.1f} kB"
        if size < 1_000_000
        else f"{size / 1e6:.1f} MB"
    )


def _line(text: str, width: int) -> str:
    """Return text cleaned, on one line and not wider; leading blanks are kept."""
    line = clean(" ".join(text.splitlines()))
    return line if len(line) <= width else line[: width - 3] + "..."


def _milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0.0) * 1000:.1f} ms"


def _clock(time: datetime) -> str:
    return time.strftime("%H:%M:%S.%f")[:-3]


_STATES = {WAITING: "waiting", CLAIMED: "claimed", ASIDE: "set aside"}


def number(count: int, noun: str = "file") -> str:
    """Return a number of things.

    Args:
        count: how many.
        noun: of one.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def them(count: int) -> str:
    """Return the pronoun for so many things.

    Args:
        count: how many.
    """
    return "it" if count == 1 else "them"


def unnamed_text(found: Survey, names: Mapping[str, str]) -> str:
    """Return what destinations are that are told by their hash, empty where there are none.

    Args:
        found: what is listed.
        names: of the destinations that have one.
    """
    hashes = sorted({held.file.destination for held in found.held} - {ANY_DESTINATION, *names})
    if not hashes:
        return ""
    whose = "a DSN whose name" if len(hashes) == 1 else "DSNs whose names"
    what = "a hash" if len(hashes) == 1 else "hashes"
    return f"{', '.join(hashes)}: {what} of the host and the project of {whose} this spool does not have"


def summary_text(found: Survey, listed: int | None = None) -> str:
    """Return how many files there are and of how many bytes, all in all and by state, in a line.

    Args:
        found: in the directory.
        listed: how many of them were listed, where those are not all.
    """
    parts = [
        f"{count:,} {_STATES[state]} ({size_text(size)})"
        for state, (count, size) in sorted(
            found.totals().items(), key=lambda total: [*_STATES].index(total[0])
        )
    ]
    if found.partial:
        parts.append(f"{found.partial:,} half written")
    if found.foreign:
        parts.append(f"{found.foreign:,} of another kind, left alone")
    count = number(len(found.held))
    if listed is not None and listed < len(found.held):
        count = f"the newest {listed:,} of {count}"
    return f"{count}: {', '.join(parts)}" if parts else count


def kinds_text(held: Iterable[Held]) -> str:
    """Return how many files there are of each kind, of how many bytes, and how old the oldest is.

    Args:
        held: at least one.
    """
    held = list(held)
    kinds = Counter(found.file.kind for found in held)
    oldest = min(found.file.time for found in held)
    age = age_text((datetime.now(timezone.utc) - oldest).total_seconds())
    size = size_text(sum(found.size for found in held))
    return f"{number(len(held))} ({_counts(kinds)}; {size}; the oldest {age} old)"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {clean(what)}" for what, count in sorted(counts.items()))


def plan_text(plan: Plan, destination: str, rate: float, dry_run: bool, names: Mapping[str, str]) -> str:
    """Return what is going to be sent, and what is not.

    Args:
        plan: of the command.
        destination: the host and the project, for reading.
        rate: files a second, at most.
        dry_run: whether nothing is sent at all.
        names: of the destinations that have one.
    """
    return "\n".join(_plan(plan, destination, rate, dry_run, names))


def _plan(
    plan: Plan, destination: str, rate: float, dry_run: bool, names: Mapping[str, str]
) -> Iterator[str]:
    if not plan.held:
        yield f"Nothing waits for {clean(destination)}"
    else:
        begun = "Would send" if dry_run else "Sending"
        yield f"{begun} {kinds_text(plan.held)}"
        yield f"  to {clean(destination)}, at most {rate:g} a second"
    if plan.elsewhere:
        others = sorted(names.get(other, other) for other in plan.elsewhere)
        where = "another destination" if len(others) == 1 else "other destinations"
        count = sum(plan.elsewhere.values())
        yield (
            f"Not sent: {number(count)} captured for {where} ({clean(', '.join(others))}); "
            f"--all-destinations sends {them(count)} here"
        )
    if plan.aside:
        yield f"Not sent: {number(plan.aside)} set aside; --aside tries {them(plan.aside)} again"
    if plan.in_use:
        yield f"Not sent: {number(plan.in_use)} that another process has claimed"


def sent_text(progress: Progress, seconds: float) -> str:
    """Return what became of what was to be sent.

    Args:
        progress: at the end.
        seconds: that it took.
    """
    return "\n".join(_sent(progress, seconds))


def _sent(progress: Progress, seconds: float) -> Iterator[str]:
    rate = f", {progress.sent / seconds:.1f} a second" if progress.sent and seconds else ""
    yield f"Sent {number(progress.sent)} ({size_text(progress.sent_bytes)}) in {seconds:.1f} s{rate}"
    if progress.taken:
        yield f"Another process has taken {number(progress.taken)} meanwhile"
    if progress.aside:
        yield f"Set aside {number(sum(progress.aside.values()))}: {_counts(progress.aside)}"
    if progress.unread:
        yield f"Cannot read {number(sum(progress.unread.values()))}: {_counts(progress.unread)}"
    if progress.left:
        why = "; ".join(filter(None, [progress.ended, progress.trouble]))
        yield f"Left {number(progress.left)} as found{': ' + clean(why) if why else ''}"
    elif progress.aside and progress.trouble:
        yield f"The last answer: {clean(progress.trouble)}"
