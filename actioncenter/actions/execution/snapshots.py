"""What was open when everything was stopped: in an encrypted file, its hash in the audit log.

The rows stay the truth. A snapshot is for reading what stood there, also where somebody has meddled with
the rows since; it is never loaded back, because what was sent meanwhile would be sent again.
"""

import hashlib
import json
import os
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
    """Returns how many actions are in it. Raises OSError."""
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    path, number, digest = _path(stop.pk), 0, hashlib.sha256()
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        for actions, rows in _chunks(stop):
            text = serializers.serialize("json", rows, cls=_ToTheMicrosecond)
            line = vault.seal_bytes(zlib.compress(text.encode())) + b"\n"
            digest.update(line)
            file.write(line)
            number += actions
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    with transaction.atomic():
        told = {"file": path.name, "sha256": digest.hexdigest(), "actions": number}
        log.record(Kind.SWITCH_SEALED, by=by, subject=stop.ref, subject_name=stop.what, detail=told)
    return number


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
    path = _path(number)
    told = reading.genuine([f"stop:{number}"], [Kind.SWITCH_SEALED])
    if not told:
        raise Unreadable(f"The audit log knows of no snapshot of stop {number}.")
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}.") from error
    if found != told[-1]["detail"]["sha256"]:
        raise Unreadable(f"{path} is not the snapshot that was taken.")
    with path.open("rb") as file:
        for line in file:
            yield zlib.decompress(vault.unseal_bytes(line.strip())).decode()


def handed_out(number: int, *, by: Actor) -> list[dict[str, Any]]:
    """All rows of one as JSON; that they were given to somebody is itself an event. Raises Unreadable."""
    with transaction.atomic():
        rows = [row for text in texts(number) for row in json.loads(text)]
        told = {"file": _path(number).name, "rows": len(rows)}
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


def _path(number: int) -> Path:
    return _folder() / f"stop-{number}{SUFFIX}"


def _outlived() -> list[Path]:
    oldest = time.time() - KEPT.total_seconds()
    return [path for path in _folder().glob(f"*{SUFFIX}") if path.stat().st_mtime < oldest]


def _purge(by: Actor) -> int:
    gone = _outlived()
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        with transaction.atomic():
            names = [path.name for path in gone]
            log.record(Kind.RETENTION_PURGED, by=by, subject="snapshots", detail={"files": names})
    return len(gone)
