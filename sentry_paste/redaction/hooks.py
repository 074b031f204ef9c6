"""The SDK's own hooks, set so that whatever is sent goes through redaction first."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from sentry_sdk.attachments import Attachment

from sentry_paste import sdk
from sentry_paste.redaction import values
from sentry_paste.redaction.accesslogs import is_access_logger
from sentry_paste.redaction.environs import environs_in, frames_from, frames_of
from sentry_paste.redaction.matcher import NO_SECRETS, Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.needles import Secret
from sentry_paste.redaction.patterns import NO_PATTERNS, Patterns
from sentry_paste.redaction.payloads import (
    Kept,
    clean_event,
    clean_item,
    clean_profile,
    clean_sampling_context,
    strip_event,
    strip_item,
)
from sentry_paste.redaction.sizes import keep_event_small, keep_item_small
from sentry_paste.redaction.texts import clean_text
from sentry_paste.sdk.events import clean_profiles
from sentry_paste.sdk.failures import log_failure

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
        patterns: what is replaced by its shape, also where personal data is sent.

    Attributes:
        options: the client's, once it is made.
    """

    def __init__(self, names: Names, patterns: Patterns = NO_PATTERNS) -> None:
        self.names = names
        self.patterns = patterns
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
        clean_profiles(_clean_profile)

    @property
    def is_on(self) -> bool:
        """Return whether anything is taken out of what the client sends."""
        return bool(self.patterns) or not sdk.sends_user_info(self.options)

    def clean_event(self, event: Any, hint: Any) -> Any:
        """Take its request's secrets, and what the ini's patterns find, out of an event or a transaction.

        Args:
            event: as the SDK has serialised it; it is changed.
            hint: of the SDK; its attachments are changed too.
        """
        is_small = _keep_small(keep_event_small, event)
        event = self._without_patterns(self._without_secrets(event, hint), hint)
        if not is_small:
            _keep_small(keep_event_small, event)  # what is replaced may be longer than it was
        return event

    def clean_header(self, trace: dict[str, Any], names: Collection[Any]) -> dict[str, Any]:
        """Return what the header of an envelope of streamed spans may say of their trace.

        Args:
            trace: the dynamic sampling context of their segment.
            names: of the spans, without secrets.
        """
        kept = clean_sampling_context(dict(trace))
        if kept.get("transaction") not in names:
            kept.pop("transaction", None)
        for name in ("release", "environment"):
            if kept.get(name) != self.options.get(name):
                kept.pop(name, None)
        return kept

    def _without_patterns(self, event: Any, hint: Any) -> Any:
        if self.patterns:
            try:
                self.patterns.clean_event(event)
                _clean_attachments(hint, self.patterns.clean_file)
            except Exception:
                log_failure("an event is sent without variables and request")
                hint["attachments"] = []
                return _stripped(event, "failed")
        return event

    def _without_secrets(self, event: Any, hint: Any) -> Any:
        if sdk.sends_user_info(self.options):
            return event
        try:
            matcher = self._known_matcher() or self._matcher_nearby(hint)
            if matcher.is_beyond:
                hint["attachments"] = []
                return _stripped(event, "too many secrets")
            clean_event(event, matcher, self.names, Kept(*sdk.set_by_app()))
        except Exception:
            log_failure("an event is sent without variables and request")
            hint["attachments"] = []
            return _stripped(event, "failed")
        _clean_attachments(hint, lambda text: clean_text(matcher.clean(text), self.names))
        return event

    def clean_item(self, item: Any, _hint: Any) -> Any:
        """Take its request's secrets, and what the ini's patterns find, out of a log item, metric or span.

        Args:
            item: as the SDK has it before it is queued; it is changed.
            _hint: of the SDK.
        """
        item = self._item_without_secrets(item)
        if self.patterns:
            try:
                self.patterns.clean_item(item)
            except Exception:
                log_failure("an item is sent without its texts")
                strip_item(item, "failed")
        return item

    def _item_without_secrets(self, item: Any) -> Any:
        _keep_small(keep_item_small, item)
        if sdk.sends_user_info(self.options):
            return item
        try:
            matcher = self._known_matcher()
            if matcher is None:
                matcher = self._matcher_nearby({}) if _is_of_a_thread(item) else NO_SECRETS
            if matcher.is_beyond:
                strip_item(item, "too many secrets")
            else:
                clean_item(item, matcher, self.names)
        except Exception:
            log_failure("an item is sent without its texts")
            strip_item(item, "failed")
        return item

    def _known_matcher(self) -> Matcher | None:
        """Return the secrets of the current request, None outside of requests."""
        request = sdk.request_data()
        if isinstance(request, HasSecrets):
            return request.matcher()
        # A thread of the app's that was given scopes of another kind.
        for processor in sdk.event_processors():
            if isinstance(processor, HasSecrets):
                return processor.matcher()
        return None

    def _matcher_nearby(self, hint: Any) -> Matcher:
        """Return the secrets of the requests that frames hold, of the error's traceback and the running ones.

        A server that logs what an app raised is in no request, and neither is a thread that gets work by a
        queue.
        """
        exc_info = (hint or {}).get("exc_info")
        frames = chain(frames_of(exc_info[2]) if exc_info else (), frames_from(sys._getframe(1)))
        secrets: set[Secret] = set()
        for environ in environs_in(frames):
            strings = {key: value for key, value in environ.items() if type(value) is str}
            secrets |= values.of_request(strings, self.names)
            secrets.update(values.of_users(values.of_environ(environ, self.names)))
        return Matcher(secrets) if secrets else NO_SECRETS


def _is_of_a_thread(item: Any) -> bool:
    """Return whether an item outside of requests may be of a thread that works for one.

    Log items may, but for those of a server's access log: they are many, and what is in them is known.
    """
    attributes = item.get("attributes")
    return "body" in item and not is_access_logger((attributes or {}).get("logger.name"))


def _clean_profile(profile: dict[str, Any], options: Mapping[str, Any]) -> None:
    if not sdk.sends_user_info(options):
        clean_profile(profile)


def _keep_small(cut: Callable[[Any], Any], payload: Any) -> Any:
    try:
        return cut(payload)
    except Exception:  # a payload of no shape that there is: what is too big, Sentry refuses
        log_failure("an event or an item may be too big")
        return None


def _before(clean: Callable[[Any, Any], Any], hook: Callable[[Any, Any], Any] | None) -> Any:
    if hook is None:
        return clean

    def call(found: Any, hint: Any) -> Any:
        return hook(clean(found, hint), hint)

    return functools.update_wrapper(call, hook)


def _stripped(event: dict[str, Any], reason: str) -> dict[str, Any]:
    try:
        strip_event(event, reason)
    except Exception:  # an event of no shape that there is: that it was one is all that is told
        plain = ("event_id", "timestamp", "level", "platform", "release", "environment", "sdk", "type")
        event = {key: value for key, value in event.items() if key in plain}
        event["tags"] = {"sentry_paste.redaction": reason}
    return event


def _clean_attachments(hint: Any, clean: Callable[[str], str]) -> None:
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
    cleaned = clean(content.decode("utf-8", "surrogateescape"))
    return Attachment(
        bytes=cleaned.encode("utf-8", "surrogateescape"),
        filename=clean(str(attachment.filename)),
        content_type=clean(attachment.content_type) if attachment.content_type else None,
        add_to_transactions=attachment.add_to_transactions,
    )
