"""Whatever was changed or decided: its event says how it was before and how it is after."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from django.core.management import call_command

from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import Role
from tests import factories
from tests.actions.conftest import estate, run
from tests.auditor.asked import CASES
from tests.auditor.commanded import RECORDED
from tests.auditor.lives import Run
from tests.auditor.test_commands_recorded import house
from tests.auditor.test_everything_recorded import signed_in
from tests.ops.rotations import House
from tests.settings.stopping import stop_file

__all__ = ["estate", "house", "run", "stop_file"]
pytestmark = pytest.mark.django_db
BEGINS: Final = "there was nothing before"
ENDS: Final = "there is nothing after"
NO_CHANGE: Final = "is told of, and changes nothing that anybody decided or set"
NOTHING_BEFORE: Final[Mapping[Kind, str]] = {
    **dict.fromkeys(
        (
            Kind.ACTION_PROPOSED, Kind.AUDIT_REDACTION_REQUESTED, Kind.CONNECTOR_ADDED, Kind.HANDOVER_OFFERED,
            Kind.INVESTIGATION_OPENED, Kind.RULE_ADDED, Kind.STREAM_ADDED, Kind.SWITCH_PULLED, Kind.USER_CREATED,
            Kind.VIEW_SAVED,
        ),
        BEGINS,
    ),
    Kind.ACTION_BREAK_GLASS: "what was waived, and the review that is due; action.approved beside it has both",
    Kind.AUDIT_VERIFIED: "a result, which takes the place of no other",
}  # fmt: skip
NOTHING_AFTER: Final[Mapping[Kind, str]] = dict.fromkeys(
    (Kind.RULE_REMOVED, Kind.STREAM_REMOVED, Kind.SWITCH_RELEASED, Kind.VIEW_REMOVED), ENDS
)
NEITHER: Final[Mapping[Kind, str]] = {
    **dict.fromkeys(
        (
            Kind.ACTION_COMMENTED, Kind.AUDIT_VERIFICATION_REQUESTED, Kind.EXPORT_MADE, Kind.INGEST_RECEIVED,
            Kind.JOB_REQUESTED, Kind.SEARCH_ASKED, Kind.SEARCH_MESSAGE_OPENED,
        ),
        NO_CHANGE,
    ),
    **dict.fromkeys(
        (Kind.SESSION_PROVED, Kind.SESSION_SIGN_IN_FAILED, Kind.SESSION_SIGNED_OUT),
        "somebody came or went",
    ),
    **dict.fromkeys(
        (Kind.KEY_ADDED, Kind.KEY_ROTATED, Kind.KEY_RETIRED),
        "ids stand in the detail, where verifiers in other languages read them",
    ),
    Kind.KEY_REENCRYPTED: "the same is stored as before, under another key; the detail counts",
}  # fmt: skip
SAME: Final[Mapping[Kind, str]] = {
    Kind.GROUP_LEVEL_CONFIRMED: "the level stays: that it is still wanted is new"
}


def expected(kind: Kind) -> tuple[bool, bool]:
    return kind not in {**NOTHING_BEFORE, **NEITHER}, kind not in {**NOTHING_AFTER, **NEITHER}


def assert_both_sides(newest: int) -> None:
    events = list(Event.objects.filter(pk__gt=newest))
    assert events
    for event in events:
        assert (bool(event.before), bool(event.after)) == expected(Kind(event.kind)), event.kind
        assert event.before is None or event.before != event.after or event.kind in SAME, event.kind


@pytest.mark.parametrize("name", CASES)
def test_what_somebody_asks_for(name: str, run: Run, estate: Estate, stop_file: Path) -> None:
    case = CASES[name]
    address, form = case.prepare(run, estate)
    client, newest = signed_in(case.who), Event.objects.latest("pk").pk
    client.post(address, form)
    assert_both_sides(newest)


@pytest.mark.parametrize("words", RECORDED)
def test_what_a_command_does(
    words: str,
    run: Run,
    estate: Estate,
    stop_file: Path,
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    factories.person("mira")
    said = words.format(folder=tmp_path, made=RECORDED[words].prepare(run, estate)).split()
    newest = Event.objects.latest("pk").pk
    monkeypatch.setattr("sys.stdin", StringIO(f"{factories.PASSWORD}\n"))
    call_command(*said, stdout=StringIO())
    assert_both_sides(newest)


def test_roles_before_and_after_are_those_of_the_person() -> None:
    mira = factories.person("mira")
    held = {role.name.lower(): None for role in mira.roles}
    mira.grant(Role.AUDITOR, by=factories.SETUP)
    mira.revoke(Role.AUDITOR, by=factories.SETUP)
    given, taken = Event.objects.filter(subject=mira.ref).order_by("pk")[
        Event.objects.filter(subject=mira.ref).count() - 2 :
    ]
    assert (given.before, given.after) == ({"roles": held}, {"roles": {**held, "auditor": None}})
    assert (taken.before, taken.after) == (given.after, given.before)
