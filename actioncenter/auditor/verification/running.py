"""Verifications that somebody asked for, carried out beside a runner and never within a request.

The log is read on one connection and progress written on another: on SQLite a connection that reads an
older state can't write.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.db.models import Max

from actioncenter.audit import log, signing
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event
from actioncenter.audit.trust import Trust
from actioncenter.auditor.enums import RunResult
from actioncenter.auditor.models import Overtaken, VerificationRun
from actioncenter.auditor.verification.whole import Audit, UnreadableCopies
from actioncenter.settings import checkpoints

logger = logging.getLogger(__name__)
LOOK: Final = 1.0
TELL: Final = 2.0
"""Seconds between two looks for work, and between two words of progress."""


class Interrupted(Exception):
    """Its process ends, or somebody else has taken it over."""


def work(stopping: threading.Event, *, by: Actor, holder: str) -> None:
    """A thread of a runner."""
    while not stopping.wait(LOOK):
        close_old_connections()
        try:
            if not log.is_held_back() and (run := _claim(holder)):
                carry_out(run, stopping, by=by)
        except (OperationalError, InterfaceError) as error:
            logger.warning("a verification waits for the database: %s", error)
        except Exception:
            logger.exception("a verification broke")
    connection.close()


def _claim(holder: str) -> VerificationRun | None:
    if not VerificationRun.is_due():
        return None
    expected = Event.objects.aggregate(highest=Max("pk"))["highest"] or 0
    return VerificationRun.claim(holder, expected=expected)


def carry_out(run: VerificationRun, stopping: threading.Event, *, by: Actor) -> None:
    """Verify all of the log. Whoever is told to stop gives the run back."""
    lost = threading.Event()

    def beat() -> None:
        if stopping.is_set() or lost.is_set():
            raise Interrupted

    own = checkpoints.path()
    audit = Audit(Trust(signing.known()), [own] if own.exists() else [], beat)
    try:
        with _telling(run, audit, lost), closing(audit.wrong()) as found:
            wrong = next(found, None)
        result = RunResult.WRONG if wrong else RunResult.SOUND
        first = wrong.as_json() if wrong else None
        run.finish(result, by=by, counts=audit.counts(), first_bad=first)
    except Interrupted:
        with suppress(Overtaken):
            run.give_back()
    except Overtaken:
        logger.warning("%s was overtaken", run)
    except UnreadableCopies as error:
        run.finish(RunResult.FAILED, by=by, counts=audit.counts(), trouble=str(error))
    except Exception as error:
        run.finish(RunResult.FAILED, by=by, counts=audit.counts(), trouble=f"{type(error).__name__}: {error}")
        raise


@contextmanager
def _telling(run: VerificationRun, audit: Audit, lost: threading.Event) -> Iterator[None]:
    """Say how far it is and keep the lease, as long as the block lasts."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(TELL):
            try:
                run.progress(audit.counts())
            except Overtaken:
                lost.set()
                break
            except Exception:
                # The lease lasts longer than a database is away; if not, somebody else begins anew.
                logger.exception("progress of %s could not be written", run)
        connection.close()

    teller = threading.Thread(target=tell, name="verifier-tells")
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
