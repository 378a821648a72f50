"""Reading back what the log says, from the text that its keyed chain covers."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from actioncenter.audit import canonical, redacted
from actioncenter.audit.chaining import ChainKeys
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.web.statements import Compiled, compiled, given, kept, rows_of


def genuine(streams: Iterable[str], kinds: Sequence[Kind]) -> list[dict[str, Any]]:
    """The events of these kinds in the order of each stream, those left out that we haven't written.

    Whoever can write the table can't make one without the audit key, nor redact one without the signing key.
    """
    wanted, values, keys = list(streams), tuple(kind.value for kind in kinds), ChainKeys()
    found = rows_of(_of_one(values), wanted) if len(wanted) == 1 else _rows(wanted, values)
    return [
        canonical.read(text)
        for pk, stream, text, chain, previous in found
        if not keys.objection(pk, stream, previous or "", text, chain) or redacted.leaf(pk, chain, text)
    ]


@kept
def _of_one(kinds: tuple[str, ...]) -> Compiled | None:
    """Of the given stream: asked several times of every action before anything is sent."""
    return compiled(_rows([given(0)], kinds))


def _rows(streams: Sequence[Any], kinds: Sequence[str]) -> "QuerySet[Event, tuple[Any, ...]]":
    before = Event.objects.filter(stream=OuterRef("stream"), seq=OuterRef("seq") - 1).values("chain")[:1]
    rows = Event.objects.filter(stream__in=streams, kind__in=kinds).order_by("stream", "seq")
    return rows.values_list("pk", "stream", "canonical", "chain", Subquery(before))
