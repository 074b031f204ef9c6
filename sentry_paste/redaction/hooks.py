"""Install redaction as the SDK's own hooks, so that everything sent goes through it first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial, update_wrapper
from itertools import chain
from typing import Any

from sentry_paste import sdk
from sentry_paste.redaction.accesslogs import is_access_logger
from sentry_paste.redaction.arguments import clean_arguments
from sentry_paste.redaction.attachments import clean_attachments
from sentry_paste.redaction.bounds import Allowances, Sharing, TimedEvent
from sentry_paste.redaction.environs import environs_in, environs_near, frames_from, frames_of
from sentry_paste.redaction.matcher import NO_SECRETS, Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.nearby import Nearby
from sentry_paste.redaction.patterns import NO_PATTERNS, Patterns
from sentry_paste.redaction.payloads import (
    Kept,
    clean_event,
    clean_item,
    clean_items,
    clean_profile,
    clean_sampling_context,
    strip_event,
    strip_item,
)
from sentry_paste.redaction.sizes import are_small, keep_event_small, keep_item_small
from sentry_paste.redaction.texts import clean_text
from sentry_paste.redaction.time_limit import Timed, allow_time_for
from sentry_paste.sdk.failures import log_failure
from sentry_paste.sdk.profiles import clean_profiles

_EVENT_HOOKS = ("before_send", "before_send_transaction")
_ITEM_HOOKS = ("before_send_log", "before_send_metric", "before_send_span")
# How many characters of spans are searched together: to search text takes several times its memory.
_MOST_TOGETHER = 300_000
_LISTS = frozenset({list, tuple})
# What the SDK has added to the tags of a metric, and its names as attributes.
_OF_TAGS = {name: f"sentry.{name}" for name in ("release", "environment", "transaction")}
_TAGS = {attribute: name for name, attribute in _OF_TAGS.items()}
# Of a dynamic sampling context.
_FREE_TEXTS = frozenset({"release", "environment", "transaction"})


class HasSecrets:
    """Base of the event processor that knows the secrets of its request."""

    __slots__ = ("_allowances",)

    _allowances: Allowances

    def matcher(self) -> Matcher:
        """Return the secrets, prepared for searching."""
        raise NotImplementedError

    def remember(self) -> None:
        """Remember what the app has added to the request, and may remove before its spans are cleaned."""
        raise NotImplementedError

    def allowances(self) -> Allowances:
        """Return what the request's log items, metrics and spans may cost together, and its events."""
        # Created for the first one: most requests have none.
        if not hasattr(self, "_allowances"):
            self._allowances = Allowances()
        return self._allowances


class Redaction:
    """Redaction for one client.

    Args:
        names: which names are secret.
        patterns: what to replace by its shape, even if personal data is sent.

    Attributes:
        options: the client's options, once the client exists.
    """

    def __init__(self, names: Names, patterns: Patterns = NO_PATTERNS) -> None:
        self.names = names
        self.patterns = patterns
        self.options: Mapping[str, Any] = {}
        self._nearby = Nearby(names)

    def with_hooks(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return SDK options with redaction placed before the user's own hooks.

        Args:
            options: to create a client with, or of an existing one.
        """
        known = {name for name, _, _ in sdk.client_options()}
        hooked, experiments = dict(options), dict(options.get("_experiments") or {})
        for name in (*_EVENT_HOOKS, *_ITEM_HOOKS):
            if name == "before_send_span" and not sdk.streams_spans(options):
                continue  # the SDK warns about it
            # Older SDKs have some hooks only as experiments.
            place = hooked if name in known else experiments
            clean = self.clean_event if name in _EVENT_HOOKS else self.clean_item
            place[name] = _run_before(clean, hooked.get(name) or experiments.get(name))
        if sdk.HAS_TAGGED_METRICS:
            hook = experiments.get("before_emit_metric")
            experiments["before_emit_metric"] = partial(self._emits_metric, hook)
        if experiments:
            hooked["_experiments"] = experiments
        return hooked

    def use_options(self, options: Mapping[str, Any], scrubber: Any = None) -> None:
        """Use the options of the client.

        Args:
            options: all options of the client.
            scrubber: of the ini, None for the client's.
        """
        self.options = options
        self.names.server_name = options.get("server_name") or ""
        self.names.deny(getattr(scrubber or options.get("event_scrubber"), "denylist", ()))
        clean_profiles(_clean_profile)

    @property
    def is_on(self) -> bool:
        """Return whether anything is removed from what the client sends."""
        return bool(self.patterns) or not sdk.sends_user_info(self.options)

    def clean_event(self, event: Any, hint: Any) -> Any:
        """Remove secrets of the request, and what the ini's patterns match, from an event or a transaction.

        Args:
            event: as the SDK has serialised it; it is changed.
            hint: of the SDK; its attachments are changed too.
        """
        is_small = _keep_small(keep_event_small, event)
        self._clean_arguments(event)
        event = self._without_patterns(self._without_secrets(event, hint), hint)
        if not is_small:
            _keep_small(keep_event_small, event)  # replacements may be longer than what they replace
        return event

    def clean_header(self, trace: dict[str, Any], names: Collection[Any]) -> dict[str, Any]:
        """Return the trace header for an envelope of streamed spans.

        Args:
            trace: the dynamic sampling context of their segment.
            names: the spans' names, without secrets.
        """
        kept = clean_sampling_context(dict(trace))
        for name in _FREE_TEXTS & kept.keys():
            text = kept[name]
            is_own = text in names if name == "transaction" else text == self.options.get(name)
            if not (is_own or isinstance(text, sdk.CheckedText)):
                del kept[name]
        return kept

    def check_context(self, context: Mapping[str, Any]) -> dict[str, str]:
        """Return the texts of a caller's sampling context, without the secrets of the current request.

        Outside of requests, there is nothing to search them for, so there are none.

        Args:
            context: that of a streamed segment.
        """
        found = {
            name: text
            for name, text in context.items()
            if name in _FREE_TEXTS and text != self.options.get(name) and isinstance(text, str)
        }
        # As in an event.
        event = {"contexts": {"trace": {"dynamic_sampling_context": found}}}
        if found and not sdk.sends_user_info(self.options):
            request = _request()
            if request is None or request.matcher().is_exceeded:
                return {}
            clean_event(event, request.matcher(), self.names)
        if found and self.patterns:
            self.patterns.clean_event(event)
        return found

    def clean_name(self, text: str) -> str:
        """Return a name without the secrets of the current request, for what outlives it.

        Args:
            text: any.
        """
        if sdk.sends_user_info(self.options):
            return text
        try:
            request = _request()
            return (request.matcher() if request is not None else self._matcher_near()).clean(text)
        except Exception:
            log_failure("a name is left out")
            return FILTERED

    def _clean_arguments(self, event: Any) -> None:
        try:
            clean_arguments(event, self.names)
        except Exception:
            log_failure("an event is sent without the arguments of the process")
            event["extra"].pop("sys.argv", None)

    def _without_patterns(self, event: Any, hint: Any) -> Any:
        if self.patterns:
            try:
                self.patterns.clean_event(event)
                clean_attachments(hint, self.patterns.clean_file)
            except Exception:
                log_failure("an event is sent without variables and request")
                hint["attachments"] = []
                return _stripped(event, "failed")
        return event

    def _without_secrets(self, event: Any, hint: Any) -> Any:
        if sdk.sends_user_info(self.options):
            return event
        try:
            request = _request()
            time = TimedEvent(None if request is None else request.allowances())
            with time:
                with Timed(None):  # this is bounded by what a request may have, but takes from the time
                    # The current request may have none although frames do: those of a request to another app,
                    # for example.
                    matcher = (request.matcher() if request is not None else None) or self._matcher_of(hint)
                if matcher.is_exceeded:
                    hint["attachments"] = []
                    return _stripped(event, "too many secrets")
                clean_event(event, matcher, self.names, Kept(*sdk.set_by_app()))
        except Exception:
            log_failure("an event is sent without variables and request")
            hint["attachments"] = []
            return _stripped(event, "failed")
        # The app's code that makes their content may take as long as it wants.
        clean_attachments(hint, lambda text: _clean_file(text, matcher, self.names, time))
        return event

    def clean_item(self, item: Any, _hint: Any) -> Any:
        """Remove secrets of the request, and what the ini's patterns match, from a log item, metric or span.

        Args:
            item: as the SDK has it before it is queued; it is changed.
            _hint: of the SDK.
        """
        is_small = _keep_small(keep_item_small, item)
        item = self._item_without_secrets(item)
        if self.patterns:
            self._clean_patterns(item)
        if not is_small:
            _keep_small(keep_item_small, item)
        return item

    def _emits_metric(self, hook: Callable[..., Any] | None, *args: Any) -> Any:
        """Clean the tags of a metric as older SDKs have them; return whether it is sent.

        The SDK does not catch what a hook raises.

        Args:
            hook: of the user.
            args: of the SDK: first the metric's name, last its tags, which are changed.
        """
        name, tags = args[0], args[-1]
        try:
            item = {"name": name, "attributes": {_OF_TAGS.get(key, key): tags[key] for key in tags}}
            self.clean_item(item, None)
            if item["name"] != name:
                return False
            found = {_TAGS.get(key, key): value for key, value in item["attributes"].items()}
            tags.clear()
            tags.update(found)
        except Exception:
            log_failure("a metric is not sent")
            return False
        return True if hook is None else hook(*args)

    def _clean_patterns(self, item: Any) -> None:
        try:
            self.patterns.clean_item(item)
        except Exception:
            log_failure("an item is sent without its texts")
            strip_item(item, "failed")

    def request_of_spans(self) -> HasSecrets | None:
        """Return the current request if spans have to be cleaned with its secrets, None otherwise."""
        request = None if sdk.sends_user_info(self.options) else _request()
        if request is not None:
            request.remember()
        return request

    def clean_spans(self, request: HasSecrets | None, spans: list[Any]) -> None:
        """Remove secrets of a request, and what the ini's patterns match, from several streamed spans.

        Args:
            request: which the spans belong to, None if they belong to none.
            spans: as the SDK has queued them; they are changed.
        """
        if are_small(spans, _MOST_TOGETHER):
            self._clean_few(request, spans)
            return
        for few in _batches(spans):
            is_small = [_keep_small(keep_item_small, span) for span in few]
            self._clean_few(request, few)
            for span, was_small in zip(few, is_small):
                if not was_small:
                    _keep_small(keep_item_small, span)

    def _clean_few(self, request: HasSecrets | None, spans: list[Any]) -> None:
        if not sdk.sends_user_info(self.options):
            self._clean_together(request, spans)
        if self.patterns:
            for span in spans:
                self._clean_patterns(span)

    def _clean_together(self, request: HasSecrets | None, spans: list[Any]) -> None:
        try:
            matcher = NO_SECRETS if request is None else request.matcher()
            if matcher.is_exceeded:
                for span in spans:
                    strip_item(span, "too many secrets")
                return
            with Sharing(None if request is None else request.allowances()):
                clean_items(spans, matcher, self.names)
        except Exception:
            log_failure("spans are sent without their texts")
            for span in spans:
                strip_item(span, "failed")

    def _item_without_secrets(self, item: Any) -> Any:
        if sdk.sends_user_info(self.options):
            return item
        try:
            request = _request()
            allowances = None
            if request is not None:
                matcher, allowances = request.matcher(), request.allowances()
            elif _is_access_log_line(item):
                # The server logs one line for each request, so each line has its own allowance.
                matcher, allowances = NO_SECRETS, Allowances()
            else:
                # Log items may come from a thread that works for a request; metrics and spans do not.
                matcher = self._matcher_near() if "body" in item else NO_SECRETS
            if matcher.is_exceeded:
                strip_item(item, "too many secrets")
            else:
                with Sharing(allowances):
                    clean_item(item, matcher, self.names)
        except Exception:
            log_failure("an item is sent without its texts")
            strip_item(item, "failed")
        return item

    def _matcher_of(self, hint: Any) -> Matcher:
        """Return the secrets of the requests in frames: those of the error's traceback and the running ones.

        A server that logs an app's exception is outside of any request, and so is a thread that gets its work
        from a queue.
        """
        exc_info = (hint or {}).get("exc_info")
        frames = chain(frames_of(exc_info[2]) if exc_info else (), frames_from(sys._getframe(1)))
        return self._nearby.matcher(environs_in(frames), is_event=True)

    def _matcher_near(self) -> Matcher:
        """Return the secrets of the requests in the running frames."""
        return self._nearby.matcher(environs_near(sys._getframe(1)), is_event=False)


def _request() -> HasSecrets | None:
    """Return the event processor of the current request, None outside of requests."""
    request = sdk.request_data()
    if isinstance(request, HasSecrets):
        return request
    # The app has given one of its threads other scopes.
    for processor in sdk.event_processors():
        if isinstance(processor, HasSecrets):
            return processor
    return None


def _clean_file(text: str, matcher: Matcher, names: Names, time: TimedEvent) -> str:
    """Return the text of an attachment, or its name, without secrets."""
    with time:
        allow_time_for(len(text))
        return clean_text(matcher.clean(text), names)


def _is_access_log_line(item: Any) -> bool:
    """Return whether a log item is a line of an access log: there are many, and their format is known."""
    return "body" in item and is_access_logger((item.get("attributes") or {}).get("logger.name"))


def _clean_profile(profile: dict[str, Any], options: Mapping[str, Any]) -> None:
    if not sdk.sends_user_info(options):
        clean_profile(profile)


def _batches(spans: list[Any]) -> Iterator[list[Any]]:
    """Yield spans in batches: as many as may be searched together, or one that is longer."""
    batch: list[Any] = []
    left = _MOST_TOGETHER
    for span in spans:
        length = _length_of(span)
        if batch and length > left:
            yield batch
            batch, left = [], _MOST_TOGETHER
        batch.append(span)
        left -= length
    if batch:
        yield batch


def _length_of(span: Any) -> int:
    attributes = span.get("attributes")
    if type(attributes) is not dict:
        return len(str(span.get("name")))
    listed = [value for value in attributes.values() if type(value) in _LISTS]
    texts = [*attributes.values(), span.get("name"), *chain.from_iterable(listed)]
    return sum([len(text) for text in texts if type(text) is str])


def _keep_small(cut: Callable[[Any], Any], payload: Any) -> Any:
    try:
        return cut(payload)
    except Exception:  # malformed; Sentry refuses what is too big
        log_failure("an event or an item may be too big")
        return None


def _run_before(clean: Callable[[Any, Any], Any], hook: Callable[[Any, Any], Any] | None) -> Any:
    if hook is None:
        return clean

    def call(found: Any, hint: Any) -> Any:
        return hook(clean(found, hint), hint)

    return update_wrapper(call, hook)


def _stripped(event: dict[str, Any], reason: str) -> dict[str, Any]:
    try:
        strip_event(event, reason)
    except Exception:  # malformed: report only that there was an event
        plain = ("event_id", "timestamp", "level", "platform", "release", "environment", "sdk", "type")
        event = {key: value for key, value in event.items() if key in plain}
        event["tags"] = {"sentry_paste.redaction": reason}
    return event
