"""From what a host answered to our own types. A host is believed in nothing but what it says of itself."""

import json
from collections.abc import Sequence
from typing import Any, Final

from actioncenter.connectors.base import ConnectorError, Json, Outcome, Permanent, Result, Target

MOST_BEFORE: Final = 32_000
MOST_TEXT: Final = 500
_ANSWERED: Final = {
    each.value
    for each in (Outcome.SUCCEEDED, Outcome.ALREADY, Outcome.GONE, Outcome.FAILED, Outcome.CANCELLED)
}


def results(said: Any, targets: Sequence[Target]) -> dict[str, Result]:
    """By target key, of these targets only; what makes no sense is left out."""
    found = {}
    for key, each in _by_key(said, targets).items():
        outcome, before, after = each.get("outcome"), each.get("before"), each.get("after")
        if outcome not in _ANSWERED or not isinstance(before, dict) or not isinstance(after, dict):
            continue
        if len(json.dumps(before)) > MOST_BEFORE or len(json.dumps(after)) > MOST_BEFORE:
            continue
        found[key] = Result(key, Outcome(outcome), before, after, str(each.get("error", ""))[:MOST_TEXT])
    return found


def progress(said: Any, targets: Sequence[Target]) -> dict[str, int]:
    """Of jobs that run: how much in a hundred is done, by target key."""
    found = {}
    for key, each in _by_key(said, targets).items():
        if each.get("outcome") == "running":
            done, total = each.get("done"), each.get("total")
            known = isinstance(done, int) and isinstance(total, int) and 0 <= done <= total and total > 0
            found[key] = min(99, 100 * done // total) if known else 0  # type: ignore[operator]
    return found


def states(said: Any, targets: Sequence[Target]) -> tuple[dict[str, Json], dict[str, str], bool]:
    """What was seen by key, why nothing was, and whether the request has left a result there already."""
    seen, untold = {}, {}
    items = _by_key(said, targets)
    for target in targets:
        each = items.get(target.key, {})
        state = each.get("state")
        if isinstance(state, dict):
            seen[target.key] = state
        else:
            untold[target.key] = str(each.get("error") or "It said nothing of it.")[:MOST_TEXT]
    return seen, untold, any(each.get("known") is True for each in items.values())


def _by_key(said: Any, targets: Sequence[Target]) -> dict[str, Json]:
    ours = {target.key for target in targets}
    items = said if isinstance(said, list) else []
    dicts = [each for each in items if isinstance(each, dict) and isinstance(each.get("key"), str)]
    return {each["key"]: each for each in dicts if each["key"] in ours}


def failed(target: Target, error: ConnectorError) -> Result:
    code = error.code if isinstance(error, Permanent) else type(error).__name__.lower()
    return Result(target.key, Outcome.FAILED, error=f"{code}: {error}")
