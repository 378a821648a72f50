"""Finding views: who looked at what, newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from actioncenter.auditor.models import PageView
from actioncenter.auditor.walking import Page, walk

PAGES: Final[Mapping[str, Q]] = {
    "action": Q(subject__startswith="action:"),
    "investigation": Q(page="investigations:detail"),
    "audit": Q(page__startswith="auditor:"),
    "file": Q(page__endswith="_file"),
    "list": Q(
        subject="",
        page__in=[
            "home",
            "actions:pending",
            "actions:history",
            "investigations:list",
            "investigations:devices",
            "actions:explorer",
        ],
    ),
    "settings": Q(page__startswith="settings:") | Q(page__startswith="ops:"),
}


def page(
    *,
    actor: str = "",
    subject: str = "",
    pages: str = "",
    since: datetime | None = None,
    position: Mapping[str, Any] | None = None,
) -> Page:
    """Whatever is empty doesn't count. Raises BadToken."""
    way = PageView.objects.filter(at__gte=since) if since else PageView.objects.all()
    sift = PAGES[pages] if pages else Q()
    if subject:
        way = way.filter(subject=subject)
        sift &= Q(actor=actor) if actor else Q()
    elif actor:
        way = way.filter(actor=actor)
    return walk(PageView.objects.all(), [way], sift, position)
