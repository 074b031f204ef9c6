"""What users write_feedback: a page of it, and on the page of the error it belongs to."""

import uuid

import pytest
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from spooled import (
    ERROR_ID,
    FEEDBACK_ID,
    SCRIPT,
    TRACE,
    error_event,
    feedback_event,
    write_event,
    write_feedback,
    write_item,
)


@pytest.fixture
def page(app, spool):
    write_event(spool, error_event())
    write_feedback(spool, feedback_event())
    return app.get(f"/envelope/{FEEDBACK_ID}").html


def facts(html, words):
    return {words(fact.dt): words(fact.dd) for fact in html.select(".facts > div")}


def test_its_page_shows_user_message_page_and_time(page, words):
    assert words(page.h1) == "Feedback from Ada Lovelace"
    assert page.select_one(".summary .value").get_text() == "The soup was cold.\nTwice."
    found = facts(page, words)
    assert found["E-mail"] == "ada@shop.example"
    assert found["Sent through"] == "widget"
    assert found["Page"] == "http://shop.example/pay?table=7"
    assert found["Sent"] == "2026-11-22 07:15:00.000 UTC"


def test_its_page_leads_to_the_error(page, app, words):
    assert facts(page, words)["Error"] == "OrderError: table 7"
    (link,) = page.select(f'.facts a[href="/envelope/{ERROR_ID}"]')
    assert words(app.get(link["href"]).html.h1) == "OrderError"


def test_error_that_is_not_in_the_spool_is_named_by_id(app, spool, words):
    write_feedback(spool, feedback_event())
    html = app.get(f"/envelope/{FEEDBACK_ID}").html
    assert facts(html, words)["Error"] == f"{ERROR_ID} not in this spool"
    assert not html.select(".facts a[href*=envelope]")


@pytest.mark.parametrize("about", [None, "", 7, "soup", [], "9" * 33])
def test_what_is_no_id_leads_nowhere(app, spool, words, about):
    write_event(spool, error_event())
    write_feedback(spool, feedback_event(associated_event_id=about))
    assert "Error" not in facts(app.get(f"/envelope/{FEEDBACK_ID}").html, words)


def test_an_id_may_have_hyphens(app, spool, words):
    write_event(spool, error_event())
    write_feedback(spool, feedback_event(associated_event_id=str(uuid.UUID(ERROR_ID)).upper()))
    assert app.get(f"/envelope/{FEEDBACK_ID}").html.select(f'.facts a[href="/envelope/{ERROR_ID}"]')


def test_who_is_the_user_of_the_event_where_it_does_not_say(app, spool, words):
    event = feedback_event(name=None, contact_email="")
    write_feedback(spool, {**event, "user": {"username": "ada", "email": "a@shop.example", "id": 7}})
    html = app.get(f"/envelope/{FEEDBACK_ID}").html
    assert words(html.h1) == "Feedback from ada"
    assert facts(html, words)["E-mail"] == "a@shop.example"


def test_nobody_has_to_say_who_it_was(app, spool, words):
    write_feedback(spool, feedback_event(name="", contact_email=None, url=None, source=None))
    html = app.get(f"/envelope/{FEEDBACK_ID}").html
    assert words(html.h1) == "Feedback"
    assert not {"Name", "E-mail", "Page", "Sent through"} & facts(html, words).keys()


def test_rest_of_the_event_is_shown(page, words):
    assert facts(page, words)["Environment"] == "staging"
    assert facts(page, words)["Trace"] == TRACE
    assert words(page.select_one("[aria-labelledby=tags]")) == "Tags kitchen north"
    assert not page.select("[aria-labelledby=contexts]"), "what the page has said is not said twice"
    assert not page.select_one("details.raw").has_attr("open")


def test_list_shows_message_and_user(app, spool, titles, rows):
    write_feedback(spool, feedback_event())
    response = app.get("/?kind=feedback")
    assert titles(response) == ["The soup was cold. Twice."]
    assert "from Ada Lovelace" in rows(response)[0]


@pytest.mark.parametrize("text", ["ada@shop.example", "lovelace", "soup", ERROR_ID[:8]])
def test_it_is_found_by_who_and_what_and_the_error(app, spool, titles, text):
    write_feedback(spool, feedback_event())
    write_feedback(
        spool,
        feedback_event(
            event_id="a" * 32, message="other", name="", contact_email="", associated_event_id="b" * 32
        ),
    )
    assert titles(app.get("/", {"kind": "feedback", "q": text})) == ["The soup was cold. Twice."]


def test_page_of_an_error_has_the_comments_on_it(app, spool, words):
    write_event(spool, error_event())
    write_feedback(spool, feedback_event())
    write_feedback(spool, feedback_event(event_id="a" * 32, message="Hot.", name="Bo", contact_email=""))
    about = "c" * 32
    write_feedback(spool, feedback_event(event_id="b" * 32, message="of another", associated_event_id=about))
    html = app.get(f"/envelope/{ERROR_ID}").html
    link = html.select_one('.facts a[href="#feedback"]')
    assert words(link) == "2 comments"
    comments = html.select("[aria-labelledby=feedback] li")
    assert [words(one) for one in comments] == [
        "Hot. Bo 2026-11-22 07:15:00.000 UTC",
        "The soup was cold. Twice. Ada Lovelace, ada@shop.example 2026-11-22 07:15:00.000 UTC",
    ]
    assert comments[1].a["href"] == f"/envelope/{FEEDBACK_ID}"


def test_error_without_comments_has_no_section_for_them(app, spool):
    write_event(spool, error_event())
    assert not app.get(f"/envelope/{ERROR_ID}").html.select('#feedback, [href="#feedback"]')


def test_newest_of_many_comments_are_shown_and_the_others_are_linked(app, spool, words):
    write_event(spool, error_event())
    for number in range(23):
        write_feedback(spool, feedback_event(event_id=f"{number:032x}", message=f"cold {number}"))
    html = app.get(f"/envelope/{ERROR_ID}").html
    section = html.select_one("[aria-labelledby=feedback]")
    assert len(section.select("li")) == 20
    assert words(section.select_one(".note")) == "3 more"
    assert len(app.get(section.select_one(".note a")["href"]).html.select(".rows .row")) == 23


def test_user_with_a_long_comment_is_found_too(app, spool, rows):
    write_feedback(spool, feedback_event(message="The soup was cold. " * 100))
    assert len(rows(app.get("/?kind=feedback&q=ada@shop.example"))) == 1


@pytest.mark.parametrize("text", [SCRIPT, "javascript:alert(1)", "\"'><img src=x onerror=alert(1)>"])
def test_an_injection_in_every_field_stays_text(app, spool, text):
    write_event(spool, error_event())
    given = dict.fromkeys(("name", "contact_email", "message", "url", "source"), text)
    write_feedback(spool, feedback_event(**given))
    for path in ("/?kind=feedback", f"/envelope/{FEEDBACK_ID}", f"/envelope/{ERROR_ID}"):
        html = app.get(path).html
        assert len(html.select("script")) == 1
        assert not html.select("img:not(.home img), [onerror]")
        assert all(tag["href"].startswith(("/", "#", "?")) for tag in html.select("[href]"))
        assert text in html.main.get_text()


@pytest.mark.parametrize("junk", [None, 7, "text", [], {}, [[]], {"feedback": None}, {"feedback": [7]}])
def test_invalid_feedback_is_shown_as_json(app, spool, words, junk):
    file = write_item(spool, "feedback", {"contexts": junk, "user": junk})
    html = app.get(f"/envelope/{file.id}").html
    assert words(html.h1) == "Feedback"
    assert html.select_one("details.raw").has_attr("open")


@pytest.fixture
def reported(spool):
    """An error, and an older SDK's report of its user: its envelope has the id of the error."""
    write_event(spool, error_event())
    report = {"event_id": ERROR_ID, "name": "Bo", "email": "bo@shop.example", "comments": "Too hot."}
    items = [Item(PayloadRef(json=report), type="user_report")]
    return spool.write(Envelope(headers={"event_id": ERROR_ID}, items=items))


def test_report_of_a_user_is_feedback_too(app, reported, rows):
    (row,) = rows(app.get("/?kind=feedback"))
    assert row.startswith("Too hot. from Bo, bo@shop.example")


def test_the_page_of_an_error_is_its_own_where_a_report_has_its_id(app, reported, words):
    html = app.get("/?kind=feedback").click("Too hot").html
    assert words(html.h1) == "OrderError"
    (comment,) = html.select("[aria-labelledby=feedback] li")
    assert words(comment) == "Too hot. Bo, bo@shop.example"
    assert not comment.select("a"), "it would lead to this page"


def test_a_report_whose_error_is_gone_has_a_page(app, reported, spool, words):
    spool.files("error")[0].path.unlink()
    html = app.get(f"/envelope/{ERROR_ID}").html
    assert words(html.h1) == "Feedback from Bo"
    assert facts(html, words)["Error"] == f"{ERROR_ID} not in this spool"


def test_a_report_in_the_envelope_of_its_error_is_on_its_page(app, spool, words):
    report = {"event_id": ERROR_ID, "name": "", "email": "", "comments": "Too hot."}
    envelope = Envelope(
        headers={"event_id": ERROR_ID}, items=[Item(PayloadRef(json=report), type="user_report")]
    )
    envelope.add_event(error_event())
    spool.write(envelope)
    html = app.get(f"/envelope/{ERROR_ID}").html
    assert words(html.h1) == "OrderError"
    assert words(html.select_one("[aria-labelledby=feedback] li")) == "Too hot. Anonymous"


def test_attached_picture_is_named(app, spool, words):
    event = feedback_event()
    items = [
        Item(PayloadRef(json=event), type="feedback"),
        Item(PayloadRef(bytes=b"\x89PNG"), type="attachment"),
    ]
    spool.write(Envelope(headers={"event_id": event["event_id"]}, items=items))
    html = app.get(f"/envelope/{FEEDBACK_ID}").html
    assert words(html.h1) == "Feedback from Ada Lovelace"
    assert "attachment not JSON" in words(html.main)
