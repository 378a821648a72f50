"""Recomputing what says that the oldest part of the log was dropped: each record, and that it was dropped for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actioncenter.audit import borders
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Purge, Seal
from actioncenter.audit.purges import PurgeText
from actioncenter.audit.trust import Trust

STREAM: Final = "retention"
"""Where the events stand that tell of purges."""


@dataclass(frozen=True, slots=True)
class BadPurge:
    number: int
    message: str
    event: int | None = None


def bad_purges(trust: Trust) -> Iterator[BadPurge]:
    """Records that are forged or missing, and what is there although they say that it is gone."""
    previous, newest = "", None
    for number, row in enumerate(Purge.objects.order_by("number"), start=1):
        fault = borders.fault_of(row, trust)
        said = None if fault else PurgeText.read(row.text)
        if said is None:
            yield BadPurge(row.number, fault)
        elif (said.number, said.previous) != (number, previous):
            yield BadPurge(row.number, "it doesn't follow from the one before it")
        previous, newest = row.digest, said
    if newest is not None:
        yield from _untold(newest, previous)
        yield from _left(newest)


def _untold(said: PurgeText, digest: str) -> Iterator[BadPurge]:
    """The log must tell of it, in an event that is sealed as any other."""
    told = Event.objects.filter(stream=STREAM, kind=Kind.RETENTION_PURGED).order_by("-seq")
    if not any((detail or {}).get("digest") == digest for detail in told.values_list("detail", flat=True)):
        yield BadPurge(said.number, "no event of the log tells of it")


def _left(said: PurgeText) -> Iterator[BadPurge]:
    if event := Event.objects.filter(pk__lte=said.last).order_by("pk").values_list("pk", flat=True).first():
        yield BadPurge(said.number, "an event that was dropped is there", event)
    if seal := Seal.objects.filter(number__lte=said.seal).order_by("number").first():
        yield BadPurge(said.number, f"seal {seal.number}, which was dropped, is there")
    if event := Event.objects.filter(at__lt=said.oldest).values_list("pk", flat=True).first():
        yield BadPurge(said.number, "an event is older than all that was left", event)
