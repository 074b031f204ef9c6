"""Taking secrets out of attachments: files, and what the app has in memory."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentry_sdk.attachments import Attachment

from sentry_paste.sdk.failures import log_failure

# Byte order marks, the longer ones first: that of UTF-16 is the beginning of one of UTF-32.
# https://www.unicode.org/faq/utf_bom.html#bom4
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le", 4),
    (codecs.BOM_UTF32_BE, "utf-32-be", 4),
    (codecs.BOM_UTF16_LE, "utf-16-le", 2),
    (codecs.BOM_UTF16_BE, "utf-16-be", 2),
)
# At which of four bytes ASCII has NULs.
_NULS = (
    ("utf-32-le", 4, (1, 2, 3)),
    ("utf-32-be", 4, (0, 1, 2)),
    ("utf-16-le", 2, (1, 3)),
    ("utf-16-be", 2, (0, 2)),
)
_SAMPLE = 65_536
# Of so many characters at least one is ASCII, and so many times fewer have a NUL elsewhere, as U+4E00 does.
# Data that only looks like text, as sound may, says nothing that is secret, and stays as it is.
_ONE_OF, _TIMES = 10, 3


def clean_attachments(hint: Any, clean: Callable[[str], str]) -> None:
    """Take secrets out of the attachments of an event; one that cannot be read is lost.

    Args:
        hint: of the SDK, which has them; it is changed.
        clean: returns a text without secrets.
    """
    attachments = [_cleaned_or_none(found, clean) for found in hint.get("attachments") or ()]
    hint["attachments"] = [found for found in attachments if found is not None]


def _cleaned_or_none(attachment: Any, clean: Callable[[str], str]) -> Any:
    try:
        return _cleaned(attachment, clean)
    except Exception:  # a file that is gone, bytes that are none
        log_failure("an attachment is lost")
        return None


def _cleaned(attachment: Any, clean: Callable[[str], str]) -> Any:
    """Return an attachment without secrets; what is in a file is read, as the SDK would when it sends it."""
    if not isinstance(attachment, Attachment):
        return attachment
    content: Any = attachment.bytes() if callable(attachment.bytes) else attachment.bytes
    if content is None:
        content = Path(str(attachment.path)).read_bytes()
    return Attachment(
        bytes=_cleaned_bytes(content, clean),
        filename=clean(str(attachment.filename)),
        content_type=clean(attachment.content_type) if attachment.content_type else None,
        add_to_transactions=attachment.add_to_transactions,
    )


def _cleaned_bytes(content: bytes, clean: Callable[[str], str]) -> bytes:
    """Return what a file has in it without secrets, in the encoding that it is in."""
    encoding, unit = _encoding_of(content)
    if unit > 1:
        # Of a text that was cut within a character the rest is none.
        end = len(content) - len(content) % unit
        try:
            text = content[:end].decode(encoding, "surrogatepass")
        except UnicodeError:
            pass  # it only looked like it
        else:
            cleaned = clean(text)
            return content if cleaned == text else cleaned.encode(encoding, "surrogatepass") + content[end:]
    return clean(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _encoding_of(content: bytes) -> tuple[str, int]:
    """Return in which encoding a text is, by its byte order mark or its NULs, and the size of its units."""
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
