"""What an inverse takes back (design §3, lanes)."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType

OVERTAKEN: Final = "cancelled_by_inverse"
NOTHING_SENT: Final = "nothing_sent"


def _forwards() -> dict[ActionType, list[ActionType]]:
    found = defaultdict(list)
    for kind, entry in CATALOGUE.items():
        if entry.inverse is not None:
            found[entry.inverse].append(kind)
    return dict(found)


FORWARDS: Final[Mapping[ActionType, list[ActionType]]] = _forwards()
"""Inverse -> the types it takes back."""
