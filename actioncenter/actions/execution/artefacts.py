"""Files that a connector brought back."""

import hashlib
from collections.abc import Sequence

from actioncenter.actions.execution.outside import cleaned
from actioncenter.actions.models import Action, Artefact
from actioncenter.connectors import base


def store(action: Action, artefacts: Sequence[base.Artefact]) -> list[Artefact]:
    """Write the files, encrypted, under generated names; their rows are saved with the results."""
    return [_stored(action, artefact) for artefact in artefacts]


def _stored(action: Action, artefact: base.Artefact) -> Artefact:
    row = Artefact(
        action=action,
        name=cleaned(artefact.name)[:255],
        media_type=cleaned(artefact.media_type)[:100],
        size=len(artefact.content),
        sha256=hashlib.sha256(artefact.content).hexdigest(),
    )
    row.keep(artefact.content)
    return row
