"""The inbox: an app that shows a spool in the browser, for development.

It is mounted in an ini beside the app that is worked on; ``docs/inbox.rst`` tells how.
It reads the spool's files and changes none of them, and it answers only those that
``access`` lets in, or that have the token of ``tokens``.

``settings`` reads its section, ``app`` answers requests with the pages of ``pages``,
``index`` keeps what is known of the files, and ``templates`` say how it looks.
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
        import jinja2  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ImportError(
            "egg:sentry_paste#inbox needs Jinja2, which is not installed: pip install 'sentry-paste[inbox]'"
        ) from error
    from sentry_paste.inbox.app import Inbox

    # What is logged of the inbox has its token, which is not for Sentry.
    sdk.ignore_own_logger(LOGGER)
    inbox = Inbox(settings)
    inbox.announce()
    return inbox
