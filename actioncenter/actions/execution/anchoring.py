"""A runner's part in noticing a restored database: it keeps the anchor, and dispatches nothing behind it.

What a restored database holds may have gone on outside of it. Attempts on actions that are older than the
acceptance therefore begin with a question: the key of a request can be worked out again, so the far side
is asked about every one that may have been used. What can't be asked goes to a person.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from django.db import Error, connection
from django.db.models import Min

from actioncenter.actions import dispatch
from actioncenter.actions.enums import AttemptState
from actioncenter.actions.models import Attempt, attempting
from actioncenter.audit.actor import Actor
from actioncenter.audit.anchor import Anchor
from actioncenter.connectors import base
from actioncenter.settings import anchoring, describing
from actioncenter.settings.models import Installation

logger = logging.getLogger(__name__)
LOOK_EVERY: Final = 1.0
DESCRIBE_EVERY: Final = 30.0
ASKED_ABOUT: Final = 20
"""How many keys the far side is asked about: an action is rarely tried more often."""
FORGOTTEN: Final = "Whether it was sent before the database was restored isn't known, and can't be asked."


def may_dispatch(*, by: Actor) -> bool:
    """Whether the database is the one we know, and our keys are the installation's.

    If the database went back, everything is stopped.
    """
    state = anchoring.examine()
    if state.restored:
        anchoring.hold_dispatch(state, by=by)
    return state.sound and not describing.differing()


def cover(attempt: Attempt, home: Installation) -> None:
    """Right before something is sent. Where that can't be written down, nothing is. Raises base.Transient."""
    file = anchoring.file_of(home)
    try:
        file.cover(attempt.pk, str(attempt.public_id))
    except (OSError, ValueError) as error:
        raise base.Transient(f"{anchoring.UNREADABLE}: {error}", retry_after=5) from error


def look(*, by: Actor) -> None:
    """Compare in full, and write down where the database stands. Raises django.db.Error."""
    state = anchoring.examine()
    if state.sound and state.anchor and (lost := _lost(state.installation, state.anchor)):
        state = replace(state, trouble=lost, restored=True)
    if state.sound:
        try:
            anchoring.keep(state)
        except (OSError, ValueError) as error:
            logger.warning("the anchor could not be written: %s", error)
    elif state.restored or state.installation.held_at:
        anchoring.hold_dispatch(state, by=by)
    else:
        logger.error("nothing is dispatched: %s", state.trouble)


def _lost(installation: Installation, anchor: Anchor) -> str:
    """What was sent and isn't in the database; what is older than its oldest attempt was purged."""
    if anchor.epoch != installation.epoch or not anchor.sent:
        return ""
    there = dict(Attempt.objects.filter(pk__in=list(anchor.sent)).values_list("pk", "public_id"))
    gone = [pk for pk, key in anchor.sent.items() if str(there.get(pk)) != key]
    if not gone:
        return ""
    oldest = Attempt.objects.aggregate(oldest=Min("pk"))["oldest"]
    gone = [pk for pk in gone if oldest is None or pk >= oldest]
    return f"Attempt {gone[0]}, which this host has sent, is not in the database." if gone else ""


def _run_until(ended: threading.Event, by: Actor) -> None:
    try:
        described = time.monotonic()
        while not ended.wait(LOOK_EVERY):
            try:
                look(by=by)
                if time.monotonic() - described > DESCRIBE_EVERY:
                    described = time.monotonic()
                    describe(by=by)
            except Error as error:
                logger.warning("the anchor could not be compared: %s", error)
                connection.close()
    finally:
        connection.close()


def describe(*, by: Actor) -> None:
    """Say what this runner is. Raises django.db.Error."""
    with dispatch.losses() as lost:
        describing.describe(by.ref.rpartition(":")[2], by=by, wakes_lost=lost)


@contextlib.contextmanager
def kept(*, by: Actor) -> Iterator[None]:
    """Keep the anchor in a thread as long as the block lasts; looked at once before it begins."""
    with contextlib.suppress(Error):
        look(by=by)
        describe(by=by)
    ended = threading.Event()
    thread = threading.Thread(target=_run_until, args=(ended, by), name="anchor")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# After a person has accepted


def is_doubtful(attempt: Attempt, home: Installation) -> bool:
    """Whether its action is older than the restore: then it may have been sent under a key nobody knows of."""
    accepted = home.accepted_at
    if accepted is None or attempt.state == AttemptState.POLLING or attempt.action.created_at >= accepted:
        return False
    return attempt.sent_at is None or attempt.started_at < accepted


def has_been_looked_at(attempt: Attempt, home: Installation) -> bool:
    """Whether a person has said since the acceptance that it was not done, and has it tried again."""
    others = attempt.action.attempts.exclude(pk=attempt.pk)
    said = others.filter(state=AttemptState.UNKNOWN, ended_at__gt=home.accepted_at)
    return attempt.sent_at is None and said.exists()


def ask_about(
    attempt: Attempt, connector: base.Connector, request: base.Request
) -> base.Done | base.Continue | None:
    """What the far side knows of it under any key that was free; the attempt goes on under that one."""
    taken = set(attempt.action.attempts.exclude(pk=attempt.pk).values_list("number", flat=True))
    for number in range(attempt.number, attempt.number + ASKED_ABOUT):
        if number in taken:
            continue
        key = attempt.public_id if number == attempt.number else attempting.key_of(attempt.action, number)
        with contextlib.suppress(base.Unsupported):
            answer = connector.lookup(replace(request, id=str(key)))
            if answer is not None:
                attempting.adopt(attempt, number, key)
                return answer
    return None
