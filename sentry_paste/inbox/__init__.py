"""The inbox: an app that shows a spool in the browser, for development.

Mount it in an ini next to the app you work on; see ``docs/inbox.rst``. It only reads
the spool's files, and removes those that somebody cleared if asked to. ``access``
decides who may look: browsers on this machine, and whoever has the token.

``settings`` reads the section of the ini. ``app`` is the WSGI app; ``pages`` and
``details`` decide what each page shows, and ``templates`` how it looks. ``index`` remembers what has been
read from the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_paste import sdk
from sentry_paste.inbox.settings import InboxSettings, read_settings
from sentry_paste.sdk.failures import LOGGER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from sentry_paste.inbox.app import Inbox


def main(global_conf: dict[str, str], **local_conf: str) -> WSGIApplication:
    """Return the inbox as a WSGI app: its ``paste.app_factory``.

    Args:
        global_conf: the ini's ``[DEFAULT]``.
        local_conf: the app's section, with the options of the inbox.

    Raises:
        ConfigError: an option is missing, unknown or has a wrong value.
        ImportError: Jinja2 is not installed.
    """
    inbox = make_inbox(read_settings(global_conf, local_conf))
    inbox.announce()
    return inbox


def make_inbox(settings: InboxSettings) -> Inbox:
    """Return the inbox as a WSGI app.

    Args:
        settings: its options.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    try:
        import jinja2  # noqa: F401 - only to check that it is installed
    except ImportError as error:
        raise ImportError(
            "the inbox needs Jinja2, which is not installed: pip install 'sentry-paste[inbox]'"
        ) from error
    from sentry_paste.inbox.app import Inbox

    # The inbox logs its token, which must not end up in Sentry as a breadcrumb or an event.
    sdk.ignore_own_logger(LOGGER)
    return Inbox(settings)
