"""The one place where the estate is changed on behalf of a request."""

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area
from actioncenter.connectors.base import Artefact, Outcome, Result
from actioncenter.connectors.simulator.devices import device_ref, new_device
from actioncenter.connectors.simulator.ledger import Ledger
from actioncenter.connectors.simulator.scene import DEVICE
from actioncenter.connectors.simulator.table import VERBS, host_of
from actioncenter.connectors.simulator.verbs import Case, Change, decide, failed


def act(case: Case, ledger: Ledger) -> Result:
    """Make one target as wanted, and write down that and what was done."""
    _meet(case)
    change = _refused(case) or decide(VERBS[case.request.type], case)
    artefact = _artefact(case, change)
    size = len(b"".join(artefact.blocks())) if artefact else 0
    if size > case.request.max_bytes:
        change = failed(f"oversize: the file has {size} bytes, the limit is {case.request.max_bytes}")
    elif artefact:
        ledger.keep(case.target.key, artefact)
    for ref, state in change.edits:
        case.scene.put(ref, state)
    result = Result(case.target.key, change.outcome, dict(change.before), dict(change.after), change.error)
    ledger.effect(case.target.key, bool(change.edits), case.now)
    ledger.answer(result)
    return result


def pretend(case: Case, ledger: Ledger) -> Result:
    """Answer as if it had been done. What a connector that lies does."""
    change = decide(VERBS[case.request.type], case)
    result = Result(case.target.key, Outcome.SUCCEEDED, dict(change.before), dict(change.after))
    ledger.answer(result)
    return result


def _meet(case: Case) -> None:
    """First contact: what the estate never heard of comes into being as evidence describes it."""
    host = host_of(case.request, case.target)
    if host is not None and host != case.ref and case.scene.get(host) is None:
        state = new_device(case.target) if host.kind == DEVICE else {"internal": True}
        case.scene.put(host, {**state, "assumed": True})
    if case.scene.get(case.ref) is None:
        case.scene.put(case.ref, case.state)


def _refused(case: Case) -> Change | None:
    if (
        CATALOGUE[case.request.type].area is not Area.DEVICE
        or case.request.type is ActionType.OFFBOARD_DEVICE
    ):
        return None
    device = case.scene.get(device_ref(case.target)) or {}
    return failed("offboarded: the device is no longer managed") if device.get("offboarded") else None


def _artefact(case: Case, change: Change) -> Artefact | None:
    make = VERBS[case.request.type].artefact
    return make(case) if make is not None and change.outcome is Outcome.SUCCEEDED else None
