"""Redaction: nothing personal leaves the process unless the ini asks for it.

``names`` decides which names are secret, ``values`` which values of a request are.
``matcher`` finds those values in text, ``payloads`` removes them from what is sent,
and ``hooks`` connects all of it to the SDK.
"""

from sentry_paste.redaction import values
from sentry_paste.redaction.hooks import HasSecrets, Redaction
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.needles import Secret
from sentry_paste.redaction.patterns import Patterns

__all__ = ["HasSecrets", "Matcher", "Names", "Patterns", "Redaction", "Secret", "values"]
