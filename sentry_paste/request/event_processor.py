"""The event processor of a request: it adds the request, its name and its user to every event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.held import Capture, current_capture
from sentry_paste.client.mechanisms import is_unhandled
from sentry_paste.redaction import HasSecrets, Matcher, Secret, values
from sentry_paste.redaction.names import RECORDED_USER, USER_KEYS
from sentry_paste.request.filter_state import FilterState
from sentry_paste.request.reported_errors import ReportedErrors
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.environ import (
    METHOD,
    Forwarded,
    address_of,
    headers_of,
    native,
    path_of,
    url_of,
)
from sentry_paste.wsgi.errors import client_went_away
from sentry_paste.wsgi.naming import (
    CUSTOM,
    URL,
    default_name,
    framework_name,
    name_in_traceback,
    name_of_traversal,
)
from sentry_paste.wsgi.real_types import is_real, text_of

# Of a request: an app that signs in more users one after the other may hide the texts of its spans.
_MOST_BEFORE = 50
# Of a request as well: an app that changes its headers again and again may hide them too.
_MOST_COOKIES = 200

#: The first entry of a fingerprint to which the transaction's name is added.
FAILED_STATUS = "failed-status"


class _Read(NamedTuple):
    """What was read from an environ.

    Attributes:
        identities: of what was in it; empty if it is to be read each time.
        found: the users and the headers that the app has put there.
        held: keys and headers: while they exist, nothing else gets their identities.
    """

    identities: list[int]
    found: tuple[tuple[str, ...], dict[str, str]]
    held: list[Any]


_NOTHING_READ = _Read([], ((), {}), [])


class RequestData(HasSecrets):
    """The event processor of a request.

    Args:
        strings: the snapshot of the environ.
        environ: in which the app's framework leaves names. It is released when the request is over, so that
            no event processor keeps a request's objects alive; None if it is over already.
        name: from a rule in the ini, None if no rule matches.
        filter_state: shared by all requests of the filter.
        name_from_framework: the framework's name of the request, None if there is none.
        client: that captures in the request, unless the app chooses another one.

    Attributes:
        errors: that were captured so far.
        response_headers: None until the response has started.
        cookies_before: that the response was to set, and may not set any more.
        inner: the texts of the environs of requests within this one.
        traversed: the class of the context and the name of the view that Pyramid has called, None otherwise.
    """

    __slots__ = (
        "_added",
        "_before",
        "_environ",
        "_filter_state",
        "_framework_name",
        "_inherited",
        "_last_headers",
        "_made",
        "_read",
        "_remembered",
        "_remote_user",
        "_secrets",
        "_users",
        "client",
        "cookies_before",
        "errors",
        "inner",
        "reported",
        "response_headers",
        "rule",
        "strings",
        "traversed",
    )

    def __init__(
        self,
        strings: dict[str, str],
        environ: dict[str, Any] | None,
        name: str | None,
        filter_state: FilterState,
        name_from_framework: tuple[str, str] | None,
        client: Any,
    ) -> None:
        self.strings = strings
        self.client = client
        self._environ = environ
        #: The name from a rule in the ini, None if no rule matches.
        self.rule = name
        self._filter_state = filter_state
        self._framework_name = name_from_framework
        self._remote_user: Any = None
        self._inherited: sdk.Inherited | None = None
        #: Whether an error has been captured in the request.
        self.reported = False
        self.errors = ReportedErrors()
        self._users: tuple[str, ...] = ()
        self.response_headers: Any = None
        self.cookies_before: list[str] = []
        self.inner: list[dict[str, str]] = []
        self.traversed: tuple[type, str] | None = None
        self._added: dict[str, str] = {}
        # Each is replaced as a whole, because several threads may work for the request: what was read from
        # the environ, and the matcher that was made of it, for the first event.
        self._read = _NOTHING_READ
        self._made: tuple[Any, Matcher] | None = None
        self._secrets: set[Secret] | None = None
        # Users and headers that the app had put into the environ when a span ended; None if there were too
        # many of them. Threads append to it, and to the cookies: none loses what another has added.
        self._before: list[tuple[tuple[str, ...], dict[str, str]]] | None = []
        self._remembered = _NOTHING_READ
        self._last_headers: list[Any] | None = None

    def close(self, inherited: sdk.Inherited) -> None:
        """Keep the names that the app has left in the environ; release the environ and all errors.

        Args:
            inherited: what threads that go on have of the request.
        """
        environ, self._inherited = self._environ, inherited
        try:
            if environ is not None:
                self._keep_from(environ)
        finally:
            # Last: another thread may be cleaning what belongs to the request.
            self._environ = None
            self._read = self._remembered = _NOTHING_READ

    def _keep_from(self, environ: dict[str, Any]) -> None:
        self._remote_user = _user_name(environ)
        try:
            read = self._read
            # Most requests had no event, for which it would have been read.
            is_read = bool(read.identities) and read.identities == _identities(environ)
            self._users, self._added = read.found if is_read else self._found_in(environ)
        except Exception:  # a mapping of the app's
            self._added = self._added_to(environ)
        self._framework_name = framework_name(environ) or self._framework_name

    def started(self, headers: Any, name_from_framework: tuple[str, str] | None) -> None:
        """Record the start of the response.

        Args:
            headers: of the response.
            name_from_framework: the framework's name of the request, None if there is none.
        """
        self.response_headers, self._framework_name = headers, name_from_framework or self._framework_name

    def remember(self) -> None:
        """Remember what the app has added to the request, and may remove before its spans are cleaned."""
        self._remember_cookies()
        environ, before = self._environ, self._before
        if environ is None or before is None:
            return
        if _identities(environ) == self._remembered.identities:
            return
        try:
            read = self._read_from(environ)
        except Exception:  # a mapping of the app's
            log_failure("streamed spans are sent without their texts")
            self._before = None
            return
        if any(read.found) and read.found not in before:
            if len(before) < _MOST_BEFORE:
                before.append(read.found)
            else:
                self._before = None
        self._remembered = read

    def _remember_cookies(self) -> None:
        headers, last = self.response_headers, self._last_headers
        if headers is None:
            return
        if type(headers) is list:
            # The list is the app's, which may change it; a copy keeps the identities of its members.
            if last is not None and [*map(id, headers)] == [*map(id, last)]:
                return
            self._last_headers = headers.copy()
        before = self.cookies_before
        new = [text for text in values.cookies_of(headers) if text not in before]
        if new and len(before) < _MOST_COOKIES:
            before += new
        elif new:
            self._before = None

    def matcher(self) -> Matcher:
        """Return a matcher for the request's secrets, its user's names and its response's cookies."""
        made, environ = self._made, self._environ
        if made is not None and made[1].is_exceeded:
            return made[1]  # nothing that is added makes it fewer
        now = (self._users, self._added) if environ is None else self._read_from(environ).found
        before = None if self._before is None else tuple(self._before)
        cookies = (*self.cookies_before, *values.cookies_of(self.response_headers))
        key = (now, tuple(dict.fromkeys(cookies)), len(self.inner), before)
        if made is None or made[0] != key:
            known = None if before is None else (now, *[each for each in before if each != now])
            secrets = values.too_many_secrets() if known is None else self._all_secrets(known, key[1])
            made = self._made = key, Matcher(secrets, self._filter_state.recent)
        return made[1]

    def _all_secrets(
        self, known: Iterable[tuple[tuple[str, ...], dict[str, str]]], cookies: tuple[str, ...]
    ) -> set[Secret]:
        names, recent = self._filter_state.secret_names, self._filter_state.recent
        if self._secrets is None:
            self._secrets = values.of_request(self.strings, names, recent)
        found = self._secrets.union(
            values.of_cookies(cookies), *[values.of_users(users, recent) for users, _ in known]
        )
        for strings in filter(None, (*[added for _, added in known], *self.inner)):
            found |= values.of_request(strings, names, recent)
        return found

    def _read_from(self, environ: dict[str, Any]) -> _Read:
        """Return the users and the headers in the environ that the app has put there."""
        read = self._read
        if _identities(environ) != read.identities:
            names = self._filter_state.secret_names
            # At once: another thread may clean spans while the app changes it.
            environ = dict(environ)
            # Other users than texts may change, and stay the same objects: they are read each time.
            is_plain = not names.has_own_environ and all(
                type(environ[key]) is str for key in environ.keys() & USER_KEYS
            )
            found = self._found_in(environ)
            # Nothing is read from other values, which the app may release.
            headers = [value for key, value in environ.items() if type(key) is str and key[:5] == "HTTP_"]
            identities, held = (_identities(environ), [*environ, *headers]) if is_plain else ([], [])
            self._read = read = _Read(identities, found, held)
        return read

    def _found_in(self, environ: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
        return values.of_environ(environ, self._filter_state.secret_names), self._added_to(environ)

    def _added_to(self, environ: dict[str, Any]) -> dict[str, str]:
        """Return the headers that were added to the environ since, as by keystone's middleware."""
        before = self.strings.get
        return {
            key: text
            for key, value in environ.items()
            if type(key) is str
            and key.startswith("HTTP_")
            and value is not (old := before(key))
            and (text := text_of(value)) is not None
            and text != old
        }

    @property
    def filter_state(self) -> FilterState:
        """Return the state that all requests of the filter share."""
        return self._filter_state

    def user_name(self) -> str:
        """Return the name of the user that is signed in, an empty string if there is none."""
        found = self._remote_user if self._environ is None else _user_name(self._environ)
        return native(found) if is_real(found, str) else ""

    def forwarded(self) -> Forwarded:
        """Return the forwarding headers of trusted proxies."""
        return Forwarded(self.strings, self._filter_state.settings.trusted_proxy_count)

    def better_name(self) -> tuple[str, str] | None:
        """Return a name and its source from a rule or a framework, None if there is only the path."""
        if self.rule is not None:
            return self.rule, CUSTOM
        if self._environ is not None:
            self._framework_name = framework_name(self._environ) or self._framework_name
        if self._framework_name is None and self.traversed is not None:
            return name_of_traversal(*self.traversed)
        return self._framework_name

    def process(self, event: Any, hint: Any) -> Any:
        """Add the name, the request and, if the client may send it, the user to an event.

        Args:
            event: of the SDK.
            hint: of the SDK.
        """
        if self._inherited is not None and sdk.in_thread_of_request():
            sdk.disinherit(event, self.process, self._inherited)
            return event
        exc_info = (hint or {}).get("exc_info")
        # A framework's integration may see first that the client has gone.
        if exc_info and client_went_away(exc_info[1], self.strings.get("SERVER_PORT", "")):
            return None
        if exc_info and self._is_repeated(exc_info[1], event):
            return None
        if exc_info and self.better_name() is None:
            style = sdk.pyramid_style(sentry_sdk.get_client())
            self._framework_name = name_in_traceback(exc_info[2], style)
        is_error = self.own_capture() is not None if exc_info else event.get("level") in ("error", "fatal")
        self.reported = self.reported or is_error
        for add in (_drop_context_of_pyramid, self._add_name, self._add_request, self._add_user):
            try:
                add(event)
            except Exception:  # the event keeps what the others have added: better than no event
                log_failure("an event lacks some of its request")
        return event

    def own_capture(self) -> Capture | None:
        """Return the capture of an error that is under way, None if it is one for another project."""
        capture = current_capture()
        # The panel of the debug toolbar has a view of the client.
        is_own = capture is not None and sdk.origin(capture.client) is sdk.origin(self.client)
        return capture if is_own else None

    def _is_repeated(self, error: BaseException, event: Any) -> bool:
        """Record an error that is being captured; return whether it has been captured before."""
        capture = self.own_capture()
        if capture is None:
            # The SDK's deduplication remembers it for the active client, also if another one captures.
            sdk.forget_error(self.client)
            return False
        if self.errors.is_over:
            return False
        capture.record = self.errors.add(error, event, self._environ, capture.expected)
        return capture.record is None

    def captured_again(self, error: BaseException, event: Any) -> bool:
        """Record that an error may have been captured before; return whether it was by another attempt.

        Args:
            error: the exception.
            event: of the SDK.
        """
        capture = self.own_capture()
        is_given_up = is_unhandled(event) or (capture is not None and bool(capture.expected))
        return self.errors.captured_again(error, is_given_up, self._environ)

    def _add_name(self, event: Any) -> None:
        found = self.better_name()
        source = (event.get("transaction_info") or {}).get("source")
        # A rule takes precedence over an integration, and that over a name that we find ourselves.
        if found is not None and (found[1] == CUSTOM or (source in (None, URL) and self._is_default(event))):
            event["transaction"], event["transaction_info"] = found[0], {"source": found[1]}
        fingerprint = event.get("fingerprint")
        if isinstance(fingerprint, list) and fingerprint[:1] == [FAILED_STATUS]:
            event["fingerprint"] = [*fingerprint, str(event.get("transaction"))]

    def _is_default(self, event: Any) -> bool:
        return event.get("transaction") in (None, default_name(self.strings, path_of(self.strings)))

    def _add_request(self, event: Any) -> None:
        strings, options = self.strings, sentry_sdk.get_client().options
        request = event.setdefault("request", {})
        request["url"] = url_of(strings, self.forwarded())
        method = strings.get("REQUEST_METHOD", "").upper()
        if METHOD.fullmatch(method):
            request["method"] = method
        names = ["SERVER_NAME", "SERVER_PORT"] + (["REMOTE_ADDR"] if sdk.sends_user_info(options) else [])
        request["env"] = {name: native(strings[name]) for name in names if name in strings}
        request["headers"] = sdk.filter_headers(headers_of(strings), options)
        query = strings.get("QUERY_STRING")
        collected = sdk.filter_query(native(query), options) if query else query
        if collected is not None:
            request["query_string"] = collected

    def _add_user(self, event: Any) -> None:
        if not sdk.sends_user_info(sentry_sdk.get_client().options):
            return
        user = event.get("user") or {}
        address = address_of(self.strings, self.forwarded())
        name = self.user_name()
        if address:
            user.setdefault("ip_address", address)
        if name:
            user.setdefault("username", name)
        if user:
            event["user"] = user


def _user_name(environ: dict[str, Any]) -> Any:
    remote, recorded = environ.get("REMOTE_USER"), environ.get(RECORDED_USER, {})
    name = text_of(remote)
    return name or (dict.get(recorded, "username") if is_real(recorded, dict) else None)


def _drop_context_of_pyramid(event: Any) -> None:
    """Drop the HTTPNotFound that Pyramid's exception tween adds to the context of every crash.

    The tween looks for an exception view, and raises the crash again while it handles the HTTPNotFound that
    there is none (``pyramid.tweens._error_handler``). The app has raised one error, not two.
    """
    values = (event.get("exception") or {}).get("values")
    if not isinstance(values, list) or len(values) < 2:
        return
    kept = [value for value in values if not _is_of_the_tween(value)]
    if kept:
        event["exception"]["values"] = kept


def _is_of_the_tween(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("type") not in ("HTTPNotFound", "PredicateMismatch"):
        return False
    frames = (value.get("stacktrace") or {}).get("frames") or [{}]
    last = frames[-1]
    return last.get("function") == "invoke_exception_view" and str(last.get("module")).startswith("pyramid.")


def record_repeat(event: Any, hint: Any) -> Any:
    """Record, as an event processor, that an error of the current request is captured once more.

    The SDK's deduplication drops the event next, unless it is an error of another attempt.

    Args:
        event: of the SDK.
        hint: of the SDK.
    """
    exc_info = (hint or {}).get("exc_info")
    if exc_info:
        request = sdk.request_data()
        if (
            isinstance(request, RequestData)
            and request.own_capture() is not None
            and request.captured_again(exc_info[1], event)
        ):
            sdk.forget_error(request.client)
    return event


def _identities(environ: dict[str, Any]) -> list[int]:
    """Return what differs if anything in an environ does; to compare its objects would run the app's code."""
    return [*map(id, environ), *map(id, environ.values())]


# Before the client is made, and with it the SDK's own event processors.
sdk.process_every_event(record_repeat)
