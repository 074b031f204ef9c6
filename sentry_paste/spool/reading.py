"""Read envelope files, and reject files that a crash, a full disk or somebody else has left."""

from __future__ import annotations

import json
import os
import stat
from typing import Any

from sentry_sdk.envelope import Envelope

from sentry_paste.spool.names import SpoolFile, checksum_of

# The largest envelope that Sentry accepts, https://develop.sentry.dev/sdk/data-model/envelopes/#size-limits.
MAX_BYTES = 200_000_000


class UnreadableError(ValueError):
    """The file is not a complete envelope; the message is the reason, in a word or two."""


def read_bytes(file: SpoolFile) -> bytes:
    """Return the bytes of a file.

    Args:
        file: file in any state.

    Raises:
        OSError: it cannot be read, or is gone.
        ValueError: it is not a regular file, or is too large.
    """
    # The directory may be anybody's: do not follow links, wait for pipes or read devices.
    descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError("not a regular file")
        if found.st_size > MAX_BYTES:
            raise UnreadableError(f"larger than {MAX_BYTES // 1_000_000} MB")
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read()
    finally:
        # Not by the file object: open() fails for a directory, and would leave the descriptor open.
        os.close(descriptor)


def read_envelope(file: SpoolFile) -> Envelope:
    """Return the envelope in a file, if it is complete.

    Args:
        file: file in any state.

    Raises:
        OSError: it cannot be read, or is gone.
        UnreadableError: it is not an envelope, only the beginning of one, or not what was written.
    """
    data = read_bytes(file)
    if not data:
        raise UnreadableError("empty")
    if file.checksum and checksum_of(data) != file.checksum:
        raise UnreadableError("damaged")
    _check(data)
    try:
        return Envelope.deserialize(data)
    except Exception as error:  # the SDK's parser may raise anything
        raise UnreadableError("no envelope") from error


def _check(data: bytes) -> None:
    """Check an envelope against its format, https://develop.sentry.dev/sdk/data-model/envelopes/.

    The SDK's parser would accept a truncated envelope.
    """
    _, place = _header(data, 0)
    items = 0
    while place < len(data):
        if data[place : place + 1] == b"\n":  # the last line may be empty
            place += 1
            continue
        header, place = _header(data, place)
        if not isinstance(header.get("type"), str):
            raise UnreadableError("no envelope")
        length = header.get("length")
        if length is None:
            end = data.find(b"\n", place)
            place = len(data) if end < 0 else end + 1
        elif not isinstance(length, int) or length < 0 or place + length > len(data):
            raise UnreadableError("partial")
        elif data[place + length : place + length + 1] not in (b"\n", b""):
            raise UnreadableError("no envelope")
        else:
            place += length + 1
        items += 1
    if not items:
        raise UnreadableError("partial")


def _header(data: bytes, place: int) -> tuple[dict[str, Any], int]:
    end = data.find(b"\n", place)
    end = len(data) if end < 0 else end
    try:
        header = json.loads(data[place:end])
        # The SDK could not send what is no JSON, such as an infinite number, which Python reads all the same.
        json.dumps(header, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("partial" if end == len(data) else "no envelope") from error
    if not isinstance(header, dict):
        raise UnreadableError("no envelope")
    return header, end + 1
