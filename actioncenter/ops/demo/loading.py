"""Brings the demo into an installation: groups, findings, decisions, and what came of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from actioncenter.actions import housekeeping, intake
from actioncenter.actions.enums import Execution
from actioncenter.actions.models import Action, Attempt
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.ops.demo import estate, groups, reading, story
from actioncenter.ops.demo_people import BY
from actioncenter.settings.models import ConnectorInstance

Drain = Callable[..., int]
INTAKE: Final = Actor.command("ingest")
SEEDING: Final[dict[str, Any]] = {"delivery": "blind", "pace": 0}
"""A scan takes no time, and what got no answer stays unknown until a person has looked."""
PATIENCE: Final = 10.0


class NotHere(Exception):
    """The installation is no place for a demo; the text says why."""


def is_loaded() -> bool:
    return Event.objects.filter(kind=Kind.DEMO_LOADED).exists()


def require_simulator_alone() -> None:
    """Raises NotHere: demo findings must never lead to an action on a real system."""
    enabled = list(ConnectorInstance.objects.filter(enabled=True).values_list("kind", flat=True))
    if enabled != ["simulator"]:
        raise NotHere("The demo needs an installation in which the simulator alone is enabled.")


def load(drain: Drain, say: Callable[[str], None]) -> None:
    """Everything that isn't there yet. The people are (actioncenter.ops.demo_people)."""
    simulated = Estate(Path(settings.DATA_DIR) / "simulator.sqlite3")
    say("device groups")
    began = groups.ensure()
    say("simulated devices and mailboxes")
    raw = reading.raw_documents(began)
    simulated.seed(estate.describe(raw))
    with _for_seeding(simulated):
        say("findings")
        for document in (document for each in raw for document in reading.documents(each)):
            intake.record(document, by=INTAKE)
        say("decisions, and what came of them")
        _run(drain)
        story.tell(lambda: _run(drain), simulated)
        _settle_unknown(drain)
    story.resume()
    story.search_mail()
    housekeeping.tidy(by=story.HOUSEKEEPING)
    _run(drain)
    with transaction.atomic():
        log.record(
            Kind.DEMO_LOADED, by=BY, subject=log.SYSTEM_STREAM, detail={"actions": Action.objects.count()}
        )


def _run(drain: Drain) -> None:
    drain(by=story.HOUSEKEEPING)


@contextmanager
def _for_seeding(simulated: Estate) -> Iterator[None]:
    """The simulator hurries and misbehaves in here; afterwards it is as an installation expects it."""
    simulator = ConnectorInstance.objects.get(kind="simulator")
    usual = {name: value for name, value in simulator.settings.items() if name not in SEEDING}
    simulator.settings = usual | SEEDING
    simulator.save(update_fields=["settings"])
    estate.misbehave(simulated)
    try:
        yield
    finally:
        simulated.behave_normally()
        estate.keep_slow(simulated)
        simulator.settings = usual
        simulator.save(update_fields=["settings"])


def _settle_unknown(drain: Drain) -> None:
    """The runner asks once more what became of a lost answer; the blind simulator can't tell."""
    until = time.monotonic() + PATIENCE
    lost = Attempt.objects.filter(
        action__execution=Execution.OUTCOME_UNKNOWN, next_poll_at__isnull=False, ended_at__isnull=True
    )
    while lost.exists() and time.monotonic() < until:
        time.sleep(0.1)
        _run(drain)
