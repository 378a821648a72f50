"""What the operator's guide says about variables, units and commands is what the code does."""

import os
import re
import shutil
import subprocess
import textwrap
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


def test_who_uses_the_owner_in_a_shell_reads_its_file_first() -> None:
    """No service and no shell has that variable by itself."""
    blocks = [
        block for path in GUIDE
        for block in re.findall(r"(?:^ {4,}.*\n)+", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]  # fmt: skip
    using = [block for block in blocks if '"$ACTIONCENTER_DATABASE_OWNER_URL"' in block]
    assert len(using) == 2, "dump and restore"
    for block in using:
        assert block.strip().startswith(". /etc/actioncenter/owner\n")


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


@pytest.mark.parametrize(
    ("words", "with_owner"),
    [
        ("migrate", True), ("migrate actions 0020", True), ("retention run", True), ("retention run --dry-run", True),
        ("audit redact approve 7", True), ("audit redact list", False), ("audit verify", False), ("retention show", False),
        ("doctor", False),
    ],
)  # fmt: skip
def test_the_script_gives_the_owner_to_those_commands_alone(
    words: str, with_owner: bool, tmp_path: Path
) -> None:
    """As it stands in the guide, but for the folders; `setpriv` tells what it was called with."""
    guide = (ROOT / "docs/operator/hosts.md").read_text(encoding="utf-8")
    found = re.search(r"(    #!/bin/sh\n(?:    .*\n)+)", guide)
    assert found
    (tmp_path / "environment").write_text("SHARED='a b'\n")
    (tmp_path / "owner").write_text("OWNER=known\n")
    (tmp_path / "next").mkdir()
    setpriv = tmp_path / "setpriv"
    setpriv.write_text('#!/bin/sh\necho "$SHARED|$OWNER|$(basename "$PWD")|$HOME|$*"\n')
    setpriv.chmod(0o755)
    script = textwrap.dedent(found[1]).replace("/etc/actioncenter", str(tmp_path))

    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RELEASE": str(tmp_path / "next"), "HOME": "/root"}
    command = ["sh", "-c", script, "actioncenter", *words.split()]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.strip()

    shared, owner, release, home, called = said.split("|")
    assert (shared, owner, release) == ("a b", "known" if with_owner else "", "next")
    assert home == "/var/lib/actioncenter", (
        "libpq looks there for certificates, and may not into that of root"
    )
    assert called.endswith(f".venv/bin/python manage.py {words}")
