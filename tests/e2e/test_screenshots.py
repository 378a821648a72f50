"""`manage.py screenshots`: a demo of its own, one picture for each page and view."""

import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.architecture.tree import ROOT


@pytest.mark.browser
def test_a_page_is_photographed_in_the_size_of_its_view(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "manage.py",
        "screenshots",
        str(tmp_path),
        "--page",
        "pending",
        "--view",
        "phone",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    (picture,) = tmp_path.iterdir()
    assert picture.name == "pending-phone.png"
    assert struct.unpack(">II", picture.read_bytes()[16:24]) == (390, 844)


def test_without_playwright_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(CommandError, match=r"requirements-dev\.txt"):
        call_command("screenshots", tmp_path)


def test_a_page_that_does_not_exist_is_named_and_nothing_started(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no nowhere"):
        call_command("screenshots", tmp_path / "new", page=["nowhere"])

    assert not (tmp_path / "new").exists()
