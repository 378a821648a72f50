"""What the operator's guide says about variables, units and commands is what the code does."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from actioncenter.bench.chaos.site import web_command
from tests.architecture.tree import ROOT

GUIDE = [ROOT / "docs" / "operator.md", *sorted((ROOT / "docs" / "operator").glob("*.md"))]
UNITS = sorted((ROOT / "docs" / "operator" / "units").glob("*.service"))
NOT_FOR_OPERATORS = {"ACTIONCENTER_FAILPOINT", "ACTIONCENTER_TEST_DATABASE"}
"""Only tests set them."""
NAME = re.compile(r"ACTIONCENTER_[A-Z_]+[A-Z]")
COMMAND = re.compile(r"(?:^    actioncenter|manage\.py) ([a-z_]{3,})\b", re.MULTILINE)


def read_by_the_code() -> set[str]:
    sources = [*(ROOT / "actioncenter").rglob("*.py"), *(ROOT / "investigations").rglob("*.py")]
    product = (path for path in sources if not {"bench", "estate"} & {*path.relative_to(ROOT).parts})
    return {name for path in product for name in NAME.findall(path.read_text(encoding="utf-8"))}


def listed() -> set[str]:
    """In the table of settings: one row each."""
    rows = re.findall(r"^\| `(ACTIONCENTER_[A-Z_]+)` \|", GUIDE[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len({*rows}), "a variable has two rows"
    return {*rows}


def test_every_variable_is_listed_and_exists() -> None:
    assert listed() == read_by_the_code() - NOT_FOR_OPERATORS


def test_pages_speak_of_variables_that_exist() -> None:
    spoken_of = {name for path in GUIDE for name in NAME.findall(path.read_text(encoding="utf-8"))}
    assert spoken_of - read_by_the_code() == {"ACTIONCENTER_REQUIRE_SERVICES"}, "one is of tests only"


def commands() -> Iterator[tuple[str, str]]:
    for path in GUIDE:
        for name in COMMAND.findall(path.read_text(encoding="utf-8")):
            yield path.name, name


def test_every_command_exists() -> None:
    known = {*get_commands(), "help"}
    found = {*commands()}
    assert {(path, name) for path, name in found if name not in known} == set()
    assert {"migrate", "collectstatic", "person", "stop", "resume"} <= {name for _, name in found}


def test_every_link_leads_somewhere() -> None:
    for path in GUIDE:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} -> {target}"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_understands_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not on this machine")
    # The program is there only on a host; everything else is checked as it stands.
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"/opt/actioncenter/\.venv/bin/\w+", "/bin/true", unit.read_text()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_starts_the_server_as_we_do() -> None:
    """The flags exist: they are those of our own start."""
    unit = (ROOT / "docs/operator/units/actioncenter-web.service").read_text(encoding="utf-8")
    ours = {part for part in web_command(1) if part.startswith("--")} - {"--working-dir"}
    assert ours <= {*re.findall(r"--[a-z-]+", unit)}
