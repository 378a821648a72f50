"""A small log to write down and to damage; `python -m tests.audit.vectors` renews docs/audit/vectors.json."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from actioncenter import keys
from actioncenter.audit import canonical, export, seals
from actioncenter.audit.seals import SealText

FILE = Path(__file__).resolve().parents[2] / "docs" / "audit" / "vectors.json"
AUDIT_KEY = bytes(range(32))
SIGNING_KEY = bytes(range(32, 64))
PUBLIC_KEY = seals.public_key(SIGNING_KEY)
NEXT_AUDIT_KEY = bytes(range(64, 96))
NEXT_SIGNING_KEY = bytes(range(96, 128))
NEXT_PUBLIC_KEY = seals.public_key(NEXT_SIGNING_KEY)
AT = datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=UTC)
PLAIN: dict[str, Any] = {
    "stream": "action:1042", "seq": 1, "at": AT, "kind": "action.proposed", "actor": "user:12",
    "actor_name": "Mira Chen", "actor_via": "session", "subject": "action:1042", "subject_name": "ENG-WS-087",
    "area": 1, "group_id": 3, "request_id": "5f2c", "before": None, "after": {"decision": "pending"}, "detail": None,
}  # fmt: skip
NESTED = {
    "Z": {}, "a": [], "list": [1, -2, True, False, None, "1", [{"deep": [{}]}]], "é": 'a"\\/b', "": 0,
    "control": "\x00\b\t\n\x0b\f\r\x1f\x7f\u2028", "big": 2**63, "bigger": -(10**30), "😀": "\U0001f600", "\uffff": "￿",
}  # fmt: skip
EVENTS: list[tuple[int, dict[str, Any]]] = [
    (5, {}),
    (6, {"stream": "group:3", "subject": "group:3", "group_id": None, "area": None, "subject_name": ""}),
    (7, {"seq": 2, "kind": "action.approved", "actor_name": "Zoe\u0308", "detail": NESTED}),
    (
        9,
        {
            "stream": "user:5",
            "actor_name": "Zo\u00eb\nAlvarez: ops",
            "request_id": "",
            "after": {},
            "subject_name": None,
        },
    ),
    # Its transaction began after that of event 12, so it is in the later seal.
    (
        8,
        {
            "stream": "user:6",
            "at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            "before": {"was": None},
        },
    ),
    (12, {"stream": "user:6", "seq": 2, "group_id": -(2**63), "area": 0, "actor_name": "\u202e名\x00\x7f"}),
    (14, {"stream": "user:5", "seq": 2}),
    (20, {"seq": 3, "kind": "action.started"}),
    (21, {"stream": "group:3", "seq": 2}),
]
SEALED: list[list[int]] = [[5, 6, 7, 9, 12], [], [8, 14]]


@dataclass
class Row:
    """An event as the export needs it."""

    pk: int
    chain: str
    canonical: str

    @property
    def values(self) -> dict[str, Any]:
        return canonical.read(self.canonical)


@dataclass
class SealRow:
    text: str
    signature: str = ""
    key_id: str = ""

    @property
    def said(self) -> SealText:
        return SealText.read(self.text)

    def signed(self, key: bytes = SIGNING_KEY) -> "SealRow":
        return SealRow(self.text, seals.sign(key, self.text), seals.key_id(seals.public_key(key)))

    def saying(self, **changed: Any) -> "SealRow":
        """The same signature under another text."""
        return replace(self, text=replace(self.said, **changed).render())

    def checkpoint(self) -> dict[str, Any]:
        said = {
            "digest": seals.digest(self.text),
            "text": self.text,
            "key": self.key_id,
            "signature": self.signature,
        }
        return {"number": self.said.number, **said}


@dataclass
class Log:
    """Events in the order of writing, seals, and what each seal is made of."""

    rows: list[Row] = field(default_factory=list)
    seals: list[SealRow] = field(default_factory=list)
    key: bytes = AUDIT_KEY
    signing_key: bytes = SIGNING_KEY

    def write(self, pk: int, **values: Any) -> None:
        text = canonical.render({**PLAIN, **values})
        stream = values.get("stream", PLAIN["stream"])
        before = [row.chain for row in self.rows if row.values["stream"] == stream]
        self.rows.append(Row(pk, canonical.link(self.key, stream, before[-1] if before else "", text), text))

    def seal(self, ids: Sequence[int], successor: str = "") -> None:
        previous = seals.digest(self.seals[-1].text) if self.seals else ""
        number = len(self.seals) + 1
        leaves = [seals.leaf(self.row(pk).chain, self.row(pk).canonical) for pk in ids]
        text = SealText(number, AT + timedelta(seconds=number), previous, ids, leaves, successor).render()
        self.seals.append(SealRow(text).signed(self.signing_key))

    def hand_over(self, key: bytes) -> None:
        self.seal([], seals.public_key(key).hex())
        self.signing_key = key

    def row(self, pk: int) -> Row:
        return next(row for row in self.rows if row.pk == pk)

    def lines(self, redactions: Sequence[SealRow] = ()) -> list[str]:
        held = {pk for seal in self.seals for pk in seal.said.ids}
        rows = sorted(self.rows, key=lambda row: row.pk)
        found = export.lines(
            lambda ids: [row for row in rows if row.pk in ids],
            self.seals,
            unsealed=[row for row in rows if row.pk not in held],
            public_keys={seals.key_id(key): key for key in [seals.public_key(self.signing_key)]},
            at=AT,
            redactions=redactions,
        )
        return list(found)


def log(*, key: bytes = AUDIT_KEY, signing_key: bytes = SIGNING_KEY) -> Log:
    """Three seals, the second empty, and two events that none holds."""
    made = Log(key=key, signing_key=signing_key)
    for pk, values in EVENTS:
        made.write(pk, **values)
    for ids in SEALED:
        made.seal(ids)
    return made


def rotated() -> Log:
    """The same, and then both keys are changed: seal 4 hands over, and event 22 is the first under the new key."""
    made = log()
    made.hand_over(NEXT_SIGNING_KEY)
    made.key = NEXT_AUDIT_KEY
    made.write(22, stream="group:3", seq=3)
    made.seal([20, 21, 22])
    return made


def jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "at": (values["at"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)}


def events_of(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [
        {
            "id": row.pk,
            "values": jsonable(row.values),
            "text": row.canonical,
            "chain": row.chain,
            "leaf": seals.leaf(row.chain, row.canonical).hex(),
        }
        for row in rows
    ]


def vectors() -> dict[str, Any]:
    from tests.audit import blanks, cuts  # noqa: PLC0415 - it writes its log with what stands above

    made = log()
    signed = [
        {
            **seal.checkpoint(),
            "at": jsonable({"at": seal.said.at})["at"],
            "previous": seal.said.previous,
            "ids": list(seal.said.ids),
            "leaves": [leaf.hex() for leaf in seal.said.leaves],
        }
        for seal in made.seals
    ]
    return {
        "about": "Test vectors for docs/audit/format.md. The keys are known to everybody: never use them.",
        "audit_key": AUDIT_KEY.hex(),
        "signing_key": SIGNING_KEY.hex(),
        "public_key": PUBLIC_KEY.hex(),
        "key_id": seals.key_id(PUBLIC_KEY),
        "events": events_of(made.rows),
        "seals": signed,
        "export": [line.rstrip("\n") for line in made.lines()],
        "checkpoints": [seal.checkpoint() for seal in made.seals],
        "purge": cuts.vectors(),
        "redaction": blanks.vectors(),
        "rotated": {
            "audit_key": NEXT_AUDIT_KEY.hex(),
            "audit_key_ids": [keys.fingerprint("audit.key", key) for key in (AUDIT_KEY, NEXT_AUDIT_KEY)],
            "signing_key": NEXT_SIGNING_KEY.hex(),
            "public_key": NEXT_PUBLIC_KEY.hex(),
            "key_id": seals.key_id(NEXT_PUBLIC_KEY),
            "export": [line.rstrip("\n") for line in rotated().lines()],
            "checkpoints": [seal.checkpoint() for seal in rotated().seals],
        },
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
