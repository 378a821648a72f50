"""Ten thousand events of every kind of text, and lives of actions among them, dumped and restored: nothing raises a
false alarm."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings
from django.db import connection, transaction

from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.audit import copies, log, standalone
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event
from actioncenter.audit.sealing import Horizon
from actioncenter.audit.trust import Trust
from actioncenter.auditor import exporting
from actioncenter.auditor.verification.whole import Audit
from actioncenter.estate.services import Postgres
from actioncenter.settings.models import DeviceGroup
from tests import factories
from tests.actions.backups import back_up, restore_elsewhere
from tests.actions.conftest import carry_out, simulated
from tests.audit.drafts import MIRA, draft, seal
from tests.audit.sealers import BOTH, KEY, ON_POSTGRES, write
from tests.auditor.lives import CARRIED_OUT, DECIDED, approved, claimed, lost, resolved, retried, undone_anew
from tests.sampling import SEED
from tests.services.database import as_default, owner_of

EVENTS: Final = 10_000
AT_ONCE: Final = 500
COMMON_TURNS: Final = (retried, resolved, undone_anew)
"""Of lives, that leave no rule behind."""
PIECES: Final = (
    "", "0", "Zo\u00eb", "Zoe\u0308", "\U0001f600", "\u202egpj.exe", "\u200b", "\x01\x1f\x7f", "\ufeff", "\uffff", "名前",
    "a:1:b\n", "\r\n", "\t", '"', "'", "\\", "\\u0000", "</script>", "%s", "{}", "İ", "ß", "\u2028", "1e2", "null", " ",
)  # fmt: skip
SUBJECTS: Final = ("user", "device", "investigation", "settings")
"""Not actions: what is written of these has to have happened to their rows."""
NUMBERS: Final = (0, 1, -1, 10**3, 2**31, -(2**31), 2**53 + 1, 2**63, -(10**30))


def text(chance: random.Random) -> str:
    return "".join(chance.choices(PIECES, k=chance.randrange(5)))


def value(chance: random.Random, deep: int = 0) -> Any:
    kind = chance.randrange(4 if deep > 2 else 6)
    if kind == 0:
        return text(chance)
    if kind == 1:
        return chance.choice(NUMBERS)
    if kind == 2:
        return chance.choice((None, True, False))
    if kind == 3:
        return chance.randrange(10**6)
    if kind == 4:
        return [value(chance, deep + 1) for _ in range(chance.randrange(3))]
    return {text(chance): value(chance, deep + 1) for _ in range(chance.randrange(3))}


def generated(chance: random.Random) -> log.Draft:
    who = Actor(f"user:{chance.randrange(9)}", text(chance), chance.choice(list(Via)), text(chance), None)
    jsons = {
        name: {text(chance): value(chance) for _ in range(chance.randrange(4))}
        if chance.random() < 0.7
        else None
        for name in log.JSON_COLUMNS
    }
    return draft(
        f"{chance.choice(SUBJECTS)}:{chance.randrange(2000)}", by=who, kind=chance.choice(list(Kind)), subject_name=text(chance),
        area=chance.choice((None, 1, 2)), group_id=chance.choice((None, 1, 2**62)), **jsons,
    )  # fmt: skip


def out_of_the_way() -> None:
    """Each life brings a group of the same name."""
    for group in DeviceGroup.objects.filter(is_default=False):
        DeviceGroup.objects.filter(pk=group.pk).update(name=f"Group {group.pk}")


def live(chance: random.Random) -> None:
    """Actions of every decision and every end, and what people wrote about them."""
    with simulated() as estate:
        for life in (*DECIDED.values(), *CARRIED_OUT.values()):
            out_of_the_way()
            action = life(carry_out, estate)
            with transaction.atomic():
                log.record(
                    Kind.ACTION_COMMENTED,
                    by=MIRA,
                    subject=f"action:{action.pk}",
                    detail={"comment": text(chance)},
                )
        for turn in COMMON_TURNS:
            out_of_the_way()
            turn(carry_out, estate)
        # Last, or the runner of another life would have carried on with them.
        for left in (lost, claimed, approved):
            left(carry_out, estate)
    assert {*Action.objects.values_list("decision", flat=True)} == {*Decision}
    assert {*Action.objects.values_list("execution", flat=True)} == {*Execution}


def write_all(chance: random.Random) -> None:
    live(chance)
    for _ in range(EVENTS // AT_ONCE):
        with transaction.atomic():
            log.record_many([generated(chance) for _ in range(AT_ONCE)])
        if chance.random() < 0.3:
            seal()
    seal()


def wrong(kept: Path) -> list[str]:
    """Whatever the verification says: chains, seals, lives replayed beside their rows, copies."""
    audit = Audit(Trust([KEY]), [kept])
    found = [str(each) for each in audit.wrong()]
    assert audit.sealing.pending == 0
    assert audit.copies > 0
    return found


Rows = list[tuple[Any, ...]]


def written() -> Rows:
    return list(Event.objects.order_by("pk").values_list("pk", "xid", "canonical", "chain"))


def is_whole_and_goes_on(before: Rows, kept: Path, export: Path) -> None:
    assert written() == before
    seal()
    assert wrong(kept) == []
    factories.waiting_action().approve(by=factories.person("mira").actor())
    write("user:1", "group:1")
    seal()
    write("user:1")
    seal()
    assert wrong(kept) == []
    exporting.write(export, by=Actor.command("test"))
    result = standalone.verify_file(export, public_keys=[KEY], audit_keys=[settings.AUDIT_KEY], against=kept)
    assert result.problem is None
    assert Event.objects.count() > len(before) > EVENTS


@BOTH
def test_a_log_that_was_dumped_and_restored_is_whole(shared_database: str, tmp_path: Path) -> None:
    write_all(random.Random(SEED))
    kept = tmp_path / "seals"
    copies.keep(kept)
    assert wrong(kept) == []
    before = written()
    restore = back_up(shared_database, tmp_path)
    write("user:1")

    restore()

    is_whole_and_goes_on(before, kept, tmp_path / "export")


@pytest.fixture
def fresh_cluster(postgres_service: Postgres) -> Iterator[Postgres]:
    server = Postgres.start()
    yield server
    server.stop()


FAR: Final = (
    """DO $$ BEGIN FOR each IN 1..20000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"""
)


@ON_POSTGRES
def test_in_a_fresh_cluster_that_counts_transactions_anew_it_is_whole_too(
    shared_database: str, fresh_cluster: Postgres, tmp_path: Path
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FAR)
    write_all(random.Random(SEED))
    kept = tmp_path / "seals"
    copies.keep(kept)
    before = written()
    back_up(shared_database, tmp_path)

    with as_default(owner_of(restore_elsewhere(fresh_cluster, tmp_path))):
        assert Horizon.now().xmax < min(xid for _, xid, _, _ in before)
        is_whole_and_goes_on(before, kept, tmp_path / "export")
        assert Horizon.now().xmax < min(xid for _, xid, _, _ in before)
