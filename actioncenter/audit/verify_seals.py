"""Recomputing the seals: each against its own text and key, against the events it names, and against copies.

What the keyed chain of a stream can't tell is told here: that its end was cut off, that events were never
sealed, and, where a copy was kept elsewhere, that all of it was emptied, put back or written anew.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from actioncenter.audit import borders, redacted, sealing, seals
from actioncenter.audit.copies import Copy
from actioncenter.audit.models import Event, Seal
from actioncenter.audit.seals import SealText
from actioncenter.audit.trust import Trust

CHUNK: Final = 50
SPREAD: Final = 2
"""Rows that may be read for each that is wanted."""


class SealFault(StrEnum):
    EDITED = "edited"
    """An event isn't what was sealed."""
    DELETED = "deleted"
    """A sealed event or a seal is gone."""
    INSERTED = "inserted"
    """An event that no seal holds, although its time has passed."""
    BROKEN = "broken seal"
    """The seal itself was changed, or isn't signed with a key that is trusted or was handed over to."""
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
    """Counts up while `bad_seals` is being consumed; `beat` as that of a Verification."""

    trust: Trust
    seals: int = 0
    sealed: int = 0
    pending: int = 0
    """Events that aren't sealed yet."""
    beat: Callable[[], None] | None = None

    def bad_seals(self) -> Iterator[BadSeal]:
        """In order of number, in bounded memory; then what no seal holds."""
        last, covered = None, Covered()
        before: str | None
        border = borders.border(self.trust)
        done, previous = (border.seal, border.digest) if border else (0, "")
        for seal in Seal.objects.order_by("number").iterator(chunk_size=CHUNK):
            self.seals += 1
            if self.beat:
                self.beat()
            before, last, previous = previous, seal, seal.digest
            if gap := _gap(done + 1, seal.number):
                # What it should follow from isn't there to be asked.
                before = None
                yield gap
            done = max(done, seal.number)
            try:
                said = SealText.read(seal.text)
            except ValueError as error:
                yield BadSeal(SealFault.BROKEN, seal.number, f"not readable: {error}")
                continue
            if fault := self._fault_of(seal, said, before):
                yield BadSeal(SealFault.BROKEN, seal.number, fault)
            else:
                self.trust.follow(seal.key_id, said)
            self.sealed += len(said.ids)
            if not covered.add(said.ids):
                yield BadSeal(SealFault.BROKEN, seal.number, "it holds events of an earlier one")
            yield from islice(_bad_events(said, self.trust), 1)
        # Not the newest: whatever is sealed meanwhile was still waiting.
        yield from self._left_out(covered, last)

    def _fault_of(self, seal: Seal, said: SealText, previous: str | None) -> str:
        """What is wrong with the seal itself; empty for nothing."""
        if (said.number, said.at, seals.digest(seal.text)) != (seal.number, seal.at, seal.digest):
            return "its columns and its text disagree"
        if previous is not None and said.previous != previous:
            return "it doesn't follow from the one before it"
        return self.trust.objection(seal.number, seal.key_id, seal.text, seal.signature)

    def _left_out(self, covered: "Covered", last: Seal | None) -> Iterator[BadSeal]:
        """An event in no seal must still be waiting for one."""
        for pk in Event.objects.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=CHUNK * 100):
            if pk in covered:
                continue
            self.pending += 1
            if not _may_wait(pk, last):
                yield BadSeal(SealFault.INSERTED, last.number if last else 0, "in no seal", pk)
                return


def _gap(expected: int, number: int) -> BadSeal | None:
    """What is wrong where this number stands and the other should; the first that is missing is named."""
    if number < expected:
        return BadSeal(SealFault.BROKEN, number, "it was dropped, as a purge says")
    upto = f"it and those up to {number - 1} are" if number > expected + 1 else "it is"
    return BadSeal(SealFault.DELETED, expected, f"{upto} missing") if number > expected else None


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


def _bad_events(said: SealText, trust: Trust) -> Iterator[BadSeal]:
    rows = _events_of(said).values_list("pk", "chain", "canonical")
    wanted = dict(zip(said.ids, said.leaves, strict=True))
    found = {pk: _leaf(pk, chain, text, wanted.get(pk), trust) for pk, chain, text in rows}
    for pk, leaf in wanted.items():
        if pk not in found:
            yield BadSeal(SealFault.DELETED, said.number, "a sealed event is gone", pk)
        elif found[pk] != leaf:
            yield BadSeal(SealFault.EDITED, said.number, "an event isn't what was sealed", pk)


def _leaf(pk: int, chain: str, text: str, wanted: bytes | None, trust: Trust) -> bytes:
    """Of an event as it stands; where that isn't what was sealed, a redaction may know it."""
    found = seals.leaf(chain, text)
    if wanted is None or found == wanted:
        return found
    return bytes.fromhex(redacted.leaf(pk, chain, text, trust)) or found


def _events_of(said: SealText) -> "QuerySet[Event]":
    """Its events, and perhaps a few more: naming each would take longer than reading it."""
    if said.ids and said.ids[-1] - said.ids[0] < SPREAD * len(said.ids):
        return Event.objects.filter(pk__gte=said.ids[0], pk__lte=said.ids[-1])
    return Event.objects.filter(pk__in=said.ids)


def _may_wait(pk: int, last: Seal | None) -> bool:
    """Whether the sealer would still come to it, and it can be of a transaction that there was."""
    horizon = sealing.Horizon.now()
    if last is not None and last.cluster != horizon.cluster:
        # It begins with whatever no seal holds: the ids of transactions are another cluster's.
        return True
    if not sealing.after(last).filter(pk=pk).exists():
        return False
    if connection.vendor == "sqlite" or last is None:
        return True
    if last.since is not None and last.watermark < pk <= last.floor:
        # Of another cluster: it is still being gone through.
        return True
    xid = Event.objects.values_list("xid", flat=True).get(pk=pk)
    return xid is not None and xid < horizon.xmax


def compare(copies: Iterable[Copy], trust: Trust) -> Iterator[BadSeal]:
    """What copies kept elsewhere know otherwise. A copy that isn't signed by a trusted key proves nothing."""
    trusted = (copy for copy in copies if is_trusted(copy, trust))
    border = borders.border(trust)
    while some := list(islice(trusted, CHUNK)):
        here = Seal.objects.filter(number__in=[copy.number for copy in some])
        found = {seal.number: seal for seal in here}
        for copy in some:
            if border and copy.number <= border.seal:
                if copy.number == border.seal and copy.digest != border.digest:
                    yield BadSeal(SealFault.ANOTHER_PAST, copy.number, "it was dropped as another one")
            elif bad := _difference(copy, found.get(copy.number)):
                yield bad


def is_trusted(copy: Copy, trust: Trust) -> bool:
    """Whether it is; a handover that it holds is followed from then on."""
    if seals.digest(copy.text) != copy.digest:
        return False
    try:
        said = SealText.read(copy.text)
    except ValueError:
        return False
    if said.number != copy.number or trust.objection(copy.number, copy.key, copy.text, copy.signature):
        return False
    trust.follow(copy.key, said)
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
