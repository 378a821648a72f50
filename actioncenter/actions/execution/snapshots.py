"""What was open when everything was stopped: in an encrypted file, its hash in the audit log.

The rows stay the truth. A snapshot is for reading what stood there, also where somebody has meddled with
the rows since; it is never loaded back, because what was sent meanwhile would be sent again.
"""

import hashlib
import json
import math
import os
import secrets
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core import serializers
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from actioncenter import vault
from actioncenter.actions.models import Action, ActionEvidence, ActionTarget, Attempt, Plan, RunnerBeat, Vote
from actioncenter.audit import log, reading
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import StopKind, StopScope
from actioncenter.settings.models import Breaker, DeviceGroup, Rail, Safeguards, Stop

AT_ONCE: Final = 200
"""Actions with all that belongs to them in one transaction: each is whole, and nobody waits long."""
NOT_QUIET_AFTER: Final = timedelta(seconds=30)
"""By then it is taken although something is in flight; the attempts in it say what."""
KEPT: Final = timedelta(days=366)
PARTS: Final = (ActionTarget, Attempt, Plan, Vote, ActionEvidence)
BESIDE: Final = (DeviceGroup, Safeguards, Rail, Breaker, RunnerBeat)
SUFFIX: Final = ".sealed"
DRAFT: Final = ".draft"
LEFT_OVER: Final = timedelta(days=1)
"""Nobody writes on one for so long."""


class _ToTheMicrosecond(DjangoJSONEncoder):
    """Django's own cuts times to milliseconds."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


class Unreadable(Exception):
    """A snapshot that isn't there, or isn't the one that was taken."""


def due() -> list[Stop]:
    """Stops of everything that have none yet. Cheap while nothing is stopped."""
    ready = Q(quiet_at__isnull=False) | Q(pulled_at__lt=Now() - NOT_QUIET_AFTER)
    stops = Stop.objects.in_force().filter(ready, kind=StopKind.STOP, scope=StopScope.ALL)
    sealed = Event.objects.filter(kind=Kind.SWITCH_SEALED)
    return [stop for stop in stops if not sealed.filter(stream=stop.ref).exists()]


def is_due() -> bool:
    return bool(due() or _outlived())


def tend(by: Actor) -> int:
    """Take what is due, drop what is past keeping."""
    return sum(take(stop, by=by) for stop in due()) + _purge(by)


def take(stop: Stop, *, by: Actor) -> int:
    """Returns how many actions are in it; 0 where somebody else was first. Raises OSError.

    Whoever froze over it may wake up at any moment, so every try has a file of its own, and the log names
    the one that counts.
    """
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    _drop_drafts()
    path = _folder() / f"stop-{stop.pk}-{secrets.token_hex(4)}{SUFFIX}"
    draft = path.with_suffix(DRAFT)
    try:
        number, digest = _write(stop, draft)
        draft.rename(path)
        if not _told(stop, {"file": path.name, "sha256": digest, "actions": number}, by=by):
            path.unlink(missing_ok=True)
            return 0
    finally:
        draft.unlink(missing_ok=True)
    return number


def _write(stop: Stop, draft: Path) -> tuple[int, str]:
    """How many actions, and the hash of the file."""
    number, digest = 0, hashlib.sha256()
    with draft.open("xb") as file:
        for actions, rows in _chunks(stop):
            text = serializers.serialize("json", rows, cls=_ToTheMicrosecond)
            line = vault.seal_bytes(zlib.compress(text.encode())) + b"\n"
            digest.update(line)
            file.write(line)
            number += actions
        file.flush()
        os.fsync(file.fileno())
    return number, digest.hexdigest()


def _told(stop: Stop, told: dict[str, Any], *, by: Actor) -> bool:
    """False where another snapshot of it is in the log already."""
    with transaction.atomic():
        list(Stop.objects.select_for_update().filter(pk=stop.pk).values_list("pk"))
        if Event.objects.filter(kind=Kind.SWITCH_SEALED, stream=stop.ref).exists():
            return False
        log.record(Kind.SWITCH_SEALED, by=by, subject=stop.ref, subject_name=stop.what, detail=told)
    return True


def _chunks(stop: Stop) -> Iterator[tuple[int, list[models.Model]]]:
    """How many actions each has, and its rows."""
    others: list[models.Model] = [row for model in BESIDE for row in model._default_manager.order_by("pk")]
    yield 0, [stop, *others]
    last = 0
    while True:
        with transaction.atomic():
            actions = list(Action.objects.filter(history_at=None, pk__gt=last).order_by("pk")[:AT_ONCE])
            if not actions:
                return
            ids = [action.pk for action in actions]
            parts = [row for model in PARTS for row in _of(model, ids)]
        last = ids[-1]
        yield len(actions), [*actions, *parts]


def _of(model: Any, ids: Sequence[int]) -> "models.QuerySet[Any]":
    rows: models.QuerySet[Any] = model._default_manager.filter(action__in=ids).order_by("pk")
    return rows


def restored(number: int) -> Iterator[models.Model]:
    """The rows as they stood, not saved. Raises Unreadable."""
    for text in texts(number):
        for row in serializers.deserialize("json", text):
            yield row.object


def texts(number: int) -> Iterator[str]:
    """The same as JSON, chunk by chunk, once the whole file is known to be the one. Raises Unreadable."""
    told = _said_of(number)
    path = _folder() / told["file"]
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}.") from error
    if found != told["sha256"]:
        raise Unreadable(f"{path} is not the snapshot that was taken.")
    with path.open("rb") as file:
        for line in file:
            yield zlib.decompress(vault.unseal_bytes(line.strip())).decode()


def handed_out(number: int, *, by: Actor) -> list[dict[str, Any]]:
    """All rows of one as JSON; that they were given to somebody is itself an event. Raises Unreadable."""
    with transaction.atomic():
        rows = [row for text in texts(number) for row in json.loads(text)]
        told = {"file": _said_of(number)["file"], "rows": len(rows)}
        log.record(Kind.EXPORT_MADE, by=by, subject=f"stop:{number}", detail=told)
    return rows


def kept() -> list[dict[str, Any]]:
    """Those that were taken, the oldest first."""
    events = Event.objects.filter(kind=Kind.SWITCH_SEALED).order_by("pk")
    return [
        {"stop": int(event.subject.partition(":")[2]), "at": event.at.isoformat(), **(event.detail or {})}
        for event in events
    ]


def encrypted_with(key: bytes) -> list[str]:
    """Names of the files that only this key opens. They stay so: the log has their hash."""
    found = []
    for path in sorted(_folder().glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            if vault.is_of(key, file.readline().strip()):
                found.append(path.name)
    return found


def _folder() -> Path:
    return Path(settings.SNAPSHOTS_DIR)


def _said_of(number: int) -> dict[str, Any]:
    """What the log says of its file. Raises Unreadable."""
    told = reading.genuine([f"stop:{number}"], [Kind.SWITCH_SEALED])
    if not told:
        raise Unreadable(f"The audit log knows of no snapshot of stop {number}.")
    detail: dict[str, Any] = told[-1]["detail"]
    return detail


def _drop_drafts() -> None:
    """Of whoever was killed over one."""
    for path in _older_than(LEFT_OVER, DRAFT):
        path.unlink(missing_ok=True)


def _outlived() -> list[Path]:
    return _older_than(KEPT, SUFFIX)


def _older_than(age: timedelta, suffix: str) -> list[Path]:
    oldest = time.time() - age.total_seconds()
    return [path for path in _folder().glob(f"*{suffix}") if _changed_at(path) < oldest]


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        # Somebody else has dropped it this moment.
        return math.inf


def _purge(by: Actor) -> int:
    gone = [path.name for path in _outlived() if _is_dropped(path)]
    if gone:
        with transaction.atomic():
            log.record(Kind.RETENTION_PURGED, by=by, subject="snapshots", detail={"files": gone})
    return len(gone)


def _is_dropped(path: Path) -> bool:
    """By us: one file is told of once."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
