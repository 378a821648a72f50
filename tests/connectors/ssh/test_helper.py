"""What is put on hosts: old enough, alone enough, and the same every time."""

import ast
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from actioncenter.connectors.ssh import packing

OLDEST = (3, 9)
INSTALLER = packing.TARGET.parent / "installer.py"
MODULES = [*sorted(packing.TARGET.glob("*.py")), INSTALLER]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_is_python_of_an_older_host_and_needs_no_library(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in names if name.startswith("actioncenter.connectors.ssh.target")}
    assert {name.partition(".")[0] for name in names - ours} <= sys.stdlib_module_names


def test_it_never_starts_a_shell() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "shell=True" not in text
        assert "os.system" not in text
        assert "os.popen" not in text


def test_it_is_packed_the_same_way_every_time_and_can_be_read() -> None:
    packed = packing.helper()
    packing.helper.cache_clear()
    assert packing.helper() == packed
    assert packed.startswith(b"#!/usr/bin/python3 -I\n")
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
        assert f"{packing.PACKAGE}/main.py" in archive.namelist()


def test_what_is_run_on_a_host_is_constant() -> None:
    assert packing.COMMAND == "/usr/bin/sudo -n /usr/local/lib/actioncenter/helper"
