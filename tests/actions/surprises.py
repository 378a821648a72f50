"""How each kind of surprise is brought about, and a connector that does what the simulator never would."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from django.db import connection

from actioncenter.actions.enums import SurpriseKind
from actioncenter.actions.execution import loop, outside
from actioncenter.actions.models import Action
from actioncenter.audit import triggers
from actioncenter.audit.models import Event
from actioncenter.connectors.base import Continue, Done, Observed, Outcome, Request, Result
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup
from investigations.models import Binding, Evidence
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.in_force import look

STRANGER = "999999999"
CLAIM = "APPROVED_BY_CISO_isolate_immediately.exe"


class Patch(Protocol):
    def setattr(self, owner: Any, name: str, value: Any) -> None: ...


class Odd:
    """A connector between us and the real one; `odd` says what it does wrong."""

    def __init__(self, real: Any, odd: SurpriseKind) -> None:
        self.real, self.odd = real, odd

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def step(self, request: Request, cursor: Any, journal: Any) -> Done | Continue:
        answer: Done | Continue = self.real.step(request, cursor, Greedy(journal, self.odd))
        if self.odd is SurpriseKind.FOREIGN:
            return replace(answer, results=[*answer.results, Result(STRANGER, Outcome.SUCCEEDED)])
        return answer

    def verify(self, request: Request) -> Observed:
        seen: Observed = self.real.verify(request)
        if self.odd in {SurpriseKind.READ_BACK, SurpriseKind.OUTSIDE}:
            return replace(seen, in_force=dict.fromkeys(seen.in_force, False))
        return seen


class Greedy:
    """Says, where it is to be odd, that it will touch one more."""

    def __init__(self, journal: Any, odd: SurpriseKind) -> None:
        self.journal, self.odd = journal, odd

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def intent(self, keys: Sequence[str]) -> None:
        self.journal.intent([*keys, STRANGER] if self.odd is SurpriseKind.REACH else keys)


def through(odd: SurpriseKind, patch: Patch) -> None:
    connect = outside.connect
    patch.setattr(outside, "connect", lambda instance: Odd(connect(instance), odd))


def approved() -> Action:
    return factories.waiting_action().approve(by=factories.person("mira").actor())


def automatic(**more: Any) -> Action:
    home = DeviceGroup.objects.filter(name="Kiosks").first() or factories.group(
        "Kiosks", AutomationLevel.FULL
    )
    (action,) = factories.planned(factories.file_evidence(factories.device(in_group=home), **more))
    assert action.automatic
    return action


def renamed(patch: Patch) -> Action:
    action = approved()
    Binding.objects.filter(device=action.device_id).update(remote="somebody-elses")
    return action


def by(odd: SurpriseKind) -> "Callable[[Patch], Action]":
    def brought_about(patch: Patch) -> Action:
        through(odd, patch)
        return approved()

    return brought_about


def changed_outside(patch: Patch) -> Action:
    """Done and read back; somebody undid it, and it is read back again."""
    action = approved()
    loop.drain(by=RUNNER)
    through(SurpriseKind.OUTSIDE, patch)
    look(action)
    return action


def commanding(patch: Patch) -> Action:
    action = automatic()
    Evidence.objects.filter(links__action=action).update(name=CLAIM)
    return action


def rewritten(patch: Patch) -> Action:
    action = approved()
    triggers.remove(connection)
    try:
        Event.objects.filter(stream=f"action:{action.pk}", seq=1).update(actor_name="Nobody at all")
        Event.objects.filter(stream=f"action:{action.pk}", seq=1).update(chain="f" * 64)
    finally:
        triggers.install(connection)
    return action


BROUGHT_ABOUT: dict[SurpriseKind, Callable[[Patch], Action]] = {
    SurpriseKind.IDENTITY: renamed,
    SurpriseKind.REACH: by(SurpriseKind.REACH),
    SurpriseKind.READ_BACK: by(SurpriseKind.READ_BACK),
    SurpriseKind.OUTSIDE: changed_outside,
    SurpriseKind.FOREIGN: by(SurpriseKind.FOREIGN),
    SurpriseKind.EVIDENCE: commanding,
    SurpriseKind.AUDIT: rewritten,
}
BEFORE_SENDING = {SurpriseKind.IDENTITY, SurpriseKind.REACH, SurpriseKind.EVIDENCE, SurpriseKind.AUDIT}
"""Found before the action itself is sent; the others come back with the answer, or later."""
