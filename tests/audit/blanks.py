"""A small log with an event whose text was taken out, to write down and to damage."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from actioncenter.audit import canonical, redactions, seals
from actioncenter.audit.redactions import RedactionText
from tests.audit.vectors import AT, SIGNING_KEY, Log, SealRow

ASKER: Final[dict[str, Any]] = {"actor": "user:12", "actor_name": "Noa Levi"}
APPROVER: Final[dict[str, Any]] = {"actor": "user:7", "actor_name": "Eva Brandt"}
OWN: Final[dict[str, Any]] = {"stream": "redaction", "subject": "event:6", "subject_name": "", "after": None}
COMMENT: Final = "Anna Quistgaard, +49 151 5550123"
FIELDS: Final = ["detail.comment"]


@dataclass
class Blanked:
    """Event 6 was redacted; 20 asked for it and 21 approved it, both in the second seal. 30 is in none."""

    log: Log = field(default_factory=Log)
    record: SealRow = field(init=False)
    written: str = field(init=False)
    """What event 6 said."""

    def __post_init__(self) -> None:
        write = self.log.write
        write(5)
        write(6, seq=2, kind="action.approved", detail={"comment": COMMENT, "mode": "click"})
        write(7, seq=3, kind="action.started")
        self.log.seal([5, 6, 7])
        row = self.log.row(6)
        self.written, left = row.canonical, canonical.render(redactions.without(row.values, FIELDS))
        self.record = SealRow(
            RedactionText(
                number=1, at=AT, event=6, chain=row.chain, leaf=seals.leaf(row.chain, row.canonical).hex(),
                sha256=redactions.hash_of(left), fields=FIELDS, request=20,
                requested_by=ASKER["actor"], approved_by=APPROVER["actor"],
            ).render()
        ).signed()  # fmt: skip
        said = {"redaction": 1, "event": 6, "fields": FIELDS}
        asked = {**said, "comment": "They asked for it.", "hash": redactions.hash_of(left)}
        write(20, **{**OWN, **ASKER}, seq=1, kind="audit.redaction_requested", detail=asked)
        told = {**said, "digest": seals.digest(self.record.text), "requested_by": ASKER["actor_name"]}
        write(21, **{**OWN, **APPROVER}, seq=2, kind="audit.redacted", detail=told)
        row.canonical = left
        self.log.seal([20, 21])
        write(30, seq=4, kind="action.succeeded")

    def saying(self, key: bytes = SIGNING_KEY, **said: Any) -> None:
        """Another record in place of the true one."""
        text = RedactionText.read(self.record.text)
        values = {name: said.get(name, getattr(text, name)) for name in RedactionText.__slots__}
        self.record = SealRow(RedactionText(**values).render()).signed(key)

    def lines(self) -> list[str]:
        return self.log.lines([self.record])


def later(days: int) -> Any:
    return AT + timedelta(days=days)


def vectors() -> dict[str, Any]:
    made = Blanked()
    return {
        "text": made.record.text, "digest": seals.digest(made.record.text), "key": made.record.key_id,
        "signature": made.record.signature, "written": made.written,
        "export": [line.rstrip("\n") for line in made.lines()],
    }  # fmt: skip
