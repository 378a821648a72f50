"""What an antivirus scan found becomes evidence, of an investigation like any other."""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from actioncenter.actions.enums import ActionType, TargetState
from actioncenter.actions.models import ActionTarget, Attempt, TargetResult
from actioncenter.audit.actor import Actor
from investigations.enums import EvidenceType, Namespace, Severity, Verdict
from investigations.ingest import record_alerts
from investigations.intake.documents import AlertDoc, DeviceDoc, Document, EvidenceDoc
from investigations.intake.text import clean_text

logger = logging.getLogger(__name__)
SOURCE: Final = "antivirus"
MOST: Final = 100
"""Pieces of evidence of one scan; the scan itself says how many there were."""
_GUESSES: Final = ("pua.", "heuristics.")
"""What signatures begin with that name no known malware: a person has to judge those."""
_HASHES: Final = {"sha256": re.compile("[0-9a-f]{64}"), "sha1": re.compile("[0-9a-f]{40}")}


def hand_over(attempt: Attempt, results: Sequence[TargetResult], *, by: Actor) -> None:
    """Before the results are taken in: doing it again changes nothing, and a scan isn't over without it."""
    if attempt.action.type != ActionType.ANTIVIRUS_SCAN:
        return
    for result in results:
        found = result.after.get("detections")
        if result.state == TargetState.SUCCEEDED and isinstance(found, list) and found:
            _record(attempt, result.target_id, found[:MOST], by=by)


def _record(attempt: Attempt, target_id: int, found: Sequence[Any], *, by: Actor) -> None:
    target = ActionTarget.objects.select_related("device").filter(pk=target_id, attempt=attempt).first()
    if target is None or target.device is None:
        return
    evidence = tuple(doc for each in found if (doc := _evidence(each)) is not None)
    if not evidence:
        return
    device = target.device
    rows = device.identities.order_by("namespace", "value").values_list("namespace", "value")
    identities = tuple((Namespace(kind), value) for kind, value in rows)
    alert = AlertDoc(
        external_id=f"scan:{attempt.public_id}:{target_id}",
        title=f"Antivirus scan found {len(evidence)} on {device.name}"[:300],
        description=f"Found by A-{attempt.action_id}.",
        created=attempt.started_at.astimezone(UTC),
        severity=Severity.HIGH
        if any(doc.verdict == Verdict.MALICIOUS for doc in evidence)
        else Severity.MEDIUM,
        detection_source="ClamAV",
        devices=(
            DeviceDoc(
                name=device.name, identities=identities or ((Namespace.HOST_NAME, device.name.lower()),)
            ),
        ),
        evidence=evidence,
    )
    record_alerts(Document(source=SOURCE, source_label="Antivirus", alerts=(alert,)), by=by)


def _evidence(found: Any) -> EvidenceDoc | None:
    """One detection as a host told it; None for what is none."""
    if not isinstance(found, Mapping) or not isinstance(found.get("path"), str) or not found["path"]:
        return None
    path, signature = clean_text(found["path"][:4096]), clean_text(str(found.get("signature", ""))[:255])
    facts: dict[str, Any] = {"path": path.text, "detection": signature.text}
    facts["file_name"] = path.text.rpartition("/")[2] or path.text
    for name, form in _HASHES.items():
        value = str(found.get(name, "")).lower()
        if form.fullmatch(value):
            facts[name] = value
    guessed = signature.text.lower().startswith(_GUESSES)
    return EvidenceDoc(
        type=EvidenceType.FILE,
        name=facts["file_name"][:512],
        facts=facts,
        verdict=Verdict.SUSPICIOUS if guessed else Verdict.MALICIOUS,
        device=0,
        threats=(signature.text,) if signature.text else (),
        origin="ClamAV",
        altered=path.text != found["path"],
    )
