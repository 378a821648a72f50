"""Recomputing what says that text was taken out of events: each record, who agreed to it, and what was left."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actioncenter.audit import borders, redacted, redactions
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction
from actioncenter.audit.redactions import RedactionText
from actioncenter.audit.trust import Trust

STREAM: Final = "redaction"
"""Where the events stand that tell of redactions."""
CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class BadRedaction:
    number: int
    message: str
    event: int


def bad_redactions(trust: Trust) -> Iterator[BadRedaction]:
    """Records that are forged or of one person, events that are otherwise than they say, and records that are gone."""
    border = borders.border(trust)
    dropped = border.last if border else 0
    for row in Redaction.objects.order_by("number").iterator(chunk_size=CHUNK):
        if fault := redacted.fault_of(row, trust):
            yield BadRedaction(row.number, fault, row.event)
            continue
        said = RedactionText.read(row.text)
        if fault := _untold(said, row.digest) or _unasked(said, dropped):
            yield BadRedaction(row.number, fault, row.event)
        elif _is_otherwise(said):
            yield BadRedaction(row.number, "the event isn't what it left", row.event)
    yield from _gone()


def _untold(said: RedactionText, digest: str) -> str:
    told = Event.objects.filter(stream=STREAM, kind=Kind.AUDIT_REDACTED, actor=said.approved_by)
    details = told.filter(pk__gt=said.request).values_list("detail", flat=True)
    return (
        ""
        if any((detail or {}).get("digest") == digest for detail in details)
        else "no event tells of its approval"
    )


def _unasked(said: RedactionText, dropped: int) -> str:
    """Whether the other person asked for just this. The event may be gone by rule, as what it is about can't be."""
    if said.request <= dropped:
        return ""
    asked = Event.objects.filter(
        pk=said.request, stream=STREAM, kind=Kind.AUDIT_REDACTION_REQUESTED, actor=said.requested_by
    )
    detail = asked.values_list("detail", flat=True).first() or {}
    wanted = {"event": said.event, "fields": [*said.fields], "hash": said.sha256}
    return "" if all(detail.get(name) == value for name, value in wanted.items()) else "nobody asked for it"


def _is_otherwise(said: RedactionText) -> bool:
    """Whether the event is there, and not as this redaction left it, which is the newest."""
    found = Event.objects.filter(pk=said.event).values_list("chain", "canonical").first()
    if found is None or (found[0], redactions.hash_of(found[1])) == (said.chain, said.sha256):
        return False
    newest = redacted.newest(said.event)
    return newest is not None and newest.number == said.number


def _gone() -> Iterator[BadRedaction]:
    """Whoever takes a record away can put back the text, which then is what was sealed; the log still tells of it."""
    told = Event.objects.filter(stream=STREAM, kind=Kind.AUDIT_REDACTED).order_by("seq")
    for detail in told.values_list("detail", flat=True).iterator(chunk_size=CHUNK):
        number, event, digest = ((detail or {}).get(name) for name in ("redaction", "event", "digest"))
        if not isinstance(number, int) or not isinstance(event, int):
            continue
        if not Redaction.objects.filter(digest=digest).exists() and Event.objects.filter(pk=event).exists():
            yield BadRedaction(number, "the log tells of it, and its record is gone", event)
