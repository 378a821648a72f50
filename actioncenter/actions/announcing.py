"""What somebody does to mail directly is told beside it, as domain §9.2 has it: an alert and an investigation of its own.

Nobody else was asked, so this is where others find what was done, to which messages and by whom.
"""

from collections.abc import Iterable
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import MailHit
from actioncenter.audit.actor import Actor
from actioncenter.web.clock import database_now
from investigations.enums import EvidenceType, Severity
from investigations.ingest import record_alerts
from investigations.intake.documents import AlertDoc, Document, EvidenceDoc

SOURCE: Final = "explorer"
TITLE: Final = "Administrative action submitted by an Administrator"
"""As other products call it, so that whoever searches for it finds it."""


def announce(hits: Iterable[MailHit], kind: ActionType, *, by: Actor, ref: str) -> tuple[int, list[int]]:
    """The investigation, and the evidence in it: the messages, about which nobody has said anything yet."""
    found = [_message(hit) for hit in hits]
    alert = AlertDoc(
        external_id=ref,
        title=TITLE,
        created=database_now(),
        description=f"{CATALOGUE[kind].short} by {by.name}, on {len(found):,} picked messages.",
        severity=Severity.INFORMATIONAL,
        detection_source="Explorer",
        service_source="Action center",
        investigation_id=ref,
        investigation_title=f"{CATALOGUE[kind].short} by {by.name}",
        evidence=tuple(found),
    )
    recorded = record_alerts(Document(source=SOURCE, alerts=(alert,), source_label="Explorer"), by=by)
    return recorded.investigations[0], list(recorded.evidence)


def _message(hit: MailHit) -> EvidenceDoc:
    facts = {
        "message_id": hit.stable_id,
        "internet_message_id": hit.message_id,
        "sender": hit.sender,
        "recipient": hit.mailbox,
        "subject": hit.subject,
        "delivery_location": hit.folder,
    }
    return EvidenceDoc(
        type=EvidenceType.MAIL_MESSAGE,
        name=hit.subject or "(no subject)",
        facts={name: value for name, value in facts.items() if value},
        origin="Explorer",
    )
