"""Device-wide verbs, and what a device looks like."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from actioncenter.actions.enums import ActionType as T
from actioncenter.actions.enums import TargetKind
from actioncenter.connectors.base import Artefact, Json, Outcome, Request, Target
from actioncenter.connectors.simulator.scene import (
    DEVICE,
    DRIVER,
    FILE,
    JOB,
    PROCESS,
    REGISTRY,
    SERVICE,
    TASK,
    Ref,
    Scene,
    State,
)
from actioncenter.connectors.simulator.verbs import Case, Change, Verb, done, restores, sets, text
from investigations.enums import OsFamily

QUICK: Final = ("Reading signatures", "Scanning memory", "Scanning start-up places", "Scanning user folders")
FULL: Final = (*QUICK, "Scanning programs", "Scanning system folders", "Scanning archives", "Scanning drives")
COLLECTING: Final = ("Listing processes", "Listing services and drivers", "Reading logs", "Packing")

SCANS: Final[Mapping[str, Sequence[str]]] = {"quick": QUICK, "full": FULL}


def device_ref(target: Target) -> Ref:
    return Ref(DEVICE, "", target.remote)


def new_device(target: Target) -> State:
    """A device the estate never heard of, from what the request says about it."""
    own = ("name",) if target.kind is TargetKind.DEVICE else ()
    return {
        "name": text(target.facts, "device_name", *own) or target.remote,
        "os": _os(target),
        "online": True,
        "isolation": "none",
        "restricted": False,
        "contained": False,
        "offboarded": False,
        "last_scan": None,
        "sessions": [],
    }


def _os(target: Target) -> str:
    """The family as the enum's number or as a word."""
    given = target.facts.get("os_family")
    if isinstance(given, int) and given in set(OsFamily):
        return OsFamily(given).name.lower()
    return text(target.facts, "os_family").lower() or "unknown"


def _locate(_: Scene, target: Target) -> Ref:
    return device_ref(target)


def isolate(case: Case) -> Change:
    return done(case, {"isolation": case.request.parameters.get("isolation", "full")})


def _cut_off(case: Case) -> list[Json]:
    """Who notices: the people signed in and the services running."""
    people = [{"kind": "session", "name": user} for user in case.state.get("sessions", [])]
    services = [
        {"kind": "service", "name": state.get("name", ref.name)}
        for ref, state in case.scene.of(SERVICE, case.target.remote)
        if state.get("status") == "running"
    ]
    return people + services


def job_ref(case: Case) -> Ref:
    return Ref(JOB, case.target.remote, f"{case.request.id}:{case.target.key}")


def job_done(case: Case) -> bool:
    return case.scene.get(job_ref(case)) is not None


def _scan(case: Case) -> Change:
    found = [
        state["path"]
        for _, state in case.scene.of(FILE, case.target.remote)
        if state.get("malicious") and state.get("status") == "present"
    ]
    scan = {"mode": case.request.parameters.get("scan", "quick"), "at": case.now, "found": found}
    edits = [(case.ref, {**case.state, "last_scan": scan}), (job_ref(case), scan)]
    return Change(Outcome.SUCCEEDED, edits, before={"last_scan": case.state.get("last_scan")}, after=scan)


def _stages_of_scan(request: Request) -> Sequence[str]:
    return SCANS.get(request.parameters.get("scan", "quick"), QUICK)


def _collect(case: Case) -> Change:
    return Change(Outcome.SUCCEEDED, [(job_ref(case), {"at": case.now})], after={"collected_at": case.now})


def _package(case: Case) -> Artefact:
    listing = {
        kind: [state for _, state in case.scene.of(kind, case.target.remote)]
        for kind in (PROCESS, SERVICE, DRIVER, TASK, REGISTRY, FILE)
    }
    files = {f"{kind}.json": json.dumps(states, indent=1).encode() for kind, states in listing.items()}
    files["device.json"] = json.dumps(case.state, indent=1).encode()
    return Artefact(f"package-{mark(case)}.zip", "application/zip", zipped(files, case.now))


def mark(case: Case) -> str:
    """A harmless, distinct part of a file name; the target's own names come from outside."""
    return hashlib.sha256(case.target.key.encode()).hexdigest()[:12]


def zipped(files: Mapping[str, bytes], now: float) -> bytes:
    """A zip with a note that says where it comes from."""
    note = b"Made by the simulator: nothing in here was read from a real device.\n"
    moment = datetime.fromtimestamp(now, UTC).timetuple()[:6]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"README.txt": note, **files}.items():
            # Zip knows no year before 1980.
            entry = zipfile.ZipInfo(name, max(moment, (1980, 1, 1, 0, 0, 0)))
            archive.writestr(entry, content)
    return buffer.getvalue()


DEVICE_VERBS: Final[Mapping[T, Verb]] = {
    T.ISOLATE_DEVICE: Verb(
        _locate, new_device, isolate, "Its network connections are cut, except to the management service.",
        affected=_cut_off,
    ),
    T.RELEASE_DEVICE: Verb(
        _locate, new_device, restores(isolation="none"), "It may connect to the network again."
    ),
    T.RESTRICT_EXECUTION: Verb(
        _locate, new_device, sets(restricted=True), "Only programs of known publishers may start."
    ),
    T.RELEASE_EXECUTION: Verb(
        _locate, new_device, restores(restricted=False), "Any program may start again."
    ),
    T.CONTAIN_DEVICE: Verb(
        _locate, new_device, sets(contained=True), "Its peers refuse to talk to it.", affected=_cut_off
    ),
    T.RELEASE_CONTAINMENT: Verb(
        _locate, new_device, restores(contained=False), "Its peers talk to it again."
    ),
    T.OFFBOARD_DEVICE: Verb(
        _locate, new_device, sets(offboarded=True), "Its sensor is switched off; it can't be reached after that.",
        material=("name", "os"),
    ),
    T.ANTIVIRUS_SCAN: Verb(
        _locate, new_device, _scan, "It is scanned; nothing is removed.", holds=job_done, stages=_stages_of_scan
    ),
    T.COLLECT_PACKAGE: Verb(
        _locate, new_device, _collect, "Lists of what runs and starts on it are packed into a zip.",
        holds=job_done, artefact=_package, stages=lambda _: COLLECTING,
    ),
}  # fmt: skip
