"""Bringing what is stored encrypted under the current key, so that an old one can be dropped.

What is under it already is left alone, so it may be stopped at any moment and begun again. Each row is
changed only if it still holds what was read.
"""

from collections.abc import Iterator
from typing import Any, Final

from cryptography.fernet import InvalidToken
from django.db import transaction

from actioncenter import vault
from actioncenter.actions.execution import snapshots
from actioncenter.actions.models import ActionTarget, Artefact
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import ConnectorInstance, Destination

AT_ONCE: Final = 500
COLUMNS: Final[dict[str, tuple[Any, str]]] = {
    "credentials": (ConnectorInstance, "secret"),
    "secrets of streams": (Destination, "secret"),
    "restore data": (ActionTarget, "restore"),
}
"""Every encrypted column; tests/ops/test_reencrypting.py finds one that is missing."""
ARTEFACTS: Final = "artefacts"
UNREADABLE: Final = "unreadable"
STREAM: Final = "key:field-encryption"


def reencrypt(*, by: Actor) -> dict[str, int]:
    """How many of each were changed, and how many no key here opens. Raises OSError."""
    done = dict.fromkeys([*COLUMNS, ARTEFACTS, UNREADABLE, ""], 0)
    for name, (model, column) in COLUMNS.items():
        for rows in _chunks(model, column):
            for pk, token in rows:
                done[_renew(name, model, column, pk, bytes(token))] += 1
    for artefact in Artefact.objects.order_by("pk").iterator(AT_ONCE):
        try:
            done[ARTEFACTS] += artefact.renew_encryption()
        except InvalidToken:
            done[UNREADABLE] += 1
    done.pop("")
    with transaction.atomic():
        log.record(
            Kind.KEY_REENCRYPTED, by=by, subject=STREAM, subject_name="Key field-encryption", detail=done
        )
    return done


def left(key: bytes) -> dict[str, int]:
    """What of each kind only this key opens. Raises OSError."""
    found = dict.fromkeys([*COLUMNS, ARTEFACTS], 0)
    for name, (model, column) in COLUMNS.items():
        found[name] = sum(vault.is_of(key, token) for rows in _chunks(model, column) for _, token in rows)
    artefacts = Artefact.objects.order_by("pk").iterator(AT_ONCE)
    found[ARTEFACTS] = sum(artefact.is_encrypted_with(key) for artefact in artefacts)
    found["snapshots"] = len(snapshots.encrypted_with(key))
    return {name: number for name, number in found.items() if number}


def _renew(name: str, model: Any, column: str, pk: int, token: bytes) -> str:
    """Under which name it counts."""
    if vault.is_current(token):
        return ""
    try:
        renewed = vault.renewed(token)
    except InvalidToken:
        return UNREADABLE
    changed = model.objects.filter(**{"pk": pk, column: token}).update(**{column: renewed})
    return name if changed else ""


def _chunks(model: Any, column: str) -> Iterator[list[tuple[int, bytes]]]:
    """Id and token of what isn't empty, by id."""
    last = 0
    rows = model.objects.exclude(**{column: b""}).order_by("pk").values_list("pk", column)
    while chunk := list(rows.filter(pk__gt=last)[:AT_ONCE]):
        yield chunk
        last = chunk[-1][0]
