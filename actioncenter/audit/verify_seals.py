"""Recomputing the seals: each against its own text and key, against the events it names, and against copies.

What the keyed chain of a stream can't tell is told here: that its end was cut off, that events were never
sealed, and, where a copy was kept elsewhere, that all of it was emptied, put back or written anew.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

from django.db import connection

from actioncenter.audit import sealing, seals
from actioncenter.audit.copies import Copy
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.seals import SealText

CHUNK: Final = 50
Keys = Mapping[str, bytes]
"""Key id -> public key that is trusted."""


class SealFault(StrEnum):
    EDITED = "edited"
    """An event isn't what was sealed."""
    DELETED = "deleted"
    """A sealed event or a seal is gone."""
    INSERTED = "inserted"
    """An event that no seal holds, although its time has passed."""
    BROKEN = "broken seal"
    """The seal itself was changed, or isn't signed with a key that is trusted."""
    CUT_BACK = "cut back"
    """A copy knows seals that aren't here."""
    ANOTHER_PAST = "another past"
    """A copy has another seal of this number."""


@dataclass(frozen=True, slots=True)
class BadSeal:
    fault: SealFault
    number: int
    message: str
    event: int | None = None
    """Of which it is known that it is wrong."""


@dataclass(slots=True)
class SealCheck:
    """Counts up while `bad_seals` is being consumed."""

    keys: Keys
    seals: int = 0
    sealed: int = 0
    pending: int = 0
    """Events that aren't sealed yet."""

    def bad_seals(self) -> Iterator[BadSeal]:
        """In order of number, in bounded memory; then what no seal holds."""
        last, previous, covered = None, "", Covered()
        for seal in Seal.objects.order_by("number").iterator(chunk_size=CHUNK):
            self.seals += 1
            before, last, previous = previous, seal, seal.digest
            try:
                said = SealText.read(seal.text)
            except ValueError as error:
                yield BadSeal(SealFault.BROKEN, seal.number, f"not readable: {error}")
                continue
            if fault := self._fault_of(seal, said, before):
                yield BadSeal(SealFault.BROKEN, seal.number, fault)
            self.sealed += len(said.ids)
            if not covered.add(said.ids):
                yield BadSeal(SealFault.BROKEN, seal.number, "it holds events of an earlier one")
            yield from islice(_bad_events(said), 1)
        # Not the newest: whatever is sealed meanwhile was still waiting.
        yield from self._left_out(covered, last)

    def _fault_of(self, seal: Seal, said: SealText, previous: str) -> str:
        """What is wrong with the seal itself; empty for nothing."""
        if seal.number != self.seals:
            return f"number {self.seals} is missing before it"
        if (said.number, said.at, seals.digest(seal.text)) != (seal.number, seal.at, seal.digest):
            return "its columns and its text disagree"
        if said.previous != previous:
            return "it doesn't follow from the one before it"
        key = self.keys.get(seal.key_id)
        if key is None:
            return f"its key {seal.key_id} isn't trusted"
        return "" if seals.is_signed(key, seal.text, seal.signature) else "its signature is wrong"

    def _left_out(self, covered: "Covered", last: Seal | None) -> Iterator[BadSeal]:
        """An event in no seal must still be waiting for one."""
        for pk in Event.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=CHUNK * 100):
            if pk in covered:
                continue
            self.pending += 1
            if not _may_wait(pk, last):
                yield BadSeal(SealFault.INSERTED, last.number if last else 0, "in no seal", pk)
                return


class Covered:
    """Ids that seals hold, as runs: they follow each other nearly without gaps."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, ids: Iterable[int]) -> bool:
        """False when one of them was there already."""
        fresh = True
        for pk in ids:
            at = bisect_right(self._starts, pk)
            if at and pk <= self._ends[at - 1]:
                fresh = False
            elif at and pk == self._ends[at - 1] + 1:
                self._ends[at - 1] = pk
            else:
                self._starts.insert(at, pk)
                self._ends.insert(at, pk)
        return fresh

    def __contains__(self, pk: int) -> bool:
        at = bisect_right(self._starts, pk)
        return bool(at) and pk <= self._ends[at - 1]


def _bad_events(said: SealText) -> Iterator[BadSeal]:
    rows = Event.objects.filter(pk__in=said.ids).values_list("pk", "chain", "canonical")
    found = {pk: seals.leaf(chain, text) for pk, chain, text in rows}
    for pk, leaf in zip(said.ids, said.leaves, strict=True):
        if pk not in found:
            yield BadSeal(SealFault.DELETED, said.number, "a sealed event is gone", pk)
        elif found[pk] != leaf:
            yield BadSeal(SealFault.EDITED, said.number, "an event isn't what was sealed", pk)


def _may_wait(pk: int, last: Seal | None) -> bool:
    """Whether the sealer would still come to it, and it can be of a transaction that there was."""
    if not sealing.after(last).filter(pk=pk).exists():
        return False
    if connection.vendor == "sqlite" or last is None:
        return True
    if last.since is not None and last.watermark < pk <= last.floor:
        # Of another cluster: it is still being gone through.
        return True
    horizon = sealing.Horizon.now()
    xid = Event.objects.values_list("xid", flat=True).get(pk=pk)
    return last.cluster != horizon.cluster or (xid is not None and xid < horizon.xmax)


def compare(copies: Iterable[Copy], keys: Keys) -> Iterator[BadSeal]:
    """What copies kept elsewhere know otherwise. A copy that isn't signed by a trusted key proves nothing."""
    trusted = (copy for copy in copies if is_trusted(copy, keys))
    while some := list(islice(trusted, CHUNK)):
        here = Seal.objects.filter(number__in=[copy.number for copy in some])
        found = {seal.number: seal for seal in here}
        for copy in some:
            if bad := _difference(copy, found.get(copy.number)):
                yield bad


def is_trusted(copy: Copy, keys: Keys) -> bool:
    key = keys.get(copy.key)
    if key is None or seals.digest(copy.text) != copy.digest or not _is_readable(copy.text):
        return False
    return seals.is_signed(key, copy.text, copy.signature)


def _is_readable(text: str) -> bool:
    try:
        SealText.read(text)
    except ValueError:
        return False
    return True


def _difference(copy: Copy, seal: Seal | None) -> BadSeal | None:
    if seal is None:
        when = SealText.read(copy.text).at
        return BadSeal(
            SealFault.CUT_BACK, copy.number, f"a copy knows this seal, made {when:%Y-%m-%d %H:%M:%S} UTC"
        )
    if seal.digest == copy.digest and seal.text == copy.text:
        return None
    return BadSeal(
        SealFault.ANOTHER_PAST, copy.number, "a copy knows another one", _first_other(copy.text, seal.text)
    )


def _first_other(one: str, other: str) -> int | None:
    """The first event that two seals of one number hold differently."""
    try:
        first, second = SealText.read(one), SealText.read(other)
    except ValueError:
        return None
    here = dict(zip(second.ids, second.leaves, strict=True))
    for pk, leaf in zip(first.ids, first.leaves, strict=True):
        if here.get(pk) != leaf:
            return pk
    return next(iter(sorted(set(second.ids) - set(first.ids))), None)
