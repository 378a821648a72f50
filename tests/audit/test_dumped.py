"""Ten thousand events of every kind of text, dumped and restored: nothing raises a false alarm."""

import random
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from actioncenter.audit import copies, log, standalone
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify import Verification
from actioncenter.audit.verify_seals import compare
from actioncenter.auditor import exporting
from tests.actions.backups import back_up
from tests.audit.drafts import draft, seal
from tests.audit.sealers import BOTH, KEY, check, write
from tests.sampling import SEED

EVENTS: Final = 10_000
AT_ONCE: Final = 500
PIECES: Final = (
    "", "0", "Zo\u00eb", "Zoe\u0308", "\U0001f600", "\u202egpj.exe", "\u200b", "\x01\x1f\x7f", "\ufeff", "\uffff", "名前",
    "a:1:b\n", "\r\n", "\t", '"', "'", "\\", "\\u0000", "</script>", "%s", "{}", "İ", "ß", "\u2028", "1e2", "null", " ",
)  # fmt: skip
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
        f"action:{chance.randrange(2000)}", by=who, kind=chance.choice(list(Kind)), subject_name=text(chance),
        area=chance.choice((None, 1, 2)), group_id=chance.choice((None, 1, 2**62)), **jsons,
    )  # fmt: skip


def write_all(chance: random.Random) -> None:
    for _ in range(EVENTS // AT_ONCE):
        with transaction.atomic():
            log.record_many([generated(chance) for _ in range(AT_ONCE)])
        if chance.random() < 0.3:
            seal()
    seal()


def wrong(kept: Path) -> list[str]:
    """Whatever anybody who checks it would say."""
    chains = [bad.message for bad in Verification().bad_rows()]
    others = [bad.message for bad in compare(copies.read(kept), Trust([KEY]))]
    return [*chains, *check()[0], *others]


@BOTH
def test_a_log_that_was_dumped_and_restored_is_whole(shared_database: str, tmp_path: Path) -> None:
    write_all(random.Random(SEED))
    kept, export = tmp_path / "seals", tmp_path / "export"
    copies.keep(kept)
    before = list(Event.objects.order_by("pk").values_list("pk", "canonical", "chain"))
    restore = back_up(shared_database, tmp_path)
    write("action:1")

    restore()

    assert list(Event.objects.order_by("pk").values_list("pk", "canonical", "chain")) == before
    assert wrong(kept) == []
    write("action:1", "group:1")
    seal()
    assert wrong(kept) == []
    exporting.write(export, by=Actor.command("test"))
    result = standalone.verify_file(export, public_keys=[KEY], audit_keys=[settings.AUDIT_KEY], against=kept)
    assert result.problem is None
    assert Event.objects.count() == EVENTS + 3
