"""The simulated estate itself: its settings, what it can do where, first contact, and devices."""

import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors import registry
from actioncenter.connectors.base import Outcome, Permanent, Request, Support, Target, Unsupported
from actioncenter.connectors.simulator import build
from actioncenter.connectors.simulator.estate import Estate, seed
from tests.connectors.harness import Notes, finish, undo_of
from tests.connectors.simulator_harness import SimulatorHarness

T, K = ActionType, TargetKind
HOSTILE = "js:alert(1)\"'><b>\u202egnp.exe\x00\\..\\ ; DROP TABLE things --"


def one(kind: ActionType, what: TargetKind, remote: str = "pc-0", **facts: object) -> Request:
    return Request(str(uuid.uuid4()), kind, [Target("t", what, remote, facts)], {})


def outcome(simulated: SimulatorHarness, request: Request) -> Outcome:
    (result,) = finish(simulated, request).results.values()
    return result.outcome


# Settings


def test_the_registry_finds_it_and_its_schema_is_one() -> None:
    kind = registry.kind("simulator")
    assert (kind.KIND, kind.SIMULATED) == ("simulator", True)
    Draft202012Validator.check_schema(kind.SETTINGS_SCHEMA)


def test_settings_have_defaults_and_a_path_is_needed(tmp_path: Path) -> None:
    connector = build({"path": str(tmp_path / "e.sqlite3")}, {})
    assert connector.check().ok
    with pytest.raises(Permanent):
        build({}, {})


# What it can do where

WINDOWS_ONLY = {
    T.REMOVE_REGISTRY_KEY,
    T.RESTORE_REGISTRY_KEY,
    T.DISABLE_DRIVER,
    T.ENABLE_DRIVER,
    T.OFFBOARD_DEVICE,
}


@pytest.mark.parametrize("kind", sorted(WINDOWS_ONLY))
@pytest.mark.parametrize(
    ("os", "support"),
    [
        ("windows", Support.SUPPORTED),
        ("linux", Support.UNSUPPORTED),
        ("macos", Support.UNSUPPORTED),
        ("unknown", Support.SUPPORTED),
    ],
)
def test_some_verbs_need_windows(
    simulated: SimulatorHarness, kind: ActionType, os: str, support: Support
) -> None:
    simulated.estate.seed({"devices": [{"remote": "box", "os": os}]})
    capability = simulated.connector.capabilities(K.DEVICE, "box")[kind]
    assert capability.support is support
    assert bool(capability.reason) == (support is Support.UNSUPPORTED)


def test_what_is_unsupported_is_refused_too(simulated: SimulatorHarness) -> None:
    simulated.estate.seed({"devices": [{"remote": "box", "os": "linux"}]})
    with pytest.raises(Unsupported, match="registry"):
        finish(simulated, one(T.REMOVE_REGISTRY_KEY, K.REGISTRY, "box", hive="HKLM", key="Run"))


def test_offline_is_unavailable_now_except_through_peers(simulated: SimulatorHarness) -> None:
    simulated.estate.seed({"devices": [{"remote": "box", "online": False}]})
    found = simulated.connector.capabilities(K.DEVICE, "box")
    assert found[T.ISOLATE_DEVICE].support is Support.UNAVAILABLE
    assert "offline" in found[T.ISOLATE_DEVICE].reason
    assert found[T.CONTAIN_DEVICE].support is Support.SUPPORTED


@pytest.mark.parametrize(
    ("place", "kind", "support"),
    [
        (K.DEVICE, T.SOFT_DELETE_EMAIL, Support.UNSUPPORTED),
        (K.MAILBOX, T.SOFT_DELETE_EMAIL, Support.SUPPORTED),
        (K.URL, T.SOFT_DELETE_EMAIL, Support.SUPPORTED),
        (K.MAILBOX, T.BLOCK_URL, Support.UNSUPPORTED),
        (K.URL, T.BLOCK_SENDER, Support.SUPPORTED),
        (K.URL, T.ISOLATE_DEVICE, Support.UNSUPPORTED),
        (K.INVESTIGATION, T.EXPAND_PIVOT, Support.UNSUPPORTED),
    ],
)
def test_each_place_has_its_verbs(
    simulated: SimulatorHarness, place: TargetKind, kind: ActionType, support: Support
) -> None:
    assert simulated.connector.capabilities(place, "anything")[kind].support is support


def test_a_verb_on_the_wrong_kind_of_target_is_refused(simulated: SimulatorHarness) -> None:
    with pytest.raises(Unsupported):
        finish(simulated, one(T.ISOLATE_DEVICE, K.FILE, path="x"))


# First contact and seeding


def test_what_nobody_knew_comes_into_being_and_is_marked(simulated: SimulatorHarness) -> None:
    request = one(T.QUARANTINE_FILE, K.FILE, "new-pc", path=r"C:\Temp\a.exe", sha256="A" * 64, size=5)
    plan = simulated.connector.preview(request)
    assert any("evidence only" in warning for warning in plan.warnings)
    assert simulated.estate.state("device", "new-pc") is None
    assert outcome(simulated, request) is Outcome.SUCCEEDED
    file = simulated.estate.state("file", r"c:\temp\a.exe", "new-pc") or {}
    assert (file["status"], file["sha256"], file["assumed"]) == ("quarantined", "a" * 64, True)
    assert (simulated.estate.state("device", "new-pc") or {})["assumed"]


@pytest.mark.parametrize(
    ("kind", "what", "known", "told"),
    [
        (T.SOFT_DELETE_EMAIL, K.MESSAGE, {"message_id": "m1"}, {"sender": "a@example.net", "subject": "Pay"}),
        (T.QUARANTINE_FILE, K.FILE, {"path": "/tmp/a"}, {"sha256": "a" * 64}),
        (T.TURN_OFF_FORWARDING, K.MAILBOX, {}, {"forward_to": "drop@example.com"}),
    ],
)
def test_what_other_evidence_says_of_an_unknown_thing_leaves_a_plan_as_it_was(
    simulated: SimulatorHarness,
    kind: ActionType,
    what: TargetKind,
    known: dict[str, str],
    told: dict[str, str],
) -> None:
    """Two requests about one thing, decided together, must not undo each other's approval."""
    request = one(kind, what, "new@halden.example", **known)
    planned = replace(request, plan_digest=simulated.connector.preview(request).digest)
    assert outcome(simulated, one(kind, what, "new@halden.example", **known, **told)) is Outcome.SUCCEEDED
    assert outcome(simulated, planned) is Outcome.ALREADY


def test_seeding_again_leaves_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "e.sqlite3"
    estate = {"devices": [{"remote": "a", "files": [{"path": "/x"}]}], "blocked_urls": ["https://b.example/"]}
    assert seed(path, estate) == 3
    Estate(path).change("device", "a", isolation="full")
    assert seed(path, estate) == 0
    assert (Estate(path).state("device", "a") or {})["isolation"] == "full"


@pytest.mark.parametrize("kind", [T.QUARANTINE_FILE, T.REQUEST_SAMPLE])
def test_hostile_names_stay_text(simulated: SimulatorHarness, kind: ActionType) -> None:
    request = one(kind, K.FILE, HOSTILE, path=HOSTILE, sha256="c" * 64, size="many", device_name=HOSTILE)
    assert json.dumps(simulated.connector.preview(request).observed)
    run = finish(simulated, request)
    assert run.results["t"].outcome is Outcome.SUCCEEDED
    for artefact in run.artefacts:
        names = [artefact.name, *zipfile.ZipFile(BytesIO(b"".join(artefact.blocks()))).namelist()]
        assert all(name.replace(".", "").replace("-", "").isalnum() for name in names)


# Devices


def test_selective_isolation_is_undone_to_none_and_full_over_selective_to_selective(
    simulated: SimulatorHarness,
) -> None:
    request = simulated.request(T.ISOLATE_DEVICE)
    selective = replace(request, parameters={"isolation": "selective"})
    full = replace(request, id=str(uuid.uuid4()), parameters={"isolation": "full"})
    first, second = finish(simulated, selective), finish(simulated, full)
    remote = request.targets[0].remote
    finish(simulated, undo_of(full, second))
    assert (simulated.estate.state("device", remote) or {})["isolation"] == "selective"
    finish(simulated, undo_of(selective, first))
    assert (simulated.estate.state("device", remote) or {})["isolation"] == "none"


def test_a_plan_names_who_is_cut_off(simulated: SimulatorHarness) -> None:
    services = [{"name": "web"}, {"name": "off", "status": "stopped"}]
    simulated.estate.seed({"devices": [{"remote": "srv", "sessions": ["ana"], "services": services}]})
    plan = simulated.connector.preview(one(T.ISOLATE_DEVICE, K.DEVICE, "srv"))
    assert [(hit["kind"], hit["name"], hit["on"]) for hit in plan.affected] == [
        ("session", "ana", "srv"), ("service", "web", "srv"),
    ]  # fmt: skip


def test_irreversible_is_said_before(simulated: SimulatorHarness) -> None:
    for kind, said in ((T.OFFBOARD_DEVICE, True), (T.ISOLATE_DEVICE, False), (T.RELEASE_DEVICE, False)):
        warnings = simulated.connector.preview(one(kind, K.DEVICE)).warnings
        assert ("This can't be undone." in warnings) == said


def test_an_offboarded_device_takes_no_orders(simulated: SimulatorHarness) -> None:
    finish(simulated, one(T.OFFBOARD_DEVICE, K.DEVICE))
    (result,) = finish(simulated, one(T.ISOLATE_DEVICE, K.DEVICE)).results.values()
    assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, "offboarded")


def test_a_scan_reports_what_it_found_and_leaves_it(simulated: SimulatorHarness) -> None:
    files = [{"path": "/tmp/evil", "malicious": True}, {"path": "/tmp/fine"}]
    simulated.estate.seed({"devices": [{"remote": "srv", "files": files}]})
    (result,) = finish(simulated, one(T.ANTIVIRUS_SCAN, K.DEVICE, "srv")).results.values()
    assert result.after["found"] == ["/tmp/evil"]
    assert (simulated.estate.state("file", "/tmp/evil", "srv") or {})["status"] == "present"


# Entities


def test_quarantine_stops_what_runs_from_the_file_and_release_does_not_start_it(
    simulated: SimulatorHarness,
) -> None:
    request = simulated.request(T.QUARANTINE_FILE)
    plan = simulated.connector.preview(request)
    assert [(hit["kind"], hit["pid"]) for hit in plan.affected] == [("process", 1)]
    run = finish(simulated, request)
    finish(simulated, undo_of(request, run))
    assert (simulated.estate.state("process", "1", "pc-0") or {})["status"] == "killed"


def test_a_protected_file_is_left_alone(simulated: SimulatorHarness) -> None:
    file = {"path": "/usr/bin/ls", "protected": True}
    simulated.estate.seed({"devices": [{"remote": "srv", "files": [file]}]})
    (result,) = finish(simulated, one(T.QUARANTINE_FILE, K.FILE, "srv", path="/usr/bin/ls")).results.values()
    assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, "protected")


def test_a_file_is_found_by_its_hash_alone(simulated: SimulatorHarness) -> None:
    simulated.estate.seed({"devices": [{"remote": "srv", "files": [{"path": "/tmp/x", "sha1": "d" * 40}]}]})
    assert outcome(simulated, one(T.QUARANTINE_FILE, K.FILE, "srv", sha1="D" * 40)) is Outcome.SUCCEEDED
    assert (simulated.estate.state("file", "/tmp/x", "srv") or {})["status"] == "quarantined"


def test_an_emptied_vault_cannot_give_back(simulated: SimulatorHarness) -> None:
    request = simulated.request(T.QUARANTINE_FILE)
    undo = undo_of(request, finish(simulated, request))
    with simulated.estate.writing() as scene:
        scene.sql.execute("DELETE FROM things WHERE kind = 'vault'")
    (result,) = finish(simulated, undo).results.values()
    assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, "not_in_vault")


def test_a_process_id_that_was_reused_is_not_killed(simulated: SimulatorHarness) -> None:
    request = simulated.request(T.KILL_PROCESS)
    pid = str(request.targets[0].facts["pid"])
    simulated.estate.change("process", pid, "pc-0", path=r"C:\Windows\explorer.exe", sha256="9" * 64)
    assert outcome(simulated, request) is Outcome.GONE
    assert (simulated.estate.state("process", pid, "pc-0") or {})["status"] == "running"


@pytest.mark.parametrize(
    ("kind", "thing", "name"),
    [
        (T.KILL_PROCESS, "process", lambda facts: str(facts["pid"])),
        (T.QUARANTINE_FILE, "file", lambda facts: facts["path"].casefold()),
        (T.STOP_SERVICE, "service", lambda facts: facts["name"]),
        (T.REMOVE_TASK, "task", lambda facts: facts["name"]),
    ],
)
def test_what_went_away_by_itself_is_gone(
    simulated: SimulatorHarness, kind: ActionType, thing: str, name: Callable[[object], str]
) -> None:
    request = simulated.request(kind)
    simulated.estate.vanish(thing, name(request.targets[0].facts), "pc-0")
    assert outcome(simulated, request) is Outcome.GONE
    assert list(simulated.connector.verify(request).in_force.values()) == [True]


@pytest.mark.parametrize("hive", ["HKLM", "HKEY_LOCAL_MACHINE", "hkey_local_machine"])
def test_a_registry_key_is_one_however_its_hive_is_spelled(simulated: SimulatorHarness, hive: str) -> None:
    known = {"hive": "HKLM", "key": r"Software\Run", "values": {"tool": "x", "other": "y"}}
    simulated.estate.seed({"devices": [{"remote": "srv", "registry": [known]}]})
    request = one(T.REMOVE_REGISTRY_KEY, K.REGISTRY, "srv", hive=hive, key=r"software\RUN", value_name="tool")
    run = finish(simulated, request)
    assert run.results["t"].before["removed"] == {"tool": "x"}
    assert run.results["t"].after["values"] == {"other": "y"}


def test_a_whole_registry_key_returns_with_its_values(simulated: SimulatorHarness) -> None:
    known = {"hive": "HKLM", "key": "Empty", "values": {}}
    simulated.estate.seed({"devices": [{"remote": "srv", "registry": [known]}]})
    request = one(T.REMOVE_REGISTRY_KEY, K.REGISTRY, "srv", hive="HKLM", key="Empty")
    run = finish(simulated, request)
    assert run.results["t"].after["values"] is None
    assert finish(simulated, undo_of(request, run)).results["t"].after["values"] == {}


@pytest.mark.parametrize(
    "kind", [T.RESTORE_TASK, T.RESTORE_REGISTRY_KEY, T.RESTORE_FORWARDING, T.RESTORE_DELEGATION]
)
def test_without_a_record_nothing_is_made_up(simulated: SimulatorHarness, kind: ActionType) -> None:
    forward = {
        T.RESTORE_TASK: T.REMOVE_TASK,
        T.RESTORE_REGISTRY_KEY: T.REMOVE_REGISTRY_KEY,
        T.RESTORE_FORWARDING: T.TURN_OFF_FORWARDING,
        T.RESTORE_DELEGATION: T.REMOVE_DELEGATION,
    }[kind]
    request = simulated.request(forward)
    finish(simulated, request)
    before = simulated.digest()
    (result,) = finish(simulated, replace(request, id=str(uuid.uuid4()), type=kind)).results.values()
    assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, "nothing_recorded")
    assert simulated.digest() == before


def test_expand_pivot_is_none_of_its_business(simulated: SimulatorHarness) -> None:
    with pytest.raises(Unsupported):
        simulated.connector.step(one(T.EXPAND_PIVOT, K.INVESTIGATION), None, Notes())
