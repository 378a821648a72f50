"""What a connector found of a search, written down; the next page is another job."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from actioncenter import vault
from actioncenter.actions.execution import outside
from actioncenter.actions.models import ConnectorJob, MailHit
from actioncenter.actions.models.searching import MOST_HITS
from actioncenter.connectors import base
from investigations.models.messages import message_key

LENGTHS: Final = {
    "mailbox": 320, "stable_id": 255, "message_id": 1000, "folder": 500, "sender": 320, "subject": 2000,
}  # fmt: skip
IMAP: Final = "%d-%b-%Y %H:%M:%S %z"
AT_ONCE: Final = 1_000


def keep(job: ConnectorJob, page: base.Page) -> dict[str, Any]:
    """The result of the job. The caller has a transaction, and the job is still this runner's."""
    search = job.search
    if search is None:
        return {"skipped": "nobody's search"}
    found = [outside.cleaned(each) for each in page.references]
    # Whoever has no name that lasts, or a longer one than anybody gives, can't be acted on later.
    usable = [each for each in found if _named(each)]
    room = MOST_HITS - search.hits.count()
    hits = [MailHit(search=search, instance_id=job.instance_id, **_fields(each)) for each in usable[:room]]
    MailHit.objects.bulk_create(hits, batch_size=AT_ONCE, ignore_conflicts=True)
    cut = len(usable) > room or bool(page.cursor and len(usable) == room)
    if page.cursor and not cut:
        search.job(job.instance, page.cursor).save()
    return {
        "found": len(hits),
        "complete": page.complete and len(usable) == len(found),
        "cut": cut,
    }


def _named(reference: Mapping[str, Any]) -> bool:
    """Cut, these would name something else."""
    return all(0 < len(str(reference.get(name) or "")) <= LENGTHS[name] for name in ("mailbox", "stable_id"))


def _fields(reference: Mapping[str, Any]) -> dict[str, Any]:
    size = reference.get("size")
    return {
        **{name: str(reference.get(name) or "")[:most] for name, most in LENGTHS.items()},
        "message_key": message_key(reference),
        "received": _moment(reference.get("received")),
        "size": size if isinstance(size, int) and 0 <= size < 2**63 else None,
    }


def _moment(value: Any) -> datetime | None:
    """Seconds since the epoch, as IMAP says it or in ISO 8601; none where it is nonsense."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        text = str(value or "").strip()
        if text[2:3] == "-":
            return datetime.strptime(text, IMAP).astimezone(UTC)
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def read(job: ConnectorJob, connector: base.Connector) -> dict[str, Any]:
    """What one message says, sealed: whoever reads the tables doesn't read people's mail."""
    hit = MailHit.objects.filter(pk=job.request.get("hit"), search=job.search).first()
    if hit is None:
        return {"skipped": "forgotten"}
    if not isinstance(connector, base.ReadsMail):
        raise base.Unsupported("This connector can't show what a message says.")
    found = connector.read(hit.mailbox, hit.stable_id, hit.message_id)
    told = outside.cleaned(asdict(found))
    return {"sealed": vault.seal(told).decode()}
