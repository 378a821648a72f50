"""How long it is kept, on its page: shortening shows first what would go; holds are placed and released."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client

from actioncenter.accounts.models import Notice, User
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from actioncenter.settings.models import LegalHold, Retention, RetentionError, Shortening
from tests import factories
from tests.auditor.redacted import admin
from tests.settings.proving import proved

pytestmark = pytest.mark.django_db
PAGE = "/audit/retention"
SHORTER = {"days": "365", "artefact_days": "30", "click_days": "180", "comment": "New policy"}


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(factories.person(name))
    return proved(client)


@pytest.fixture
def noa() -> Client:
    return signed_in("noa")


def text(response: HttpResponse) -> str:
    return response.content.decode()


def changes() -> int:
    return Event.objects.filter(kind="setting.changed", subject="retention").count()


def test_shortening_is_shown_before_it_is_done(noa: Client) -> None:
    old = factories.waiting_action().reject(by=factories.person("mira").actor(), comment="No.")
    Action.objects.filter(pk=old.pk).update(history_at=Now() - timedelta(days=500))
    first = noa.post(f"{PAGE}/rule", SHORTER)
    assert first.status_code == 200
    shown = text(first)
    assert "Nothing is changed yet." in shown
    assert "1 actions with their evidence" in shown
    assert 'name="confirmed" value="365:30:180"' in shown
    assert changes() == 0

    other = noa.post(f"{PAGE}/rule", {**SHORTER, "days": "200", "confirmed": "365:30:180"})
    assert "Nothing is changed yet." in text(other), "what was confirmed was something else"
    assert changes() == 0

    assert noa.post(f"{PAGE}/rule", {**SHORTER, "confirmed": "365:30:180"}).status_code == 302
    assert Retention.current().days == 730, "not before another admin agrees"
    assert "1 actions with their evidence" in text(noa.get(PAGE))
    assert Action.objects.filter(pk=old.pk).exists(), "and nothing is purged by a page"


def test_what_is_to_be_kept_shorter_takes_two_admins(noa: Client) -> None:
    noa.post(f"{PAGE}/rule", {**SHORTER, "confirmed": "365:30:180"})
    row = Shortening.waiting()
    assert row is not None
    agree = f"{PAGE}/shortenings/{row.pk}/agree"
    assert "Another admin has to agree." in text(noa.get(PAGE))
    assert noa.post(agree).status_code == 409
    assert changes() == 0

    eva = User.objects.enrol("eva", by=factories.SETUP, roles=[Role.ADMIN])
    assert Notice.objects.filter(user__username="noa", kind="retention").exists()
    other = Client()
    other.force_login(eva)
    proved(other)
    assert "wants to keep only 365 days" in text(other.get(PAGE))
    assert other.post(agree).status_code == 302
    assert Retention.current().figures == {"days": 365, "artefact_days": 30, "click_days": 180}
    told = Event.objects.get(kind="setting.changed", subject="retention")
    assert (told.actor, told.detail) == (
        f"user:{eva.pk}",
        {"comment": "New policy", "asked_by": row.asked_by, "asked_by_name": "Noa Levi"},
    )
    assert other.post(agree).status_code == 409
    assert changes() == 1


def test_a_shortening_is_refused_or_overtaken(noa: Client) -> None:
    """Keeping longer, or asking for something else, ends what waited: nobody agrees to it by an old page."""
    for end in (
        lambda pk: noa.post(f"{PAGE}/shortenings/{pk}/drop"),
        lambda pk: noa.post(f"{PAGE}/rule", {"days": "1095", "artefact_days": "30", "click_days": "180"}),
        lambda pk: noa.post(f"{PAGE}/rule", {**SHORTER, "days": "200", "confirmed": "200:30:180"}),
    ):
        noa.post(f"{PAGE}/rule", {**SHORTER, "confirmed": "365:30:180"})
        row = Shortening.objects.latest("pk")
        assert end(row.pk).status_code == 302
        with pytest.raises(RetentionError) as refused:
            row.agree(by=admin("eva"))
        assert refused.value.code == "ended"
    assert Retention.current().days == 1095
    assert Event.objects.filter(kind="retention.shortening_dropped").count() == 3


def test_lengthening_is_done_at_once(noa: Client) -> None:
    longer = {"days": "1095", "artefact_days": "60", "click_days": "365"}
    assert noa.post(f"{PAGE}/rule", longer).status_code == 302
    assert Retention.current().figures == {"days": 1095, "artefact_days": 60, "click_days": 365}
    again = noa.post(f"{PAGE}/rule", longer)
    assert again.status_code == 409
    assert "Nothing was changed." in text(again)


@pytest.mark.parametrize(
    "figures",
    [{"days": "179"}, {"days": "many"}, {"artefact_days": "0"}, {"click_days": "0"}, {"days": "9" * 30}],
)
def test_figures_that_make_no_sense_change_nothing(noa: Client, figures: dict[str, str]) -> None:
    assert noa.post(f"{PAGE}/rule", {**SHORTER, **figures}).status_code == 422
    assert changes() == 0


def test_a_hold_is_placed_and_released(noa: Client) -> None:
    action = factories.waiting_action()
    sent = {"subject": action.label, "reason": "Court order 7"}
    assert noa.post(f"{PAGE}/holds", sent).status_code == 302
    hold = LegalHold.in_force().get()
    assert hold.subject == f"action:{action.pk}"
    assert "Court order 7" in text(noa.get(PAGE))
    assert noa.post(f"{PAGE}/holds", sent).status_code == 409
    assert noa.post(f"{PAGE}/holds/{hold.pk}/release", {"reason": " "}).status_code == 422
    assert noa.post(f"{PAGE}/holds/{hold.pk}/release", {"reason": "Lifted"}).status_code == 302
    assert not LegalHold.in_force().exists()
    assert noa.post(f"{PAGE}/holds/{hold.pk}/release", {"reason": "Again"}).status_code == 409


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("1042", "is neither an action"),
        ("A-0", "is neither"),
        ("A-999999", "none of this number"),
        ("", "required"),
    ],
)
def test_what_is_nothing_is_not_held(noa: Client, subject: str, said: str) -> None:
    response = noa.post(f"{PAGE}/holds", {"subject": subject, "reason": "Order"})
    assert response.status_code == 422
    assert said in text(response)


def changing(hold: LegalHold) -> list[tuple[str, dict[str, str]]]:
    waits = Retention.change(by=Actor.command("retention"), days=400)
    assert waits is not None
    return [
        (f"{PAGE}/rule", {**SHORTER, "confirmed": "365:30:180"}),
        (f"{PAGE}/shortenings/{waits.pk}/agree", {}),
        (f"{PAGE}/shortenings/{waits.pk}/drop", {}),
        (f"{PAGE}/holds", {"subject": "INV-1", "reason": "Order"}),
        (f"{PAGE}/holds/{hold.pk}/release", {"reason": "Lifted"}),
    ]


def test_auditors_read_and_change_nothing() -> None:
    hold = LegalHold.place("action:1", by=factories.actor(factories.person("noa")), reason="Order")
    ivo = signed_in("ivo")
    shown = text(ivo.get(PAGE))
    assert "730 days" in shown
    assert "Hold it" not in shown
    for name in ("ivo", "mira", "kim", "nobody"):
        for address, sent in changing(hold):
            assert signed_in(name).post(address, sent).status_code == 403
    assert signed_in("mira").get(PAGE).status_code == 403
    assert LegalHold.in_force().exists()
    assert changes() == 0


def test_each_change_asks_for_the_password(noa: Client) -> None:
    action = factories.waiting_action()
    hold = LegalHold.place("action:1", by=factories.actor(factories.person("noa")), reason="Order")
    proved(noa, seconds_ago=601)
    for address, sent in changing(hold):
        sent = sent | ({"subject": action.label} if "subject" in sent else {})
        assert noa.post(address, sent)["Location"].startswith("/confirm")
    assert LegalHold.in_force().count() == 1
    assert changes() == 0
