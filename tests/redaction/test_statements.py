"""Messages of databases, and other texts in which a name and its secret value are further apart."""

import time

import pytest

from sentry_paste.redaction import long_names
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text, clean_texts

NAMES = Names()
HASH = "pbkdf2$q8fh23fh28'hf2"


def cleaned(text):
    return clean_texts([text], NAMES).get(text, text)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (name, password) VALUES (?, ?)",
        "INSERT INTO users (name, password_hash) VALUES (%s, %s) RETURNING users.id",
        'UPDATE users SET name=?, "api_token"=? WHERE users.id = ?',
        "DELETE FROM keys WHERE keys.secret_key IN (?, ?)",
        "SELECT keys.id FROM keys WHERE keys.api_key = $1::VARCHAR",
        "SELECT id FROM keys WHERE access_token LIKE :1",
    ],
)
@pytest.mark.parametrize("show", [str, repr, lambda text: repr(repr(text))])
@pytest.mark.parametrize("many", [False, True])
def test_parameters_of_a_statement_with_a_secret_column_go(statement, show, many):
    parameters = [("alice", HASH), ("bob", HASH)] if many else ("alice", HASH)
    text = f"(sqlite3.IntegrityError) no\n[SQL: {statement}]\n[parameters: {parameters!r}]\n(Background: x)"
    found = cleaned(show(text))
    assert "q8fh23" not in found
    assert "hf2" not in found
    assert statement.split("(")[0] in found.replace("\\", "")
    assert "Background" in found


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (name, colour) VALUES (?, ?)",
        "SELECT users.password, users.name FROM users WHERE users.name = ?",
        "UPDATE users SET colour=? WHERE users.id = ?",
    ],
)
def test_parameters_of_other_statements_stay(statement):
    text = f"(sqlite3.IntegrityError) no\n[SQL: {statement}]\n[parameters: ('alice', 3)]"
    assert cleaned(text) == text


def test_many_statements_are_hidden_rather_than_read():
    text = "[SQL: INSERT INTO t (token) VALUES (?)]\n[parameters: ('q8fh23fh28',)]\n" * 100
    assert clean_text(text, NAMES, Bounds(150, 1_000_000)).count(FILTERED) < 70
    assert "q8fh23" not in clean_text(text, NAMES, Bounds(150, 1_000_000))


@pytest.mark.parametrize(
    "piece", ["[parameters: (", "password)=(", "(password, ", "[SQL: (password=? [parameters: ["]
)
def test_statements_take_linear_time(piece):
    began = time.thread_time()
    cleaned(piece * 40_000)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    ("columns", "shown"),
    [("token", "q8fh) 23"), ("name, token", "alice, q8fh23"), ("token, name", "q8fh23, a")],
)
@pytest.mark.parametrize(
    "end", ["already exists.", 'is not present in table "keys".', "conflicts with existing key"]
)
def test_values_of_an_index_with_a_secret_column_go(columns, shown, end):
    text = f'violates unique constraint "keys_key"\nDETAIL:  Key ({columns})=({shown}) {end}'
    assert cleaned(text) == text.replace(shown, FILTERED)
    assert cleaned(text.replace("token", "colour")) == text.replace("token", "colour")


@pytest.mark.parametrize(
    "shown", ["Secret(value='q8fh23')", "auth.Token(access=\"q8fh23\", pair=('a', 'q8fh23'))"]
)
def test_object_in_a_mapping_goes_as_a_whole(shown):
    assert cleaned(f"{{'user': 'bob', 'access_token': {shown}, 'n': 3}}") == (
        f"{{'user': 'bob', 'access_token': {FILTERED}, 'n': 3}}"
    )


@pytest.mark.parametrize("value", ["q8fh23&x7y9", "q8fh23#x7y9", "q8&fh#23&x7y9"])
def test_line_of_a_configuration_goes_on_behind_signs_of_urls(value):
    assert cleaned(f"export DB_PASSWORD={value}\nB=2") == f"export DB_PASSWORD={FILTERED}\nB=2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=q8fh23&page=3#top", f"password={FILTERED}&page=3#top"),
        ("/x?password=q8fh23#top", f"/x?password={FILTERED}#top"),
        ("password=q8fh23&amp;page=3", f"password={FILTERED}&amp;page=3"),
        ("password=q8fh23&user[name]=3", f"password={FILTERED}&user[name]=3"),
    ],
)
def test_field_of_a_form_ends_at_the_next_one(text, expected):
    assert cleaned(text) == expected


@pytest.mark.parametrize("flags", ["required ", "autofocus required ", ""])
def test_flag_may_stand_between_the_name_and_the_value_of_an_input(flags):
    text = '<input id="password" name="password" {}type="password" value="{}">'
    assert cleaned(text.format(flags, "q8fh23")) == text.format(flags, FILTERED)


BLOCK = "user: bob\n{}: {}\n  q8fh23\n\n  q8fh24\n{}: 3\n"


@pytest.mark.parametrize("sign", ["|", ">", "|-", ">+", "|2"])
@pytest.mark.parametrize("show", [str, repr, lambda text: repr(repr(text))])
def test_block_of_yaml_goes_as_a_whole(sign, show):
    found = cleaned(show(BLOCK.format("private_key", sign, "colour")))
    assert "q8fh2" not in found
    assert "bob" in found
    assert "colour: 3" in found


def test_other_blocks_of_yaml_stay():
    for text in (
        BLOCK.format("colour", "|", "n"),
        "a token: | or >\n  may stand here",
        "token: |\ncolour: red",
    ):
        assert cleaned(text) == text


def test_nested_block_of_yaml_ends_where_its_mapping_goes_on():
    text = "data:\n  - api_key: |\n      q8fh23\n    colour: red\n"
    assert cleaned(text) == f"data:\n  - api_key: |\n{FILTERED}\n    colour: red\n"


@pytest.mark.parametrize("show", [str, repr])
def test_value_of_an_ini_on_its_next_line_goes(show):
    found = cleaned(show("[main]\npassword =\n    q8fh23\n    q8fh24\ncolour = red\n"))
    assert "q8fh2" not in found
    assert "colour = red" in found


@pytest.mark.parametrize(
    "text",
    [
        '<param name="password">{}</param><b>3</b>',
        "<ns:entry key='api_key'>{}</ns:entry>",
        '<field type="x" name="token">{}</field>',
        '<textarea name="password" rows="3">{}</textarea>',
    ],
)
def test_content_of_an_element_with_a_secret_name_goes(text):
    assert cleaned(text.format("q8fh23")) == text.format(FILTERED)


@pytest.mark.parametrize(
    "text",
    [
        '<label for="password">Password</label>',
        '<option value="token">A token</option>',
        '<param name="colour">red</param>',
    ],
)
def test_content_of_other_elements_stays(text):
    assert cleaned(text) == text


@pytest.mark.parametrize(
    "piece", ["password: |\n  ", "password =\n  ", '<param name="password">', "\n token: |\n\n"]
)
def test_blocks_take_linear_time(piece):
    began = time.thread_time()
    cleaned(piece * 40_000)
    assert time.thread_time() - began < 2


def test_beginnings_of_fields_are_looked_for_within_a_bound(monkeypatch):
    places = []
    begin = long_names._begin_of_field
    monkeypatch.setattr(long_names, "_begin_of_field", lambda *args: places.append(1) or begin(*args))
    assert cleaned("Secret(a='" * 50_000).endswith(FILTERED)
    assert len(places) <= 4000
