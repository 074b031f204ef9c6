"""The spool: a directory of standard Sentry envelopes, one per file.

``names`` defines the names of the files, and ``files`` writes, lists and renames them.
``delivery`` is the SDK transport that stores what it cannot send, with ``writer`` for the
files, ``backlog`` to send them later, ``backoff`` for the pace and ``bounds`` for the size.
``owner`` and ``presence`` identify the processes that share a spool. ``transport`` is the SDK
transport without a DSN, which only stores. ``reading`` and ``contents`` read files, for the
command line, the inbox and other tools.
"""

from sentry_paste.spool.contents import Contents, read_contents
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.private import SpoolError

__all__ = ["Contents", "Spool", "SpoolError", "SpoolFile", "read_contents"]
