"""Nothing personal leaves unless asked: the fourth promise.

``names`` says which names are secret, ``values`` which values of a request are,
``matcher`` finds them in text, ``payloads`` takes them out of what is sent, and
``hooks`` has the SDK call all that.
"""

from sentry_paste.redaction import values
from sentry_paste.redaction.hooks import HasSecrets, Redaction
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.needles import Secret
from sentry_paste.redaction.patterns import Patterns

__all__ = ["HasSecrets", "Matcher", "Names", "Patterns", "Redaction", "Secret", "values"]
