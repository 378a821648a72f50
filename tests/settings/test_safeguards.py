"""The figures that bound automation: who changes them, within which ranges, and who is told."""

import time

import pytest

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import DeviceGroup, LevelError, Safeguards, SafeguardsError
from actioncenter.settings.models.safeguards import LOOSER
from tests import factories

pytestmark = pytest.mark.django_db
L = AutomationLevel


@pytest.fixture
def noa() -> Actor:
    return factories.person("noa").actor(proved_at=time.time())


def refusal(by: Actor, expected: int | None = None, **figures: int) -> str:
    with pytest.raises(SafeguardsError) as refused:
        Safeguards.change(by=by, expected=expected, **figures)
    return refused.value.code


def test_every_figure_can_be_changed_and_is_known_to_loosen_or_tighten() -> None:
    columns = {field.name for field in Safeguards._meta.fields} - {"id", "suppressing_since"}
    assert columns == set(LOOSER)
    Safeguards().clean_fields(exclude=["id", "suppressing_since"])


def test_a_change_is_recorded_and_every_admin_is_told(noa: Actor) -> None:
    Safeguards.change(by=noa, comment="Smaller fleet", device_cap=3, entity_cap=100)

    assert Safeguards.current().device_cap == 3
    event = Event.objects.get(kind=Kind.SAFEGUARDS_CHANGED)
    assert (event.before, event.after) == ({"device_cap": 5}, {"device_cap": 3})
    assert (event.detail, event.actor_name) == ({"comment": "Smaller fleet"}, "Noa Levi")
    notice = Notice.objects.get()
    assert notice.title == "Noa Levi changed the safeguards: device cap 5 → 3"
    assert notice.severity == Severity.INFO


@pytest.mark.oversight("HO-013")
@pytest.mark.parametrize(
    ("floor", "allowed"), [(74, False), (75, True), (100, True), (101, False), (0, False)]
)
def test_confidence_floor(floor: int, allowed: bool, noa: Actor) -> None:
    Safeguards(pk=1, confidence_floor=80).save()
    if allowed:
        Safeguards.change(by=noa, confidence_floor=floor)
        assert Safeguards.current().confidence_floor == floor
        return
    with pytest.raises(SafeguardsError, match=r"[Cc]onfidence floor") as refused:
        Safeguards.change(by=noa, confidence_floor=floor)
    assert (refused.value.code, refused.value.field) == ("range", "confidence_floor")
    assert Safeguards.current().confidence_floor == 80


@pytest.mark.parametrize(
    "figures",
    [
        {"device_cap_percent": 101}, {"entity_cap": -1}, {"raise_delay_hours": 0}, {"raise_delay_hours": 73},
        {"breaker_bad_percent": 0}, {"breaker_last": 4}, {"cooling_off_days": 6}, {"suppression_days": 366},
    ],
    ids=str,
)  # fmt: skip
def test_figures_out_of_range_are_refused(figures: dict[str, int], noa: Actor) -> None:
    assert refusal(noa, **figures) == "range"
    assert not Safeguards.objects.exists()


def test_figures_that_do_not_exist(noa: Actor) -> None:
    assert refusal(noa, pk=2) == "unknown"


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMIN])
def test_nobody_but_an_admin_may(role: Role) -> None:
    other = factories.person("nobody")
    other.grant(role, by=factories.SETUP)
    assert refusal(other.actor(proved_at=time.time()), device_cap=1) == "role"


@pytest.mark.parametrize(
    ("figures", "loosens"),
    [
        ({"device_cap": 6}, True), ({"device_cap": 4}, False), ({"raise_delay_hours": 3}, True),
        ({"cooling_off_days": 8}, False), ({"confidence_floor": 76}, False), ({"break_glass": False}, False),
        ({"suppression_days": 30}, False), ({"device_cap": 4, "entity_cap": 101}, True),
    ],
    ids=str,
)  # fmt: skip
def test_only_what_loosens_needs_a_fresh_proof(figures: dict[str, int], loosens: bool) -> None:
    stale = factories.person("noa").actor(proved_at=time.time() - 601)
    if loosens:
        assert refusal(stale, **figures) == "reauthenticate"
    else:
        Safeguards.change(by=stale, **figures)


def test_of_two_who_change_them_the_second_is_told(noa: Actor) -> None:
    seen = Safeguards.revision()
    Safeguards.change(by=noa, expected=seen, device_cap=4)
    assert refusal(noa, expected=seen, device_cap=3) == "changed"
    assert refusal(noa, device_cap=4) == "unchanged"


def test_a_raised_level_waits_as_long_as_they_say(noa: Actor) -> None:
    Safeguards.change(by=noa, raise_delay_hours=24)
    waiting = factories.group(level=L.SEMI_ALL).change_level(L.FULL, by=noa)
    assert waiting is not None
    assert (waiting.effective_at - waiting.requested_at).total_seconds() == 24 * 3600


@pytest.mark.parametrize("age", [None, 601])
def test_raising_a_level_needs_a_fresh_proof_and_lowering_does_not(age: int | None) -> None:
    stale = factories.person("noa").actor(proved_at=None if age is None else time.time() - age)
    group: DeviceGroup = factories.group(level=L.SEMI_CORE)
    with pytest.raises(LevelError) as refused:
        group.change_level(L.FULL, by=stale)
    assert refused.value.code == "reauthenticate"
    assert group.change_level(L.NONE, by=stale) is None


def test_confirming_a_raise_needs_a_fresh_proof(noa: Actor) -> None:
    waiting = factories.group(level=L.SEMI_ALL).change_level(L.FULL, by=noa)
    assert waiting is not None
    mira = factories.person("mira")
    mira.grant(Role.ADMIN, by=factories.SETUP)
    with pytest.raises(LevelError) as refused:
        waiting.confirm(by=mira.actor())
    assert refused.value.code == "reauthenticate"
    waiting.cancel(by=mira.actor())
