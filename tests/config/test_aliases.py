"""Files of raven and of zope2instance work after their ``use`` line alone is changed."""

import pytest

from sentry_paste import ConfigError
from sentry_paste.config import read_ini

from traced_apps import levels

# As raven's documentation has them, in "WSGI" and "Advanced usage".
RAVEN = """
    [filter:raven]
    use = egg:sentry_paste
    dsn = requests+https://public:secret@sentry.example/1?verify_ssl=0&timeout=3
    include_paths = my.package, my.other.package
    exclude_paths = my.package.crud
    name = shop-1
    site = shop
    release = 1.3
    environment = staging
    string_max_length = 400
    list_max_length = 50
    auto_log_stacks = true
    capture_locals = false
    processors = raven.processors.SanitizePasswordsProcessor
    ignore_exceptions = Http404, KeyError
    sanitize_keys = card_number
    sample_rate = 0.5

    [pipeline:main]
    pipeline = raven app

    [app:app]
    paste.app_factory = apps:make_app
"""

# As plone.recipe.zope2instance writes it.
ZOPE = """
    [filter:sentry]
    use = egg:sentry_paste
    dsn = https://key@sentry.example/1
    level = INFO
    event_level = ERROR
    ignorelist = waitress.queue foo
    max_value_length =

    [pipeline:main]
    pipeline = sentry app

    [app:app]
    paste.app_factory = apps:make_app
"""


def test_raven(load, caplog):
    settings = load(RAVEN).settings
    sdk = dict(settings.sdk)
    scrubber = sdk.pop("event_scrubber")
    assert sdk == {
        "dsn": "https://public:secret@sentry.example/1",
        "in_app_include": ["my.package", "my.other.package"],
        "in_app_exclude": ["my.package.crud"],
        "server_name": "shop-1",
        "release": "1.3",
        "environment": "staging",
        "max_value_length": 400,
        "attach_stacktrace": True,
        "include_local_variables": False,
        "ignore_errors": [KeyError, "Http404"]
        if sdk["ignore_errors"][0] is KeyError
        else ["Http404", KeyError],
        "sample_rate": 0.5,
    }
    assert "card_number" in scrubber.denylist
    assert "password" in scrubber.denylist
    assert settings.tags == {"site": "shop"}
    logged = {
        tuple(record.getMessage().partition("[filter:raven] ")[2].split(": ", 1)) for record in caplog.records
    }
    assert logged == {
        ("line 4", "dsn is in raven's format; write only https://KEY@HOST/PROJECT"),
        ("line 4", "dsn: certificates are always verified; set ca_certs to trust your own"),
        ("line 5", "include_paths is raven's name for in_app_include; use that instead"),
        ("line 6", "exclude_paths is raven's name for in_app_exclude; use that instead"),
        ("line 7", "name is raven's name for server_name; use that instead"),
        ("line 8", "site is raven's name for tags.site; use that instead"),
        ("line 11", "string_max_length is raven's name for max_value_length; use that instead"),
        ("line 12", "list_max_length is a raven option that has no counterpart here; remove it"),
        ("line 13", "auto_log_stacks is raven's name for attach_stacktrace; use that instead"),
        ("line 14", "capture_locals is raven's name for include_local_variables; use that instead"),
        ("line 15", "processors is a raven option that has no counterpart here; remove it"),
        ("line 17", "sanitize_keys is raven's name for event_scrubber.denylist; use that instead"),
    }


def test_zope2instance(load, caplog):
    settings = load(ZOPE).settings
    (logging,) = settings.sdk["integrations"]
    assert levels(logging) == (40, 20)
    assert settings.ignore_loggers == ["waitress.queue", "foo"]
    assert sorted(record.getMessage().partition("[filter:sentry] ")[2] for record in caplog.records) == [
        "line 5: level is zope2instance's name for integration.logging.level; use that instead",
        "line 6: event_level is zope2instance's name for integration.logging.event_level; use that instead",
        "line 7: ignorelist is zope2instance's name for ignore_loggers; use that instead",
    ]


def test_newer_name_wins_over_the_older():
    settings = read_ini({}, {"name": "older", "server_name": "newer"})
    assert settings.sdk == {"server_name": "newer"}


@pytest.mark.parametrize(
    ("dsn", "plain"),
    [
        ("threaded+http://key@host/1", "http://key@host/1"),
        ("gevent+https://key@host/1", "https://key@host/1"),
        ("https://key@host/1?timeout=5", "https://key@host/1"),
    ],
)
def test_dsn_of_raven(dsn, plain, caplog):
    assert read_ini({}, {"dsn": dsn}).sdk == {"dsn": plain}
    assert len(caplog.records) == 1


class TestRavenLeftovers:
    """What raven's sections hold besides its options does not stop the start, or is named."""

    DSN = "https://key@sentry.example/1"

    @pytest.mark.parametrize(
        "name", ["raven.transport.requests.RequestsHTTPTransport", "raven.transport.threaded.X"]
    )
    def test_transport_of_raven_is_left_out(self, caplog, name):
        assert read_ini({}, {"dsn": self.DSN, "transport": name}).sdk == {"dsn": self.DSN}
        (message,) = caplog.messages
        assert "transport is a raven option that has no counterpart here; remove it" in message

    def test_options_from_before_there_were_dsns_have_no_effect_next_to_one(self, caplog):
        old = {
            "servers": "https://h/api/store/",
            "public_key": "a",
            "secret_key": "b",
            "project": "1",
            "key": "c",
        }
        given = {f"sentry.{name}": value for name, value in old.items()}
        assert read_ini({}, {"sentry.dsn": self.DSN, **given}).sdk == {"dsn": self.DSN}
        assert len(caplog.messages) == 5

    def test_options_from_before_there_were_dsns_are_named_with_what_to_write(self):
        with pytest.raises(ConfigError) as caught:
            read_ini({}, {"sentry.servers": "https://h/api/store/", "sentry.secret_key": "hunter2"})
        messages = str(caught.value).splitlines()[1:]
        assert [message.split(":")[0].strip() for message in messages] == [
            "sentry.secret_key",
            "sentry.servers",
        ]
        assert all("write dsn = https://PUBLIC_KEY@HOST/PROJECT in place of" in text for text in messages)
        assert "hunter2" not in str(caught.value)

    def test_empty_ones_are_nothing(self, caplog):
        assert read_ini({}, {"servers": "", "key": "", "project": ""}).sdk == {}
        assert caplog.messages == []

    def test_key_that_another_value_needs_is_no_option(self, load, caplog):
        section = (
            "[filter:raven]\nuse = egg:sentry_paste\nsentry_key = abc\nhost = sentry.example\n"
            "dsn = https://%(sentry_key)s@%(host)s/1\n"
        )
        rest = "[pipeline:main]\npipeline = raven app\n[app:app]\npaste.app_factory = apps:make_app\n"
        assert load(section + rest).settings.sdk == {"dsn": "https://abc@sentry.example/1"}
        assert caplog.messages == []

    def test_level_that_raven_ignored_is_ignored(self, caplog):
        assert read_ini({}, {"level": "ERROR"}).sdk == {}
        (message,) = caplog.messages
        assert "level has no effect, as in raven" in message

    def test_pattern_among_exceptions_is_named(self):
        with pytest.raises(ConfigError) as caught:
            read_ini({}, {"ignore_exceptions": "KeyError, django.*, ValueError"})
        assert "expected names of exception classes, not 'django.*'; there are no patterns" in str(
            caught.value
        )


@pytest.mark.parametrize(
    ("old", "value", "option", "parsed"),
    [
        ("with_locals", "false", "include_local_variables", False),
        ("request_bodies", "always", "max_request_body_size", "always"),
    ],
)
def test_names_of_old_sdks(old, value, option, parsed, caplog):
    assert read_ini({}, {old: value}).sdk == {option: parsed}
    (message,) = caplog.messages
    assert f"{old} is sentry-sdk 1's name for {option}; use that instead" in message
