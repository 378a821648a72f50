"""The whole log as a file; taking it is itself an event."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.db import transaction

from actioncenter.audit import (
    borders,
    chaining,
    export,
    log,
    redacted,
    sealing,
    seals,
    signing,
    standalone,
    standalone_texts,
)
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Redaction, Seal
from actioncenter.settings import checkpoints

BEGIN: Final = "# Its other half;"
END: Final = "# End of the other half.\n"


@contextmanager
def anew(path: Path) -> Iterator[int]:
    """A file for its owner alone, which is no more if it can't be written, or told of, to the end.

    Raises OSError, also when it is there already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def write(path: Path, *, by: Actor) -> dict[str, int]:
    """How many seals and events it has. Raises OSError, also when the file is there already."""
    with anew(path) as descriptor, os.fdopen(descriptor, "w", encoding="ascii", closefd=False) as file:
        with transaction.atomic():
            log.record(Kind.EXPORT_MADE, by=by, subject="audit", detail={"file": path.name})
        redaction, last = -1, ""
        while redaction != (newest := redacted.last()):
            # What was redacted while it was read may stand in the file as it was before.
            redaction = newest
            file.seek(0)
            file.truncate()
            for line in lines():
                file.write(line)
                last = line
        file.flush()
        os.fsync(descriptor)
    counted: dict[str, int] = json.loads(last)["end"]
    return counted


def lines() -> Iterator[str]:
    """What was final when it began; sealed first, so that copies kept elsewhere know no more than the file."""
    sealing.seal()
    checkpoints.keep()
    last = sealing.newest()
    number = last.number if last else 0
    return export.lines(
        events_of,
        Seal.objects.filter(number__lte=number).order_by("number").iterator(chunk_size=50),
        unsealed=_unsealed(last),
        public_keys=seals.by_id(signing.known()),
        at=sealing.Horizon.now().at,
        audit_keys=chaining.known(),
        cut=borders.newest(),
        redactions=Redaction.objects.order_by("number"),
    )


def events_of(ids: Sequence[int]) -> Iterable[Event]:
    return Event.objects.filter(pk__in=ids).order_by("pk").only("pk", "chain", "canonical")


def _unsealed(last: Seal | None) -> Iterator[Event]:
    floor = last.floor if last else 0
    for event in sealing.after(last).order_by("pk").only("pk", "chain", "canonical").iterator(chunk_size=500):
        if event.pk > floor or not sealing.held([event.pk]):
            yield event


def script() -> str:
    """The verifier of such files, its halves put into one."""
    text, other = (
        Path(str(half.__file__)).read_text(encoding="utf-8") for half in (standalone, standalone_texts)
    )
    before, _, rest = text.partition(BEGIN)
    return before + other.partition('"""\n\n')[2] + rest.partition(END)[2]
