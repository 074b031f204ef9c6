"""Secrets that only a name reveals: the values next to ``password`` in texts of common libraries."""

# ruff: noqa: E501 - what is planted reads better whole

import json
import random
import string
from urllib.parse import quote, urlencode

from canary_request import revealing

from traced_apps import LIFECYCLES
from wsgi_calls import environ_of

NAMES = (
    "password", "new_password", "pwd", "secret", "client_secret", "token", "access_token", "csrf_token",
    "session_id", "jwt", "cookie", "signature", "access_key", "auth_key", "api_key", "private_key", "credential",
    "passphrase",
)  # fmt: skip
VALUES = ("random", "with quotes", "of two words", "digits")
INNOCENT = "lamp-seventeen-is-blue_and.green"


def _values(seed, name):
    chance = random.Random(f"{seed} {name}")

    def word(length=11, alphabet=string.ascii_letters + string.digits):
        return "".join(chance.choice(alphabet) for _ in range(length)) + "7q"

    return {
        "random": word(),
        "with quotes": f"{word(8)}'{word(8)}\"{word(8)}",
        "of two words": f"{word(8)} {word(8)}",
        "digits": "8" + word(11, string.digits)[:11],
    }


def _query_dict(name, value):
    return f"<QueryDict: {{{name!r}: [{value!r}], 'colour': ['green']}}>"


def _multipart(name, value):
    return (
        '--4711\r\nContent-Disposition: form-data; name="colour"\r\n\r\ngreen\r\n'
        f'--4711\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--4711--\r\n'
    )


def _pydantic(name, value):
    return (
        "1 validation error for Login\nage\n  Field required [type=missing, "
        f"input_value={{'colour': 'green', {name!r}: {value!r}}}, input_type=dict]"
    )


#: How text contains a name and a value. Each is made by some library.
SHAPES = {
    "dict": lambda name, value: repr({"colour": "green", name: value}),
    "parse_qs()": lambda name, value: repr({name: [value], "colour": ["green"]}),
    "dict of bytes": lambda name, value: repr({name.encode(): value.encode()}),
    "<QueryDict>": _query_dict,
    "ImmutableMultiDict": lambda name, value: (
        f"ImmutableMultiDict([({name!r}, {value!r}), ('colour', 'green')])"
    ),
    "MultiDict of WebOb": lambda name, value: f"GET([('colour', 'green'), ({name!r}, {value!r})])",
    "OrderedDict": lambda name, value: f"OrderedDict({{{name!r}: {value!r}}})",
    "JSON": lambda name, value: json.dumps({"colour": "green", name: value}),
    "JSON without blanks": lambda name, value: json.dumps({name: value, "n": 1}, separators=(",", ":")),
    "JSON, lists": lambda name, value: json.dumps({name: [value, value], "colour": "green"}),
    "JSON, members": lambda name, value: json.dumps({name: {"value": value}, "colour": "green"}),
    "JSON, indented": lambda name, value: json.dumps({"colour": "green", name: value}, indent=2),
    "JSON in JSON": lambda name, value: json.dumps({"body": json.dumps({name: value})}),
    "JSON as bytes": lambda name, value: repr(json.dumps({name: value}).encode()),
    "dict in a repr": lambda name, value: repr(repr({name: value, "colour": "green"})),
    "a form": lambda name, value: urlencode({"colour": "green", name: value, "page": 3}),
    "a URL": lambda name, value: f"GET http://localhost/x?page=3&{urlencode({name: value})}#top",
    "a URL in a URL": lambda name, value: (
        f"/x?next={quote('/y?page=3&' + urlencode({name: value}), safe='')}&page=3"
    ),
    "multipart/form-data": _multipart,
    "multipart/form-data as bytes": lambda name, value: repr(_multipart(name, value).encode()),
    "XML": lambda name, value: f"<login><colour>green</colour><{name}>{value}</{name}></login>",
    "SOAP": lambda name, value: f'<ns1:{name} xsi:type="xsd:string">{value}</ns1:{name}>',
    "Pydantic's input_value": _pydantic,
    "arguments": lambda name, value: f"Login(colour='green', {name}={value!r})",
    "a header": lambda name, value: f"X-{name.replace('_', '-').title()}: {value}\r\nAccept: */*",
    "pairs": lambda name, value: repr([("colour", "green"), (name, value)]),
    "an ini": lambda name, value: f"[main]\n{name} = {value}\ncolour = green\n",
    "YAML": lambda name, value: f"colour: green\n{name}: {json.dumps(value)}\n",
    "dict with a number": lambda name, value: repr({name: int(value) if value.isdigit() else value}),
}


def leaked_by_name(shape, send, lifecycle=LIFECYCLES[0], seed=0, **options):
    """Return names and kinds of values that leak in the texts of an exception and of variables.

    Args:
        shape: of ``SHAPES``.
        send: who sends.
        lifecycle: of traces.
        seed: of the values.
        options: of the client.
    """
    make = SHAPES[shape]
    texts = [make(name, value) for name in NAMES for value in _values(seed, name).values()]

    def app(environ, start_response):
        start_response("200 OK", [])
        held = [texts[begin : begin + 10] for begin in range(0, len(texts), 10)]
        raise ValueError(*texts, len(held))

    sent = send(app, environ_of("/shop/basket"), lifecycle, **options).decode("utf-8", "replace")
    assert '"sentry_paste.redaction":' not in sent
    return {
        f"{name}, {kind}"
        for name in NAMES
        for kind, value in _values(seed, name).items()
        if any(piece in sent for piece in _pieces(value))
    }


def _pieces(value):
    """Return the parts of a value that must not be sent: each of its runs of letters and digits."""
    runs = "".join(letter if letter.isalnum() else " " for letter in value).split()
    return {piece for run in runs for piece in revealing(run)}
