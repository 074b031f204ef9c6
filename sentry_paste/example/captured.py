"""The pages that show what was captured: the index, an envelope, and that there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sentry_sdk
from pyramid.httpexceptions import HTTPNotFound

from sentry_paste.example.views import THINGS
from sentry_paste.spool import Contents, Spool, SpoolFile, read_contents

#: How many envelopes the index lists.
LISTED = 50

#: How many files before and after an envelope are searched for others of its trace.
NEIGHBOURS = 100


@dataclass(frozen=True)
class Envelope:
    """An envelope file, read as far as it can be.

    Attributes:
        file: the file.
        contents: what it tells, None where it cannot be read.
        problem: why it cannot be read, else empty.
    """

    file: SpoolFile
    contents: Contents | None
    problem: str = ""


def index(request: Any) -> dict[str, Any]:
    """Show the things to try and what was captured so far.

    Args:
        request: the request.
    """
    spool = _spool(request)
    files, problem = _files(spool)
    return {
        "things": THINGS,
        "server": _server(),
        "spool": spool,
        "problem": problem,
        "envelopes": [_read(file) for file in files[:LISTED]],
        "older": len(files[LISTED:]),
        # A link to the page's own address with a fragment only scrolls, so there are two addresses in turn.
        "turn": "2" if request.GET.get("turn") == "1" else "1",
    }


def _server() -> str:
    """Return the host that the filter sends to, empty where it keeps files."""
    return urlsplit(str(sentry_sdk.get_client().dsn or "")).hostname or ""


def show(request: Any) -> dict[str, Any]:
    """Show one envelope.

    Args:
        request: the request; its route matched an ``id``.

    Raises:
        HTTPNotFound: the spool has no such envelope.
    """
    spool = _spool(request)
    try:
        file = spool.find(request.matchdict["id"]) if spool else None
    except OSError as error:
        raise HTTPNotFound(f"The spool directory cannot be read: {error}") from error
    if spool is None or file is None:
        raise HTTPNotFound("No envelope with this id is in the spool directory.")
    envelope = _read(file)
    related = list(_same_trace(spool, envelope.contents)) if envelope.contents else []
    return {"envelope": envelope, "file": file, "contents": envelope.contents, "related": related}


def not_found(error: Any, request: Any) -> dict[str, Any]:
    """Tell that there is no such page.

    Args:
        error: the HTTPNotFound.
        request: the request.
    """
    request.response.status_int = error.status_int
    # Where show() did not raise it, the detail is the path, and no sentence.
    ours = request.matched_route and request.matched_route.name == "captured"
    return {"detail": error.detail if ours else "Nothing is at this address."}


def _spool(request: Any) -> Spool | None:
    directory = request.registry.settings.get("spool_dir")
    return Spool(directory) if directory else None


def _files(spool: Spool | None) -> tuple[list[SpoolFile], str]:
    try:
        return (spool.files() if spool else []), ""
    except OSError as error:
        return [], str(error)


def _read(file: SpoolFile) -> Envelope:
    try:
        return Envelope(file, read_contents(file))
    except (OSError, ValueError) as error:
        return Envelope(file, None, str(error))


def _same_trace(spool: Spool, contents: Contents) -> Iterator[Contents]:
    """Yield the other envelopes of a trace; they were captured at about the same time."""
    if not contents.trace_id:
        return
    files = spool.files()
    here = next((place for place, file in enumerate(files) if file.path == contents.file.path), 0)
    for file in files[max(0, here - NEIGHBOURS) : here + NEIGHBOURS + 1]:
        other = _read(file).contents
        if other and other.trace_id == contents.trace_id and file.path != contents.file.path:
            yield other
