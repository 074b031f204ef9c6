"""The output of the ``spool`` commands as text for a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone

from sentry_paste.cli.spool.inventory import Entry, Inventory, SendPlan
from sentry_paste.cli.spool.sending import Progress
from sentry_paste.config.errors import printable
from sentry_paste.spool import segments
from sentry_paste.spool.contents import Breadcrumb, Contents, Error, Frame, read_contents
from sentry_paste.spool.names import ANY_DESTINATION, ASIDE, CLAIMED, WAITING, SpoolFile
from sentry_paste.spool.owner import Owner
from sentry_paste.spool.status import Status
from sentry_paste.spool.waterfall import Span

_TITLE_WIDTH = 60
_TRANSACTION_WIDTH = 32
_BAR_WIDTH = 40
_NAME_WIDTH = 46
# Characters of a line with a span besides its name and its bar.
_SPAN_WIDTH = 32
# The width at which values and spans are shown as above.
_FULL_WIDTH = _NAME_WIDTH + _BAR_WIDTH + _SPAN_WIDTH
_VALUE_WIDTH = 100

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
#: Columns of numbers.
RIGHT_ALIGNED = ("SIZE", "AGE")


def table_text(files: Sequence[SpoolFile], names: Mapping[str, str]) -> str:
    """Return a table of envelope files: contents, state and destination.

    Args:
        files: files in the order of the table.
        names: known names of destinations, by hash.
    """
    rows = [_HEADINGS, *(tuple(table_row(file, names).values()) for file in files)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if heading in RIGHT_ALIGNED else cell.ljust(width)
            for heading, cell, width in zip(_HEADINGS, row, [*widths, 0])
        ).rstrip()
        for row in rows
    )


def table_row(file: SpoolFile, names: Mapping[str, str]) -> dict[str, str]:
    """Return the cells of a file, by heading.

    Args:
        file: the file.
        names: known names of destinations, by hash.
    """
    now = datetime.now(timezone.utc)
    time = file.time.strftime("%Y-%m-%d %H:%M:%S")
    age = age_text((now - file.time).total_seconds())
    destination = printable(names.get(file.destination, file.destination))
    cells = (time, file.kind, *_described(file), age, state_text(file), destination, file.id)
    return dict(zip(_HEADINGS, cells))


def _described(file: SpoolFile) -> tuple[str, str, str, str]:
    """Return level, title, transaction and size of a file."""
    try:
        contents = read_contents(file)
    except (OSError, ValueError) as error:
        return "", f"(unreadable: {shortened(str(error), _TITLE_WIDTH - 14)})", "", ""
    # The title of a transaction is its name, which is in the next column anyway.
    title = _taken(contents) if contents.duration is not None else contents.title
    return (
        shortened(contents.level, 10),
        shortened(title, _TITLE_WIDTH),
        shortened(contents.transaction, _TRANSACTION_WIDTH),
        size_text(contents.size),
    )


def _taken(contents: Contents) -> str:
    """Return how long a request took and how it ended; of several requests, how long the slowest took."""
    found = [one for one in segments.requests(contents.payloads) if one.duration is not None]
    if len(found) > 1:
        slowest = max(one.duration or 0.0 for one in found)
        return f"{len(found)} requests, the slowest took {_milliseconds(slowest)}"
    ended = found[0].status if found else ""
    return ", ".join(filter(None, (f"took {_milliseconds(contents.duration)}", ended)))


def state_text(file: SpoolFile) -> str:
    """Return the state of a file, with the process that has claimed it or the reason why it was set aside.

    Args:
        file: file in any state.
    """
    if file.state == WAITING:
        return "waiting"
    if file.state == ASIDE:
        return f"set aside: {file.detail}"
    owner = file.owner
    if owner is None:
        return "claimed by an unknown process"
    status = {True: "running", False: "ended", None: "on another host"}[owner.is_alive()]
    return f"claimed by {owner.pid} ({status})"


def age_text(seconds: float) -> str:
    """Return an age as text; 0 s if it is negative, as after a clock was set back.

    Args:
        seconds: age in seconds.
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds / length)} {unit}"
    return f"{max(int(seconds), 0)} s"


def contents_text(
    contents: Contents, names: Mapping[str, str], *, all_frames: bool = False, width: int | None = None
) -> str:
    """Return the contents of an envelope as text.

    Args:
        contents: contents of the envelope.
        names: known names of destinations, by hash.
        all_frames: whether to show source lines for frames of libraries too.
        width: width of the terminal; None if there is none.
    """
    return "\n".join(_contents(contents, names, all_frames, width or _FULL_WIDTH)).rstrip()


def _contents(contents: Contents, names: Mapping[str, str], all_frames: bool, width: int) -> Iterator[str]:
    yield printable(contents.title)
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
    yield from (f"{fact + ':':<13}{printable(value)}" for fact, value in facts.items() if value)
    for error in reversed(contents.errors):
        yield ""
        yield from _error(error, all_frames, width)
    if contents.stack:
        yield ""
        yield "Stack"
        for frame in contents.stack:
            yield from _frame(frame, all_frames, width)
    if contents.spans:
        yield ""
        yield "Spans"
        for tree in _trees(contents.spans):
            yield from _waterfall(tree, width)
        if contents.duration is None:
            yield "  The request's own span is not in the spool: it has not ended, or was sent or lost"
    if contents.request:
        yield ""
        yield "Request"
        yield from _request(contents)
    if contents.tags:
        yield ""
        yield "Tags"
        yield from (f"  {printable(name)}: {printable(value)}" for name, value in contents.tags)
    for title, pairs in contents.details:
        yield ""
        yield printable(title.capitalize())
        yield from (_pair(f"  {printable(name)}: ", value, width) for name, value in pairs)
    if contents.breadcrumbs:
        yield ""
        yield "Breadcrumbs"
        yield from map(_breadcrumb, contents.breadcrumbs)
    if not contents.errors and not contents.spans:
        for type_, payload in contents.payloads:
            if type_ not in ("event", "transaction"):
                yield ""
                yield printable(type_)
                yield json.dumps(payload, indent=2)


def _pair(start: str, value: str, width: int) -> str:
    """Return a line with a value, of which a hundred characters are shown, or as many as the terminal has."""
    return start + shortened(value, max(20, min(_VALUE_WIDTH, width - len(start))))


def _error(error: Error, all_frames: bool, width: int) -> Iterator[str]:
    handled = {True: ", handled", False: ", not handled", None: ""}[error.handled]
    mechanism = f" ({error.mechanism}{handled})" if error.mechanism else ""
    yield printable(f"{error.type}: {error.value}{mechanism}")
    for frame in error.frames:
        yield from _frame(frame, all_frames, width)


def _frame(frame: Frame, all_frames: bool, width: int) -> Iterator[str]:
    yield printable(f"  File {frame.filename}, line {frame.line}, in {frame.function}")
    for number, line in frame.context:
        if number == frame.line or frame.in_app or all_frames:
            yield f"  {'>' if number == frame.line else ' '} {number:>5}  {printable(line)}"
    if frame.in_app or all_frames:
        yield from (
            _pair(f"           {printable(name)} = ", value, width) for name, value in frame.variables
        )


def _request(contents: Contents) -> Iterator[str]:
    request = contents.request
    query = request.get("query_string")
    url = f"{request.get('url', '')}{'?' + str(query) if query else ''}"
    yield f"  {printable(str(request.get('method', '')))} {printable(url)}"
    for part in ("headers", "env"):
        pairs = request.get(part)
        if isinstance(pairs, dict):
            yield from (f"  {printable(name)}: {printable(str(value))}" for name, value in pairs.items())


def _breadcrumb(crumb: Breadcrumb) -> str:
    time = _clock(crumb.time) if crumb.time else ""
    return printable(f"  {time:<12}  {crumb.level:<8} {crumb.category}: {crumb.message}")


def _trees(spans: Iterable[Span]) -> list[list[Span]]:
    """Return the spans of each request."""
    trees: list[list[Span]] = []
    for span in spans:
        if span.depth == 0:
            trees.append([])
        trees[-1].append(span)
    return trees


def _waterfall(spans: Sequence[Span], width: int) -> Iterator[str]:
    room = max(40, width - _SPAN_WIDTH)
    name_width = min(_NAME_WIDTH, room * _NAME_WIDTH // (_NAME_WIDTH + _BAR_WIDTH))
    bar_width = min(_BAR_WIDTH, room - name_width)
    whole = max((span.offset + span.duration for span in spans), default=0.0) or 1.0
    for span in spans:
        name = shortened("  " * min(span.depth, 15) + f"{span.op} {span.description}".strip(), name_width)
        begin = min(int(bar_width * max(span.offset, 0.0) / whole), bar_width - 1)
        length = max(1, min(round(bar_width * span.duration / whole), bar_width - begin))
        bar = (" " * begin + "#" * length).ljust(bar_width)
        line = f"  {name:<{name_width}} |{bar}| {_milliseconds(span.duration):>11} {printable(span.status)}"
        yield line.rstrip()


def size_text(size: int) -> str:
    """Return a size as text.

    Args:
        size: size in bytes.
    """
    return (
        f"{size} B"
        if size < 1000
        else f"{size / 1000:.1f} kB"
        if size < 1_000_000
        else f"{size / 1e6:.1f} MB"
    )


def shortened(text: str, width: int) -> str:
    """Return text on one line, shortened to a width; leading blanks are kept.

    Args:
        text: any text.
        width: at least 4 characters.
    """
    line = printable(" ".join(text.splitlines()))
    return line if len(line) <= width else line[: width - 3] + "..."


def _milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0.0) * 1000:.1f} ms"


def _clock(time: datetime) -> str:
    return time.strftime("%H:%M:%S.%f")[:-3]


# What a spool has, and what was sent of it.

_STATES = {WAITING: "waiting", CLAIMED: "claimed", ASIDE: "set aside"}


def number(count: int, noun: str = "file") -> str:
    """Return a number with its noun, such as ``2 files``.

    Args:
        count: how many.
        noun: noun in the singular.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def them(count: int) -> str:
    """Return the pronoun for a number of things.

    Args:
        count: how many.
    """
    return "it" if count == 1 else "them"


def unnamed_text(entries: Iterable[Entry], names: Mapping[str, str]) -> str:
    """Return an explanation of destinations without a known name, empty if there are none.

    Args:
        entries: files that are listed.
        names: known names of destinations, by hash.
    """
    hashes = sorted({entry.file.destination for entry in entries} - {ANY_DESTINATION, *names})
    if not hashes:
        return ""
    what = "hash" if len(hashes) == 1 else "hashes"
    dsns = (
        "a DSN that this spool has no name for"
        if len(hashes) == 1
        else "DSNs that this spool has no names for"
    )
    return f"{', '.join(hashes)}: {what} of host and project of {dsns}"


def summary_text(inventory: Inventory, listed: int | None = None) -> str:
    """Return one line with the number of files, and number and size by state.

    Args:
        inventory: inventory of the directory.
        listed: how many of the files were listed.
    """
    parts = [
        f"{count:,} {_STATES[state]} ({size_text(size)})"
        for state, (count, size) in sorted(
            inventory.totals().items(), key=lambda total: [*_STATES].index(total[0])
        )
    ]
    if inventory.partial:
        parts.append(f"{inventory.partial:,} half-written")
    if inventory.foreign:
        parts.append(f"{inventory.foreign:,} not from a spool, left alone")
    count = number(len(inventory.entries))
    if listed is not None and listed < len(inventory.entries):
        count = f"the newest {listed:,} of {count}"
    return f"{count}: {', '.join(parts)}" if parts else count


def kinds_text(entries: Iterable[Entry]) -> str:
    """Return the number of files, in all and by kind, their size, and the age of the oldest.

    Args:
        entries: at least one file.
    """
    entries = list(entries)
    kinds = Counter(entry.file.kind for entry in entries)
    oldest = min(entry.file.time for entry in entries)
    age = age_text((datetime.now(timezone.utc) - oldest).total_seconds())
    size = size_text(sum(entry.size for entry in entries))
    return f"{number(len(entries))} ({_counts(kinds)}; {size}; the oldest {age} old)"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {printable(what)}" for what, count in sorted(counts.items()))


def plan_text(plan: SendPlan, destination: str, rate: float, dry_run: bool, names: Mapping[str, str]) -> str:
    """Return which files will be sent, and which will not.

    Args:
        plan: plan of the command.
        destination: host and project, as text.
        rate: files per second, at most.
        dry_run: whether this is a dry run.
        names: known names of destinations, by hash.
    """
    return "\n".join(_plan(plan, destination, rate, dry_run, names))


def _plan(
    plan: SendPlan, destination: str, rate: float, dry_run: bool, names: Mapping[str, str]
) -> Iterator[str]:
    if not plan.entries:
        yield f"Nothing is waiting for {printable(destination)}"
    else:
        verb = "Would send" if dry_run else "Sending"
        yield f"{verb} {kinds_text(plan.entries)}"
        yield f"  to {printable(destination)}, at most {rate:g} per second"
    if plan.elsewhere:
        others = sorted(names.get(other, other) for other in plan.elsewhere)
        where = "another destination" if len(others) == 1 else "other destinations"
        count = sum(plan.elsewhere.values())
        yield (
            f"Not sent: {number(count)} for {where} ({printable(', '.join(others))}); "
            f"--all-destinations sends {them(count)} here"
        )
    if plan.aside:
        yield f"Not sent: {number(plan.aside)} set aside; --aside tries {them(plan.aside)} again"
    if plan.in_use:
        yield f"Not sent: {number(plan.in_use)} claimed by another process"


def sent_text(progress: Progress, seconds: float) -> str:
    """Return the result of sending.

    Args:
        progress: progress at the end.
        seconds: time that it took, in seconds.
    """
    return "\n".join(_sent(progress, seconds))


def _sent(progress: Progress, seconds: float) -> Iterator[str]:
    rate = f", {progress.sent / seconds:.1f} per second" if progress.sent and seconds else ""
    yield f"Sent {number(progress.sent)} ({size_text(progress.sent_bytes)}) in {seconds:.1f} s{rate}"
    if progress.taken:
        yield f"Another process has claimed or removed {number(progress.taken)} meanwhile"
    if progress.aside:
        yield f"Set aside {number(sum(progress.aside.values()))}: {_counts(progress.aside)}"
    if progress.unreadable:
        yield f"Cannot read {number(sum(progress.unreadable.values()))}: {_counts(progress.unreadable)}"
    if progress.left:
        why = "; ".join(filter(None, [progress.stop_reason, progress.problem]))
        yield f"Left {number(progress.left)} unchanged{': ' + printable(why) if why else ''}"
    elif progress.aside and progress.problem:
        yield f"Last answer: {printable(progress.problem)}"


# The status of a spool.

_OUTCOMES = ("captured", "delivered", "waiting", "aside", "dropped")


def status_text(status: Status) -> str:
    """Return what a spool has done and holds.

    Args:
        status: of the spool.
    """
    return "\n".join(_status(status))


def _status(status: Status) -> Iterator[str]:
    rows = {kind: counts for kind, counts in sorted(status.counts.items()) if +counts}
    if not rows:
        yield "Nothing was captured"
    else:
        head = ("kind", *("set aside" if name == "aside" else name for name in _OUTCOMES))
        yield "  ".join([f"{head[0]:<12}", *(f"{name:>10}" for name in head[1:])])
        for kind, counts in rows.items():
            yield "  ".join([f"{printable(kind):<12}", *(f"{counts[name]:>10,}" for name in _OUTCOMES)])
        if len(rows) > 1:
            yield "  ".join([f"{'all':<12}", *(f"{status.total(name):>10,}" for name in _OUTCOMES)])
        yield ""
    yield from _facts(status)


def _facts(status: Status) -> Iterator[str]:
    now = datetime.now(timezone.utc).timestamp()
    oldest = "" if status.oldest is None else f"{age_text(status.oldest)} old"
    facts = {
        "Size": size_text(status.size),
        "Oldest": oldest,
        "Set aside": _counts(status.aside),
        "Dropped": _counts(status.dropped),
        "Unaccounted": _counts(status.unaccounted),
        "Accepted": "" if status.succeeded is None else f"{age_text(now - status.succeeded)} ago",
        "Failed": "" if status.failed is None else f"{age_text(now - status.failed)} ago: {status.reason}",
        "Rate limits": ", ".join(
            f"{kind} for {age_text(until - now)}" for kind, until in sorted(status.limits.items())
        ),
        "Sending": ", ".join(_sender(name, alive) for name, alive in sorted(status.senders.items())),
    }
    yield from (f"{name + ':':<13}{printable(text)}" for name, text in facts.items() if text)


def _sender(name: str, is_alive: bool | None) -> str:
    owner = Owner.from_text(name)
    process = f"process {owner.pid}" if owner is not None else name
    return process + {True: "", False: " (ended)", None: " of another host"}[is_alive]
