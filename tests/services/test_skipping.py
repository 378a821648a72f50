"""A machine without a service: the suite says what is missing, unless services are required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT


@pytest.mark.parametrize(
    ("required", "status", "expected"),
    [
        ("0", 0, "Skipped 1 test. To run all: apt install redis-server"),
        ("1", 1, "skipped, although every service is required: Redis is not installed"),
    ],
)
def test_missing_service(required: str, status: int, expected: str, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path), "ACTIONCENTER_REQUIRE_SERVICES": required}
    command = [sys.executable, "-m", "pytest", "-k", "redis", "tests/services/test_round_trips.py"]

    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert result.returncode == status
    assert expected in result.stdout
