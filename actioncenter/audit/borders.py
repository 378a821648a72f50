"""Where the log begins now: what the newest purge says, if it can be believed."""

from actioncenter.audit import purges, sealing, seals, signing
from actioncenter.audit.models import Purge, Seal
from actioncenter.audit.purges import PurgeText
from actioncenter.audit.seals import SealText
from actioncenter.audit.trust import Trust


def newest() -> Purge | None:
    return Purge.objects.order_by("-number").first()


def border(trust: Trust | None = None) -> PurgeText | None:
    """Where the log begins now; None at its first event. One that no trusted key signed says nothing.

    `trust` is in this installation's keys unless given.
    """
    row = newest()
    if row is None or fault_of(row, Trust(signing.known()) if trust is None else trust):
        return None
    return PurgeText.read(row.text)


def fault_of(row: Purge, trust: Trust) -> str:
    """What is wrong with the row itself; empty for nothing."""
    try:
        said = PurgeText.read(row.text)
    except ValueError as error:
        return f"not readable: {error}"
    columns = (row.number, row.at, row.last_seal, row.last_event, row.actions, row.digest)
    if columns != (
        said.number,
        said.at,
        said.seal,
        said.last,
        purges.listed(said.actions),
        seals.digest(row.text),
    ):
        return "its columns and its text disagree"
    if not trust.knows(row.key_id):
        follow(trust)
    return trust.doubt(row.key_id, row.text, row.signature)


def follow(trust: Trust) -> None:
    """A purge or a redaction is signed with the key of its day, to which seals may have handed over that it left."""
    handovers = Seal.objects.filter(text__startswith=seals.HANDOVER_HEADER).order_by("number")
    for seal in handovers.iterator(chunk_size=50):
        if not trust.objection(seal.number, seal.key_id, seal.text, seal.signature):
            trust.follow(seal.key_id, SealText.read(seal.text))


def write(said: PurgeText) -> Purge:
    """From now on what it names may be deleted; the caller records the event and deletes, in one transaction.

    Raises signing.KeyMissing.
    """
    text, key = said.render(), signing.key_after(sealing.newest())
    return Purge.objects.create(
        number=said.number, at=said.at, last_seal=said.seal, last_event=said.last, actions=purges.listed(said.actions), text=text,
        digest=seals.digest(text), key_id=seals.key_id(seals.public_key(key)), signature=seals.sign(key, text),
    )  # fmt: skip
