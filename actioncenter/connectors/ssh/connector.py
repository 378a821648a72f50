"""The connector: what each call asks of which hosts."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import (
    Capability,
    ConnectorError,
    Continue,
    Done,
    Health,
    Journal,
    Json,
    Observed,
    Page,
    Permanent,
    Plan,
    Request,
    Support,
    Target,
    Transient,
    Unsupported,
)
from actioncenter.connectors.ssh import answers, plans
from actioncenter.connectors.ssh.acting import Run, not_let_in
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.lines import Lines
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.connectors.ssh.schema import Options
from actioncenter.connectors.ssh.verbs import VERBS, by_host, capability, item, why_not
from actioncenter.connectors.ssh.working import Work

KIND = "ssh"
_ON_HOSTS = frozenset(
    {
        TargetKind.DEVICE,
        TargetKind.FILE,
        TargetKind.PROCESS,
        TargetKind.SERVICE,
        TargetKind.TASK,
        TargetKind.DRIVER,
    }
)
QUICK = 15.0


class SshHosts:
    """Acts on hosts that were enrolled; a target's `remote` is the pin of its host."""

    kind = KIND

    def __init__(
        self, options: Options, authority: Authority, clock: Callable[[], float] = time.time
    ) -> None:
        self.options = options
        self.clock = clock
        self._authority = authority
        self._can: dict[str, Json] = {}

    def lines(self, request: str) -> Lines:
        """Connections that the hosts log under this request's id."""
        credentials = self._authority.sign(request, self.options.user, self.options.controllers)
        return Lines(self.options.namespace, self.options.user, credentials)

    def body(self, call: str, request: str, items: Sequence[Json] = ()) -> Json:
        return {
            "call": call,
            "id": request,
            "items": list(items),
            "controllers": list(self.options.controllers),
            "allowed": list(self.options.allowed),
            "rollback_after": self.options.rollback_after,
        }

    def check(self) -> Health:
        facts: Json = {"authority": self._authority.fingerprint(), "asked": len(self.options.canaries)}
        if not self.options.canaries:
            return Health(True, "Certificates can be signed. No host is set to be signed in to.", facts)
        told = self._told("can", str(uuid.uuid4()), dict.fromkeys(self.options.canaries, ()))
        wrong = [
            f"{remote.split(' ')[0]}: {said}" for remote, said in told.items() if isinstance(said, Exception)
        ]
        if wrong:
            return Health(False, " ".join(wrong), facts)
        return Health(True, f"Signed in to {len(told)} of the hosts.", facts)

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, Capability]:
        """Raises Transient or Permanent where the host can't be asked, so that nothing is made up."""
        if kind not in _ON_HOSTS:
            return _nothing("It acts on hosts, not on mail.")
        try:
            Pin.read(remote)
        except Unsupported as unknown:
            return _nothing(str(unknown))
        if remote not in self._can:
            (said,) = self._told("can", str(uuid.uuid4()), {remote: ()}).values()
            if isinstance(said, ConnectorError):
                raise said
            self._can[remote] = said["can"]
        verbs = self._can[remote].get("verbs", {})
        return {each: capability(each, _reason(verbs, each)) for each in ActionType}

    def preview(self, request: Request) -> Plan:
        seen, untold, _ = self._observed(request, foresee=True)
        return plans.plan(request, seen, untold)

    def verify(self, request: Request) -> Observed:
        if request.type in VERBS and VERBS[request.type].farewell:
            return self._farewell(request)
        seen, untold, _ = self._observed(request)
        holds = VERBS[request.type].holds
        in_force = {
            target.key: holds(request, target, seen[target.key]) if target.key in seen else None
            for target in request.targets
        }
        detail = {key: {"unread": why} for key, why in untold.items()}
        return Observed(in_force, {**seen, **detail})

    def _farewell(self, request: Request) -> Observed:
        """In force where we aren't let in; a host that is only away says nothing."""
        told = self._told("observe", request.id, dict.fromkeys(by_host(request.targets), ()))
        errors = [said for said in told.values() if isinstance(said, ConnectorError) and not not_let_in(said)]
        if len(errors) == len(told):
            raise errors[0]
        in_force = {target.key: _parted(told[target.remote]) for target in request.targets}
        known = {key: parted for key, parted in in_force.items() if parted is not None}
        return Observed(in_force, {key: {"enrolled": not parted} for key, parted in known.items()})

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        _supported(request)
        if cursor is None and request.plan_digest:
            seen, _, begun = self._observed(request)
            if not begun and plans.digest(request, seen) != request.plan_digest:
                raise Permanent("plan_changed", "What is there now is no longer what the plan showed.")
        return self._run(request).step(cursor, journal)

    def _run(self, request: Request) -> Run | Work:
        return Work(self, request) if VERBS[request.type].job else Run(self, request)

    def cancel(self, request: Request, cursor: Json | None) -> bool:
        """Jobs are ended on their hosts; anything else is over within seconds, with nothing to stop in between."""
        return VERBS[request.type].cancellable and Work(self, request).cancel(cursor)

    def lookup(self, request: Request) -> Done | Continue | None:
        _supported(request)
        return self._run(request).lookup()

    def search(self, criteria: Mapping[str, Any], cursor: Json | None) -> Page:
        raise Unsupported("Hosts can't be searched yet.")

    def _observed(
        self, request: Request, *, foresee: bool = False
    ) -> tuple[dict[str, Json], dict[str, str], bool]:
        """States by key, why there is none, whether a result is there. Raises where no host can be asked."""
        _supported(request)
        hosts = by_host(request.targets)
        items = {remote: [item(request, each) for each in there] for remote, there in hosts.items()}
        told = self._told("observe", request.id, items, {"foresee": True} if foresee else {})
        errors = [said for said in told.values() if isinstance(said, ConnectorError)]
        if len(errors) == len(told):
            raise errors[0]
        seen: dict[str, Json] = {}
        untold: dict[str, str] = {}
        begun = False
        for remote, said in told.items():
            if isinstance(said, ConnectorError):
                untold |= {target.key: str(said) for target in hosts[remote]}
                continue
            more, silent, known = answers.states(said["observe"], hosts[remote])
            seen, untold, begun = seen | more, untold | silent, begun or known
        return _ordered(seen, request.targets), untold, begun

    def _told(
        self, call: str, request: str, items: Mapping[str, Sequence[Json]], more: Json | None = None
    ) -> dict[str, Json | ConnectorError]:
        """One question to each host that only reads. A lost answer is no more than a host out of reach."""
        with self.lines(request) as lines:
            told: dict[str, Json | ConnectorError] = dict(lines.open(list(items)))
            there = {
                remote: {**self.body(call, request, items[remote]), **(more or {})}
                for remote in items
                if remote not in told
            }
            for remote, said in lines.ask(there, QUICK).items():
                lost = isinstance(said, ConnectorError) and not isinstance(said, Permanent)
                told[remote] = Transient(str(said), 30.0, offline=True) if lost else said
        return told


def _supported(request: Request) -> None:
    """Raises Unsupported."""
    if reason := why_not(request.type):
        raise Unsupported(reason)


def _parted(said: Json | ConnectorError) -> bool | None:
    """Whether it lets us in no more; None where it can't be seen."""
    if not isinstance(said, ConnectorError):
        return False
    return True if not_let_in(said) else None


def _nothing(reason: str) -> Mapping[ActionType, Capability]:
    return {each: Capability(Support.UNSUPPORTED, why_not(each) or reason) for each in ActionType}


def _reason(verbs: Any, kind: ActionType) -> str:
    said = verbs.get(CATALOGUE[kind].code) if isinstance(verbs, dict) else None
    return said[:300] if isinstance(said, str) else "Its helper doesn't know this."


def _ordered(seen: Mapping[str, Json], targets: Sequence[Target]) -> dict[str, Json]:
    return {target.key: seen[target.key] for target in targets if target.key in seen}
