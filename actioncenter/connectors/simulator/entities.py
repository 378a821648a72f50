"""Verbs on what lies or runs on a device: files, processes, services, drivers, tasks, registry."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from actioncenter.actions.enums import ActionType as T
from actioncenter.connectors.base import Artefact, Json, Outcome, Target
from actioncenter.connectors.simulator.devices import job_done, job_ref, mark, zipped
from actioncenter.connectors.simulator.scene import (
    DRIVER,
    FILE,
    PROCESS,
    REGISTRY,
    SERVICE,
    TASK,
    VAULT,
    Ref,
    Scene,
    State,
)
from actioncenter.connectors.simulator.verbs import (
    Case,
    Change,
    Verb,
    done,
    failed,
    number,
    restores,
    sets,
    text,
)

WHOLE_KEY: Final = "(default)"


_HIVES: Final[Mapping[str, str]] = {
    "hklm": "hkey_local_machine",
    "hkcu": "hkey_current_user",
    "hku": "hkey_users",
    "hkcr": "hkey_classes_root",
    "hkcc": "hkey_current_config",
}


def key_name(hive: str, key: str) -> str:
    """One name for a registry key, however its hive is spelled; empty without a key."""
    full = folded("\\".join(part.strip("\\") for part in (hive, key) if part))
    head, separator, rest = full.partition("\\")
    return _HIVES.get(head, head) + separator + rest


def folded(path: str) -> str:
    """Windows doesn't tell letters' case apart in paths."""
    windows = "\\" in path or path[1:2] == ":"
    return path.replace("/", "\\").casefold() if windows else path


# Files


def _file_path(target: Target) -> str:
    return text(target.facts, "path", "file_path")


def _locate_file(scene: Scene, target: Target) -> Ref:
    path = _file_path(target)
    if path:
        return Ref(FILE, target.remote, folded(path))
    for ref, state in scene.of(FILE, target.remote):
        for algorithm in ("sha256", "sha1"):
            wanted = text(target.facts, algorithm)
            if wanted and state.get(algorithm) == wanted.lower():
                return ref
    return Ref(FILE, target.remote, text(target.facts, "name", "file_name", "sha256", "sha1") or target.key)


def _new_file(status: str) -> Callable[[Target], State]:
    def state(target: Target) -> State:
        facts = target.facts
        return {
            "path": _file_path(target) or text(facts, "name", "file_name") or target.key,
            "sha256": text(facts, "sha256").lower(),
            "sha1": text(facts, "sha1").lower(),
            "size": number(facts, "size"),
            "status": status,
            "vault": None,
        }

    return state


def _runs_from(case: Case) -> list[tuple[Ref, State]]:
    return [
        (ref, state)
        for ref, state in case.scene.of(PROCESS, case.target.remote)
        if state.get("status") == "running" and folded(state.get("path") or "") == case.ref.name
    ]


def _stopped(case: Case) -> list[Json]:
    return [
        {"kind": "process", "pid": state.get("pid"), "name": state.get("name")}
        for _, state in _runs_from(case)
    ]


def _other_content(case: Case) -> bool:
    """Whether another file than the one meant lies there."""
    return any(
        text(case.facts, name) and case.state.get(name) and text(case.facts, name).lower() != case.state[name]
        for name in ("sha256", "sha1")
    )


def _quarantine(case: Case) -> Change:
    state = case.state
    if _other_content(case):
        return failed("hash_mismatch: another file lies at this path", sha256=state["sha256"])
    if state["status"] == "quarantined":
        return Change(Outcome.ALREADY, before=_kept(state), after={"status": "quarantined"})
    if state.get("protected"):
        return failed("protected: the file is signed by the maker of the operating system")
    vault = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{case.request.id}/{case.target.key}"))
    stored = {**_kept(state), "vault": vault}
    stopped = [(ref, {**process, "status": "killed"}) for ref, process in _runs_from(case)]
    edits = [
        (case.ref, {**state, "status": "quarantined", "vault": vault}),
        (Ref(VAULT, case.target.remote, vault), {**stored, "name": case.ref.name}),
        *stopped,
    ]
    after = {"status": "quarantined", "stopped": [ref.name for ref, _ in stopped]}
    return Change(Outcome.SUCCEEDED, edits, before=stored, after=after)


def _kept(state: State) -> Json:
    return {name: state.get(name) for name in ("path", "sha256", "sha1", "size", "status", "vault")}


def _release(case: Case) -> Change:
    state = case.state
    vault = case.before.get("vault") or state.get("vault")
    place = Ref(VAULT, case.target.remote, str(vault))
    stored = case.scene.get(place) if vault else None
    kept = stored or (_kept(state) if case.assumed and not vault else None)
    if state["status"] == "present":
        same = state.get("sha256") == (stored or case.before or state).get("sha256")
        if same:
            return Change(Outcome.ALREADY, after={"status": "present"})
        return failed("path_occupied: another file lies at this path by now", sha256=state.get("sha256"))
    if kept is None:
        return failed("not_in_vault: the quarantine no longer holds this file")
    content = {name: kept.get(name) for name in ("path", "sha256", "sha1", "size")}
    edits = [(case.ref, {**state, **content, "status": "present", "vault": None}), (place, None)]
    return Change(Outcome.SUCCEEDED, edits, before=_kept(state), after={"status": "present"})


def _sample(case: Case) -> Change:
    limit = case.request.max_bytes
    if _other_content(case):
        return failed("hash_mismatch: another file lies at this path", sha256=case.state["sha256"])
    if case.state["size"] > limit:
        return failed(f"oversize: the file has {case.state['size']} bytes, the limit is {limit}")
    edits = [(job_ref(case), {"at": case.now})]
    if case.assumed:
        edits.append((case.ref, case.state))
    return Change(
        Outcome.SUCCEEDED, edits, after={"sha256": case.state["sha256"], "size": case.state["size"]}
    )


def _sample_zip(case: Case) -> Artefact:
    content = f"Stand-in for {case.state['path']}, sha256 {case.state['sha256']}\n".encode()
    return Artefact(f"sample-{mark(case)}.zip", "application/zip", zipped({"sample.bin": content}, case.now))


# Processes


def _locate_process(_: Scene, target: Target) -> Ref:
    name = text(target.facts, "pid", "process_id") or text(target.facts, "name", "path") or target.key
    return Ref(PROCESS, target.remote, name)


def _new_process(target: Target) -> State:
    return {
        "pid": text(target.facts, "pid", "process_id"),
        "name": text(target.facts, "name", "file_name", "process_name"),
        "path": _file_path(target),
        "command_line": text(target.facts, "command_line"),
        "sha256": text(target.facts, "sha256").lower(),
        "status": "running",
    }


def _kill(case: Case) -> Change:
    for name in ("sha256", "path"):
        meant, found = text(case.facts, name), case.state.get(name)
        if meant and found and folded(meant).lower() != folded(found).lower():
            return Change(Outcome.GONE, error="the process id belongs to another process by now")
    if case.state["status"] == "exited":
        return Change(Outcome.GONE, after={"status": "exited"})
    return done(case, {"status": "killed"})


# Services, drivers, tasks


def _named(kind: str, *names: str) -> Callable[[Scene, Target], Ref]:
    def locate(_: Scene, target: Target) -> Ref:
        return Ref(kind, target.remote, text(target.facts, *names) or target.key)

    return locate


def _new(**state: Any) -> Callable[[Target], State]:
    def fresh(target: Target) -> State:
        path = text(target.facts, "image_path", "path", "file_path")
        return {"name": text(target.facts, "name") or target.key, "path": path, **state}

    return fresh


def _new_task(target: Target) -> State:
    command = text(target.facts, "command", "command_line", "image_path", "path")
    return {"name": text(target.facts, "name") or target.key, "definition": {"command": command}}


# Registry


def _locate_key(scene: Scene, target: Target) -> Ref:
    name = key_name(text(target.facts, "hive"), text(target.facts, "key")) or target.key
    known = scene.get(Ref(REGISTRY, target.remote, name))
    value = text(target.facts, "value_name")
    if known is not None and not known.get("assumed"):
        return Ref(REGISTRY, target.remote, name)
    # A key known from evidence only: what else it holds isn't known, so each value stands alone.
    return Ref(REGISTRY, target.remote, f"{name}\\:{value.casefold()}" if value else name)


def _new_key(values: bool) -> Callable[[Target], State]:
    def state(target: Target) -> State:
        name = text(target.facts, "value_name") or WHOLE_KEY
        held = {name: text(target.facts, "value", "value_data")} if values else None
        return {"hive": text(target.facts, "hive"), "key": text(target.facts, "key"), "values": held}

    return state


def _remove_key(case: Case) -> Change:
    values: dict[str, Any] | None = case.state["values"]
    name = text(case.facts, "value_name")
    if values is None or (name and name not in values):
        return Change(Outcome.ALREADY, before={"removed": {}, "whole": False}, after={"values": values})
    removed = {name: values[name]} if name else values
    whole = not name or (case.assumed and removed == values)
    left = None if whole else {key: value for key, value in values.items() if key not in removed}
    edits = [(case.ref, {**case.state, "values": left})]
    before = {"removed": removed, "whole": whole}
    return Change(Outcome.SUCCEEDED, edits, before=before, after={"values": left})


def _restore_key(case: Case) -> Change:
    removed = case.before.get("removed")
    if removed is None:
        return failed("nothing_recorded: there is no record of what to restore")
    found: dict[str, Any] | None = case.state["values"]
    values = found or {}
    if any(name in values and values[name] != value for name, value in removed.items()):
        return failed("conflict: a value of that name was written since and is left as it is")
    nothing_removed = not removed and not case.before.get("whole")
    if nothing_removed or (found is not None and removed.items() <= found.items()):
        return Change(Outcome.ALREADY, after={"values": found})
    merged = {**values, **removed}
    return Change(Outcome.SUCCEEDED, [(case.ref, {**case.state, "values": merged})], after={"values": merged})


_service = _named(SERVICE, "service_name", "name")
_driver = _named(DRIVER, "driver_name", "name", "path")
_task = _named(TASK, "task_name", "name", "task_path")

ENTITY_VERBS: Final[Mapping[T, Verb]] = {
    T.QUARANTINE_FILE: Verb(
        _locate_file, _new_file("present"), _quarantine, "The file is moved to the quarantine, processes "
        "running from it are stopped.", material=("sha256", "sha1"), affected=_stopped,
    ),
    T.RELEASE_FILE: Verb(
        _locate_file, _new_file("quarantined"), _release, "The file returns to its place.", material=("sha256",)
    ),
    T.REQUEST_SAMPLE: Verb(
        _locate_file, _new_file("present"), _sample, "A copy of the file is packed into a zip.",
        material=("sha256", "sha1"), holds=job_done, artefact=_sample_zip,
    ),
    T.KILL_PROCESS: Verb(
        _locate_process, _new_process, _kill, "The process is stopped; what it had open is lost.",
        material=("path", "sha256"),
    ),
    T.STOP_SERVICE: Verb(
        _service, _new(status="running", start="auto"), sets(status="stopped", start="disabled"),
        "The service is stopped and won't start again.", material=("path",),
    ),
    T.START_SERVICE: Verb(
        _service, _new(status="stopped", start="disabled"), restores(status="running", start="auto"),
        "The service is started as it was.", material=("path",),
    ),
    T.DISABLE_DRIVER: Verb(
        _driver, _new(loaded=True, start="system"), sets(loaded=False, start="disabled"),
        "The driver is unloaded and won't be loaded again.", material=("path",),
    ),
    T.ENABLE_DRIVER: Verb(
        _driver, _new(loaded=False, start="disabled"), restores(loaded=True, start="system"),
        "The driver is loaded as it was.", material=("path",),
    ),
    T.REMOVE_TASK: Verb(
        _task, _new_task, sets(definition=None), "The scheduled task is removed.", material=("definition",)
    ),
    T.RESTORE_TASK: Verb(
        _task, lambda target: {**_new_task(target), "definition": None}, restores(definition=None),
        "The scheduled task is written again as it was.",
    ),
    T.REMOVE_REGISTRY_KEY: Verb(
        _locate_key, _new_key(True), _remove_key, "The key or value is removed from the registry."
    ),
    T.RESTORE_REGISTRY_KEY: Verb(
        _locate_key, _new_key(False), _restore_key, "What was removed is written to the registry again."
    ),
}  # fmt: skip
