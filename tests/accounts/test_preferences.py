"""What a person chose for themselves: the keys."""

import pytest
from django.test import Client

from actioncenter.accounts.models import User
from actioncenter.accounts.shortcuts import SHORTCUTS, USUAL, bindings, faults
from actioncenter.audit.models import Event
from tests import factories

pytestmark = pytest.mark.django_db
KEYS = "/preferences/keys"


@pytest.fixture
def mira(client: Client) -> User:
    user = factories.person("mira")
    client.force_login(user)
    return user


def test_the_usual_keys_can_be_told_apart() -> None:
    assert faults(USUAL) == {}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"next": "k"}, {"next", "previous"}),
        ({"next": "g"}, {"pending", "history"}),
        ({"next": ""}, {"next"}),
        ({"next": "jj"}, {"next"}),
        ({"next": "a b c"}, {"next"}),
        ({"next": "\u202e"}, {"next"}),
        ({"next": "k", "previous": "j"}, set()),
        ({"next": "z n", "previous": "z p"}, set()),
    ],
)
def test_keys_that_cannot_be_told_apart_are_named(change: dict[str, str], wrong: set[str]) -> None:
    assert set(faults({**USUAL, **change})) == wrong


def test_what_is_no_command_any_more_is_left_out() -> None:
    assert bindings({"next": "n", "dance": "d"}) == {**USUAL, "next": "n"}


def test_only_what_differs_is_kept(client: Client, mira: User) -> None:
    answer = client.post(KEYS, {**USUAL, "next": "n", "on": "1"})
    assert answer.status_code == 302
    mira.refresh_from_db()
    assert (mira.shortcuts_on, mira.shortcuts) == (True, {"next": "n"})

    client.post(KEYS, {**USUAL, "next": "n"})
    mira.refresh_from_db()
    assert mira.shortcuts_on is False, "an empty box switches them off"
    client.post(KEYS, {"usual": "1"})
    mira.refresh_from_db()
    assert (mira.shortcuts_on, mira.shortcuts) == (False, {})
    kept = [event.after for event in Event.objects.filter(kind="user.changed").order_by("id")]
    assert kept == [{"shortcuts": {"next": "n"}}, {"shortcuts_on": False}, {"shortcuts": {}}]


def test_what_is_wrong_is_said_and_nothing_kept(client: Client, mira: User) -> None:
    answer = client.post(KEYS, {**USUAL, "next": "k", "on": "1"})

    assert answer.status_code == 400
    assert "“j” is already" not in (text := answer.content.decode())
    assert "“k” is already taken." in text
    mira.refresh_from_db()
    assert mira.shortcuts == {}


def test_the_help_shows_each_persons_keys(client: Client, mira: User) -> None:
    User.objects.filter(pk=mira.pk).update(shortcuts={"approve": "y"})
    text = client.get("/action-center/pending").content.decode()

    assert 'data-command="approve" data-keys="y"' in text
    assert text.count("data-keys=") == len(SHORTCUTS)


def test_the_switch_in_the_help(client: Client, mira: User) -> None:
    for sent, on in (({}, False), ({"on": "1"}, True)):
        assert client.post(f"{KEYS}/switch", sent).status_code == 204
        mira.refresh_from_db()
        assert mira.shortcuts_on is on
        assert ('class="nokeys"' in client.get("/preferences").content.decode()) is not on


def test_hostile_keys_are_only_text(client: Client, mira: User) -> None:
    User.objects.filter(pk=mira.pk).update(shortcuts={"next": "<img src=x onerror=pwn(1)>"})

    assert "<img src=x" not in client.get("/preferences").content.decode()
