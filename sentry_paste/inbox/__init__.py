"""The inbox: an app that shows a spool in the browser, for development.

Mount it in an ini next to the app you work on; see ``docs/inbox.rst``. It only reads
the spool's files. ``access`` decides who may look: browsers on this machine, and
whoever has the token.

``settings`` reads the section of the ini. ``app`` is the WSGI app; ``pages`` decides
what each page shows, and ``templates`` how it looks. ``index`` remembers what has been
read from the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_paste import sdk
from sentry_paste.inbox.settings import read_settings
from sentry_paste.sdk.failures import LOGGER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def main(global_conf: dict[str, str], **local_conf: str) -> WSGIApplication:
    """Return the inbox as a WSGI app: its ``paste.app_factory``.

    Args:
        global_conf: the ini's ``[DEFAULT]``.
        local_conf: the app's section: ``spool_dir``, ``allow``, ``allow_hosts`` and ``inbox_token``.

    Raises:
        ConfigError: an option is missing, unknown or has a wrong value.
        ImportError: Jinja2 is not installed.
    """
    settings = read_settings(global_conf, local_conf)
    try:
        import jinja2  # noqa: F401 - only to check that it is installed
    except ImportError as error:
        raise ImportError(
            "egg:sentry_paste#inbox needs Jinja2, which is not installed: pip install 'sentry-paste[inbox]'"
        ) from error
    from sentry_paste.inbox.app import Inbox

    # The inbox logs its token, which must not end up in Sentry as a breadcrumb or an event.
    sdk.ignore_own_logger(LOGGER)
    inbox = Inbox(settings)
    inbox.announce()
    return inbox
