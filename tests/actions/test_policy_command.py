"""`manage.py policy explain`, as a person and as a script call it."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from actioncenter.settings.enums import AutomationLevel, FolderList
from actioncenter.settings.models import DeviceGroup, FolderExclusion, FolderRule
from investigations.enums import OsFamily
from investigations.models import Device

pytestmark = pytest.mark.django_db


def explain(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("policy", "explain", *arguments, "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


@pytest.mark.parametrize(
    ("arguments", "outcome", "row", "folder_class"),
    [
        (
            ["--verdict", "malicious", "--level", "SEMI_CORE", "--path", r"C:\Windows\Temp\a.exe"],
            "approval",
            5,
            "core",
        ),
        (
            ["--verdict", "malicious", "--level", "semi-nontemp", "--path", r"C:\Windows\Temp\a.exe"],
            "auto",
            8,
            "temp",
        ),
        (["--verdict", "malicious", "--level", "full", "--path", r"C:\x\a.exe"], "auto", 1, "other"),
        (["--verdict", "malicious", "--level", "semi_core"], "auto", 6, "no_path"),
        (["--verdict", "malicious", "--level", "semi_core", "--path", ""], "approval", 5, "unresolvable"),
        (["--verdict", "suspicious", "--level", "none", "--path", "/tmp/x"], "not_run", 12, "other"),
        (["--verdict", "no_threats_found", "--level", "full"], "none", 11, "no_path"),
        (["--verdict", "malicious", "--area", "email"], "approval", 13, "no_path"),
        (["--verdict", "compromised", "--area", "user"], "auto", 16, "no_path"),
    ],
)
def test_explain(arguments: list[str], outcome: str, row: int, folder_class: str) -> None:
    answer = explain(*arguments)
    assert (answer["outcome"], answer["row"], answer["folder_class"]) == (outcome, row, folder_class)
    assert answer["code"]
    assert answer["reason"].endswith(".")


def test_people_read_a_sentence() -> None:
    out = StringIO()
    call_command("policy", "explain", "--verdict=malicious", "--level=semi_all", stdout=out)
    first, second = out.getvalue().splitlines()
    assert (
        first
        == "approval: Waiting because the device group is set to Semi – all folders, which asks for every folder."
    )
    assert second == "(code semi_all_malicious, row 3 of the table, folder class no_path)"


@pytest.fixture
def server() -> Device:
    group = DeviceGroup.objects.create(name="Finance servers", rank=7, level=AutomationLevel.SEMI_CORE)
    return Device.objects.create(name="fin-db-02", group=group, os_family=OsFamily.LINUX)


def test_a_device_brings_its_group_and_its_system(server: Device) -> None:
    answer = explain("--verdict", "malicious", "--device", "FIN-DB-02", "--path", "/usr/bin/x")
    assert answer["code"] == "semi_core_in_core"
    assert "Finance servers is set to Semi – core folders and the file lies in /usr/" in answer["reason"]


def test_a_device_brings_its_flags_and_the_level_can_be_tried_out(server: Device) -> None:
    Device.objects.update(critical=True)
    answer = explain(
        "--verdict", "malicious", "--device", str(server.pk), "--level", "full", "--path", "/opt/x"
    )
    assert (answer["outcome"], answer["code"]) == ("approval", "critical_device")


def test_rows_and_exclusions_of_the_installation_count(server: Device) -> None:
    FolderRule.objects.all().delete()
    FolderRule.objects.create(which=FolderList.CORE, pattern="/srv/*")
    FolderExclusion.objects.create(folder="/srv/lab")
    asked = ["--verdict", "malicious", "--device", "fin-db-02", "--path"]
    assert explain(*asked, "/srv/x")["code"] == "semi_core_in_core"
    assert explain(*asked, "/usr/x")["code"] == "semi_core_outside_core"
    assert explain(*asked, "/srv/lab/x")["code"] == "excluded_folder"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verdict", "bad", "--level", "full"], "invalid choice"),
        (["--verdict", "malicious", "--level", "high"], "invalid choice"),
        (["--verdict", "malicious"], "Give --level"),
        (["--verdict", "malicious", "--device", "nowhere"], "No device has the name nowhere"),
        (["--verdict", "malicious", "--device", "9" * 30], "No device has the name"),
    ],
)
def test_wrong_questions_are_answered_with_what_to_do(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        explain(*arguments)


def test_of_two_devices_with_one_name_none_is_guessed(server: Device) -> None:
    Device.objects.create(name="Fin-DB-02")
    with pytest.raises(CommandError, match="Several devices"):
        explain("--verdict", "malicious", "--device", "fin-db-02")
