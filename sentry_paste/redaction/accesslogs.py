"""What a server logs of each request, and parameters of log messages that are secret by their names.

An access log is written when the request is over: nobody knows its secrets any more. But what
stands where is known: gunicorn's names for it, the common log format, or that it is an address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sentry_paste.redaction.appearance import without_addresses, without_secret_parts
from sentry_paste.redaction.headers import without_user_info
from sentry_paste.redaction.members import cleaned_member
from sentry_paste.redaction.names import FILTERED, Names, environ_key
from sentry_paste.redaction.parameters import clean_parameters

# Paste's TransLogger; Zope's; and who has a logger ".access".
_ACCESS_LOGGERS = frozenset(
    {"wsgi", "access", "werkzeug", "django.server", "eventlet", "eventlet.wsgi", "gevent.pywsgi", "cheroot"}
)
_LAST_PARTS = frozenset({"access", "access_log", "accesslog"})

# The host, the identity and the user of the common log format, before the date. Users may have spaces.
# https://httpd.apache.org/docs/current/logs.html#common
_COMMON = re.compile(r"(\s?\S{1,300}) (\S{1,300}) (\S.{0,300}?) (?=\[\d\d)")

# https://docs.gunicorn.org/en/stable/settings.html#access-log-format
_ATOMS = {"h": "REMOTE_ADDR", "u": "REMOTE_USER", "q": "QUERY_STRING", "f": "HTTP_REFERER"}
_ATOM = re.compile(r"\{([^{}]{1,200})\}([ioe])")

#: How the SDK calls what a log message was made of (the plural is of its first versions with log items).
_PARAMETER = ("sentry.message.parameter.", "sentry.message.parameters.")
_TEMPLATE = "sentry.message.template"

# Of the SDK's own logger, whose templates are for format().
_FIELD = re.compile(r"\{(\w{1,100})\}")

# The end of a longer line goes: servers take requests of that size by default, and it bounds the work.
_LONGEST_LINE = 8192

# What is shorter is in a text by chance.
_LONG = 4


def clean_log_item(item: dict[str, Any], names: Names) -> None:
    """Take out of a log item what the names of its parameters say is secret, or its place in an access log.

    Args:
        item: of the SDK, with attributes that are plain values; it is changed.
        names: which names are secret.
    """
    attributes, body = item["attributes"], item.get("body")
    is_access = isinstance(body, str) and _is_access(attributes.get("logger.name"), body)
    # After the third dot.
    parameters = {key.split(".", 3)[3]: key for key in attributes if key.startswith(_PARAMETER)}
    before: dict[str, Any] = {}
    if is_access or not all(map(str.isdigit, parameters)):
        before = {name: attributes[key] for name, key in parameters.items()}
        after = _cleaned(before, names, is_access)
        for name, key in parameters.items():
            attributes[key] = after[name]
        if before != after and type(body) is str:
            body = _made_again(attributes.get(_TEMPLATE), body, before, after)
    if is_access and isinstance(body, str):
        # With names, they have told what is secret: an id of the request stays.
        is_told = not all(map(str.isdigit, before))
        body = clean_line(body, names, is_told)
        for key, value in attributes.items():
            if type(value) is str and key != "logger.name" and not (is_told and key.startswith(_PARAMETER)):
                attributes[key] = clean_line(value, names, is_told)
    if type(body) is str:
        item["body"] = body


def clean_logentry(event: dict[str, Any], names: Names) -> None:
    """Do the same to an event that was made of a log record.

    Args:
        event: it is changed.
        names: which names are secret.
    """
    entry = event.get("logentry")
    if not isinstance(entry, dict):
        return
    template, text, params = entry.get("message"), entry.get("formatted"), entry.get("params")
    shown = text if type(text) is str else template
    is_access = type(shown) is str and _is_access(event.get("logger"), shown)
    if isinstance(params, dict) and type(text) is str:
        before = {str(name): value for name, value in params.items()}
        after = _cleaned(before, names, is_access)
        if before != after:
            entry["params"], entry["formatted"] = after, _made_again(template, text, before, after)
    if is_access:
        for key in ("message", "formatted"):
            if type(entry.get(key)) is str:
                entry[key] = clean_line(entry[key], names)
        if isinstance(params, list):
            entry["params"] = [clean_line(p, names) if type(p) is str else p for p in params]


def clean_breadcrumb(crumb: dict[str, Any], names: Names) -> None:
    """Do the same to a breadcrumb that was made of a line of an access log: there is only the text.

    Args:
        crumb: it is changed.
        names: which names are secret.
    """
    message = crumb.get("message")
    if type(message) is str and _is_access(crumb.get("category"), message):
        crumb["message"] = clean_line(message, names)
        data = crumb.get("data")
        if isinstance(data, dict):
            for key, value in data.items():
                if type(value) is str:
                    data[key] = clean_line(value, names)


def is_access_logger(name: Any) -> bool:
    """Tell whether a logger is one that servers write their access logs to.

    Args:
        name: of the logger.
    """
    return type(name) is str and len(name) < 200 and _is_access_logger(name)


def clean_line(text: str, names: Names, is_told: bool = False) -> str:
    """Return a line of an access log, or a part of it, without client, user and secret parameters.

    Args:
        text: any.
        names: which names are secret.
        is_told: whether names have told what else in it is secret. If not, what looks so is.
    """
    if len(text) > _LONGEST_LINE:
        text = text[:_LONGEST_LINE] + FILTERED
    found = _COMMON.match(text)
    if found:
        host, identity, user = (part if part.strip() == "-" else FILTERED for part in found.groups())
        text = f"{host} {identity} {user} {text[found.end() :]}"
    text = without_addresses(clean_parameters(without_user_info(text), names))
    return text if is_told else without_secret_parts(text)


@lru_cache(maxsize=256)
def _is_access_logger(name: str) -> bool:
    return (
        name in _ACCESS_LOGGERS
        or name.rpartition(".")[2] in _LAST_PARTS
        or name.endswith("wsgi.server")  # eventlet's, by OpenStack's services
    )


def _is_access(logger: Any, text: str) -> bool:
    """Tell whether a text is a line of an access log: by its logger, or because it reads so."""
    return is_access_logger(logger) or (" [" in text and bool(_COMMON.match(text)))


def _cleaned(parameters: Mapping[str, Any], names: Names, is_access: bool) -> dict[str, Any]:
    cleaned = {}
    for name, value in parameters.items():
        cleaned[name] = value
        if value in ("", "-", None, FILTERED):
            continue
        cleaned[name] = _cleaned_parameter(name, value, names, is_access)
    return cleaned


def _cleaned_parameter(name: str, value: Any, names: Names, is_access: bool) -> Any:
    atom = _ATOM.fullmatch(name) if name[:1] == "{" else None
    if atom and atom[2] == "e":
        return cleaned_member(environ_key(atom[1]), value, names, is_environ=True)
    if atom:
        key = ("http.request.header." if atom[2] == "i" else "http.response.header.") + atom[1]
        return cleaned_member(key, value, names)
    if not is_access or type(value) is not str:
        return cleaned_member(name, value, names)
    if name in _ATOMS:
        value = cleaned_member(_ATOMS[name], value, names)
    elif not name.isdigit() and names.is_header(name):
        return FILTERED
    else:
        value = cleaned_member(name, value, names)
    return value if value == FILTERED else clean_line(value, names, is_told=True)


def _made_again(template: Any, text: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return a text that was made of parameters as it is made of the cleaned ones.

    Where that cannot be done again (an object was shown by its ``str``, a number by ``%d``) their texts are
    replaced in it; where that is not certain either, the template is what is left.
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
    """Parameters as gunicorn's format asks for them: in any case, and a dash for what is missing."""

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
    # Not format(): a template that has a client's text in it could ask for a width of gigabytes.
    return _FIELD.sub(lambda field: str(parameters.get(field[1], field[0])), template)
