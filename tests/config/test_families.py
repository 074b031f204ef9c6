"""Options that are written as several keys."""

import pytest
import sentry_sdk

from sentry_paste import ConfigError, SentryMiddleware, sdk
from sentry_paste.config import read_ini
from sentry_paste.config.families import DATA_COLLECTION

from wsgi_calls import call

STREAMS = hasattr(sentry_sdk, "traces")


def read(**options):
    return read_ini({}, options)


def mistake(**options):
    with pytest.raises(ConfigError) as caught:
        read_ini({}, options)
    (line,) = str(caught.value).splitlines()[1:]
    return line.strip()


def raises(environ, start_response):
    sentry_sdk.set_tag("own", "app's")
    raise ValueError


class TestTagsAndContexts:
    def test_tags_by_key_and_by_lines(self):
        assert read(**{"tags.region": "eu", "tags": "rack: 12\nregion: us"}).tags == {
            "rack": "12",
            "region": "eu",
        }

    def test_dashes_of_a_tags_name_are_kept(self):
        assert read(**{"tags.my-tag": "x"}).tags == {"my-tag": "x"}

    def test_contexts_are_nested_and_typed(self):
        found = read(
            **{"contexts.deploy.rack": "12", "contexts.deploy.canary": "true", "contexts.app.x.y": "z"}
        )
        assert found.contexts == {"deploy": {"rack": 12, "canary": True}, "app": {"x.y": "z"}}

    def test_they_are_on_errors_and_transactions_and_what_the_app_sets_wins(self, captured):
        options = {
            "tags.region": "eu",
            "tags.own": "ini",
            "contexts.deploy.rack": "12",
            "traces_sample_rate": "1",
        }
        call(SentryMiddleware(raises, **options))
        (error,), (transaction,) = captured.errors, captured.transactions
        for event in (error, transaction):
            # Streamed spans have attributes, and no contexts.
            tags = event.get("tags") or event["contexts"]["trace"]["data"]
            assert tags["region"] == "eu"
            assert tags["own"] == "app's"
            if "tags" in event:
                assert event["contexts"]["deploy"] == {"rack": 12}

    def test_filters_with_other_tags_have_their_own(self, captured):
        for region in ("eu", "us"):
            call(SentryMiddleware(raises, **{"tags.region": region}))
        assert [error["tags"]["region"] for error in captured.errors] == ["eu", "us"]

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("tags.a b", "x", "tags.a b = x: expected letters, digits and _.:- in the name of a tag"),
            ("contexts.deploy", "x", "contexts.deploy = x: expected contexts.NAME.KEY"),
            ("contexts.trace.x", "y", "contexts.trace.x = y: the trace context belongs to the SDK"),
        ],
    )
    def test_mistakes(self, key, value, message):
        assert mistake(**{key: value}) == message


class TestEventScrubber:
    def test_names_are_added_to_the_sdks(self):
        scrubber = read(**{"event_scrubber.denylist": "card, iban", "event_scrubber.recursive": "true"}).sdk[
            "event_scrubber"
        ]
        assert {"card", "iban", "password"} <= set(scrubber.denylist)
        assert scrubber.recursive is True
        assert "remote_addr" in [name.lower() for name in scrubber.denylist]

    def test_personal_data_stay_where_they_may(self):
        options = {"event_scrubber.denylist": "card", "send_default_pii": "true"}
        assert "remote_addr" not in [name.lower() for name in read(**options).sdk["event_scrubber"].denylist]

    def test_unknown_part_is_reported(self):
        message = mistake(**{"event_scrubber.recursiv": "true"})
        assert (
            message == "event_scrubber.recursiv: is not part of event_scrubber; "
            "did you mean event_scrubber.recursive?"
        )

    def test_value_is_checked(self):
        assert mistake(**{"event_scrubber.recursive": "deep"}).endswith("expected true or false")


class TestOthers:
    def test_experiments_are_what_they_look_like(self):
        found = read(**{"_experiments.max_spans": "500", "_experiments.transport_compression_algo": "gzip"})
        assert found.sdk == {"_experiments": {"max_spans": 500, "transport_compression_algo": "gzip"}}

    def test_proxy_headers_by_key_and_by_lines(self):
        found = read(**{"proxy_headers.X-Proxy-Key": "a", "proxy_headers": "X-Other: b"})
        assert found.sdk == {"proxy_headers": {"X-Proxy-Key": "a", "X-Other": "b"}}

    def test_unknown_family_is_reported(self):
        assert mistake(**{"tagz.region": "eu"}).startswith("tagz.region: is not an option of sentry_paste")


@pytest.mark.skipif(not STREAMS, reason="this sentry-sdk has no data_collection")
class TestDataCollection:
    def test_parts_make_a_whole(self, captured):
        options = {
            "data_collection.user_info": "false",
            "data_collection.cookies.mode": "off",
            "data_collection.http_headers.request.mode": "denylist",
            "data_collection.http_headers.request.terms": "x-shop, x-till",
            "data_collection.frame_context_lines": "2",
        }
        settings = read(**options)
        assert settings.sdk["data_collection"] == {
            "user_info": False,
            "cookies": {"mode": "off"},
            "http_headers": {"request": {"mode": "denylist", "terms": ["x-shop", "x-till"]}},
            "frame_context_lines": 2,
        }
        client = SentryMiddleware(raises, settings).client
        assert client.options["data_collection"]["cookies"]["mode"] == "off"

    @pytest.mark.parametrize("key", DATA_COLLECTION)
    def test_the_sdk_takes_every_part(self, captured, key):
        value = {
            "mode": "off",
            "terms": "a",
            "http_bodies": "incoming_request",
            "frame_context_lines": "1",
        }.get(key.rpartition(".")[2], "true")
        options = {f"data_collection.{key}": value}
        if key.endswith(".terms"):
            options[f"data_collection.{key[:-5]}mode"] = "denylist"
        client = SentryMiddleware(raises, **options).client
        assert client.options["data_collection"].get("provided_by_user", True)
        assert sdk.MAJOR == 2 or key.partition(".")[0] in client.options["data_collection"]

    def test_unknown_part_is_reported(self):
        assert mistake(**{"data_collection.cookie.mode": "off"}).endswith(
            "did you mean data_collection.cookies.mode?"
        )

    def test_dotted_name_of_a_dict(self):
        assert read(data_collection="config_hooks:collection").sdk["data_collection"] == {"user_info": True}
