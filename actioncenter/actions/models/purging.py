"""Which actions are old enough to go, and taking them out (docs/adr/0024)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.models.artefact import Artefact
from actioncenter.actions.models.oversight import Review
from actioncenter.actions.models.surprise import Surprise
from actioncenter.actions.models.target import ActionTarget
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.models import LegalHold
from actioncenter.settings.models.retention import SUBJECT

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

CHUNK: Final = 500
ENDLESS: Final = frozenset(
    kind for kind, entry in CATALOGUE.items() if entry.inverse and entry.undo_days is None
)
"""What is in force until somebody takes it back, and can be taken back however old it is."""
ARTEFACTS_AT_ONCE: Final = 200


def kept(model: "type[Action]", numbers: Collection[int], before: datetime) -> dict[int, str]:
    """Those of these actions that stay, with why. An undo and what it took back go together or not at all."""
    stay: dict[int, str] = {}
    ordered = sorted(numbers)
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        rows = model.objects.filter(pk__in=chunk)
        pairs = list(rows.values_list("pk", "undo_of"))
        pairs += model.objects.filter(undo_of__in=chunk).values_list("pk", "undo_of")
        family = {pk for pair in pairs for pk in pair if pk}
        why = _stay(model, family, before)
        for number, undone in pairs:
            said = why.get(number) or why.get(undone or 0)
            stay |= {pk: said for pk in (number, undone) if said and pk in numbers and pk}
    return stay


def _stay(model: "type[Action]", numbers: Collection[int], before: datetime) -> dict[int, str]:
    rows = model.objects.filter(pk__in=numbers)
    held = LegalHold.numbers("investigation")
    found = dict.fromkeys(LegalHold.numbers("action") & set(numbers), "legal hold")
    found |= dict.fromkeys(rows.filter(investigation__in=held).values_list("pk", flat=True), "legal hold")
    found |= dict.fromkeys(rows.filter(_going_on()).values_list("pk", flat=True), "going on")
    found |= dict.fromkeys(rows.filter(history_at__gte=before).values_list("pk", flat=True), "not old enough")
    streams = [f"action:{pk}" for pk in numbers]
    touched = Event.objects.filter(stream__in=streams, at__gte=before).values_list("stream", flat=True)
    return found | {int(stream.partition(":")[2]): "not old enough" for stream in touched.distinct()}


def _going_on() -> Any:
    """Undecided, under way, in force, or something that a person still has to look at."""
    in_force = Q(in_force=True, action__type__in=ENDLESS)
    targets = ActionTarget.objects.filter(in_force | Q(blocks=True), action=OuterRef("pk"))
    surprises = Surprise.objects.filter(action=OuterRef("pk"), looked_at=None)
    reviews = Review.objects.filter(action=OuterRef("pk"), reviewed_at=None)
    odd = Exists(targets) | Exists(surprises) | Exists(reviews)
    return Q(history_at=None) | Q(drifted_at__isnull=False) | odd


def remove(model: "type[Action]", numbers: Sequence[int]) -> int:
    """In the caller's transaction, after their first events are gone: the triggers keep votes until then."""
    removed = 0
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        _forget(Artefact.objects.filter(action__in=chunk))
        rows = model.objects.filter(pk__in=chunk)
        removed += rows.count()
        rows.delete()
    return removed


def old_artefacts(before: datetime) -> "QuerySet[Artefact]":
    held = LegalHold.numbers("action"), LegalHold.numbers("investigation")
    old = Artefact.objects.filter(created_at__lt=before)
    return old.exclude(action__in=held[0]).exclude(action__investigation__in=held[1])


def purge_artefacts(before: datetime, *, by: Actor) -> int:
    """The oldest, so many at once; how many that were. The action and its log keep name, size and hash."""
    with transaction.atomic():
        old = old_artefacts(before).order_by("pk")
        if connection.features.has_select_for_update:
            # What another is about to drop is told of once, by it.
            old = old.select_for_update(of=("self",), skip_locked=True)
        rows = list(old[:ARTEFACTS_AT_ONCE])
        if rows:
            names = [{"action": row.action_id, "name": row.name, "sha256": row.sha256} for row in rows]
            detail = {"artefacts": names}
            log.record(Kind.RETENTION_PURGED, by=by, subject=SUBJECT, subject_name="Artefacts", detail=detail)
            chosen = Artefact.objects.filter(pk__in=[row.pk for row in rows])
            _forget(chosen)
            chosen.delete()
    return len(rows)


def _forget(artefacts: "QuerySet[Artefact]") -> None:
    """Their files, once the transaction is over: a file without a row is nobody's, a row without a file a lie."""
    for row in artefacts:
        transaction.on_commit(lambda place=row.place: default_storage.delete(place))  # type: ignore[misc]
