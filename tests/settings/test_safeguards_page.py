"""The page of the safeguards: admins change and restore, auditors read, nobody else sees it."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client

from actioncenter.actions import planning
from actioncenter.actions.enums import ActionType
from actioncenter.settings.enums import AutomationLevel, BreakerState, IndicatorEffect, IndicatorKind, Role
from actioncenter.settings.models import Breaker, FolderExclusion, Indicator, Safeguards
from investigations.enums import EvidenceType
from tests import factories
from tests.actions.poisoned import fleet, verdicts
from tests.settings.proving import proved

pytestmark = pytest.mark.django_db
PAGE = "/settings/safeguards"
HOSTILE = "<script>alert(1)</script>\"'\u202e"


@pytest.fixture
def noa(client: Client) -> Client:
    client.force_login(factories.person("noa"))
    return proved(client)


def text(response: HttpResponse) -> str:
    return response.content.decode()


def change(client: Client, **figures: object) -> HttpResponse:
    sent = {**Safeguards.current().figures, "break_glass": "on", **figures}
    return client.post(PAGE, sent)


def breaker(name: str = "Kiosks") -> Breaker:
    home = factories.group(name, AutomationLevel.FULL)
    return Breaker.objects.create(
        group=home, action_type=ActionType.QUARANTINE_FILE, bad=4, of=20, cool_until=Now()
    )


def test_it_shows_every_figure_and_how_much_of_each_cap_is_used(noa: Client) -> None:
    planning.plan(verdicts(fleet("kiosks", 7), 1, EvidenceType.IP))
    fleet("new ones", 3, known_for=timedelta(minutes=5))

    shown = noa.get(PAGE)

    assert shown.status_code == 200
    for name in Safeguards().figures:
        assert f'name="{name}"' in text(shown)
    kiosks = next(group for group in shown.context["groups"] if group["name"] == "kiosks")
    devices, entities = kiosks["rails"]
    assert (kiosks["devices"], devices["used"], devices["cap"], devices["reached"]) == (7, 5, 5, True)
    assert (entities["used"], entities["cap"], entities["reached"]) == (0, 100, False)
    assert "5 of 5" in text(shown)
    assert "3 devices, 3 too new to count" in text(shown)
    assert "Cap reached" in text(shown)


def test_an_admin_changes_them(noa: Client) -> None:
    response = change(noa, device_cap="7", comment="Larger fleet")

    assert response.status_code == 302
    assert Safeguards.current().device_cap == 7
    after = text(noa.get(PAGE))
    assert "device cap 5 → 7" in after
    assert "Larger fleet" in after


@pytest.mark.oversight("HO-013")
def test_a_floor_of_74_is_refused_with_a_reason(noa: Client) -> None:
    response = change(noa, confidence_floor="74")

    assert response.status_code == 422
    assert "greater than or equal to 75" in text(response)
    assert Safeguards.current().confidence_floor == 75


@pytest.mark.parametrize(
    "wrong", [{"device_cap": "x"}, {"device_cap": "9" * 30}, {"raise_delay_hours": "0"}, {"revision": "-1"}]
)
def test_bad_figures_change_nothing(wrong: dict[str, str], noa: Client) -> None:
    assert change(noa, **wrong).status_code == 422
    assert not Safeguards.objects.exists()


def test_the_slower_of_two_is_told(noa: Client) -> None:
    seen = noa.get(PAGE).context["form"].initial["revision"]
    assert change(noa, revision=seen, device_cap=4).status_code == 302
    late = change(noa, revision=seen, device_cap=3)
    assert late.status_code == 409
    assert "since you opened this page" in text(late)


def test_loosening_asks_for_the_password(client: Client) -> None:
    client.force_login(factories.person("noa"))
    proved(client, seconds_ago=601)

    response = change(client, device_cap="50")

    assert response.status_code == 302
    assert response["Location"].startswith("/confirm")
    assert Safeguards.current().device_cap == 5


def test_an_admin_restores_automation_with_a_reason(noa: Client) -> None:
    row = breaker()
    assert "Restore with one probe" in text(noa.get(PAGE))

    refused = noa.post(f"{PAGE}/breakers/{row.pk}/restore", {"comment": " "})
    assert refused.status_code == 422
    assert noa.post(f"{PAGE}/breakers/{row.pk}/restore", {"comment": "Mended"}).status_code == 302

    row.refresh_from_db()
    assert (row.state, row.restored_by_name) == (BreakerState.PROBING, "Noa Levi")
    assert noa.post(f"{PAGE}/breakers/{row.pk}/restore", {"comment": "Mended"}).status_code == 409
    assert "Noa Levi" in text(noa.get(PAGE))


def test_what_is_still_cooling_off_has_no_button(noa: Client) -> None:
    row = breaker()
    Breaker.objects.update(cool_until="2100-01-01T00:00:00Z")
    assert "Restore with one probe" not in text(noa.get(PAGE))
    response = noa.post(f"{PAGE}/breakers/{row.pk}/restore", {"comment": "Mended"})
    assert response.status_code == 422
    assert "2100-01-01" in text(response)


def test_a_suppression_is_renewed(noa: Client) -> None:
    Safeguards(pk=1, suppression_days=30).save()
    row = FolderExclusion.objects.create(folder=r"D:\Builds")
    FolderExclusion.objects.update(reviewed_at="2020-01-01T00:00:00Z")
    assert "Lapsed" in text(noa.get(PAGE))

    assert noa.post(f"{PAGE}/exclusion/{row.pk}/renew").status_code == 302

    assert "Lapsed" not in text(noa.get(PAGE))


def test_only_what_suppresses_is_renewed(noa: Client) -> None:
    block = Indicator.objects.create(kind=IndicatorKind.IP, value="192.0.2.1", effect=IndicatorEffect.BLOCK)
    for kind, pk in (("indicator", block.pk), ("exclusion", 999), ("device", 1)):
        assert noa.post(f"{PAGE}/{kind}/{pk}/renew").status_code == 404


def test_an_auditor_reads_and_changes_nothing(client: Client) -> None:
    row = breaker()
    client.force_login(factories.person("ivo"))

    shown = text(client.get(PAGE))

    assert "Only an admin changes the safeguards" in shown
    assert "Restore with one probe" not in shown
    assert "disabled" in shown
    assert change(client, device_cap=1).status_code == 403
    assert client.post(f"{PAGE}/breakers/{row.pk}/restore", {"comment": "x"}).status_code == 403


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.ADMIN, Role.AUDITOR}])
def test_others_do_not_see_it(role: Role, client: Client) -> None:
    row = breaker()
    reader = factories.person("nobody")
    reader.grant(role, by=factories.SETUP)
    client.force_login(reader)

    assert client.get(PAGE).status_code == 403
    assert change(client, device_cap=1).status_code == 403
    assert client.post(f"{PAGE}/breakers/{row.pk}/restore", {"comment": "x"}).status_code == 403
    assert PAGE not in text(client.get("/settings/groups"))


def test_text_from_outside_stays_text(noa: Client) -> None:
    breaker(HOSTILE)
    Safeguards(pk=1, suppression_days=30).save()
    FolderExclusion.objects.create(folder=HOSTILE)
    change(noa, device_cap=4, suppression_days=30, comment=HOSTILE)

    shown = text(noa.get(PAGE))

    assert "<script>alert" not in shown
    assert "\u202e" not in shown


def test_a_double_click_changes_once(noa: Client) -> None:
    answers = [change(noa, device_cap="4", idempotency_key="k" * 32).status_code for _ in range(2)]
    assert answers == [302, 302]
