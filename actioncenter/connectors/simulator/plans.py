"""What would happen: read-only, also for things that the estate has yet to hear of."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import Json, Outcome, Plan, Request, Target
from actioncenter.connectors.simulator.clusters import members
from actioncenter.connectors.simulator.scene import MAILBOX, Ref, Scene
from actioncenter.connectors.simulator.table import VERBS, case_of, on_messages
from actioncenter.connectors.simulator.verbs import Case, Change, decide

Decided = Sequence[tuple[Case, Change]]

_NOTES: dict[Outcome, str] = {
    Outcome.ALREADY: "{name} is already as wanted.",
    Outcome.GONE: "{name} no longer exists.",
}


def plan(scene: Scene, request: Request, now: float) -> Plan:
    clustered = any(target.kind is TargetKind.CLUSTER for target in request.targets)
    targets = expanded(scene, request.targets)
    cases = [case_of(scene, request, target, now) for target in targets]
    decided = [(case, decide(VERBS[request.type], case)) for case in cases]
    make = _of_messages if on_messages(request.type) else _of_things
    body = make(scene, request, decided)
    warnings = [*body.warnings]
    if CATALOGUE[request.type].inverse is None and not CATALOGUE[request.type].is_inverse:
        warnings.append("This can't be undone.")
    return Plan(
        body.observed,
        body.changes,
        body.affected,
        warnings,
        _digest_of(request, cases),
        targets if clustered else None,
    )


def expanded(scene: Scene, targets: Sequence[Target]) -> list[Target]:
    """Clusters replaced by their messages; a message in two clusters appears once."""
    found: dict[str, Target] = {}
    for target in targets:
        for each in members(scene, target) if target.kind is TargetKind.CLUSTER else [target]:
            found.setdefault(each.key, each)
    return list(found.values())


def visible(state: Json) -> Json:
    """What people are shown of a state; where it came from isn't part of it."""
    return {name: value for name, value in state.items() if name not in {"assumed", "cluster"}}


def digest(scene: Scene, request: Request, now: float) -> str:
    """What a plan of this request would carry now."""
    targets = expanded(scene, request.targets)
    return _digest_of(request, [case_of(scene, request, target, now) for target in targets])


def _digest_of(request: Request, cases: Sequence[Case]) -> str:
    """Over material facts only: what is hit, with its content, and how."""
    things = sorted(
        json.dumps([case.ref.kind, case.ref.owner, case.ref.name, _material(case)]) for case in cases
    )
    body = json.dumps([request.type, dict(request.parameters), things], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def _material(case: Case) -> list[Any]:
    """What the estate only assumes is no news: another request's evidence may have said more of it."""
    verb = VERBS[case.request.type]
    state = verb.assume(case.target) if case.assumed else case.state
    return [state.get(name) for name in verb.material]


def _of_things(_: Scene, request: Request, decided: Decided) -> Plan:
    verb = VERBS[request.type]
    observed = {case.target.key: visible(case.state) for case, _ in decided}
    changes, warnings, affected = [], [], []
    for case, change in decided:
        name = _name(case)
        if change.outcome is Outcome.SUCCEEDED:
            changes.append(f"{name}: {verb.says}")
            affected += [{**hit, "on": case.target.remote} for hit in verb.affected(case)]
        else:
            warnings.append(
                _NOTES.get(change.outcome, "{name}: {error}").format(name=name, error=change.error)
            )
        if case.assumed:
            warnings.append(f"{name} is known from evidence only; the simulator assumes that it is there.")
    return Plan(observed, changes, affected, warnings)


def _name(case: Case) -> str:
    named = (case.state.get(field) for field in ("path", "name", "subject"))
    return str(next(filter(None, named), case.ref.name))


def _of_messages(scene: Scene, request: Request, decided: Decided) -> Plan:
    moving = [case for case, change in decided if change.outcome is Outcome.SUCCEEDED]
    folders = Counter(case.state["folder"] or "deleted for good" for case, _ in decided)
    mailboxes = {case.state["mailbox"] for case, _ in decided}
    observed: Json = {"messages": len(decided), "mailboxes": len(mailboxes), "folders": dict(folders)}
    where = _count(len({case.state["mailbox"] for case in moving}), "mailbox", "mailboxes")
    says = VERBS[request.type].says
    changes = [f"{_count(len(moving), 'message', 'messages')} in {where} {says}."] if moving else []
    return Plan(observed, changes, _by_mailbox(scene, moving), _warnings(decided))


def _by_mailbox(scene: Scene, cases: Sequence[Case]) -> list[Json]:
    hit: dict[str, list[Case]] = {}
    for case in cases:
        hit.setdefault(case.state["mailbox"], []).append(case)
    return [
        {
            "kind": "mailbox",
            "mailbox": address,
            "messages": len(found),
            "folders": dict(Counter(case.state["folder"] for case in found)),
            "internal": (scene.get(Ref(MAILBOX, "", address)) or {}).get("internal", True),
        }
        for address, found in sorted(hit.items())
    ]


def _warnings(decided: Decided) -> list[str]:
    def count(which: Callable[[Case, Change], Any]) -> int:
        return sum(1 for case, change in decided if which(case, change))

    notes = (
        (count(lambda _, change: change.outcome is Outcome.ALREADY), "already moved to where they should be"),
        (count(lambda _, change: change.outcome is Outcome.GONE), "no longer there"),
        (count(lambda _, change: change.outcome is Outcome.FAILED), "out of reach"),
        (count(lambda case, _: case.assumed), "known from evidence only, the simulator assumes them"),
    )
    return [f"{_count(number, 'message', 'messages')}: {note}." for number, note in notes if number]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
