"""Which processes are there, also on other hosts that share the disk."""

import os
import time

import pytest

from sentry_paste.spool.files import Spool
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence

ELSEWHERE = str(current()._replace(host="00000000"))
# As another version of this package may name itself.
UNREADABLE = "v2-somebody"


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    return spool


@pytest.fixture
def presence(spool):
    presence = Presence(spool)
    presence.show()
    return presence


def sign(spool, owner, age):
    path = spool.directory / f".alive-{owner}"
    path.touch()
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_process_shows_itself_until_it_leaves(spool, presence):
    presence.show()
    assert os.listdir(spool.directory) == [f".alive-{current()}"]
    presence.leave()
    assert os.listdir(spool.directory) == []


def test_process_of_this_host_is_looked_up_whatever_its_file_shows(spool, presence):
    dead = current()._replace(started=current().started + 1)
    sign(spool, dead, age=0)
    assert presence.alive({str(dead): time.time()})[str(dead)] is False
    assert presence.alive({str(current()): 0.0})[str(current())] is True


@pytest.mark.parametrize("owner", [ELSEWHERE, UNREADABLE])
@pytest.mark.parametrize(("age", "lives"), [(0, True), (100, True), (200, False)])
def test_process_of_another_host_lives_while_it_shows_itself(spool, presence, owner, age, lives):
    path = sign(spool, owner, age)
    assert presence.alive({owner: 0.0})[owner] is lives
    assert path.exists() is lives


@pytest.mark.parametrize("owner", [ELSEWHERE, UNREADABLE])
@pytest.mark.parametrize(("age", "lives"), [(0, True), (200, False)])
def test_process_that_has_just_claimed_a_file_lives_without_a_sign(spool, presence, owner, age, lives):
    assert presence.alive({owner: time.time() - age})[owner] is lives


def test_sign_that_is_nobodys_is_left_alone(spool, presence):
    path = sign(spool, UNREADABLE, age=86400)
    assert presence.alive({}) == {str(current()): True}
    assert path.exists()


def test_only_the_clock_of_the_disk_counts(spool, presence):
    # This host's clock is a day behind the disk's.
    os.utime(spool.directory / f".alive-{current()}", (time.time() + 86400,) * 2)
    sign(spool, ELSEWHERE, age=-86400)
    assert presence.alive({})[ELSEWHERE] is True
    sign(spool, ELSEWHERE, age=0)
    assert presence.alive({})[ELSEWHERE] is False


def test_two_clients_of_a_process_may_show_themselves_at_the_same_moment(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    one, other = Presence(spool), Presence(spool)
    touch = os.utime

    def touched_too_early(path, *args):
        try:
            touch(path, *args)
        except FileNotFoundError:
            monkeypatch.setattr("os.utime", touch)
            other.show()
            raise

    monkeypatch.setattr("os.utime", touched_too_early)
    one.show()
    assert len(os.listdir(spool.directory)) == 1


@pytest.mark.parametrize(("age", "lives"), [(0, True), (200, False)])
def test_process_of_another_host_that_has_just_counted_goes_on(spool, presence, age, lives):
    assert presence.may_go_on({ELSEWHERE: time.time() - age}) == {ELSEWHERE: lives}


def test_process_that_is_shown_for_a_moment_leaves_what_another_client_shows(spool):
    presence = Presence(spool)
    with presence.shown():
        assert os.listdir(spool.directory) == [f".alive-{current()}"]
        with presence.shown():
            pass
        assert os.listdir(spool.directory) == [f".alive-{current()}"]
    assert os.listdir(spool.directory) == []
