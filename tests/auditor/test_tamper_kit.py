"""Whoever can write every table and knows the code is found out, and the row is named."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from actioncenter.accounts.models import User
from actioncenter.audit import copies, log, seals, triggers
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Seal
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify_seals import SealCheck, SealFault
from actioncenter.auditor.verification.whole import Audit, Wrong
from actioncenter.settings.enums import Role
from tests import factories
from tests.audit.drafts import seal
from tests.auditor.tampering import BEYOND, KIT, NEVER, ONLY_BY_COPY, World

KEY = seals.public_key(settings.SIGNING_KEY)
ALL = {**KIT, **BEYOND}
WITHOUT_EVENT: Mapping[str, Callable[[World], Mapping[str, int]]] = {
    "change the live row": lambda world: {"action": world.first},
    "edit a seal": lambda world: {"seal": 1},
    "delete a seal": lambda world: {"seal": 1},
    "sign with an own key": lambda world: {"seal": 1},
    "roll back": lambda world: {"seal": 2},
    "empty": lambda world: {"seal": 1},
    "cut off the seals": lambda world: {"seal": 1},
}
"""What is named where no event can be; the first seal that is missing here and in the copy."""
BOTH = pytest.mark.parametrize(
    "shared_database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@pytest.fixture
def world(shared_database: str, tmp_path: Path) -> World:
    roles = [Role.RESPONDER]
    zoe = User.objects.enrol("zoe", by=factories.SETUP, roles=roles, display_name="Zoë Okonkwo").actor()
    first, second, _ = (row.approve(by=zoe).pk for row in factories.waiting_actions(3))
    with transaction.atomic():
        for pk in (first, second):
            for word in ("first", "second"):
                log.record(Kind.ACTION_COMMENTED, by=zoe, subject=f"action:{pk}", detail={"comment": word})
    seal()
    fourth = factories.waiting_action().approve(by=zoe).pk
    seal()
    fifth = factories.waiting_action().pk
    copies.keep(tmp_path / "copies.jsonl")
    triggers.remove(connection)
    return World(first, second, fourth, fifth)


def found(*against: Path) -> list[Wrong]:
    return list(Audit(Trust([KEY]), against).wrong())


@BOTH
def test_the_kit_has_twenty_nine_kinds_and_none_before(
    shared_database: str, world: World, tmp_path: Path
) -> None:
    assert (len(KIT), len(KIT.keys() - NEVER), len(KIT.keys() - NEVER - ONLY_BY_COPY)) == (29, 28, 25)
    assert found(tmp_path / "copies.jsonl") == []
    waiting = Audit(Trust([KEY]), [])
    assert list(waiting.wrong()) == []
    assert waiting.sealing.pending == len(world.of(world.fifth))


@BOTH
@pytest.mark.parametrize("name", sorted(ALL.keys() - NEVER))
def test_with_a_copy_elsewhere_it_is_found_and_named(
    shared_database: str, world: World, tmp_path: Path, name: str
) -> None:
    places = ALL[name](world)

    wrong = found(tmp_path / "copies.jsonl")

    assert wrong
    if name in WITHOUT_EVENT:
        assert (places, wrong[0].event, wrong[0].facts) == (set(), None, WITHOUT_EVENT[name](world))
    else:
        assert wrong[0].event in places


@BOTH
def test_one_missing_seal_is_no_fault_of_those_after_it(
    shared_database: str, world: World, tmp_path: Path
) -> None:
    more = factories.waiting_action().pk
    seal()
    assert Seal.objects.count() == 3
    ALL["delete a seal"](world)

    assert [(bad.fault, bad.number) for bad in SealCheck(Trust([KEY])).bad_seals()] == [
        (SealFault.DELETED, 1),
        (SealFault.INSERTED, 3),
    ]
    assert world.of(more)


@BOTH
@pytest.mark.parametrize("name", sorted(ALL.keys() - NEVER - ONLY_BY_COPY))
def test_without_one_nearly_everything_is_found(shared_database: str, world: World, name: str) -> None:
    ALL[name](world)

    assert found()


@BOTH
@pytest.mark.parametrize("name", sorted(NEVER | ONLY_BY_COPY))
def test_what_cannot_be_found_is_known(shared_database: str, world: World, name: str) -> None:
    """The documentation says so; should it be found one day, it has to be changed there."""
    ALL[name](world)

    assert found() == []
