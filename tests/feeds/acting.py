"""Blocking URLs the way the product does: proposed, carried out by a runner, read back."""

import time
import uuid
from typing import Any

from django.core.management import call_command

from actioncenter.actions import housekeeping
from actioncenter.actions.enums import ActionType, Area, Decision, Source, TargetKind
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, Proposal, TargetDraft
from actioncenter.feeds import canonical
from actioncenter.feeds.models import Block
from investigations.models import Binding
from tests import factories
from tests.actions.conftest import RUNNER


def in_use() -> None:
    call_command("feeds", "enable", verbosity=0)


def proposed(url: str, by: str = "aiko", **parameters: Any) -> Action:
    """By somebody who has the right to do it at once."""
    binding = Binding.objects.get(tenant=True, instance__kind="feeds")
    draft = TargetDraft(
        kind=TargetKind.URL, name=url, entity=canonical.read(url).expression, on_name="Everyone",
        instance_id=binding.instance_id, instance_name=binding.instance.name, remote=binding.remote, facts={"url": url},
    )  # fmt: skip
    action, _ = Action.objects.propose(
        Proposal(
            type=ActionType.BLOCK_URL, area=Area.EMAIL, source=Source.MANUAL_EMAIL, decision=Decision.NOT_REQUIRED,
            targets=[draft], parameters=parameters, comment="By hand",
        ),
        by=factories.person(by).actor(proved_at=time.time()),
    )  # fmt: skip
    return action


def run(*actions: Action) -> None:
    loop.drain(by=RUNNER)
    housekeeping.tidy(by=RUNNER)
    loop.drain(by=RUNNER)
    for action in actions:
        action.refresh_from_db()


def placed(url: str, days: int = 0) -> Block:
    """On the list, without an action."""
    return Block.place(f"test:{uuid.uuid4()}", canonical.read(url), days=days, ref="test", by=RUNNER)


def blocked(url: str, **parameters: Any) -> Action:
    action = proposed(url, **parameters)
    run(action)
    return action


def undone(action: Action, by: str = "aiko") -> Action:
    inverse = action.undo(by=factories.actor(factories.person(by)), comment="It was harmless.")
    run(action, inverse)
    return inverse
