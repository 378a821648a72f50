"""`manage.py ingest`: what it prints, what it exits with, and that one item never harms another."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import Action
from actioncenter.audit.models import Event
from investigations.models import Alert, Evidence

pytestmark = pytest.mark.django_db
FIXTURES = Path(__file__).parents[1] / "fixtures" / "intake"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "intake"
SAMPLES = sorted(SHARED.glob("*.json*")) if SHARED.is_dir() else []


def ingest(*arguments: str) -> tuple[list[str], int]:
    """The lines printed and the exit status."""
    out = io.StringIO()
    try:
        call_command("ingest", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue().splitlines(), int(str(end.code))
    return out.getvalue().splitlines(), 0


def results(lines: list[str]) -> list[str]:
    return [json.loads(line)["result"] for line in lines]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The first and last line are whole alerts."""
    first, second, *_ = (FIXTURES / "wazuh.jsonl").read_text("utf-8").splitlines()
    path = tmp_path / "broken.jsonl"
    path.write_text(
        f'{first}\n{{"rule": {{"level": 3, "description": "x\x1b"}}, "agent": 3}}\n{second}\n', "utf-8"
    )
    return path


def test_each_item_is_told_as_json() -> None:
    lines, status = ingest(str(FIXTURES / "native.json"), "--json")
    assert status == 0
    first = json.loads(lines[0])
    assert (first["result"], first["format"], first["source"]) == ("created", "native", "night-watch")
    assert first["alerts"] == ["NW-100"]
    assert first["actions"]


def test_a_second_time_changes_nothing() -> None:
    ingest(str(FIXTURES / "native.json"))
    before = (Evidence.objects.count(), Action.objects.count(), Event.objects.count())
    lines, status = ingest(str(FIXTURES / "native.json"), "--json")
    assert set(results(lines)) == {"unchanged"}
    assert (Evidence.objects.count(), Action.objects.count(), Event.objects.count()) == before
    assert status == 0


def test_a_refused_item_is_named_and_its_neighbours_are_kept(broken: Path) -> None:
    lines, status = ingest(str(broken), "--json")
    assert results(lines) == ["created", "rejected", "created"]
    assert json.loads(lines[1])["line"] == 2
    assert status == 1
    assert Alert.objects.count() == 2


def test_people_read_a_line_per_item_and_a_sum(broken: Path) -> None:
    lines, _ = ingest(str(broken))
    assert lines[0].startswith("line 1: created wazuh wz-1/177.1 (INV-")
    assert lines[1].startswith("line 2: rejected")
    assert lines[-1] == "2 created, 0 updated, 0 unchanged, 1 rejected"
    assert all(line.isprintable() for line in lines)


def test_standard_input_and_a_name_for_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    body = io.BytesIO((FIXTURES / "wazuh.jsonl").read_bytes())
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=body))
    ingest("-", "--format", "wazuh", "--source", "plant-2")
    assert set(Alert.objects.values_list("source", flat=True)) == {"plant-2"}


@pytest.mark.parametrize("body", ["", "{", "null", '{"a": 1}', "\x00", '{"format": "actioncenter/1"}'])
def test_nonsense_is_refused_with_a_reason(tmp_path: Path, body: str) -> None:
    path = tmp_path / "nonsense"
    path.write_text(body, "utf-8")
    lines, status = ingest(str(path), "--json")
    assert results(lines) == ["rejected"]
    assert json.loads(lines[0])["reason"]
    assert status == 1


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(CommandError, match="can't be read"):
        call_command("ingest", "/does/not/exist")


def test_every_kind_of_bad_evidence_proposes_its_action() -> None:
    ingest(str(FIXTURES / "native.json"))
    proposed = {ActionType(kind) for kind in Action.objects.values_list("type", flat=True)}
    assert proposed >= {
        ActionType.ISOLATE_DEVICE,
        ActionType.QUARANTINE_FILE,
        ActionType.KILL_PROCESS,
        ActionType.STOP_SERVICE,
        ActionType.DISABLE_DRIVER,
        ActionType.REMOVE_TASK,
        ActionType.REMOVE_REGISTRY_KEY,
        ActionType.BLOCK_URL,
        ActionType.SOFT_DELETE_EMAIL,
        ActionType.QUARANTINE_ATTACHMENT,
        ActionType.TURN_OFF_FORWARDING,
        ActionType.REMOVE_DELEGATION,
    }


@pytest.mark.samples
@pytest.mark.parametrize("path", SAMPLES or [None], ids=lambda path: path.name if path else "no samples here")
def test_real_samples_are_stored_with_their_evidence(path: Path | None) -> None:
    if path is None:
        pytest.skip("there are no samples beside the project")
    lines, status = ingest(str(path), "--json")
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert status == 0
    assert {item["result"] for item in told} == {"created"}
    assert Evidence.objects.exists()
    again, _ = ingest(str(path), "--json")
    assert set(results(again)) == {"unchanged"}
