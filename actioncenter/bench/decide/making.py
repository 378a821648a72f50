"""Waiting actions in any number: one is made as the product makes it, the others are its copies."""

import hashlib
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from django.db.models import Model

from actioncenter.actions import planning
from actioncenter.actions.execution import loop
from actioncenter.actions.models import Action, ActionTarget, Plan
from actioncenter.audit.actor import Actor
from actioncenter.bench.population.loading import analyse
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup
from investigations.enums import EvidenceType, OsFamily, Verdict
from investigations.models import Device, Evidence, Investigation
from investigations.queries import bind_to_simulator

PER_INVESTIGATION, BATCH = 20, 1000


def waiting(number: int, *, say: Callable[[str], None]) -> list[int]:
    """Quarantines of as many files on as many devices; returns their numbers."""
    say(f"Making {number:,} waiting actions ...")
    first = _proposed()
    made = [first.pk]
    for start in range(1, number, BATCH):
        made += _copies(first, range(start, min(number, start + BATCH)))
    analyse()
    return made


def _proposed() -> Action:
    group = DeviceGroup.objects.get(is_default=True)
    DeviceGroup.objects.filter(pk=group.pk).update(level=AutomationLevel.SEMI_ALL, level_confirmed=True)
    device = Device.objects.create(name="bench-00000", group=group, os_family=OsFamily.WINDOWS)
    bind_to_simulator([device])
    name, path, sha256 = "invoice.exe", r"C:\Users\bo\Documents\invoice.exe", _hash("file 0")
    evidence = Evidence.objects.create(
        investigation=Investigation.objects.create(source="bench", title="Invoice opened"),
        key="file 0", type=EvidenceType.FILE, name=name, verdict=Verdict.MALICIOUS, device=device, group=group,
        path=path, sha256=sha256, facts={"path": path, "file_name": name, "sha256": sha256},
    )  # fmt: skip
    planning.plan([evidence.pk])
    # Reads what the connector can do and makes the plan.
    loop.drain(by=Actor.system("bench"))
    return Action.objects.get(plans__isnull=False)


def _copies(first: Action, numbers: Iterable[int]) -> list[int]:
    target, plan, link = first.targets.get(), first.plans.get(), first.links.get()
    evidence = link.evidence
    at = list(numbers)
    devices = _made(Device, (_like(evidence.device, name=f"bench-{n:05}") for n in at))
    cases = _made(
        Investigation, (_like(evidence.investigation, title=f"Case {n}") for n in at[::PER_INVESTIGATION])
    )
    case = [cases[place // PER_INVESTIGATION] for place in range(len(at))]
    found = _made(
        Evidence,
        (
            _like(evidence, key=f"file {n}", sha256=_hash(f"file {n}"), device=on, investigation=of)
            for n, on, of in zip(at, devices, case, strict=True)
        ),
    )
    actions = _made(
        Action,
        (
            _like(
                first, intent_key=_hash(f"intent {n}"), proposal_key=_hash(f"intent {n}"), device=on,
                fingerprint=_hash(f"fingerprint {n}"), investigation=of, on_name=on.name,
            )
            for n, on, of in zip(at, devices, case, strict=True)
        ),
    )  # fmt: skip
    _made(
        ActionTarget,
        (
            _like(target, action=action, device=on, lane=_hash(f"lane {n}"), entity=f"{target.entity} {n}")
            for n, action, on in zip(at, actions, devices, strict=True)
        ),
    )
    _made(Plan, (_like(plan, action=action) for action in actions))
    links = zip(actions, found, strict=True)
    _made(type(link), (_like(link, action=action, evidence=of) for action, of in links))
    return [action.pk for action in actions]


def _like(row: Any, **other: Any) -> Any:
    made = copy(row)
    made._state = copy(row._state)
    made._state.adding, made._state.fields_cache = True, {}
    made.pk = None
    if hasattr(made, "public_id"):
        made.public_id = type(made)._meta.get_field("public_id").get_default()
    for name, value in other.items():
        setattr(made, name, value)
    return made


def _made(model: type[Model], rows: Iterable[Any]) -> list[Any]:
    return list(model._default_manager.bulk_create(rows))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
