"""Which events are what a redaction left of them, if it can be believed."""

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import Max

from actioncenter.audit import borders, canonical, redactions, sealing, seals, signing
from actioncenter.audit.models import Redaction
from actioncenter.audit.redactions import RedactionText
from actioncenter.audit.trust import Trust

COLUMNS: Final = ("stream", "actor", *redactions.TAKEN)
"""Of the event, as a record has them."""


def newest(event: int) -> Redaction | None:
    return Redaction.objects.filter(event=event).order_by("-number").first()


def last() -> int:
    """The highest number there is. Whoever read events and finds it the same afterwards has read none that changed."""
    return Redaction.objects.aggregate(last=Max("number"))["last"] or 0


def leaf(event: int, chain: str, text: str, trust: Trust | None = None) -> str:
    """What the event's seal says of it (hex), where that is a text which a redaction left; else empty.

    One that no trusted key signed counts for nothing. `trust` is in this installation's keys unless given.
    """
    row = newest(event)
    if row is None or fault_of(row, Trust(signing.known()) if trust is None else trust):
        return ""
    said = RedactionText.read(row.text)
    return said.leaf if (chain, redactions.hash_of(text)) == (said.chain, said.sha256) else ""


def fault_of(row: Redaction, trust: Trust) -> str:
    """What is wrong with the record itself; empty for nothing."""
    try:
        said, event = RedactionText.read(row.text), canonical.read(row.canonical)
    except ValueError as error:
        return f"not readable: {error}"
    columns = {name: getattr(row, name) for name in COLUMNS}
    if (row.number, row.at, row.event, row.digest, redactions.hash_of(row.canonical)) != (
        said.number,
        said.at,
        said.event,
        seals.digest(row.text),
        said.sha256,
    ) or any(event[name] != value for name, value in columns.items()):
        return "its columns and its text disagree"
    if not said.is_by_two:
        return "it isn't of two people"
    if not trust.knows(row.key_id):
        borders.follow(trust)
    return trust.doubt(row.key_id, row.text, row.signature)


def write(said: RedactionText, values: Mapping[str, Any], text: str) -> Redaction:
    """From now on the event may become that; the caller records and changes it, in one transaction.

    Raises signing.KeyMissing.
    """
    record, key = said.render(), signing.key_after(sealing.newest())
    return Redaction.objects.create(
        number=said.number, at=said.at, event=said.event, canonical=text, text=record, digest=seals.digest(record),
        key_id=seals.key_id(seals.public_key(key)), signature=seals.sign(key, record),
        **{name: values[name] for name in COLUMNS},
    )  # fmt: skip
