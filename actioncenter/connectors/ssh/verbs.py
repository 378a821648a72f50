"""Which types are carried out on hosts, what counts as in force, and what a plan of each is bound to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType as T
from actioncenter.connectors.base import Capability, Delivery, Json, Request, Support, Target


@dataclass(frozen=True, slots=True)
class Verb:
    """`holds` and `says` judge a state as the host's `observe` gives it; `material` names what a plan binds."""

    holds: Callable[[Request, Target, Json], bool]
    says: Callable[[Request, Target, Json], str]
    material: tuple[str, ...]
    modes: tuple[str, ...] = ()
    confirmed: bool = False
    """Whether it takes itself back unless we come again over a new connection."""
    job: bool = False
    """Whether it goes on after the call and is asked for again, or brings a file; nothing of it changes a host."""
    brings: str = ""
    """The name that a file which it brings begins with."""
    cancellable: bool = False
    farewell: bool = False
    """Whether it is proved by not being let in any more. Then the host can't be asked twice."""

    @property
    def delivery(self) -> Delivery:
        return Delivery.QUERYABLE if self.farewell else Delivery.KEYED


def mode_of(request: Request) -> str:
    return str(request.parameters.get("isolation") or "full")


def _is_file(target: Target, state: Json) -> bool:
    """Whether the file that was judged lies there."""
    known = [name for name in ("sha256", "sha1") if target.facts.get(name)]
    same = all(str(target.facts[name]).lower() == state.get(name) for name in known)
    return bool(state.get("present")) and same


def _quarantines(_: Request, target: Target, state: Json) -> str:
    path = target.facts.get("path", "")
    ended = f", and {state['running']} of its processes are ended" if state.get("running") else ""
    return f"{path}: taken into quarantine{ended}"


def _of(target: Target) -> str:
    return str(target.facts.get("name") or "the device")


def _restricts(_: Request, __: Target, state: Json) -> str:
    places = ", ".join(map(str, state.get("open") or ())) or "where people may write"
    return (
        f"no program starts from {places} any more (mode noexec); "
        "interpreters aren't stopped: what is given to sh, python or perl there still runs, and a process that "
        "is in a folder there already or holds something open in it gets past this: the result names it"
    )


def _is_taken(_: Request, __: Target, state: Json) -> bool:
    """A service or timer that nothing can start, or a task that isn't there."""
    if "unit" in state:
        return state.get("load") in {"masked", "not-found"} and state.get("active") in {"inactive", "failed"}
    return state.get("present") is False


def _is_back(_: Request, target: Target, state: Json) -> bool:
    """Exactly as it was recorded, and running if it was."""
    before = target.before
    if "unit" in state:
        runs = state.get("active") == "active" or not before.get("running")
        return runs and state.get("files") == before.get("files")
    return state.get("present") is True and state.get("sha256") == before.get("sha256")


def _is_disabled(_: Request, __: Target, state: Json) -> bool:
    return state.get("blocked") is True and state.get("loaded") is False


def _is_enabled(_: Request, target: Target, state: Json) -> bool:
    loaded = state.get("loaded") is True or not target.before.get("loaded")
    return state.get("blocked") is False and loaded


def _entity(holds: Callable[[Request, Target, Json], bool], then: str, material: tuple[str, ...]) -> Verb:
    def says(_: Request, target: Target, state: Json) -> str:
        name = state.get("unit") or state.get("module") or state.get("path") or target.facts.get("name")
        return f"{name or 'It'}: {then}"

    return Verb(holds, says, material)


VERBS: Final[Mapping[T, Verb]] = {
    T.ISOLATE_DEVICE: Verb(
        lambda request, _, state: state.get("isolation") == mode_of(request),
        lambda request, _, __: f"cut off from the network ({mode_of(request)}), but for us",
        ("isolation",),
        modes=("full", "selective"),
        confirmed=True,
    ),
    T.RELEASE_DEVICE: Verb(
        lambda _, __, state: state.get("isolation") == "none",
        lambda _, __, ___: "connected to the network again",
        ("isolation",),
    ),
    T.QUARANTINE_FILE: Verb(
        lambda _, target, state: not _is_file(target, state) and state.get("running") == 0,
        _quarantines,
        ("path", "present", "sha256"),
    ),
    T.RELEASE_FILE: Verb(
        lambda _, target, state: bool(state.get("present")) and state.get("sha256") == _released(target),
        lambda _, target, __: f"{target.facts.get('path', '')}: back in its place",
        ("path", "present", "sha256"),
    ),
    T.KILL_PROCESS: Verb(
        lambda _, __, state: state.get("alive") is False,
        lambda _, target, __: f"{target.facts.get('path') or 'Process'} {target.facts.get('pid')}: ended",
        ("pid", "alive", "started", "sha256"),
    ),
    T.REQUEST_SAMPLE: Verb(
        lambda _, __, state: state.get("brought") is True,
        lambda _, target, __: f"{target.facts.get('path') or 'The file'}: a copy of it is taken",
        ("path", "present", "sha256"),
        job=True,
        brings="sample",
    ),
    T.COLLECT_PACKAGE: Verb(
        lambda _, __, state: state.get("brought") is True,
        lambda _, __, ___: "lists of what runs, starts and signs in there are taken; nothing is changed",
        (),
        job=True,
        brings="package",
        cancellable=True,
    ),
    T.ANTIVIRUS_SCAN: Verb(
        lambda _, __, state: state.get("scanned") is True,
        lambda request, _, __: f"scanned by ClamAV ({request.parameters.get('scan')}); nothing is removed",
        (),
        modes=("quick", "full", "custom"),
        job=True,
        cancellable=True,
    ),
    T.RESTRICT_EXECUTION: Verb(
        lambda _, __, state: state.get("restriction") == "noexec",
        _restricts,
        ("restriction",),
        modes=("noexec",),
    ),
    T.RELEASE_EXECUTION: Verb(
        lambda _, __, state: state.get("restriction") == "none",
        lambda _, __, ___: "programs may start from everywhere they could before",
        ("restriction",),
    ),
    T.CONTAIN_DEVICE: Verb(
        lambda _, __, state: state.get("containment") == "in force",
        lambda _, target, state: (
            f"this host drops {_of(target)} on {len(state.get('open') or ())} more addresses"
        ),
        ("containment", "open"),
    ),
    T.RELEASE_CONTAINMENT: Verb(
        lambda _, __, state: state.get("containment") == "none",
        lambda _, target, __: f"this host talks to {_of(target)} again",
        ("containment", "open"),
    ),
    T.OFFBOARD_DEVICE: Verb(
        lambda _, __, ___: False,
        lambda _, target, __: (
            f"{_of(target)} trusts us no more: the helper, its right and our authority's key are removed"
        ),
        ("in_the_way",),
        farewell=True,
    ),
    T.STOP_SERVICE: _entity(_is_taken, "stopped and disabled", ("unit", "load", "files")),
    T.START_SERVICE: _entity(_is_back, "started again, with all that started it", ("unit", "load", "files")),
    T.REMOVE_TASK: _entity(_is_taken, "removed", ("unit", "load", "files", "path", "sha256")),
    T.RESTORE_TASK: _entity(_is_back, "restored as it was", ("unit", "load", "files", "path", "sha256")),
    T.DISABLE_DRIVER: _entity(
        _is_disabled, "unloaded, and not loaded again", ("module", "loaded", "blocked")
    ),
    T.ENABLE_DRIVER: _entity(_is_enabled, "loaded again as it was", ("module", "loaded", "blocked")),
}

NOT_YET: Final = "It isn't carried out over SSH yet."
_WINDOWS: Final = "Only Windows has that."
WHY_NOT: Final[Mapping[T, str]] = {
    T.REMOVE_REGISTRY_KEY: _WINDOWS,
    T.RESTORE_REGISTRY_KEY: _WINDOWS,
    T.EXPAND_PIVOT: "It acts on investigations, not on hosts.",
}


def _released(target: Target) -> Any:
    return target.before.get("sha256") or target.facts.get("sha256")


def why_not(kind: T) -> str:
    """Why no host can do it; empty if some can."""
    return "" if kind in VERBS else WHY_NOT.get(kind, NOT_YET)


def capability(kind: T, reason: str) -> Capability:
    """`reason` is what the host itself says against it."""
    against = why_not(kind) or reason
    if against:
        return Capability(Support.UNSUPPORTED, against, delivery=Delivery.KEYED)
    undoable = CATALOGUE[kind].inverse is not None
    verb = VERBS[kind]
    return Capability(
        Support.SUPPORTED,
        modes=verb.modes,
        undoable=undoable,
        cancellable=verb.cancellable,
        delivery=verb.delivery,
    )


def item(request: Request, target: Target) -> Json:
    """One target as the helper takes it."""
    return {
        "key": target.key,
        "verb": CATALOGUE[request.type].code,
        "facts": dict(target.facts),
        "parameters": dict(request.parameters),
        "before": dict(target.before),
    }


def by_host(targets: Sequence[Target]) -> dict[str, list[Target]]:
    hosts: dict[str, list[Target]] = {}
    for target in targets:
        hosts.setdefault(target.remote, []).append(target)
    return hosts
