"""What users tell: feedback, and the older reports of users."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sentry_paste.inbox.records import Payloads
from sentry_paste.spool import fields


@dataclass(frozen=True)
class Feedback:
    """What a user told; a text is empty where it is not said.

    Attributes:
        name: of the user.
        email: where the user can be asked.
        source: what the user told it by, ``widget`` say.
        message: what the user told.
        url: of the page that the user was on.
        about: event id of the error that it belongs to, 32 hexadecimal digits.
        time: when, None where unknown.
    """

    name: str
    email: str
    source: str
    message: str
    url: str
    about: str
    time: datetime | None

    @property
    def who(self) -> str:
        """Name and address."""
        return ", ".join(dict.fromkeys(filter(None, (self.name, self.email))))


def feedback(payloads: Payloads) -> list[Feedback]:
    """Return what users tell in an envelope.

    Args:
        payloads: of the envelope.
    """
    return list(_feedback(payloads))


def _feedback(payloads: Payloads) -> Iterator[Feedback]:
    for type_, payload in payloads:
        if type_ == "feedback":
            told = fields.mapping(fields.mapping(fields.mapping(payload).get("contexts")).get("feedback"))
            if told:
                yield _told(told, payload)
        elif type_ == "user_report" and isinstance(payload, dict):
            yield _reported(payload)


def _told(told: Mapping[str, Any], event: Mapping[str, Any]) -> Feedback:
    """Return the feedback of an event (https://develop.sentry.dev/sdk/telemetry/feedbacks/).

    As in Sentry, it is the event's user where it does not say who told it.
    """
    user = fields.mapping(event.get("user"))
    return Feedback(
        name=_first(told.get("name"), user.get("name"), user.get("username")),
        email=_first(told.get("contact_email"), user.get("email")),
        source=fields.text(told.get("source")),
        message=fields.text(told.get("message")),
        url=fields.text(told.get("url")),
        about=_identity(told.get("associated_event_id")),
        time=fields.time(event.get("timestamp")),
    )


def _reported(report: Mapping[str, Any]) -> Feedback:
    """Return the feedback of https://develop.sentry.dev/sdk/data-model/envelope-items/#user-report."""
    return Feedback(
        name=fields.text(report.get("name")),
        email=fields.text(report.get("email")),
        source="",
        message=fields.text(report.get("comments")),
        url="",
        about=_identity(report.get("event_id")),
        time=None,
    )


def _first(*found: Any) -> str:
    return next((text for value in found if (text := fields.text(value))), "")


def _identity(value: Any) -> str:
    """Return an event id as files have it; an empty text for what is none."""
    try:
        return uuid.UUID(fields.text(value)).hex
    except ValueError:
        return ""
