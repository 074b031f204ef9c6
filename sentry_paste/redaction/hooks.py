"""The SDK's own hooks, set so that whatever is sent goes through redaction first."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sentry_sdk.attachments import Attachment

from sentry_paste import sdk
from sentry_paste.redaction import values
from sentry_paste.redaction.matcher import NO_SECRETS, Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.payloads import Kept, clean_event, clean_item, strip_event, strip_item

log = logging.getLogger("sentry_paste")

_EVENT_HOOKS = ("before_send", "before_send_transaction")
_ITEM_HOOKS = ("before_send_log", "before_send_metric", "before_send_span")


class HasSecrets:
    """What an event processor is that knows the secrets of its request."""

    __slots__ = ()

    def matcher(self) -> Matcher:
        """Return the secrets, made ready to be sought."""
        raise NotImplementedError


class Redaction:
    """Redaction for one client.

    Args:
        names: which names are secret.

    Attributes:
        options: the client's, once it is made.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.options: Mapping[str, Any] = {}

    def with_hooks(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return SDK options in which redaction comes before the user's own hooks.

        Args:
            options: for a client, or of one.
        """
        known = {name for name, _, _ in sdk.client_options()}
        hooked, experiments = dict(options), dict(options.get("_experiments") or {})
        for name in (*_EVENT_HOOKS, *_ITEM_HOOKS):
            if name == "before_send_span" and not sdk.streams_spans(options):
                continue  # the SDK warns of it
            # An SDK that has the hook as an experiment only.
            place = hooked if name in known else experiments
            clean = self.clean_event if name in _EVENT_HOOKS else self.clean_item
            place[name] = _before(clean, hooked.get(name) or experiments.get(name))
        if experiments:
            hooked["_experiments"] = experiments
        return hooked

    def made(self, options: Mapping[str, Any]) -> None:
        """Take over what a client goes by.

        Args:
            options: of the client, all of them.
        """
        self.options = options
        self.names.deny(getattr(options.get("event_scrubber"), "denylist", ()))

    def clean_event(self, event: Any, hint: Any) -> Any:
        """Take the secrets of its request out of an event or a transaction.

        Args:
            event: as the SDK has serialised it; it is changed.
            hint: of the SDK; its attachments are changed too.
        """
        if sdk.sends_user_info(self.options):
            return event
        try:
            matcher = self._matcher(hint)
            clean_event(event, matcher, self.names, Kept(*sdk.set_by_app()))
        except Exception:
            log.warning("Sentry failed: an event is sent without variables and request", exc_info=True)
            hint["attachments"] = []
            return _stripped(event)
        attachments = [_cleaned_or_none(found, matcher) for found in hint.get("attachments") or ()]
        hint["attachments"] = [found for found in attachments if found is not None]
        return event

    def clean_item(self, item: Any, _hint: Any) -> Any:
        """Take the secrets of its request out of a log item, a metric or a streamed span.

        Args:
            item: as the SDK has it before it is queued; it is changed.
            _hint: of the SDK.
        """
        if sdk.sends_user_info(self.options):
            return item
        try:
            clean_item(item, self._matcher({}), self.names)
        except Exception:
            log.warning("Sentry failed: an item is sent without its texts", exc_info=True)
            strip_item(item)
        return item

    def _matcher(self, hint: Any) -> Matcher:
        request = sdk.request_data()
        if isinstance(request, HasSecrets):
            return request.matcher()
        # A thread of the app's that was given scopes of another kind.
        for processor in sdk.event_processors():
            if isinstance(processor, HasSecrets):
                return processor.matcher()
        # A server that logs what an app raised is not in the request, but its frames are.
        exc_info = (hint or {}).get("exc_info")
        environ = _environ_in(exc_info[2]) if exc_info else None
        if environ is None:
            return NO_SECRETS
        strings = {key: value for key, value in environ.items() if type(value) is str}
        secrets = values.of_request(strings, self.names)
        return Matcher(secrets.union(values.of_users(values.of_environ(environ, self.names))))


def _before(clean: Callable[[Any, Any], Any], hook: Callable[[Any, Any], Any] | None) -> Any:
    if hook is None:
        return clean

    def call(found: Any, hint: Any) -> Any:
        return hook(clean(found, hint), hint)

    return functools.update_wrapper(call, hook)


def _environ_in(traceback: TracebackType | None) -> Mapping[str, Any] | None:
    for frame in _frames(traceback):
        for found in frame.f_locals.values():
            if isinstance(found, dict) and "wsgi.input" in found:
                return found
    return None


def _frames(traceback: TracebackType | None) -> Iterator[Any]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _stripped(event: dict[str, Any]) -> dict[str, Any]:
    try:
        strip_event(event)
    except Exception:  # an event of no shape that there is: that it was one is all that is told
        plain = ("event_id", "timestamp", "level", "platform", "release", "environment", "sdk", "type")
        event = {key: value for key, value in event.items() if key in plain}
        event["tags"] = {"sentry_paste.redaction": "failed"}
    return event


def _cleaned_or_none(attachment: Any, matcher: Matcher) -> Any:
    try:
        return _cleaned(attachment, matcher)
    except Exception:  # a file that is gone, bytes that are none
        log.warning("Sentry failed: an attachment is lost", exc_info=True)
        return None


def _cleaned(attachment: Any, matcher: Matcher) -> Any:
    """Return an attachment without secrets; what is in a file is read, as the SDK would when it sends it."""
    if not matcher or not isinstance(attachment, Attachment):
        return attachment
    content: Any = attachment.bytes() if callable(attachment.bytes) else attachment.bytes
    if content is None:
        content = Path(str(attachment.path)).read_bytes()
    cleaned = matcher.clean(content.decode("utf-8", "surrogateescape"))
    return Attachment(
        bytes=cleaned.encode("utf-8", "surrogateescape"),
        filename=matcher.clean(str(attachment.filename)),
        content_type=attachment.content_type,
        add_to_transactions=attachment.add_to_transactions,
    )
