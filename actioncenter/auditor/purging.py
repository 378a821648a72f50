"""Taking out of the product what is older than the rule says: the log's oldest seals, and what they speak of.

A purge is one transaction: what is dropped from the log was exported and verified before, a signed record says
what it was, an event tells of it, and actions go with their first event (docs/adr/0024). One that is cut short
has done nothing; the next one begins where the last ended.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet

from actioncenter.accounts import fence
from actioncenter.actions.models import Action, ActionEvidence, purging
from actioncenter.audit import (
    borders,
    chaining,
    export,
    indexing,
    log,
    redacted,
    sealing,
    seals,
    signing,
    standalone,
)
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction, Seal
from actioncenter.audit.purges import Head, PurgeText
from actioncenter.audit.roles import as_owner
from actioncenter.audit.seals import SealText
from actioncenter.audit.verify_purges import STREAM
from actioncenter.auditor.exporting import events_of
from actioncenter.auditor.models import PageView, RedactionRequest
from actioncenter.feeds.models import Click
from actioncenter.settings.models import Installation, LegalHold, Retention
from investigations.models import Alert, Investigation

SEALS: Final = 50
EVENTS: Final = 20_000
"""At most so many seals in one purge, and no further one after so many events."""
LOOKS: Final = (1, 8, SEALS)
"""So many seals are looked at to know whether any may go."""
VIEWS: Final = 5000
CHUNK: Final = 500
PATIENCE: Final = "500ms"
"""For a lock. Less than PostgreSQL takes to find a deadlock, in which somebody else might lose."""
GRACE: Final = timedelta(days=1)
ACTIONS: Final = "action:"


class Refused(Exception):
    """Nothing was dropped, because what is there isn't what was written or changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What would be dropped: whole seals, all events up to an id, the actions whose first events are among them."""

    seals: Sequence[Seal]
    last: int
    events: int
    actions: Sequence[int]
    redacted: int = 0
    """The newest redaction there was when it was looked at."""
    held_up: str = ""
    """Why it isn't longer; empty where nothing is old enough."""

    @property
    def name(self) -> str:
        return f"audit-{self.seals[0].number}-{self.seals[-1].number}.jsonl"


def folder() -> Path:
    """Where this installation's archives lie, one for each purge."""
    return Path(settings.ARCHIVE_DIR) / str(Installation.current().public_id)


def prefix(before: datetime, *, of: int = SEALS) -> Prefix:
    """The longest of the first so many seals that may go at once; perhaps without seals."""
    said = [(seal, SealText.read(seal.text).ids) for seal in _old_seals(before, of)]
    ids = sorted(pk for _, mine in said for pk in mine)
    streams = _streams(ids)
    kept = purging.kept(Action, _numbers(streams), before)
    barrier = min((pk for pk, stream in streams.items() if _number(stream) in kept), default=None)
    there = list(
        Event.objects.filter(pk__lte=max(ids, default=0)).order_by("pk").values_list("pk", flat=True)
    )
    border, best, seen = borders.border(), 0, 0
    last = until = border.last if border else 0
    for at, (_, mine) in enumerate(said, start=1):
        seen, last = seen + len(mine), max([last, *mine])
        if barrier is not None and last >= barrier:
            break
        # Ids are given before a commit, so a later seal may hold a lower one: cut only where none does.
        if bisect_right(there, last) == seen:
            best, until = at, last
    mine = [pk for pk in ids if pk <= until]
    held_up = _said(kept, streams.get(barrier, "")) if barrier is not None else ""
    gone = sorted(_numbers({pk: streams[pk] for pk in mine if pk in streams}))
    return Prefix([seal for seal, _ in said[:best]], until, len(mine), gone, redacted.last(), held_up)


def _old_seals(before: datetime, most: int) -> list[Seal]:
    """The newest seal of all stays: the next one follows it."""
    found: list[Seal] = []
    newest = sealing.newest()
    rows = Seal.objects.filter(at__lt=before, number__lt=newest.number if newest else 0).order_by("number")
    events = 0
    for seal in rows[:most]:
        if events >= EVENTS:
            break
        events += len(SealText.read(seal.text).ids)
        found.append(seal)
    return found


def _streams(ids: Sequence[int]) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(ids), CHUNK):
        found |= dict(Event.objects.filter(pk__in=ids[start : start + CHUNK]).values_list("pk", "stream"))
    return found


def _numbers(streams: Mapping[int, str]) -> frozenset[int]:
    return frozenset(number for stream in streams.values() if (number := _number(stream)))


def _number(stream: str) -> int:
    digits = stream.removeprefix(ACTIONS)
    return int(digits) if stream.startswith(ACTIONS) and digits.isascii() and digits.isdigit() else 0


def _said(kept: Mapping[int, str], stream: str) -> str:
    number = _number(stream)
    return f"A-{number} is kept ({kept[number]}), so its events and all after them are"


def purge(before: datetime, *, by: Actor) -> Prefix:
    """Export, verify and drop what may go at once. Not within a transaction. Raises Refused, OSError."""
    found = prefix(before, of=SEALS)
    if found.seals:
        path, digest = archive(found)
        try:
            with fence.exclusive():
                _hold_still(found.actions)
                _require_same(found, before)
                _drop(found, path.name, digest, by=by)
        except OperationalError as error:
            raise Refused(f"Others were writing all the time. The next run begins anew. ({error})") from error
    return found


def _hold_still(actions: Sequence[int]) -> None:
    """Until the end of the transaction nobody writes to these actions or to the log.

    A stream must not go on between looking where it ends and dropping it. Who holds an action may wait for the log
    and the other way round, so this one gives up first. SQLite has one writer anyhow.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
    for start in range(0, len(actions), CHUNK):
        rows = Action.objects.filter(pk__in=actions[start : start + CHUNK]).order_by("pk")
        list(rows.select_for_update(of=("self",)).values_list("pk"))
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {Event._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")


def archive(found: Prefix) -> tuple[Path, str]:
    """The file, verified by itself, and its SHA-256. One left by a purge that was cut short is made anew."""
    path = folder() / found.name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft, digest = path.with_suffix(".draft"), hashlib.sha256()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for line in _lines(found):
            digest.update(line.encode())
            file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
    _require_sound(draft)
    draft.replace(path)
    return path, digest.hexdigest()


def _lines(found: Prefix) -> Iterator[str]:
    return export.lines(
        events_of,
        found.seals,
        unsealed=(),
        public_keys=seals.by_id(signing.known()),
        at=sealing.Horizon.now().at,
        audit_keys=chaining.known(),
        cut=borders.newest(),
        redactions=Redaction.objects.filter(event__lte=found.last).order_by("number"),
    )


def _require_sound(file: Path) -> None:
    """Raises Refused: what would be dropped is damaged, and must be looked at while it is there."""
    result = standalone.verify_file(file, public_keys=signing.known(), audit_keys=chaining.held())
    if result.problem:
        raise Refused(f"What is old enough isn't what was written: {result.problem}")


def _require_same(found: Prefix, before: datetime) -> None:
    """Inside the fence, where nobody decides. Raises Refused."""
    first = Seal.objects.aggregate(first=Min("number"))["first"]
    count = Event.objects.filter(pk__lte=found.last).count()
    is_same = first == found.seals[0].number and count == found.events and redacted.last() == found.redacted
    if not is_same or purging.kept(Action, found.actions, before):
        raise Refused("It changed while it was exported. The next run begins anew.")


def _drop(found: Prefix, file: str, sha256: str, *, by: Actor) -> None:
    """In the caller's transaction. The event comes first, so that its own stream goes on."""
    last, previous = found.seals[-1], borders.newest()
    left = Event.objects.filter(pk__gt=found.last)
    at = sealing.Horizon.now().at
    said = PurgeText(
        number=previous.number + 1 if previous else 1, at=at, previous=previous.digest if previous else "",
        seal=last.number, digest=last.digest, events=found.events, last=found.last,
        oldest=left.aggregate(oldest=Min("at"))["oldest"] or at, actions=found.actions, file=file, sha256=sha256,
        heads=_heads(found),
    )  # fmt: skip
    row = borders.write(said)
    detail = {
        "purge": row.number, "digest": row.digest, "seals": len(found.seals), "events": found.events,
        "actions": len(found.actions), "file": file, "sha256": sha256,
    }  # fmt: skip
    log.record(Kind.RETENTION_PURGED, by=by, subject=STREAM, subject_name="Audit log", detail=detail)
    Event.objects.filter(pk__lte=found.last).delete()
    indexing.renew(Q(pk__lte=found.last))
    Seal.objects.filter(number__lte=last.number).delete()
    Redaction.objects.filter(event__lte=found.last).delete()
    RedactionRequest.objects.filter(event__lte=found.last).delete()
    purging.remove(Action, found.actions)


def _heads(found: Prefix) -> dict[str, Head]:
    """Of every stream that goes on. That of the purges does so with the event of this one."""
    going, heads = borders.border(), {}
    ends = Event.objects.filter(pk__lte=found.last).order_by().values("stream").annotate(last=Max("pk"))
    newest = Event.objects.filter(pk__in=ends.values("last"))
    for stream, seq, chain in newest.values_list("stream", "seq", "chain").iterator(CHUNK):
        heads[stream] = seq, chain
    known = dict(going.heads) if going else {}
    streams = [*(known | heads)]
    goes_on = {STREAM}
    for start in range(0, len(streams), CHUNK):
        goes_on |= set(_left(found.last, streams[start : start + CHUNK]))
    return {stream: head for stream, head in (known | heads).items() if stream in goes_on}


def _left(last: int, streams: Sequence[str]) -> "QuerySet[Event, str]":
    rows = Event.objects.filter(pk__gt=last, stream__in=streams)
    return rows.order_by().values_list("stream", flat=True).distinct()


def may_delete() -> bool:
    """Whether this process's own role may; where a role of its own owns the tables, the command does."""
    if connection.vendor == "sqlite" or settings.DATABASE_OWNER:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege(%s, 'DELETE')", [Event._meta.db_table])
        return bool(cursor.fetchone()[0])


def limits() -> tuple[datetime, datetime, datetime]:
    """What is older goes, by the database's clock: actions, evidence and log; artefacts; clicks."""
    now, rule = sealing.Horizon.now().at, Retention.current()
    days = (rule.days, rule.artefact_days, rule.click_days)
    before, artefacts_before, clicks_before = (now - timedelta(days=each) for each in days)
    return before, artefacts_before, clicks_before


def is_due() -> bool:
    """Whether anything is old enough, as far as a cheap look tells."""
    if not may_delete():
        return False
    before, artefacts_before, clicks_before = limits()
    if purging.old_artefacts(artefacts_before).exists():
        return True
    if old_views(before - GRACE).exists() or old_clicks(clicks_before - GRACE).exists():
        return True
    # A day's worth at a time: each purge is a file.
    return Seal.objects.filter(at__lt=before - GRACE).exists() and _any_may_go(before)


def _any_may_go(before: datetime) -> bool:
    """What is kept holds up all that came after it, so the first seals nearly always say it."""
    for most in LOOKS:
        found = prefix(before, of=most)
        if found.seals or found.held_up:
            return bool(found.seals)
    return False


def step(*, by: Actor) -> int:
    """One batch of each; how much that was. Nothing where this role may not."""
    if not may_delete():
        return 0
    before, artefacts_before, clicks_before = limits()
    with as_owner():
        done = purging.purge_artefacts(artefacts_before, by=by)
        found = purge(before, by=by)
        done += purge_investigations(before, by=by) + purge_views(before, by=by)
        done += purge_clicks(clicks_before, by=by)
        return done + found.events + len(found.seals)


def purge_views(before: datetime, *, by: Actor) -> int:
    """Who looked at what, but for what is held."""
    with fence.decider():
        gone = _taken(old_views(before), VIEWS)
        if gone:
            detail = {"views": len(gone), "before": before.isoformat()}
            log.record(
                Kind.RETENTION_PURGED, by=by, subject=STREAM, subject_name="Log of views", detail=detail
            )
            PageView.objects.filter(pk__in=gone).delete()
    return len(gone)


def _taken(rows: "QuerySet[Any]", most: int) -> list[int]:
    """Numbers of the oldest, which nobody else drops until the transaction ends; none that another is about to."""
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), skip_locked=True)
    return list(rows.order_by("at", "pk").values_list("pk", flat=True)[:most])


def old_views(before: datetime) -> "QuerySet[PageView]":
    held = LegalHold.in_force().values("subject")
    return PageView.objects.filter(at__lt=before).exclude(subject__in=held)


def purge_clicks(before: datetime, *, by: Actor) -> int:
    """Who followed a signed link. No hold names them: they belong to nothing that could be held."""
    with transaction.atomic():
        gone = _taken(old_clicks(before), VIEWS)
        if gone:
            detail = {"clicks": len(gone), "before": before.isoformat()}
            log.record(
                Kind.RETENTION_PURGED, by=by, subject=STREAM, subject_name="Log of clicks", detail=detail
            )
            Click.objects.filter(pk__in=gone).delete()
    return len(gone)


def old_clicks(before: datetime) -> "QuerySet[Click]":
    return Click.objects.filter(at__lt=before)


def purge_investigations(before: datetime, *, by: Actor) -> int:
    """Those that ended, whose beginning the log has let go of and which no action names; with evidence and alerts."""
    actions = Action.objects.filter(investigation=OuterRef("pk"))
    links = ActionEvidence.objects.filter(evidence__investigation=OuterRef("pk"))
    old = Investigation.objects.filter(~Exists(actions), ~Exists(links), ended_at__lt=before)
    old = old.exclude(pk__in=LegalHold.numbers("investigation")).order_by("pk")
    told = {f"investigation:{pk}": pk for pk in old.values_list("pk", flat=True)[:CHUNK]}
    begun = Event.objects.filter(stream__in=[*told], seq=1).values_list("stream", flat=True)
    gone = sorted(told[stream] for stream in told.keys() - set(begun))
    if not gone:
        return 0
    with transaction.atomic():
        there = Investigation.objects.select_for_update().filter(pk__in=gone).order_by("pk")
        gone = list(there.values_list("pk", flat=True))
        if not gone:
            return 0
        detail = {"investigations": gone}
        log.record(Kind.RETENTION_PURGED, by=by, subject=STREAM, subject_name="Investigations", detail=detail)
        Alert.objects.filter(investigation__in=gone).delete()
        Investigation.objects.filter(pk__in=gone).delete()
    return len(gone)
