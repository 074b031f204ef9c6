"""Redact attachments: files, and data that the app has in memory."""

from __future__ import annotations

import codecs
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentry_sdk.attachments import Attachment

from sentry_paste.sdk.failures import log_failure

# Byte order marks, longer ones first: UTF-32's begins with UTF-16's.
# https://www.unicode.org/faq/utf_bom.html#bom4
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le", 4),
    (codecs.BOM_UTF32_BE, "utf-32-be", 4),
    (codecs.BOM_UTF16_LE, "utf-16-le", 2),
    (codecs.BOM_UTF16_BE, "utf-16-be", 2),
)
# Which of four bytes are NUL when a character is ASCII.
_NULS = (
    ("utf-32-le", 4, (1, 2, 3)),
    ("utf-32-be", 4, (0, 1, 2)),
    ("utf-16-le", 2, (1, 3)),
    ("utf-16-be", 2, (0, 2)),
)
_SAMPLE = 65_536
# In text, at least one in this many characters is ASCII, and this many times fewer have NULs elsewhere, as
# U+4E00 does. Other data that only looks like text, such as sound, contains no readable secret and stays
# unchanged.
_ONE_OF, _TIMES = 10, 3


def clean_attachments(hint: Any, clean: Callable[[str], str]) -> None:
    """Remove secrets from the attachments of an event; an attachment that cannot be read is dropped.

    Args:
        hint: the SDK's hint, which contains them; it is changed.
        clean: returns a text without secrets.
    """
    attachments = [_cleaned_or_none(found, clean) for found in hint.get("attachments") or ()]
    hint["attachments"] = [found for found in attachments if found is not None]


def _cleaned_or_none(attachment: Any, clean: Callable[[str], str]) -> Any:
    try:
        return _cleaned(attachment, clean)
    except Exception:  # a missing file, bytes of another type
        log_failure("an attachment is lost")
        return None


def _cleaned(attachment: Any, clean: Callable[[str], str]) -> Any:
    """Return an attachment without secrets; a file is read, as the SDK would when sending it."""
    if not isinstance(attachment, Attachment):
        return attachment
    content: Any = attachment.bytes() if callable(attachment.bytes) else attachment.bytes
    if content is None:
        content = Path(str(attachment.path)).read_bytes()
    # A copy: whether it is also sent with transactions is an attribute of some SDKs only.
    cleaned = copy.copy(attachment)
    cleaned.bytes, cleaned.path = _cleaned_bytes(content, clean), None
    cleaned.filename = clean(str(attachment.filename))
    if attachment.content_type:
        cleaned.content_type = clean(attachment.content_type)
    return cleaned


def _cleaned_bytes(content: bytes, clean: Callable[[str], str]) -> bytes:
    """Return the content of a file without secrets, in its own encoding."""
    encoding, unit = _encoding_of(content)
    if unit > 1:
        # A text may have been cut within its last character.
        end = len(content) - len(content) % unit
        try:
            text = content[:end].decode(encoding, "surrogatepass")
        except UnicodeError:
            pass  # it only looked like text
        else:
            cleaned = clean(text)
            if cleaned != text:
                return cleaned.encode(encoding, "surrogatepass") + content[end:]
    # Also if a text of bytes only begins like that.
    return clean(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _encoding_of(content: bytes) -> tuple[str, int]:
    """Return the encoding of a text, by its byte order mark or its NULs, and the size of its units."""
    for mark, encoding, unit in _MARKS:
        if content.startswith(mark):
            return encoding, unit
    if b"\0" in content:
        sample = content[:_SAMPLE]
        count = len(sample) // 4
        nuls = [sample[place::4].count(0) for place in range(4)]
        for encoding, unit, places in _NULS:
            ascii_ = min(nuls[place] for place in places)
            others = max(nuls[place] for place in range(4) if place not in places)
            if ascii_ * _ONE_OF > count and ascii_ >= others * _TIMES:
                return encoding, unit
    return "utf-8", 1
