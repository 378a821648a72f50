"""What can be done to an export, and the checks that see it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from actioncenter.audit import canonical, seals
from tests.audit.vectors import AT, PLAIN, Log, Row, log

OWN_KEY = bytes(32)


@dataclass
class Damage:
    name: str
    found_by: tuple[str, ...]
    """The checks that see it, the first of them first."""
    make: Callable[[Log], list[str] | None]
    """Damages the log, or gives other lines."""
    audit_key: bool = False
    against: bool = False

    def lines(self) -> list[str]:
        damaged = log()
        return self.make(damaged) or damaged.lines()


def edited(made: Log, pk: int, **fields: Any) -> None:
    row = made.row(pk)
    row.canonical = canonical.render({**row.values, **fields})


def resealed(made: Log, *batches: list[int]) -> None:
    """By somebody with the signing key."""
    made.seals.clear()
    for ids in batches:
        made.seal(ids)


def last_seal(*, signed: bool = False, **changed: Any) -> Callable[[Log], None]:
    def make(made: Log) -> None:
        seal = made.seals[-1].saying(**changed)
        made.seals[-1] = seal.signed() if signed else seal

    return make


def rows(change: Callable[[list[Row]], Any]) -> Callable[[Log], None]:
    return lambda made: change(made.rows)


def lines(change: Callable[[list[str]], Any]) -> Callable[[Log], list[str]]:
    """What is changed in the file; its last line is made to fit again."""

    def make(made: Log) -> list[str]:
        found = made.lines()
        change(found)
        kinds = [min(json.loads(line)) for line in found]
        end = {"events": kinds.count("chain"), "seals": kinds.count("key")}
        return [*found[:-1], written({"end": end})]

    return make


def written(said: dict[str, Any]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n"


def inserted(found: list[str]) -> None:
    text = canonical.render({**PLAIN, "stream": "user:77"})
    found.insert(6, written({"event": 13, "chain": "00" * 32, "text": text}))


def forged_leaf(made: Log) -> None:
    edited(made, 14, kind="user.deleted")
    leaf = seals.leaf(made.row(14).chain, made.row(14).canonical)
    last_seal(leaves=[made.seals[-1].said.leaves[0], leaf])(made)


def id_again(made: Log) -> list[str]:
    other = Row(5, "00" * 32, canonical.render({**PLAIN, "stream": "user:77"}))
    said = made.seals[-1].said
    leaves = [seals.leaf(other.chain, other.canonical), *said.leaves]
    made.seals[-1] = made.seals[-1].saying(ids=[5, *said.ids], leaves=leaves).signed()
    found = made.lines()
    found[9] = written({"event": 5, "chain": other.chain, "text": other.canonical})
    return found


def without(pk: int) -> Callable[[Log], None]:
    """Sealed again as if it had never been."""

    def make(made: Log) -> None:
        made.rows.remove(made.row(pk))
        resealed(made, *[[kept for kept in seal.said.ids if kept != pk] for seal in made.seals])

    return make


def second_time(made: Log) -> None:
    made.rows.append(replace(made.row(14), pk=22))


def rewritten(made: Log) -> list[str]:
    """Both keys are stolen: one event says something else, and all is computed anew."""
    forged = Log()
    for row in made.rows:
        forged.write(row.pk, **{**row.values, **({"kind": "action.rejected"} if row.pk == 7 else {})})
    resealed(forged, *[list(seal.said.ids) for seal in made.seals])
    return forged.lines()


def seal_removed(made: Log) -> None:
    del made.seals[1]


def edited_and_signed(made: Log) -> None:
    edited(made, 14, area=2)
    resealed(made, *[[*seal.said.ids] for seal in made.seals])


def older(made: Log) -> None:
    del made.seals[2:], made.rows[7:]


DAMAGE = [
    Damage("text of an event", ("leaf",), lambda made: edited(made, 7, actor_name="Zo\u00eb")),
    Damage("missing made empty", ("leaf",), lambda made: edited(made, 9, subject_name="")),
    Damage("chain value", ("leaf",), lambda made: setattr(made.row(14), "chain", "00" * 32)),
    Damage("event removed", ("events",), lambda made: made.rows.remove(made.row(14))),
    Damage("event inserted", ("events",), lines(inserted)),
    Damage("events swapped", ("events",), lines(lambda found: found.insert(2, found.pop(3)))),
    Damage("event in another seal", ("events",), lines(lambda found: found.insert(8, found.pop(6)))),
    Damage("event unsealed", ("events",), lines(lambda found: found.insert(11, found.pop(9)))),
    Damage("event twice", ("twice", "seq"), lines(lambda found: found.insert(3, found[2]))),
    Damage("id twice", ("twice",), id_again),
    Damage("seal removed", ("number", "previous"), seal_removed),
    Damage("seal edited", ("signature",), last_seal(at=AT)),
    Damage("seal of an own key", ("signature",), lambda made: log(signing_key=OWN_KEY).lines()),
    Damage("leaves", ("signature", "leaf"), last_seal(leaves=[bytes(32)] * 2)),
    Damage("leaves and event", ("signature",), forged_leaf),
    Damage("leaves, signed", ("leaf",), last_seal(leaves=[bytes(32)] * 2, signed=True)),
    Damage("previous", ("signature", "previous"), last_seal(previous="ab" * 32)),
    Damage("previous, signed", ("previous",), last_seal(previous="ab" * 32, signed=True)),
    Damage("number skipped, signed", ("number",), last_seal(number=4, signed=True)),
    Damage("first of a stream left out, signed", ("seq",), without(8)),
    Damage("number again", ("seq",), second_time),
    Damage("unsealed left out", ("end",), lambda made: made.lines()[:12] + made.lines()[13:]),
    Damage("cut at a line", ("end",), lambda made: made.lines()[:-1]),
    Damage("cut within a line", ("end",), lambda made: ["".join(made.lines())[:-5]]),
    Damage("cut within a seal", ("end", "events"), lambda made: made.lines()[:5]),
    Damage("goes on", ("end",), lambda made: made.lines() + made.lines()[-1:]),
    Damage("unsealed text", ("chain",), lambda made: edited(made, 21, area=2), audit_key=True),
    Damage(
        "text and leaf, signed",
        ("chain",),
        edited_and_signed,
        audit_key=True,
    ),
    Damage("another audit key", ("chain",), lambda made: log(key=OWN_KEY).lines(), audit_key=True),
    Damage("both keys stolen", ("another seal",), rewritten, audit_key=True, against=True),
    Damage("older state put back", ("cut back",), older, audit_key=True, against=True),
]
