"""Files that a connector brought back."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from actioncenter.actions.execution.outside import cleaned
from actioncenter.actions.models import Action, Artefact, LeaseLost
from actioncenter.connectors import base


@contextmanager
def stored(action: Action, artefacts: Sequence[base.Artefact]) -> Iterator[list[Artefact]]:
    """The files, encrypted under generated names; their rows are saved inside, with the results, or they go."""
    rows: list[Artefact] = []
    try:
        rows.extend(_stored(action, artefact) for artefact in artefacts)
    except BaseException:
        _forget(rows)
        raise
    try:
        yield rows
    except LeaseLost:
        # Of no other error it is sure that the rows weren't saved: a file without a row is nobody's.
        _forget(rows)
        raise


def _forget(rows: Sequence[Artefact]) -> None:
    for row in rows:
        row.forget()


def _stored(action: Action, artefact: base.Artefact) -> Artefact:
    name, media_type = cleaned(artefact.name)[:255], cleaned(artefact.media_type)[:100]
    row = Artefact(action=action, name=name, media_type=media_type, password=artefact.password)
    row.size, sha256 = 0, hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for block in artefact.blocks():
            row.size += len(block)
            sha256.update(block)
            yield block

    row.keep_blocks(counted())
    row.sha256 = sha256.hexdigest()
    return row
