"""Reading back what the log says, from the text that its keyed chain covers."""

import hmac
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Subquery

from actioncenter.audit import canonical
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event


def genuine(streams: Iterable[str], kinds: Sequence[Kind]) -> list[dict[str, Any]]:
    """The events of these kinds in the order of each stream, those left out that we haven't written.

    Whoever can write the table can't make one without the audit key.
    """
    before = Event.objects.filter(stream=OuterRef("stream"), seq=OuterRef("seq") - 1).values("chain")[:1]
    rows = Event.objects.filter(stream__in=streams, kind__in=[kind.value for kind in kinds])
    found = rows.order_by("stream", "seq").values_list("stream", "canonical", "chain", Subquery(before))
    return [
        canonical.read(text)
        for stream, text, chain, previous in found
        if hmac.compare_digest(canonical.link(settings.AUDIT_KEY, stream, previous or "", text), chain)
    ]
