"""Read the files that a page shows in full."""

from __future__ import annotations

from dataclasses import dataclass

from sentry_paste.inbox.index import Entry
from sentry_paste.inbox.summary import MOST_BYTES
from sentry_paste.spool import Contents, read_contents


@dataclass(frozen=True)
class Opened:
    """A file, read as far as it can be.

    Attributes:
        entry: what the index knows of it.
        contents: what it tells, None where it cannot be read.
        problem: why it cannot be read, else empty.
    """

    entry: Entry
    contents: Contents | None
    problem: str = ""


def opened(entry: Entry) -> Opened:
    """Read a file; what cannot be read is told so.

    Args:
        entry: of the index.

    Raises:
        FileNotFoundError: it is gone since the index was made.
    """
    if entry.size > MOST_BYTES:
        return Opened(entry, None, entry.told.problem)
    try:
        return Opened(entry, read_contents(entry.file))
    except FileNotFoundError:
        raise
    except OSError as error:
        return Opened(entry, None, error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        return Opened(entry, None, str(error))


def opened_all(entries: list[Entry]) -> list[Opened]:
    """Read files, those left out that are gone.

    Args:
        entries: of the index.
    """
    found = []
    for entry in entries:
        try:
            found.append(opened(entry))
        except FileNotFoundError:
            continue
    return found
