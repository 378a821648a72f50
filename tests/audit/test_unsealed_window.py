"""What isn't sealed yet could be dropped unseen, so that it isn't for long is a promise."""

from datetime import timedelta
from typing import Final

from actioncenter.actions import housekeeping
from actioncenter.actions.housekeeping import LOOKS_EVERY, SEALED_WITHIN, SEALS, SEALS_EVERY
from actioncenter.audit import sealing
from tests.actions.stopping import until, worker
from tests.audit.sealers import BOTH, check, write

STREAMS: Final = [f"action:{number}" for number in range(5)]


def test_the_intervals_leave_time_to_keep_the_promise() -> None:
    """A look may come just before the event is there, and the next one just before it is due."""
    chore = next(chore for chore in SEALS if chore.name == "seal")
    assert (chore.every, chore.look, SEALED_WITHIN) == (SEALS_EVERY, 0, 1)
    assert LOOKS_EVERY + SEALS_EVERY < SEALED_WITHIN
    assert SEALS in housekeeping.THREADS.values()


@BOTH
def test_a_runner_seals_what_happens_in_time(shared_database: str) -> None:
    with worker(shared_database):
        write("user:1")
        until(lambda: sealing.covers("user:1"), "the runner never sealed anything")
        for stream in STREAMS:
            write(stream)
            until(lambda: sealing.covers(stream), f"{stream} isn't sealed", patience=SEALED_WITHIN)  # noqa: B023
        assert not sealing.is_late(timedelta(seconds=SEALED_WITHIN))
    assert check() == ([], 0)
