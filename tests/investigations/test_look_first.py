"""Before an action by hand is confirmed: how far it reaches, and what a look at the device shows."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from actioncenter.actions import looking
from actioncenter.actions.enums import JobKind, JobState
from actioncenter.actions.models import Action, ConnectorJob
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from investigations.models import Binding, Device
from tests import factories
from tests.actions.conftest import estate, run
from tests.investigations.test_device_page import laptop, mira, send, signed_in

__all__ = ["estate", "laptop", "mira", "run"]
Run = Callable[..., None]
pytestmark = pytest.mark.django_db


def looked(client: Client, device: Device, code: str = "isolate") -> str:
    """Where it is shown."""
    response = client.post(f"/devices/{device.pk}/{code}", {"look": "yes"})
    assert response.status_code == 302, response.content.decode()
    return response["Location"]


def shown(client: Client, address: str) -> Any:
    response = client.get(address)
    assert response.status_code == 200
    return response.context["look"]


def test_a_runner_looks_and_nothing_is_done(mira: Client, run: Run, laptop: Device) -> None:
    assert not shown(mira, f"/devices/{laptop.pk}/isolate")["asked"]
    address = looked(mira, laptop)
    assert shown(mira, address)["waiting"]

    run()

    look = shown(mira, address)
    assert (look["waiting"], look["failed"]) == (False, "")
    assert look["changes"]
    assert not Action.objects.exists()
    asked = Event.objects.get(kind=Kind.JOB_REQUESTED)
    assert (asked.subject, asked.detail) == (f"device:{laptop.pk}", {"job": "look", "action": "isolate"})
    assert send(mira, laptop, "isolate").status_code == 302


def test_while_one_looks_it_is_not_asked_twice(mira: Client, run: Run, laptop: Device) -> None:
    first = looked(mira, laptop)
    assert looked(mira, laptop) == first
    run()
    assert looked(mira, laptop) != first


def test_it_is_polled_until_it_is_there(mira: Client, run: Run, laptop: Device) -> None:
    address = looked(mira, laptop)
    assert f'hx-get="?{address.partition("?")[2]}"' in mira.get(address).content.decode()
    headers = {"HX-Request": "true", "HX-Target": "look"}
    answer = mira.get(address, headers=headers)
    tag = answer["HX-PTag"]
    assert "<h1" not in answer.content.decode()
    assert mira.get(address, headers={**headers, "HX-PTag": tag}).status_code == 304
    run()
    assert mira.get(address, headers={**headers, "HX-PTag": tag}).status_code == 200


def test_what_could_not_be_seen_is_said(mira: Client, laptop: Device) -> None:
    address = looked(mira, laptop)
    ConnectorJob.objects.update(
        state=JobState.FAILED, error="\u202eIt can't be reached.", finished_at=timezone.now()
    )
    page = mira.get(address).content.decode()
    assert "It could not be looked at" in page
    assert "\u202e" not in page


def test_of_another_device_or_action_it_is_not_shown(mira: Client, run: Run, laptop: Device) -> None:
    ref = looked(mira, laptop).partition("?")[2]
    run()
    other = factories.device(name="other", in_group=laptop.group)
    for address in (f"/devices/{other.pk}/isolate", f"/devices/{laptop.pk}/restrict"):
        assert not shown(mira, f"{address}?{ref}")["asked"]
    assert not shown(mira, f"/devices/{laptop.pk}/isolate?look=x")["asked"]


def test_who_may_not_ask_for_the_action_has_nobody_look(client: Client, laptop: Device) -> None:
    auditor = signed_in(client, "ivo")
    assert auditor.post(f"/devices/{laptop.pk}/isolate", {"look": "yes"}).status_code == 403
    assert not ConnectorJob.objects.exists()


def test_without_a_connector_nobody_can_look(mira: Client, laptop: Device) -> None:
    Binding.objects.all().delete()
    response = mira.post(f"/devices/{laptop.pk}/isolate", {"look": "yes"})
    assert response.status_code == 422
    assert not ConnectorJob.objects.exists()


def test_old_ones_are_forgotten(mira: Client, run: Run, laptop: Device) -> None:
    looked(mira, laptop)
    run()
    ConnectorJob.objects.update(finished_at=timezone.now() - 2 * looking.KEPT)
    looked(mira, laptop)
    assert ConnectorJob.objects.filter(kind=JobKind.LOOK).count() == 1


def test_offboarding_says_what_it_withdraws(client: Client, laptop: Device) -> None:
    noa = signed_in(client, "noa")
    send(noa, laptop, "scan")
    reach = noa.get(f"/devices/{laptop.pk}/offboard").context["reach"]
    assert reach == [("Also ends", "1 action that waits there is withdrawn")]
