"""Whether the database is still the one that this host has worked with (docs/adr/0015).

Asked before anything is dispatched, and all the time by a thread of each runner. It compares the anchor
outside of the database (`audit.anchor`) with what the database says of itself.
"""

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from django.conf import settings

from actioncenter.audit import borders, numbers
from actioncenter.audit.actor import Actor
from actioncenter.audit.anchor import Anchor, AnchorFile
from actioncenter.audit.models import Event
from actioncenter.settings.models import Installation
from actioncenter.settings.models.restoring import hold
from actioncenter.web.statements import Compiled, compiled, given, kept, rows_of

logger = logging.getLogger(__name__)
UNREADABLE: Final = "The anchor of this host can't be read"


@dataclass(frozen=True, slots=True)
class State:
    """`trouble` says why nothing may be dispatched; `restored` that the database went back."""

    installation: Installation
    file: AnchorFile
    anchor: Anchor | None = None
    trouble: str = ""
    restored: bool = False

    @property
    def sound(self) -> bool:
        return not self.trouble


_files: dict[str, AnchorFile] = {}
"""One per installation that this process has met: tests and commands may meet several."""


def host_name() -> str:
    return socket.gethostname()[:120]


def file_of(installation: Installation) -> AnchorFile:
    name = str(installation.public_id)
    return _files.setdefault(name, AnchorFile(settings.ANCHOR_DIR, name))


def examine() -> State:
    """Two small reads of the database and one of the file."""
    row = Installation.current()
    file = file_of(row)
    try:
        anchor = file.read()
    except (OSError, ValueError) as error:
        return State(row, file, trouble=f"{UNREADABLE}: {error}")
    if row.held_at is not None:
        return State(row, file, anchor, trouble=row.held_reason)
    trouble = _gone_back(row, anchor) if anchor else ""
    return State(row, file, anchor, trouble=trouble, restored=bool(trouble))


def _gone_back(row: Installation, anchor: Anchor) -> str:
    """How one sees that; empty where nothing speaks for it."""
    if anchor.epoch > row.epoch:
        return f"This host has seen epoch {anchor.epoch}, the database is at {row.epoch}."
    if 0 < anchor.epoch < row.epoch:
        ahead = [table for table, number in anchor.numbers.items() if number > row.floors.get(table, 0)]
        if ahead and row.floors:
            return f"This host has done more than was known when the restored database was accepted ({ahead[0]})."
        return ""
    if not anchor.event:
        return ""
    found = rows_of(_chain(), [anchor.event])
    if not found:
        border = borders.border()
        if border and anchor.event <= border.last:
            # Dropped by rule, while this host was away.
            return ""
        return f"Event {anchor.event} of the audit log, which this host has seen, is not in the database."
    if found[0][0] != anchor.chain:
        return f"Event {anchor.event} of the audit log is another one than this host has seen."
    return ""


@kept
def _chain() -> Compiled | None:
    """Of the given event."""
    return compiled(Event.objects.filter(pk=given(0)).values_list("chain"))


def newest_event() -> tuple[int, str]:
    return Event.objects.order_by("-pk").values_list("pk", "chain").first() or (0, "")


def keep(state: State) -> None:
    """Bring the file up to date with a database that is sound. Raises OSError, ValueError."""
    row = state.installation
    event, chain = newest_event()
    anchor = state.anchor
    if anchor and anchor.epoch == row.epoch and event <= anchor.event:
        return
    given = numbers.given()

    def make(known: Anchor) -> Anchor:
        if known.epoch > row.epoch:
            return known
        if 0 < known.epoch < row.epoch:
            # Accepted meanwhile: what was sent before is no longer looked for.
            known = Anchor(numbers=known.numbers)
        known = replace(known, epoch=row.epoch)
        return known.with_event(event, chain).with_numbers(given)

    state.file.change(make)


def hold_dispatch(state: State, *, by: Actor) -> None:
    """Stop everything, or add what this host knows while it is stopped already."""
    said = state.installation.anchor.get("hosts", {}) if state.installation.held_at else {}
    if state.anchor is None or host_name() in said:
        return
    if hold(state.trouble, host=host_name(), anchor=state.anchor, by=by):
        logger.error("dispatch is held: %s", state.trouble)


def numbers_in(file: AnchorFile) -> Mapping[str, int]:
    """How far the numbers had gone. Read before one is given: only a database that went back gives it again."""
    try:
        anchor = file.read()
    except (OSError, ValueError):
        return {}
    return anchor.numbers if anchor else {}


def note(file: AnchorFile, given: Mapping[str, int], epoch: int) -> None:
    """After commit; not on the disk at once, which a runner sees to within a second."""
    try:
        file.change(
            lambda known: known.with_numbers(given) if known.epoch in {0, epoch} else known, durable=False
        )
    except (OSError, ValueError) as error:
        logger.warning("the anchor could not be written: %s", error)
