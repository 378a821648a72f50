"""The figures of a month, counted from the log, and from the log of views what was looked at."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Count
from django.db.models.fields.json import KT

from actioncenter.actions.catalogue import BY_CODE, CATALOGUE
from actioncenter.actions.enums import Decision
from actioncenter.audit import sealing
from actioncenter.audit.enums import MACHINES, Kind
from actioncenter.audit.models import Event, Seal
from actioncenter.auditor.models import PageView
from actioncenter.auditor.seen import PAGES
from actioncenter.auditor.words import kind_label

AT_ONCE: Final = "Run without asking"
SECTIONS: Final[Mapping[str, Sequence[Kind]]] = {
    "Decisions": (
        Kind.ACTION_PROPOSED, Kind.ACTION_VOTED, Kind.ACTION_APPROVED, Kind.ACTION_REJECTED, Kind.ACTION_EXPIRED,
        Kind.ACTION_WITHDRAWN, Kind.ACTION_ESCALATED,
    ),
    "What was done": (
        Kind.ACTION_SUCCEEDED, Kind.ACTION_PARTLY_SUCCEEDED, Kind.ACTION_FAILED, Kind.ACTION_TIMED_OUT,
        Kind.ACTION_UNKNOWN, Kind.ACTION_CANCELLED, Kind.ACTION_UNDONE, Kind.ACTION_DRIFTED,
    ),
    "Exceptions": (
        Kind.ACTION_BREAK_GLASS, Kind.ACTION_REVIEWED, Kind.ACTION_REFUSED, Kind.ACCESS_REFUSED,
        Kind.SESSION_SIGN_IN_FAILED, Kind.INGEST_REJECTED, Kind.SURPRISE_FOUND, Kind.SWITCH_PULLED,
        Kind.SWITCH_RELEASED, Kind.BREAKER_OPENED, Kind.RAIL_REACHED, Kind.RUNNER_SILENT,
    ),
    "Who may do what": (
        Kind.GROUP_LEVEL_RAISE_REQUESTED, Kind.GROUP_LEVEL_RAISED, Kind.GROUP_LEVEL_LOWERED,
        Kind.GROUP_RAISE_CANCELLED, Kind.SAFEGUARDS_CHANGED, Kind.RULE_ADDED, Kind.RULE_CHANGED, Kind.RULE_REMOVED,
        Kind.ROLE_GRANTED, Kind.ROLE_REVOKED, Kind.USER_CREATED, Kind.USER_DEACTIVATED,
    ),
    "What left the house, and the log itself": (
        Kind.EXPORT_MADE, Kind.AUDIT_VERIFICATION_REQUESTED, Kind.AUDIT_VERIFIED, Kind.RETENTION_PURGED,
        Kind.AUDIT_REDACTED, Kind.KEY_ROTATED,
    ),
}  # fmt: skip


class Figure(NamedTuple):
    """`kind` leads to the events that were counted, if they are of one kind."""

    label: str
    machines: int
    people: int
    kind: str = ""

    @property
    def total(self) -> int:
        return self.machines + self.people


class OfType(NamedTuple):
    label: str
    proposed: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Month:
    """From `since` until just before `until`, in UTC."""

    since: datetime
    until: datetime
    events: int
    sections: Mapping[str, Sequence[Figure]]
    types: Sequence[OfType]
    views: int
    files: int
    verified: Mapping[str, int]
    """Result -> how many verifications had it."""
    seal: Seal | None
    """The newest at its end."""
    all_sealed: bool


def month(since: datetime, until: datetime) -> Month:
    rows = Event.objects.filter(at__gte=since, at__lt=until).order_by()
    views = PageView.objects.filter(at__gte=since, at__lt=until)
    counted: dict[str, Counter[bool]] = {}
    for kind, via, number in rows.values_list("kind", "actor_via").annotate(Count("pk")):
        counted.setdefault(kind, Counter())[via in MACHINES] += number
    types = _types(since, until)
    verdicts = rows.filter(kind=Kind.AUDIT_VERIFIED).annotate(said=KT("after__result"))
    return Month(
        since=since,
        until=until,
        events=sum(number.total() for number in counted.values()),
        sections={title: list(_figures(title, kinds, counted, types)) for title, kinds in SECTIONS.items()},
        types=[of for of, _ in types],
        views=views.count(),
        files=views.filter(PAGES["file"]).count(),
        verified=dict(verdicts.values_list("said").annotate(Count("pk"))),
        seal=Seal.objects.filter(at__lt=until).order_by("-at").first(),
        all_sealed=sealing.covers_time(since, until),
    )


def _figures(
    title: str,
    kinds: Sequence[Kind],
    counted: Mapping[str, Counter[bool]],
    types: Sequence[tuple[OfType, Counter[bool]]],
) -> Iterator[Figure]:
    for kind in kinds:
        number = counted.get(kind, Counter())
        yield Figure(kind_label(kind), number[True], number[False], kind.value)
        if kind == Kind.ACTION_PROPOSED:
            at_once = sum((alone for _, alone in types), Counter[bool]())
            yield Figure(AT_ONCE, at_once[True], at_once[False])


def _types(since: datetime, until: datetime) -> list[tuple[OfType, Counter[bool]]]:
    """What was proposed of each type, and of it what nobody was asked for, by machines and people."""
    proposed = Event.objects.filter(kind=Kind.ACTION_PROPOSED, at__gte=since, at__lt=until).order_by()
    grouped = proposed.annotate(type=KT("after__type"), decision=KT("after__decision"))
    numbers: Counter[str] = Counter()
    alone: dict[str, Counter[bool]] = {}
    for code, decision, via, number in grouped.values_list("type", "decision", "actor_via").annotate(
        Count("pk")
    ):
        numbers[code] += number
        if decision == Decision.NOT_REQUIRED.name:
            alone.setdefault(code, Counter())[via in MACHINES] += number
    found = []
    for code, number in sorted(numbers.items(), key=lambda item: (-item[1], item[0])):
        label = CATALOGUE[BY_CODE[code]].label if code in BY_CODE else code
        at_once = alone.get(code, Counter())
        found.append((OfType(label, number, at_once.total()), at_once))
    return found
