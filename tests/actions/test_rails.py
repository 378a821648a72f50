"""Caps and breakers in planning: only what is really made counts, and everything else waits with a reason."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actioncenter.accounts.models import Notice
from actioncenter.actions import planning, rails, reasons
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area, Decision
from actioncenter.actions.models import Action
from actioncenter.actions.policy import Facts, OutcomeKind, decide
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel, FolderClass
from actioncenter.settings.models import DeviceGroup, RailUse, Safeguards
from investigations.enums import EvidenceType, RemediationStatus, Verdict
from investigations.models import Device, Evidence
from tests import factories
from tests.actions.poisoned import automatic, fleet, verdicts, waiting

pytestmark = pytest.mark.django_db
ISOLATE, QUARANTINE = ActionType.ISOLATE_DEVICE, ActionType.QUARANTINE_FILE
IP = EvidenceType.IP


def later(by: timedelta) -> None:
    RailUse.objects.update(minute=F("minute") - by)


def isolations(size: int = 8, **figures: int) -> DeviceGroup:
    """One wish to isolate each of so many devices."""
    if figures:
        Safeguards(pk=1, **figures).save()
    home = fleet("kiosks", size)
    planning.plan(verdicts(home, 1, IP))
    return home


def test_a_small_group_has_the_flat_cap_and_a_large_one_its_share() -> None:
    figures = Safeguards()
    assert [figures.cap(device_wide=True, devices=n) for n in (0, 1, 299, 300, 349, 350)] == [
        5,
        5,
        5,
        6,
        6,
        7,
    ]
    assert [figures.cap(device_wide=False, devices=n) for n in (0, 500, 504, 505)] == [100, 100, 100, 101]


def test_over_the_cap_it_waits_and_says_why() -> None:
    home = isolations()

    assert (automatic(home, ISOLATE), waiting(home, ISOLATE, "rail_reached")) == (5, 3)
    action = Action.objects.filter(reason_code="rail_reached").earliest("pk")
    sentence = reasons.render(action.reason_code, action.policy["params"])
    assert sentence.startswith(
        "Waiting because kiosks has used 5 of 5 automatic actions of this kind within an hour; the next is free at 20"
    )


def test_the_window_slides() -> None:
    home = isolations()
    later(timedelta(minutes=59))
    planning.plan(verdicts(home, 1, IP))
    assert automatic(home, ISOLATE) == 5

    later(timedelta(minutes=2))
    planning.plan(verdicts(home, 1, IP))

    assert automatic(home, ISOLATE) == 10


def test_only_what_is_made_counts() -> None:
    home = fleet("kiosks", 4, critical=3)
    evidence = verdicts(home, 1, IP)

    for _ in range(3):
        planning.plan(evidence)

    assert list(RailUse.objects.values_list("used", flat=True)) == [1]
    assert waiting(home, ISOLATE, "critical_device") == 3


def test_devices_and_their_files_have_caps_of_their_own() -> None:
    Safeguards(pk=1, device_cap=2, entity_cap=3, entity_cap_percent=0).save()
    home = fleet("kiosks", 6)

    planning.plan(verdicts(home, 1))

    assert (automatic(home, ISOLATE), automatic(home, QUARANTINE)) == (2, 3)


def test_each_group_has_its_own() -> None:
    homes = [fleet("one", 7), fleet("two", 7)]
    planning.plan([pk for home in homes for pk in verdicts(home, 1, IP)])
    assert [automatic(home, ISOLATE) for home in homes] == [5, 5]


@pytest.mark.oversight("HO-012")
def test_warn_at_80() -> None:
    home = fleet("kiosks", 10)
    noa = factories.person("noa")
    told = []
    for pk in verdicts(home, 1, IP)[:7]:
        planning.plan([pk])
        told.append(list(Notice.objects.filter(user=noa).order_by("pk").values_list("kind", flat=True)))

    assert told[:3] == [[]] * 3
    assert told[3] == ["rail_warned"]
    assert told[4] == told[6] == ["rail_warned", "rail_reached"]
    events = Event.objects.filter(kind__in=[Kind.RAIL_WARNED, Kind.RAIL_REACHED]).order_by("pk")
    assert [(e.kind, e.after) for e in events] == [
        (Kind.RAIL_WARNED, {"used": 4, "cap": 5, "device_wide": True}),
        (Kind.RAIL_REACHED, {"used": 5, "cap": 5, "device_wide": True}),
    ]


def test_a_cap_of_nothing_lets_nothing_run() -> None:
    home = isolations(device_cap=0, device_cap_percent=0)
    assert automatic(home, ISOLATE) == 0
    action = Action.objects.filter(reason_code="rail_reached").earliest("pk")
    assert reasons.render("rail_reached", action.policy["params"]).endswith("within an hour.")


@pytest.mark.oversight("HO-010")
@pytest.mark.parametrize("kind", ActionType, ids=lambda kind: kind.name.lower())
def test_irreversible_never_auto(kind: ActionType) -> None:
    never = CATALOGUE[kind].inverse is None
    for level, verdict, folder, area in product([None, *AutomationLevel], Verdict, FolderClass, Area):
        facts = Facts(area, verdict, level, folder, kind)
        runs = decide(facts).kind == OutcomeKind.AUTO
        documented = kind == ActionType.KILL_PROCESS and level == AutomationLevel.FULL
        assert not (runs and never) or documented
        assert not runs or verdict == Verdict.MALICIOUS


@pytest.mark.oversight("HO-010")
@pytest.mark.parametrize("level", AutomationLevel, ids=lambda level: level.name.lower())
def test_no_finding_makes_an_irreversible_action_run(level: AutomationLevel) -> None:
    home = factories.group(level=level, recipe_isolates=True)
    for kind, verdict in product(EvidenceType, Verdict):
        item = factories.file_evidence(factories.device(in_group=home), verdict=verdict)
        facts = {**item.facts, "pid": 7, "name": "x", "key": "k", "url": "https://x.example"}
        Evidence.objects.filter(pk=item.pk).update(type=kind, facts=facts)
        planning.plan([item.pk])

    ran = set(Action.objects.filter(decision=Decision.NOT_REQUIRED).values_list("type", flat=True))

    one_way = {kind for kind in ran if CATALOGUE[ActionType(kind)].inverse is None}
    assert one_way == ({ActionType.KILL_PROCESS} if level == AutomationLevel.FULL else set())


@pytest.mark.oversight("HO-013")
@pytest.mark.parametrize(("confidence", "runs"), [(74, False), (75, True), (None, False)])
def test_confidence_floor(confidence: int | None, runs: bool) -> None:
    facts = Facts(
        Area.DEVICE, Verdict.MALICIOUS, AutomationLevel.FULL, FolderClass.OTHER, QUARANTINE,
        identity_confidence=confidence, device_name="fin-lt-1",
    )  # fmt: skip
    outcome = decide(facts)
    assert (outcome.kind == OutcomeKind.AUTO) is runs
    if not runs:
        assert outcome.code == "identity_unsure"
        assert "fin-lt-1 is the one meant" in reasons.render(outcome.code, outcome.params)


@pytest.mark.oversight("HO-013")
def test_a_higher_floor_counts_in_planning() -> None:
    Safeguards(pk=1, confidence_floor=90).save()
    full = factories.group(level=AutomationLevel.FULL)
    unsure, sure = (
        factories.file_evidence(factories.device(in_group=full), identity_confidence=n) for n in (89, 90)
    )
    assert [action.reason_code for action in factories.planned(unsure, sure)] == [
        "identity_unsure",
        "full_malicious",
    ]


def test_queries_do_not_grow_with_the_findings() -> None:
    """What a chunk reads is read once; only what is newly made costs more."""
    home = fleet("kiosks", 60)
    evidence = verdicts(home, 1)
    planning.plan(evidence)
    mixed = Evidence.objects.filter(pk__in=evidence[::3])
    mixed.update(verdict=Verdict.NO_THREATS_FOUND, remediation=RemediationStatus.NONE)
    planning.plan(evidence)
    needed = []
    for number in (6, 60):
        with CaptureQueriesContext(connection) as captured:
            assert planning.plan(evidence[:number]) == []
        needed.append(len(captured))

    assert needed[0] == needed[1]


def test_queries_for_what_is_new_stay_in_proportion() -> None:
    home = fleet("kiosks", 40)
    first, second = verdicts(home, 1, IP)[:10], verdicts(home, 1, IP)
    per_action = []
    planning.plan(verdicts(home, 1, IP)[:10])
    for evidence in (first, second):
        with CaptureQueriesContext(connection) as captured:
            made = planning.plan(evidence)
        per_action.append(len(captured) / len(made))

    assert per_action[1] < per_action[0]


def test_a_report_of_many_chunks_keeps_to_the_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's transaction spans all of them, as at intake: each counts on from the last."""
    monkeypatch.setattr(planning, "CHUNK", 3)
    homes = [fleet("one", 8), fleet("two", 8)]
    evidence = [pk for pair in zip(*(verdicts(home, 1, IP) for home in homes), strict=True) for pk in pair]

    with transaction.atomic():
        assert len(planning.plan(evidence)) == 16

    assert [automatic(home, ISOLATE) for home in homes] == [5, 5]


def test_devices_that_were_just_reported_do_not_raise_the_cap(django_assert_num_queries: Any) -> None:
    """Whoever can report devices could otherwise let automation do as much as they like."""
    home = fleet("kiosks", 20)
    fleet_of_yesterday = home.devices.count()
    Device.objects.bulk_create(
        Device(name=f"new-{at}", group=home, first_seen=timezone.now() - timedelta(minutes=at))
        for at in range(61)
    )
    with django_assert_num_queries(1):
        assert rails.sizes([home.pk, None]) == {home.pk: fleet_of_yesterday + 1}


def test_a_group_full_of_new_devices_has_the_flat_cap() -> None:
    Safeguards(pk=1, device_cap=2, device_cap_percent=100).save()
    new = fleet("new", 6, known_for=timedelta(minutes=59))
    known = fleet("known", 6, known_for=timedelta(minutes=61))

    planning.plan(verdicts(new, 1, IP) + verdicts(known, 1, IP))

    assert (automatic(new, ISOLATE), automatic(known, ISOLATE)) == (2, 6)
