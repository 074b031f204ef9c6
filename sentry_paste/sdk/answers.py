"""What the answer to an envelope means: Sentry has it, may accept it later, or refuses it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

# The longest time that a server may ask to wait, in seconds.
_LONGEST_WAIT = 86400.0
# Request Timeout, Too Many Requests, and what proxies answer: authentication, a connection for another host,
# early data.
_MAY_BE_REPEATED = (407, 408, 421, 425, 429)
# Bytes of the longest answer that is looked at. Sentry's are shorter than a hundred.
_LONGEST_ANSWER = 10_000


@dataclass
class Attempt:
    """The outcome of sending an envelope.

    Attributes:
        status: of the server's response, 0 if there was none.
        retry_after: seconds that the server asks to wait, 0 if it does not.
        error: that was raised instead of a response.
        is_sentrys: whether a response of 2xx is what Sentry answers.
        redirect: scheme and host to which the response redirects, empty if it does not.
        lost: what the SDK has recorded as lost meanwhile; it only counts after ``count_lost``.
        reported: counts of earlier losses that the envelope contained.
    """

    status: int = 0
    retry_after: float = 0.0
    error: Exception | None = None
    is_sentrys: bool = True
    redirect: str = ""
    lost: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    reported: Mapping[Any, int] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Whether Sentry has accepted it."""
        return 200 <= self.status < 300 and self.is_sentrys

    @property
    def is_foreign(self) -> bool:
        """Whether something between here and Sentry has answered, such as a portal or a proxy."""
        return 200 <= self.status < 400 and not self.delivered

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may be accepted later.

        That is without a response, after one that is not Sentry's, and after errors of servers and proxies,
        of which 501 and 505 are final.
        """
        if self.status == 0:
            return self.error is not None
        if self.is_foreign or self.status in _MAY_BE_REPEATED:
            return True
        return self.status >= 500 and self.status not in (501, 505)

    @property
    def reason(self) -> str:
        """Why it was not accepted, in a few words."""
        if self.redirect:
            return f"http {self.status}, a redirect to {self.redirect}"
        if self.is_foreign:
            return f"http {self.status}, but not an answer of Sentry"
        if self.status == 0:
            return type(self.error).__name__ if self.error is not None else "rate limit"
        return f"http {self.status}"

    @property
    def withheld(self) -> bool:
        """Whether it was not sent because of a rate limit."""
        return self.status == 0 and self.error is None


def is_sentrys(response: Any) -> bool:
    """Return whether a response has the body that Sentry and its like answer.

    Relay and GlitchTip answer with a JSON object, which has the id of the event if there is one; Bugsink and
    Spotlight with nothing.

    Args:
        response: of urllib3 or httpcore, with a status of success.
    """
    try:
        body = response.data if hasattr(response, "data") else response.content
        if len(body) > _LONGEST_ANSWER:
            return False
        if not body.strip():
            return True
        found = json.loads(body)
    except Exception:  # anybody may have answered
        return False
    return found is None or (isinstance(found, dict) and (not found or "id" in found))


def retry_after(text: str | None) -> float:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3), a number or a date.

    Args:
        text: of the header, None if there is none.

    Raises:
        TypeError: it is neither, before Python 3.10.
        ValueError: it is neither.
    """
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds()
    # float() also accepts "nan" and "inf", and threads cannot wait for any length of time.
    return min(max(seconds, 0.0), _LONGEST_WAIT) if not math.isnan(seconds) else 0.0
