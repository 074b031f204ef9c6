"""Findings of a tenth review, in variables and other data: commands, Pydantic's errors, names of keys."""

import json

import pytest
from timing import cpu_seconds

from sentry_paste.redaction.commands import secret_arguments
from sentry_paste.redaction.matcher import NO_SECRETS
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.payloads import clean_event, clean_item
from sentry_paste.redaction.statements import has_secret_column

NAMES = Names()
SECRET = "q8fh23fh28hf2"


def cleaned(value):
    """Return data as it is sent as a variable, an extra, and an attribute of a log item."""
    event = {
        "extra": {"a": value},
        "breadcrumbs": {"values": [{"data": {"a": value}}]},
        "exception": {"values": [{"stacktrace": {"frames": [{"vars": {"a": value}}]}}]},
    }
    event = json.loads(json.dumps(event))
    clean_event(event, NO_SECRETS, NAMES)
    frame = event["exception"]["values"][0]["stacktrace"]["frames"][0]
    found = [event["extra"]["a"], event["breadcrumbs"]["values"][0]["data"]["a"], frame["vars"]["a"]]
    if type(value) is list and all(type(one) is str for one in value):
        item = {"body": "x", "attributes": {"a": json.loads(json.dumps(value))}}
        clean_item(item, NO_SECRETS, NAMES)
        found.append(item["attributes"]["a"])
    assert all(one == found[0] for one in found)
    return found[0]


def quoted(items):
    """As the SDK shows texts in variables."""
    return [repr(item) for item in items]


@pytest.mark.parametrize("show", [list, quoted])
class TestCommands:
    @pytest.mark.parametrize(
        "command",
        [
            ["backup", "--password", SECRET],
            ["backup", "-v", "--api-token", SECRET, "/srv"],
            ["backup", "--db-password", "a word", "--quiet"],
            ["java", "-password", SECRET, "x"],
            ["sshpass", "-p", SECRET, "ssh", "bob@h"],
            ["sudo", "/usr/bin/mongodump", "-u", "bob", "-p", SECRET],
            ["docker", "login", "-u", "bob", "-p", SECRET],
            ["redis-cli", "-a", SECRET],
            ["sqlcmd", "-P", SECRET],
        ],
    )
    def test_argument_goes(self, command, show):
        place = next(at for at, word in enumerate(command) if word in (SECRET, "a word"))
        found = cleaned(show(command))
        assert found[place] == FILTERED
        assert found[:place] + found[place + 1 :] == show(command[:place] + command[place + 1 :])

    @pytest.mark.parametrize("command", [["mysqldump", f"-p{SECRET}", "shop"], ["mysql", f"-p{SECRET}"]])
    def test_argument_that_is_joined_goes(self, command, show):
        found = cleaned(show(command))
        assert found[1] == f"-p{FILTERED}"
        assert found[2:] == show(command[2:])

    def test_user_of_curl_stays(self, show):
        assert cleaned(show(["curl", "-u", f"bob:{SECRET}", "h"]))[2] == f"bob:{FILTERED}"

    @pytest.mark.parametrize(
        "command",
        [
            ["backup", "--password-file", "/run/x", "y"],
            ["backup", "--no-password", "shop", "y"],
            ["backup", "--password", "--quiet"],
            ["mysql", "-u", "root", "-p", "shop"],
            ["docker", "run", "-p", "8080:80", "nginx"],
            ["mkdir", "-p", "/srv/mysql", "x"],
            ["password", "secret", "token"],
            ["a", "-", "b"],
            ["--", "password", "x", "y"],
        ],
    )
    def test_other_arguments_stay(self, command, show):
        assert cleaned(show(command)) == show(command)


def test_other_items_than_texts_separate_an_option_from_its_value():
    assert list(secret_arguments(["x", "--token", None, "a"], NAMES, _Bounds())) == []


class _Bounds:
    def may_take(self, _count):
        return True


@pytest.mark.parametrize(
    "place", [["body", "password"], ["password"], "password", ["users", "3", "password", "0"]]
)
def test_input_in_pydantics_errors_goes(place):
    error = {"type": "string_too_short", "loc": place, "msg": "String should have", "input": SECRET}
    assert cleaned([error, {"loc": ["name"], "input": "stays"}]) == [
        {**error, "input": FILTERED},
        {"loc": ["name"], "input": "stays"},
    ]


@pytest.mark.parametrize("name", ["id", "label", "column", "attribute", "variable", "property", "option"])
def test_value_next_to_a_name_under_another_key_goes(name):
    pair = {name: "db_password", "value": SECRET}
    assert cleaned([pair]) == [{name: "db_password", "value": FILTERED}]
    assert SECRET not in cleaned(json.dumps([pair]))
    assert cleaned([{name: "colour", "value": "stays"}]) == [{name: "colour", "value": "stays"}]


@pytest.mark.parametrize(
    "name",
    [
        "AccountKey", "account_key", "session_key", "sessionKey", "consumer_key", "subscription_key",
        "ssh_key", "passkey", "recovery_codes", "creds", "db_creds", "pw", "bindpw", "dbpass",
    ],
)  # fmt: skip
def test_more_names_are_secret(name):
    assert cleaned({name: SECRET, "a": "stays"}) == {name: FILTERED, "a": "stays"}


@pytest.mark.parametrize(
    "name", ["AccountKey", "account_key", "sessionKey", "session_key", "SubscriptionKey"]
)
def test_keys_are_secret_in_text_as_well(name):
    text = f"Protocol=https;{name}={{}} and more"
    assert cleaned(text.format(SECRET)) == text.format(FILTERED)


@pytest.mark.parametrize(
    "name",
    ["primary_key", "foreign_key", "sort_key", "cache_key", "credits", "sacred", "codes", "country_codes"],
)
def test_other_names_stay(name):
    assert cleaned({name: SECRET}) == {name: SECRET}


def test_commands_go_if_they_have_more_arguments_than_any_has():
    commands = [["a", "-x", f"stays {number}", "b"] for number in range(1250)]
    event = {"extra": {"a": commands, "b": [["a", "--token", SECRET, "b"], ["a", "b", "stays"]]}}
    clean_event(event, NO_SECRETS, NAMES)
    assert SECRET not in str(event)
    assert event["extra"]["b"][1] == ["a", "b", "stays"]
    assert sum(FILTERED in command for command in commands) < 2


def test_time_that_lists_take_is_linear():
    for items in (["a", "b"], ["-a", "b"], ["--token", "b"], ["'-p", "docker"], ["'" * 50, "-p"]):
        event = {"extra": {"a": [list(items * 5) for _ in range(5000)]}}
        assert cpu_seconds(lambda event=event: clean_event(event, NO_SECRETS, NAMES), 0.5) < 0.5


class TestParametersOfStatements:
    """In the frames of libraries for databases."""

    @staticmethod
    def frames(*variables):
        event = {
            "exception": {"values": [{"stacktrace": {"frames": [{"vars": dict(one)} for one in variables]}}]}
        }
        clean_event(event, NO_SECRETS, NAMES)
        return [frame["vars"] for frame in event["exception"]["values"][0]["stacktrace"]["frames"]]

    @pytest.mark.parametrize("name", ["statement", "sql", "query", "operation", "str_statement"])
    @pytest.mark.parametrize("parameters", ["parameters", "effective_parameters", "params", "args", "vars"])
    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO users (name, password) VALUES (?, ?)",
            "UPDATE users\nSET password = %s WHERE name = %s",
            "SELECT 1 FROM users WHERE api_token=$1",
        ],
    )
    def test_they_go_if_a_column_is_secret(self, name, parameters, statement):
        mapped = {"name": "'bob'"}
        found = self.frames(
            {name: repr(statement), parameters: ["'bob'", f"'{SECRET}'"], "a": ["stays"]},
            {"extracted_params": [f"BindParameter('%(1396 param)s', '{SECRET}', type_=NullType())"]},
            {"params": mapped, "args": ["stays"]},
        )
        assert found[0] == {name: repr(statement), parameters: FILTERED, "a": ["stays"]}
        assert found[1] == {"extracted_params": FILTERED}
        assert found[2] == {"params": mapped, "args": ["stays"]}

    def test_others_stay(self):
        variables = [
            {"statement": "'SELECT name, password FROM users WHERE id = ?'", "parameters": ["5"]},
            {"query": "'a search for password = x'", "params": ["x"]},
            {"query": "'password = ?'", "params": ["x"]},
            {"sql": ["a list"], "params": ["x"]},
            {"params": [SECRET]},
        ]
        assert self.frames(*variables) == variables

    def test_they_go_next_to_more_statements_than_are_looked_at(self):
        found = self.frames(
            *[{"sql": f"'SELECT {number} FROM t'", "params": [SECRET]} for number in range(30)]
        )
        assert all(variables["params"] == FILTERED for variables in found)

    def test_value_next_to_a_field_of_djangos_goes(self):
        rows = [
            ["<django.db.models.fields.CharField: password>", None, f"'{SECRET}'"],
            ["<django.db.models.fields.CharField: name>", None, "'stays'"],
        ]
        assert cleaned(rows) == [[rows[0][0], None, FILTERED], rows[1]]


def test_statement_without_names_is_read_once():
    for unit in ("a", "a=", "into a(", "into ", "a ", "password = "):
        statement = (unit * 4096)[:4096]
        assert cpu_seconds(lambda text=statement: has_secret_column(text, NAMES), 0.02) < 0.02


def test_frames_with_a_statement_are_looked_at_each_time():
    names = Names()
    for _ in range(2):
        variables = {"sql": "'UPDATE users SET password = ?'", "params": [SECRET]}
        event = {"exception": {"values": [{"stacktrace": {"frames": [{"vars": variables}]}}]}}
        clean_event(event, NO_SECRETS, names)
        assert variables["params"] == FILTERED
