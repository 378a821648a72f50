"""Reading back what the log says, from the text that its keyed chain covers."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import OuterRef, Subquery

from actioncenter.audit import canonical, redacted
from actioncenter.audit.chaining import ChainKeys
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event


def genuine(streams: Iterable[str], kinds: Sequence[Kind]) -> list[dict[str, Any]]:
    """The events of these kinds in the order of each stream, those left out that we haven't written.

    Whoever can write the table can't make one without the audit key, nor redact one without the signing key.
    """
    before = Event.objects.filter(stream=OuterRef("stream"), seq=OuterRef("seq") - 1).values("chain")[:1]
    rows = Event.objects.filter(stream__in=streams, kind__in=[kind.value for kind in kinds])
    found = rows.order_by("stream", "seq").values_list("pk", "stream", "canonical", "chain", Subquery(before))
    keys = ChainKeys()
    return [
        canonical.read(text)
        for pk, stream, text, chain, previous in found
        if not keys.objection(pk, stream, previous or "", text, chain) or redacted.leaf(pk, chain, text)
    ]
