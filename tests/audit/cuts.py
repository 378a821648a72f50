"""A small log whose beginning was dropped by rule, to write down and to damage."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from actioncenter.audit import export, seals
from actioncenter.audit.purges import PurgeText
from tests.audit.vectors import AT, SIGNING_KEY, Log, SealRow

GROUP = {"stream": "group:3", "subject": "group:3"}


@dataclass
class Cut:
    """Two seals, of which the first was dropped; one event in none."""

    log: Log = field(default_factory=Log)
    purge: SealRow = field(init=False)

    def __post_init__(self) -> None:
        write = self.log.write
        write(5)
        write(6, **GROUP)
        write(7, seq=2, kind="action.approved")
        self.log.seal([5, 6, 7])
        write(9, seq=2, **GROUP)
        write(12, seq=3, kind="action.started")
        self.log.seal([9, 12])
        write(20, seq=4, kind="action.succeeded")
        heads = {"action:1042": (2, self.log.row(7).chain), "group:3": (1, self.log.row(6).chain)}
        self.purge = SealRow(
            PurgeText(
                number=1, at=AT + timedelta(days=900), previous="", seal=1, digest=seals.digest(self.log.seals[0].text),
                events=3, last=7, oldest=AT, actions=[5, 6, 7, 9], file="audit-1-1.jsonl", sha256="ab" * 32, heads=heads,
            ).render()
        ).signed()  # fmt: skip

    def saying(self, key: bytes = SIGNING_KEY, **said: Any) -> None:
        text = PurgeText.read(self.purge.text)
        values = {name: said.get(name, getattr(text, name)) for name in PurgeText.__slots__}
        self.purge = SealRow(PurgeText(**values).render()).signed(key)

    def lines(self) -> list[str]:
        left = [row for row in self.log.rows if row.pk > 7]
        return list(
            export.lines(
                lambda ids: [row for row in left if row.pk in ids],
                self.log.seals[1:],
                unsealed=[row for row in left if row.pk >= 20],
                public_keys={seals.key_id(seals.public_key(SIGNING_KEY)): seals.public_key(SIGNING_KEY)},
                at=AT,
                cut=self.purge,
            )
        )


def vectors() -> dict[str, Any]:
    made = Cut()
    said = PurgeText.read(made.purge.text)
    heads = {stream: list(head) for stream, head in said.heads.items()}
    return {
        "text": made.purge.text, "digest": seals.digest(made.purge.text), "key": made.purge.key_id,
        "signature": made.purge.signature, "heads": heads, "export": [line.rstrip("\n") for line in made.lines()],
        "checkpoints": [seal.checkpoint() for seal in made.log.seals],
    }  # fmt: skip
