"""Asks the public advisory service about the pinned packages."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Advisories(NamedTuple):
    """`asked` counts the packages that the service knew; 0 when it couldn't be reached."""

    asked: int
    pinned: int
    found: list[str]


def ask(requirements: Path, *, seconds: int = 10) -> Advisories:
    """Never raises: a service that can't be reached decides nothing."""
    flags = [
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner=off",
        "--format=json",
        f"--timeout={seconds}",
    ]
    command = [sys.executable, "-m", "pip_audit", *flags, "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        packages = json.loads(result.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Advisories(0, 0, [])
    known = [package for package in packages if "skip_reason" not in package]
    found = [
        f"{package['name']} {package['version']}: {hole['id']}"
        for package in known
        for hole in package["vulns"]
    ]
    return Advisories(len(known), len(packages), found)
