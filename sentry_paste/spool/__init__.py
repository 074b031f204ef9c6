"""The spool: a directory of standard Sentry envelopes, one in a file.

``files`` names, writes and lists them; ``transport`` is how the SDK puts them
there; ``contents`` reads what one of them tells into the classes of ``model``,
for the command line, the example and anybody's own tools.
"""

from sentry_paste.spool.contents import Contents, read_contents
from sentry_paste.spool.files import Spool, SpoolError
from sentry_paste.spool.names import SpoolFile

__all__ = ["Contents", "Spool", "SpoolError", "SpoolFile", "read_contents"]
