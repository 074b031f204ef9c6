"""Redact access logs, and parameters of log messages that are secret by name.

An access log is written after the request, when its secrets are no longer known. But its format is:
gunicorn's names, the common log format, or at least what an address looks like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from sentry_paste.redaction.appearance import without_addresses, without_secret_parts
from sentry_paste.redaction.bounds import Allowances, current_allowances
from sentry_paste.redaction.enclosed import closed_value
from sentry_paste.redaction.headers import without_user_info
from sentry_paste.redaction.members import cleaned_member
from sentry_paste.redaction.names import FILTERED, Names, environ_key
from sentry_paste.redaction.parameters import clean_parameters

# Paste's TransLogger, Zope's, and loggers called ".access".
_ACCESS_LOGGERS = frozenset(
    {"wsgi", "access", "werkzeug", "django.server", "eventlet", "eventlet.wsgi", "gevent.pywsgi", "cheroot"}
)
_LAST_PARTS = frozenset({"access", "access_log", "accesslog"})

# The host, identity and user of the common log format, before the date. Users may contain spaces.
# https://httpd.apache.org/docs/current/logs.html#common
# Three words before a bracket are not yet a line of an access log: without a dot or a colon, the first is a
# host only if the identity is missing, as it always is.
_COMMON = re.compile(
    r"(?P<host>\s?(?:-|(?=[^\s.:]{0,300}[.:])[\w.:%,/\[\]-]{1,300}|[\w-]{1,100}(?= - )))"
    r" (?P<identity>\S{1,300}) (?P<user>\S.{0,300}?)"
    r" (?=\[(?:\d\d?/[A-Z][a-z]{2}/\d{4}|\d{4}-\d\d-\d\d)[:T ]\d)"
)

# A key in JSON, in a mapping as Python shows it, or in key=value. Query strings do not match: there is no
# whitespace before their names. In JSON in JSON, quotes have backslashes.
_KEY = re.compile(
    r"(?<![^\s{,|\[])(?:(?P<quote>\\{0,15}[\"'])(?P<quoted>[A-Za-z_][\w.-]{0,60})(?P=quote)\s?:|(?P<plain>[A-Za-z_][\w.-]{0,60})=)\s?"
)
_OPENING = re.compile(r"\\{0,15}[\"']|[\[{]")
# The end of an unquoted value, if the next key does not come first.
_END = re.compile(r"[\"|{}\[\]]")
_CLOSING = {"{": "}", "[": "]"}
# gunicorn's keys for the user and the client, in addition to the names of headers.
_PERSONAL_KEYS = frozenset({"u", "h", "client"})
_MOST_KEYS = 100

# https://docs.gunicorn.org/en/stable/settings.html#access-log-format
_ATOMS = {"h": "REMOTE_ADDR", "u": "REMOTE_USER", "q": "QUERY_STRING", "f": "HTTP_REFERER"}
_ATOM = re.compile(r"\{([^{}]{1,200})\}([ioe])")

#: The SDK's prefix for the parameters of a log message (the plural in its first versions with log items).
_PARAMETER = ("sentry.message.parameter.", "sentry.message.parameters.")
_TEMPLATE = "sentry.message.template"

# A field in templates of the SDK's own logger, which are for format().
_FIELD = re.compile(r"\{(\w{1,100})\}")

# The end of a longer line is removed: servers accept requests up to that size by default, and it limits the
# work.
_LONGEST_LINE = 8192
# An address could begin at each colon; the largest lines in JSON have fewer.
_MOST_COLONS = 200

# The weight of lines that is looked at in one payload: hundreds of ordinary ones, a few of the longest. Lines
# with many characters that could be part of a secret take longer, so they weigh more.
_MOST_WEIGHT = 12 * _LONGEST_LINE
_SIGNS, _WEIGHT_OF_SIGN = "=:&\"'", 16

# For one line that a server logs, with its parameters; there may be hundreds at once.
_MOST_OF_SERVER = 3 * _LONGEST_LINE

# Shorter texts occur by chance.
_LONG = 4


class Lines:
    """The lines of access logs in one payload, which share an allowance; lines beyond it are hidden.

    Args:
        names: which names are secret.
        shared: the allowance that the payload shares with others, None if it has its own.
        most: the size of that one, by the weight of lines.
    """

    def __init__(self, names: Names, shared: Allowances | None = None, most: int = _MOST_WEIGHT) -> None:
        self._names = names
        self._shared = shared
        self._left = most
        # A message is often the same as its template, or as its only parameter.
        self._cleaned: dict[tuple[str, bool], str] = {}

    def clean(self, text: str, has_names: bool = False) -> str:
        """Return a line, or a part of one, as ``clean_line`` does; ``FILTERED`` beyond the allowance.

        Args:
            text: any.
            has_names: whether its parameters have names, which have decided what is secret.
        """
        cleaned = self._cleaned.get((text, has_names))
        if cleaned is None:
            if not self._may_clean(text):
                return FILTERED
            cleaned = self._cleaned[text, has_names] = clean_line(text, self._names, has_names)
        return cleaned

    def _may_clean(self, text: str) -> bool:
        left = self._shared.lines if self._shared is not None else self._left
        if left <= 0:
            return False
        left -= _weight_of(text)
        if self._shared is not None:
            self._shared.lines = left
        else:
            self._left = left
        return True


def _weight_of(line: str) -> int:
    line = line[:_LONGEST_LINE]
    return len(line) + _WEIGHT_OF_SIGN * sum(map(line.count, _SIGNS))


def clean_log_item(item: dict[str, Any], names: Names) -> None:
    """Redact a log item by the names of its parameters, or as a line of an access log.

    Args:
        item: as the SDK has it, with plain values as attributes; it is changed.
        names: which names are secret.
    """
    attributes, body = item["attributes"], item.get("body")
    is_access = isinstance(body, str) and _is_access(attributes.get("logger.name"), body)
    lines = _lines_of_item(attributes.get("logger.name"), names) if is_access else None
    # The name comes after the third dot.
    parameters = {key.split(".", 3)[3]: key for key in attributes if key.startswith(_PARAMETER)}
    before: dict[str, Any] = {}
    if is_access or not all(map(str.isdigit, parameters)):
        before = {name: attributes[key] for name, key in parameters.items()}
        after = _cleaned(before, names, lines)
        for name, key in parameters.items():
            attributes[key] = after[name]
        if before != after and type(body) is str:
            body = _reformatted(attributes.get(_TEMPLATE), body, before, after)
    if lines is not None and isinstance(body, str):
        # If the parameters have names, these have decided what is secret: a request id stays.
        has_names = not all(map(str.isdigit, before))
        body = lines.clean(body, has_names)
        for key, value in attributes.items():
            if type(value) is str and key != "logger.name" and not (has_names and key.startswith(_PARAMETER)):
                attributes[key] = lines.clean(value, has_names)
    if type(body) is str:
        item["body"] = body


def _lines_of_item(logger: Any, names: Names) -> Lines:
    """Return the allowance that a log item's lines are charged to.

    A server logs one line for each request. Other lines of that format may be elements of what a client sent.
    """
    if is_access_logger(logger):
        return Lines(names, most=_MOST_OF_SERVER)
    return Lines(names, current_allowances(), _MOST_OF_SERVER)


def clean_logentry(event: dict[str, Any], names: Names) -> None:
    """Redact an event in the same way that was made from a log record.

    Args:
        event: it is changed.
        names: which names are secret.
    """
    entry = event.get("logentry")
    if not isinstance(entry, dict):
        return
    template, text, params = entry.get("message"), entry.get("formatted"), entry.get("params")
    shown = text if type(text) is str else template
    lines = Lines(names) if type(shown) is str and _is_access(event.get("logger"), shown) else None
    if isinstance(params, dict) and type(text) is str:
        before = {str(name): value for name, value in params.items()}
        after = _cleaned(before, names, lines)
        if before != after:
            entry["params"], entry["formatted"] = after, _reformatted(template, text, before, after)
    if lines is not None:
        for key in ("message", "formatted"):
            if type(entry.get(key)) is str:
                entry[key] = lines.clean(entry[key])
        if isinstance(params, list):
            entry["params"] = [lines.clean(p) if type(p) is str else p for p in params]


def clean_breadcrumb(crumb: dict[str, Any], names: Names, lines: Lines | None = None) -> None:
    """Redact a breadcrumb that was made from a line of an access log, of which only the text is left.

    Args:
        crumb: it is changed.
        names: which names are secret.
        lines: shared by all breadcrumbs of the event.
    """
    message = crumb.get("message")
    if type(message) is str and _is_access(crumb.get("category"), message):
        lines = lines or Lines(names)
        crumb["message"] = lines.clean(message)
        data = crumb.get("data")
        if isinstance(data, dict):
            for key, value in data.items():
                if type(value) is str:
                    data[key] = lines.clean(value)


def is_access_logger(name: Any) -> bool:
    """Return whether servers write their access logs to a logger.

    Args:
        name: of the logger.
    """
    return type(name) is str and len(name) < 200 and _is_access_logger(name)


def clean_line(text: str, names: Names, has_names: bool = False) -> str:
    """Return a line of an access log, or a part of one, without client, user and secret parameters.

    Args:
        text: any.
        names: which names are secret.
        has_names: whether its parameters have names, which have decided what is secret. If not, parts that
            look secret are removed.
    """
    if len(text) > _LONGEST_LINE:
        text = text[:_LONGEST_LINE] + FILTERED
    if text.count(":") > _MOST_COLONS:
        text = ":".join(text.split(":", _MOST_COLONS)[:-1]) + FILTERED
    found = _COMMON.match(text)
    if found:
        host, identity, user = (
            part if part.strip() == "-" else FILTERED for part in found.group("host", "identity", "user")
        )
        text = f"{host} {identity} {user} {text[found.end() :]}"
    text = _without_people(text, names)
    text = without_addresses(clean_parameters(without_user_info(text), names))
    return text if has_names else without_secret_parts(text)


def _without_people(text: str, names: Names) -> str:
    """Return a line of JSON or of key=value without the values of personal keys.

    Keys are judged as parameters are: secret if a header of that name would be, or if servers use it for the
    user.
    """
    if '":' not in text and "':" not in text and "=" not in text:
        return text
    keys = list(islice(_KEY.finditer(text), _MOST_KEYS + 1))
    parts, done = [], 0
    for key, following in zip(keys, [*keys[1:], None]):
        start, limit = key.end(), following.start() if following else len(text)
        if start < done or not _is_personal(key["quoted"] or key["plain"], names):
            continue
        closed = closed_value(text, start) if _OPENING.match(text, start) else None
        if closed is not None:
            start, end = closed
        elif text[start : start + 1] in _CLOSING:
            closing = text.find(_CLOSING[text[start]], start)
            end = closing + 1 if closing >= 0 else len(text)
        else:
            found = _END.search(text, start, limit)
            end = start + len(text[start : found.start() if found else limit].rstrip(" ,"))
        if text[start:end] not in ("", "-", "null", "None", FILTERED):
            parts += [text[done:start], FILTERED]
            done = end
    if len(keys) > _MOST_KEYS:
        last = max(keys[-1].start(), done)
        return "".join([*parts, text[done:last], FILTERED])
    return "".join([*parts, text[done:]])


def _is_personal(key: str, names: Names) -> bool:
    return key.lower() in _PERSONAL_KEYS or names.is_header(key)


@lru_cache(maxsize=256)
def _is_access_logger(name: str) -> bool:
    return (
        name in _ACCESS_LOGGERS
        or name.rpartition(".")[2] in _LAST_PARTS
        or name.endswith("wsgi.server")  # eventlet's, by OpenStack's services
    )


def _is_access(logger: Any, text: str) -> bool:
    """Return whether a text is a line of an access log, by its logger or by its format."""
    return is_access_logger(logger) or (" [" in text and bool(_COMMON.match(text)))


def _cleaned(parameters: Mapping[str, Any], names: Names, lines: Lines | None) -> dict[str, Any]:
    """Return parameters without secrets; with ``lines``, those of an access log."""
    cleaned = {}
    for name, value in parameters.items():
        cleaned[name] = value
        if value in ("", "-", None, FILTERED):
            continue
        cleaned[name] = _cleaned_parameter(name, value, names, lines)
    return cleaned


def _cleaned_parameter(name: str, value: Any, names: Names, lines: Lines | None) -> Any:
    atom = _ATOM.fullmatch(name) if name[:1] == "{" else None
    if atom and atom[2] == "e":
        return cleaned_member(environ_key(atom[1]), value, names, is_environ=True)
    if atom:
        key = ("http.request.header." if atom[2] == "i" else "http.response.header.") + atom[1]
        return cleaned_member(key, value, names)
    if lines is None or type(value) is not str:
        return cleaned_member(name, value, names)
    if name in _ATOMS:
        value = cleaned_member(_ATOMS[name], value, names)
    elif not name.isdigit() and names.is_header(name):
        return FILTERED
    else:
        value = cleaned_member(name, value, names)
    return value if value == FILTERED else lines.clean(value, has_names=True)


def _reformatted(template: Any, text: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """Format a text again with the cleaned parameters.

    If that is not possible (an object was formatted by its ``str``, a number by ``%d``), the parameters'
    texts are replaced in it; if that is not certain either, only the template is left.
    """
    if type(template) is str:
        for render in (_percent, _braces):
            if render(template, before) == text:
                made = render(template, after)
                if made is not None:
                    return made
    secret = {str(before[name]): str(after[name]) for name in before if before[name] != after[name]}
    if all(len(old) >= _LONG and old in text for old in secret):
        for old in sorted(secret, key=len, reverse=True):
            text = text.replace(old, secret[old])
        return text
    return template if type(template) is str else FILTERED


class _Atoms(dict[str, Any]):
    """Parameters for gunicorn's format: names in any case, and a dash for missing ones."""

    def __missing__(self, key: str) -> Any:
        return self.get(key.lower(), "-")


def _percent(template: str, parameters: dict[str, Any]) -> str | None:
    try:
        if all(map(str.isdigit, parameters)):
            return template % tuple(parameters[str(index)] for index in range(len(parameters)))
        return template % _Atoms(parameters)
    except (TypeError, ValueError, KeyError):
        return None


def _braces(template: str, parameters: dict[str, Any]) -> str:
    # Not format(): a template with a client's text in it could demand a width of gigabytes.
    return _FIELD.sub(lambda field: str(parameters.get(field[1], field[0])), template)
