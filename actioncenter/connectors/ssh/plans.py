"""What would happen, from what the hosts show now."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.connectors.base import Json, Plan, Request
from actioncenter.connectors.ssh import stopping
from actioncenter.connectors.ssh.verbs import VERBS


def plan(request: Request, states: Mapping[str, Json], untold: Mapping[str, str]) -> Plan:
    """`states` by target key; `untold` says why there is none."""
    verb = VERBS[request.type]
    changes, affected, warnings = [], [], []
    for target in request.targets:
        state = states.get(target.key)
        if state is None:
            warnings.append(f"{_name(target.facts)}: {untold[target.key]}")
            continue
        if verb.holds(request, target, state):
            warnings.append(f"{_name(target.facts)} is already as wanted.")
        changes.append(verb.says(request, target, state))
        stops = stopping.read(state.get("stops"))
        changes += stops.sentences(_name(target.facts))
        affected += stops.affected()
        warnings += stops.warnings(_name(target.facts))
        if state.get("running"):
            affected.append({"kind": "process", "count": state["running"], "path": state.get("path", "")})
        if state.get("note"):
            warnings.append(f"{_name(target.facts)}: {str(state['note'])[:200]}")
        if in_the_way := state.get("in_the_way"):
            warnings.append(
                f"{_name(target.facts)}: first has to be undone: {', '.join(map(str, in_the_way))[:200]}"
            )
        if state.get("links", 1) > 1:
            warnings.append(f"{_name(target.facts)} is reachable under {state['links'] - 1} more names.")
    if CATALOGUE[request.type].inverse is None and not CATALOGUE[request.type].is_inverse:
        warnings.append("This can't be undone.")
    return Plan(dict(states), changes, affected, warnings, digest(request, states))


def digest(request: Request, states: Mapping[str, Json]) -> str:
    """Over material facts only: which host by its key, what lies there, and how it is done."""
    material = VERBS[request.type].material
    things = sorted(
        json.dumps([target.remote, [states.get(target.key, {}).get(name) for name in material]])
        for target in request.targets
    )
    body = json.dumps([request.type, dict(request.parameters), things], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def _name(facts: Mapping[str, Any]) -> str:
    return str(facts.get("path") or facts.get("name") or "The host")
