"""A log that is old: what time does to it, without waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import F

from actioncenter.accounts.models import User
from actioncenter.actions.models import Action, Artefact
from actioncenter.audit import borders, canonical, seals, signing, triggers
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event, Purge, Seal
from actioncenter.audit.purges import PurgeText
from actioncenter.audit.seals import SealText
from actioncenter.audit.trust import Trust
from actioncenter.auditor import purging
from actioncenter.auditor.verification.whole import Audit
from actioncenter.settings import checkpoints
from investigations.models import Investigation
from tests.audit.drafts import seal

REAL: Final = pytest.mark.django_db(transaction=connection.vendor == "postgresql")
"""There whatever is in one transaction is in one seal."""
BY: Final = Actor.command("retention")
YEARS: Final = timedelta(days=3 * 365)
MOMENTS: Final = (
    "history_at",
    "created_at",
    "decided_at",
    "finished_at",
    "queued_at",
    "started_at",
    "updated_at",
    "expires_at",
)


def years_pass(by: timedelta = YEARS) -> None:
    """All that there is was written so much earlier, seals included; since then one person more was let in."""
    seal()
    with unguarded():
        _events_earlier(by)
        _seals_earlier(by)
        _purges_earlier(by)
    Action.objects.update(**{name: F(name) - by for name in MOMENTS})
    Artefact.objects.update(created_at=F("created_at") - by)
    Investigation.objects.filter(ended_at__isnull=False).update(ended_at=F("ended_at") - by)
    Investigation.objects.update(started_at=F("started_at") - by)
    User.objects.enrol(f"new-{User.objects.count()}", by=BY)
    seal()


@contextmanager
def unguarded() -> Iterator[None]:
    triggers.remove(connection)
    try:
        yield
    finally:
        triggers.install(connection)


def _events_earlier(by: timedelta) -> None:
    border = borders.border()
    heads = {stream: chain for stream, (_, chain) in border.heads.items()} if border else {}
    for event in Event.objects.order_by("pk"):
        said = canonical.read(event.canonical)
        text = canonical.render({**said, "at": said["at"] - by})
        chain = canonical.link(settings.AUDIT_KEY, event.stream, heads.get(event.stream, ""), text)
        heads[event.stream] = chain
        Event.objects.filter(pk=event.pk).update(at=said["at"] - by, canonical=text, chain=chain)


def _seals_earlier(by: timedelta) -> None:
    border = borders.border()
    previous = border.digest if border else ""
    for row in Seal.objects.order_by("number"):
        said = SealText.read(row.text)
        rows = Event.objects.filter(pk__in=said.ids).order_by("pk").values_list("chain", "canonical")
        leaves = [seals.leaf(chain, text) for chain, text in rows]
        text = SealText(row.number, said.at - by, previous, said.ids, leaves).render()
        previous = seals.digest(text)
        Seal.objects.filter(pk=row.pk).update(
            at=said.at - by, text=text, digest=previous, signature=seals.sign(settings.SIGNING_KEY, text)
        )


def _purges_earlier(by: timedelta) -> None:
    """The log tells of another digest then, which counts for the newest only; a purge comes after this."""
    previous = ""
    for row in Purge.objects.order_by("number"):
        said = PurgeText.read(row.text)
        said = replace(said, at=said.at - by, oldest=said.oldest - by, previous=previous)
        text = said.render()
        previous = seals.digest(text)
        Purge.objects.filter(pk=row.pk).update(
            at=said.at, text=text, digest=previous, signature=seals.sign(settings.SIGNING_KEY, text)
        )


def purged() -> int:
    """Everything that is old enough, batch after batch."""
    batches = 0
    while purging.step(by=BY):
        batches += 1
    return batches


def wrong(**more: Any) -> list[str]:
    """What an auditor is told, with this host's copies of the seals."""
    own = checkpoints.path()
    audit = Audit(Trust(signing.known()), [own] if own.exists() else [], **more)
    return [str(each) for each in audit.wrong()]


@pytest.fixture
def archive(tmp_path: Any, settings: Any) -> Any:
    """Archives and copies of a test, of which it knows that nobody else's are among them."""
    settings.ARCHIVE_DIR, settings.CHECKPOINTS_DIR = tmp_path / "archive", tmp_path / "checkpoints"
    return settings.ARCHIVE_DIR
