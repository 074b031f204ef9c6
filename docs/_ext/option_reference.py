"""The reference of all options, from the table that the filter itself reads: an entry for each, by topic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from links import link_first_mentions

from sentry_paste import sdk
from sentry_paste.config.examples import example
from sentry_paste.config.kinds import Option
from sentry_paste.config.options import default_text, default_words, options, options_by_topic

_SENTRY = "https://docs.sentry.io/platforms/python/configuration/options/"

#: Where a page of this site says more: an option or, after a star, all options that begin so.
PAGES = {
    "dsn": ":doc:`/receivers`",
    "dsn_file": ":ref:`variables`",
    "environment": ":ref:`sources`",
    "release": ":ref:`variables`",
    "tags*": ":ref:`option-parts`",
    "contexts*": ":ref:`option-parts`",
    "error_page": ":doc:`/errorpage`",
    "user_feedback": ":doc:`/errorpage`",
    "event_id_header": ":doc:`/errorpage`",
    "spotlight": ":doc:`/receivers`",
    "auto_session_tracking": ":doc:`/receivers`",
    "http_methods_to_capture": ":doc:`/correctness`",
    "traces_keep*": ":doc:`/keep`",
    "traces*": ":ref:`naming-rules`",
    "transaction_names": ":ref:`naming-rules`",
    "ignore_paths": ":ref:`naming-rules`",
    "ignore_exceptions": ":ref:`error-rules`",
    "ignore_loggers": ":ref:`error-rules`",
    "ignore_messages": ":ref:`no-errors`",
    "expected_exceptions": ":ref:`no-errors`",
    "levels": ":ref:`no-errors`",
    "reload": ":ref:`reload`",
    "fingerprints": ":ref:`grouping`",
    "fingerprint_without_ids": ":ref:`grouping`",
    "error_sample_rates": ":ref:`no-errors`",
    "error_budget": ":ref:`error-budget`",
    "failed_status_codes": ":ref:`error-rules`",
    "capture_start_response_errors": ":ref:`error-rules`",
    "max_transaction_duration": ":ref:`streams`",
    "before_send*": ":doc:`/moving/sdk`",
    "profile*": ":doc:`/moving/sdk-3`",
    "trace_lifecycle": ":doc:`/moving/sdk-3`",
    "send_default_pii": ":doc:`/privacy`",
    "data_collection": ":doc:`/privacy`",
    "redact*": ":doc:`/privacy`",
    "keep_headers": ":doc:`/privacy`",
    "event_scrubber": ":doc:`/privacy`",
    "include_local_variables": ":doc:`/privacy`",
    "spool*": ":doc:`/delivery`",
    "shutdown_timeout": ":doc:`/delivery`",
    "transport_queue_size": ":doc:`/delivery`",
    "integration*": ":ref:`integrations`",
    "disabled_integrations": ":ref:`integrations`",
    "trace_continuation": ":doc:`/correctness`",
    "trace_response": ":doc:`/correctness`",
    "propagate_traceparent": ":doc:`/correctness`",
    "trusted_proxy_count": ":ref:`naming-rules`",
    "ca_certs": ":doc:`/receivers`",
    "http_proxy": ":doc:`/receivers`",
    "https_proxy": ":doc:`/receivers`",
    "proxy_headers": ":ref:`option-parts`",
    "socket_options": ":ref:`option-parts`",
    "_experiments": ":ref:`option-parts`",
}


def reference() -> str:
    """Return the reference, in reStructuredText."""
    return "\n".join(_reference()) + "\n"


def _reference() -> Iterator[str]:
    for title, found in options_by_topic():
        topic = found[0].topic
        yield from (f".. _options-{topic}:", "", title, "=" * len(title), "")
        # For phones, which have no table of contents next to the page.
        yield from (", ".join(f":confval:`{option.name}`" for option in found), "")
        for option in found:
            yield from _entry(option)


def _entry(option: Option) -> Iterator[str]:
    yield from (f".. confval:: {option.name}", "")
    yield from (f"   {_escaped(option.help)}", "")
    yield f"   :Type: {_escaped(option.kind.expected)}"
    yield f"   :Default: {default_words(option)}"
    yield from ("   :Example:", "      .. code-block:: ini", "")
    yield from (f"         {line}" for line in example(option.name, default_text(option)).splitlines())
    yield ""
    yield f"   :New in: {new_in(option)}"
    yield f"   :Changed while the app runs: {while_running(option)}"
    gone = sdk.GONE_IN_3.get(option.name)
    if gone is not None:
        yield f"   :With sentry-sdk 3: {_escaped(gone.note or 'gone from the SDK; means the same here')}"
    links = [found for found in (_page(option.name), _of_sentry(option)) if found]
    if links:
        yield f"   :More: {', '.join(links)}"
    yield ""


def new_in(option: Option) -> str:
    """Return which version has brought an option, ours or the SDK's.

    Args:
        option: of the table.
    """
    if not option.is_sdk:
        return f"sentry_paste, {option.since}" if " " in option.since else f"sentry_paste {option.since}"
    minor = sdk.NEW_IN.get(option.name)
    return f"sentry-sdk 2.{minor}" if minor else "sentry-sdk 2.18, or before"


def while_running(option: Option) -> str:
    """Return when a change of an option takes effect while the app runs.

    Args:
        option: of the table.
    """
    if not option.reloadable:
        return "no, with the next start"
    found = ":ref:`at once <reload>`, with ``reload``"
    return (
        f"{found}, if it was set when the app was started" if option.name == "profiles_sample_rate" else found
    )


def _page(name: str) -> str:
    if name in PAGES:
        return PAGES[name]
    return next(
        (page for start, page in PAGES.items() if start[-1] == "*" and name.startswith(start[:-1])), ""
    )


def _of_sentry(option: Option) -> str:
    if not option.is_sdk or option.name.startswith("_"):
        return ""
    return f"`Sentry's page <{_SENTRY}#{option.name}>`__"


def _escaped(text: str) -> str:
    # A URL here is a pattern of one, and leads nowhere.
    return re.sub(r"(\w+://[\w@:/]+)", r"``\1``", text.replace("*", r"\*").replace("_", r"\_"))


def _put_in(_app: Any, docname: str, source: list[str]) -> None:
    if docname == "options":
        source[0] = source[0].replace(".. the reference is made here\n", reference())


# An option, alone or with a value. One word may mean anything: debug is also an option of many apps.
_SET = re.compile(r"([a-z]+(?:_[a-z]+)+)(?: = [^\n]+)?$")


def _option(text: str) -> str:
    found = _SET.match(text)
    return found[1] if found and found[1] in options() else ""


def _link(app: Any, doctree: nodes.document) -> None:
    if app.env.docname != "options":
        link_first_mentions(app.env, doctree, _option, refdomain="std", reftype="confval")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _put_in)
    app.connect("doctree-read", _link)
    app.connect("env-get-outdated", lambda *_: ["options"])
    return {"parallel_read_safe": True}
