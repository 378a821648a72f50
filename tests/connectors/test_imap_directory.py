"""The file of addresses: whoever may change settings reads no other file of the runner's host by it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installation

from actioncenter import vault
from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.actions.execution import outside
from actioncenter.connectors.base import Permanent, Request, Target
from actioncenter.connectors.imap import build, directory
from actioncenter.connectors.imap.directory import Directory
from actioncenter.connectors.imap.schema import Settings
from actioncenter.settings.models import ConnectorInstance
from tests.connectors.imap_harness import ImapHarness

SECRET = "root:x:0:0:root:/root:/bin/bash"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "directories"
    place.mkdir()
    (tmp_path / "elsewhere").write_text(f"{SECRET}\nana@halden.example\n")
    return place


def given(folder: Path, name: str) -> Settings:
    return Settings.read({"host": "h", "user": "u", "directory": name, "directories": str(folder)})


def test_addresses_are_read_one_a_line(folder: Path) -> None:
    (folder / "all.txt").write_bytes(
        b"\xef\xbb\xbfBo@Halden.example\r\n\n  ana@halden.example \nana@halden.example"
    )
    assert directory.read(given(folder, "all.txt")) == Directory(
        ("ana@halden.example", "bo@halden.example"), ()
    )


def test_what_is_no_address_is_known_by_its_line_alone(folder: Path) -> None:
    long = "a" * 250 + "@halden.example"
    lines = [
        SECRET,
        "ana@halden.example",
        "Ana <bo@halden.example>",
        "two@ats@halden",
        long,
        "postgres://u:p@host/db",
    ]
    (folder / "all").write_bytes("\n".join(lines).encode() + b"\n\xff\xfe@halden.example\n# said\n")
    known = directory.read(given(folder, "all"))
    assert known == Directory(("ana@halden.example",), (1, 3, 4, 5, 6, 7, 8))
    assert known.gaps() == ["In the file of addresses no address is in line 1, 3, 4, 5, 6, 7, 8."]


def test_of_many_lines_some_are_told(folder: Path) -> None:
    (folder / "all").write_text("x\n" * 5000)
    (said,) = directory.read(given(folder, "all")).gaps()
    assert said.endswith("line 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 4990 more.")


def above(folder: Path) -> str:
    return "../elsewhere"


def absolute(folder: Path) -> str:
    return str(folder.parent / "elsewhere")


def link(folder: Path) -> str:
    (folder / "all").symlink_to("../elsewhere")
    return "all"


def second_name(folder: Path) -> str:
    os.link(folder.parent / "elsewhere", folder / "all")
    return "all"


def through_a_folder(folder: Path) -> str:
    (folder / "in").symlink_to("..")
    return "in/elsewhere"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "all")
    return "all"


def folder_itself(folder: Path) -> str:
    (folder / "all").mkdir()
    return "all"


def dot(folder: Path) -> str:
    return "."


def nothing(folder: Path) -> str:
    return "all"


def too_large(folder: Path) -> str:
    with (folder / "all").open("wb") as file:
        file.truncate(directory.MOST_BYTES + 1)
    return "all"


WAYS = [above, absolute, link, second_name, through_a_folder, pipe, folder_itself, dot, nothing, too_large]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_other_file_is_read(folder: Path, way: Callable[[Path], str]) -> None:
    with pytest.raises(Permanent) as refused:
        directory.read(given(folder, way(folder)))
    assert refused.value.code == "settings"
    assert "root" not in str(refused.value)
    assert str(folder) not in str(refused.value)


@pytest.mark.django_db
def test_settings_never_say_in_which_folder_it_lies(tmp_path: Path) -> None:
    options = {"host": "h", "user": "u", "directory": "all", "directories": str(tmp_path)}
    instance = ConnectorInstance(kind="imap", settings=options, secret=vault.seal({"password": "x"}))
    connector: Any = outside.connect(instance)
    assert connector.settings.directories == str(Path(installation.DATA_DIR) / "directories")


@pytest.mark.dovecot
def test_a_search_says_that_a_line_was_left_out(harness: ImapHarness) -> None:
    address = harness.box()
    (harness.folder / "addresses").write_text(f"{address}\n{SECRET}\n")
    said = harness.connector.check()
    assert said.ok
    assert said.facts["mailboxes"] == 1
    assert said.detail.endswith("In the file of addresses no address is in line 2.")
    found = harness.connector.search({"message_id": f"<1.{address}>"}, None)
    assert (len(found.references), found.complete) == (1, False)
    named = harness.connector.search({"message_id": f"<1.{address}>", "mailboxes": [address]}, None)
    assert named.complete
    facts = {"messages": [f"<1.{address}>"]}
    cluster = Target("c1", TargetKind.CLUSTER, "tenant", facts)
    plan = harness.connector.preview(Request("1", ActionType.QUARANTINE_EMAIL, [cluster]))
    assert "Incomplete: In the file of addresses no address is in line 2." in plan.warnings
    assert SECRET not in str([said, found, plan])


def test_without_its_folder_there_is_none() -> None:
    connector = build({"host": "h", "user": "u", "directory": "all"}, {})
    with pytest.raises(Permanent, match="lies in the folder"):
        directory.read(connector.settings)
