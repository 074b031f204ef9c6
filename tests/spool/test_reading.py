"""Complete envelopes are accepted, incomplete ones rejected."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope, Item

from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.reading import UnreadableError, read_envelope

from spooled import as_in_1_0


def envelope():
    made = Envelope(headers={"event_id": "4c79f60c11214eb38604f4ae0781bfb2"})
    made.add_event({"message": "über\n\n", "level": "error"})
    made.add_item(Item(payload=b"\n\nbytes\n", type="attachment", filename="a"))
    return made


@pytest.fixture
def file(tmp_path):
    """A file of version 1.0, which has no checksum: its format alone says whether it is whole."""
    return as_in_1_0(Spool(tmp_path / "spool").write(envelope()))


def test_what_was_written_is_read(file):
    assert read_envelope(file).serialize() == envelope().serialize()


def test_envelope_is_cut_anywhere_and_never_taken_for_whole(file):
    whole = file.path.read_bytes().rstrip(b"\n")
    ends_of_items = set()
    for length in range(len(whole)):
        file.path.write_bytes(whole[:length])
        try:
            found = read_envelope(file)
        except UnreadableError:
            continue
        ends_of_items.add(len(found.items))
    # Cut between two items, it is an envelope of one item: that cannot be detected.
    assert ends_of_items <= {1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"{}", "partial"),
        (b"{}\n", "partial"),
        (b'{}\n{"type":"event","length":10}\n{}', "partial"),
        (b'{}\n{"type":"event","length":2}\n{}garbage', "no envelope"),
        (b'{}\n{"type":"event","length":-1}\n{}', "partial"),
        (b'{}\n{"type":5}\n{}', "no envelope"),
        (b"[]\n{}", "no envelope"),
        (b"PNG\n\0\0", "no envelope"),
        (b"[" * 100_000 + b"\n", "no envelope"),
    ],
)
def test_reason_is_in_the_error(file, data, reason):
    file.path.write_bytes(data)
    with pytest.raises(UnreadableError, match=reason):
        read_envelope(file)


@given(data=st.binary())
def test_any_bytes_are_an_envelope_or_rejected(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / (
        "20261122T071300.123456Z-error-4c79f60c11214eb38604f4ae0781bfb2-any.envelope"
    )
    path.write_bytes(data)
    try:
        found = read_envelope(SpoolFile.from_path(path))
    except UnreadableError:
        return
    assert found.items


def test_item_without_a_length_ends_with_its_line(file):
    file.path.write_bytes(b'{}\n{"type":"event"}\n{"message":"a"}\n')
    assert read_envelope(file).items[0].get_bytes() == b'{"message":"a"}'


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe is of Unix")
def test_pipe_is_not_waited_for(file):
    file.path.unlink()
    os.mkfifo(file.path)
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_envelope(file)
