"""The entrance: what a source reported is stored and planned in one transaction."""

from dataclasses import dataclass

from django.db import transaction

from actioncenter.actions import planning
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from investigations.ingest import Recorded, record_alerts
from investigations.intake.documents import Document


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored, and the actions that are new because of it."""

    recorded: Recorded
    actions: tuple[Action, ...]


def record(document: Document, *, by: Actor) -> Receipt:
    """Store a document and propose what it calls for. Recording it again changes nothing."""
    with transaction.atomic():
        recorded = record_alerts(document, by=by)
        actions = planning.plan(recorded.evidence, by=Actor.automation(by.request_id))
    return Receipt(recorded, tuple(actions))
