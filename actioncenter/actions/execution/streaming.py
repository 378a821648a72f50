"""Sending what is sealed to its receivers: in the order of the seals, at least once.

Each destination is held by one thread of one runner for a lease, so that none waits for another. The place
that is remembered moves when the receiver has taken what lies before it, never before it was sent.
"""

import logging
import threading
import time
from typing import Final
from urllib.parse import SplitResult

from django.db import connection

from actioncenter import vault
from actioncenter.actions.execution import wires
from actioncenter.actions.execution.wires import Undelivered
from actioncenter.audit import outgoing
from actioncenter.audit.actor import Actor
from actioncenter.settings.anchoring import host_name
from actioncenter.settings.models import Destination

logger = logging.getLogger(__name__)
EVENTS_AT_ONCE: Final = 100
SEALS_AT_ONCE: Final = 20
MOST_BYTES: Final = 500_000
BUDGET: Final = 20.0
"""Seconds that a thread goes on; with one delivery more it stays below the lease."""


def waiting() -> bool:
    return Destination.objects.due().exists()


def begin(by: Actor) -> list[threading.Thread]:
    """Start a thread for each destination that is due and in nobody's hands. It ends by itself."""
    threads = [
        threading.Thread(target=_go_on, args=(row,), name=f"stream {row.pk}", daemon=True)
        for row in Destination.objects.due()
        if row.claim()
    ]
    for thread in threads:
        thread.start()
    return threads


def send(by: Actor) -> int:
    return len(begin(by))


def _go_on(row: Destination) -> None:
    try:
        deliver(row)
    except Exception as error:
        logger.exception("the stream to %s broke", row)
        row.failed(f"Something is wrong here: {type(error).__name__}. See the log of the runner.")
    finally:
        connection.close()


def deliver(row: Destination, *, budget: float = BUDGET) -> int:
    """Send what waits for a destination that was claimed; how many deliveries it took."""
    until, taken = time.monotonic() + budget, 0
    try:
        while time.monotonic() < until and (place := _send_next(row)):
            taken += 1
            if not row.acknowledged(*place):
                # Another has it now, or it was switched off.
                return taken
    except Undelivered as error:
        logger.warning("%s has not taken what was sent: %s", row, error)
        row.failed(str(error), asked=error.after)
        return taken
    row.let_go()
    return taken


def _send_next(row: Destination) -> tuple[int, int] | None:
    """Send a batch; the place after it. None where nothing waits. Raises Undelivered."""
    url = row.url
    if row.what == "seals":
        found = row.next_seals(SEALS_AT_ONCE, MOST_BYTES)
        if not found:
            return None
        place, ref = (found[-1].number, 0), f"seals-{found[0].number}-{found[-1].number}"
        if _is_web(url):
            _post(row, [outgoing.seal_line(seal) for seal in found], ref)
        else:
            wires.syslog(url, [outgoing.syslog_seal(seal, host=host_name()) for seal in found], ca=row.ca)
        return place
    events, *place_of = row.next_events(EVENTS_AT_ONCE)
    place = (place_of[0], place_of[1])
    if place == (row.seal, row.position):
        return None
    if events and _is_web(url):
        ref = f"events-{events[0][1].pk}-{events[-1][1].pk}"
        _post(row, [outgoing.event_line(number, event) for number, event in events], ref)
    elif events:
        most = outgoing.MOST_BYTES.get(url.scheme, outgoing.MOST_BYTES_ELSE)
        lines = [
            outgoing.syslog_event(number, event, host=host_name(), most=most) for number, event in events
        ]
        wires.syslog(url, lines, ca=row.ca)
    return place


def _post(row: Destination, lines: list[str], ref: str) -> None:
    wires.post(row.url, "".join(lines).encode(), secret=vault.unseal(row.secret), ref=ref, ca=row.ca)


def _is_web(url: SplitResult) -> bool:
    return url.scheme in ("https", "http")
