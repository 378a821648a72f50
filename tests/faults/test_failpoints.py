"""Failpoints exist for tests only: an installation whose environment names one does not start a runner."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from actioncenter.actions.execution import failpoints
from actioncenter.actions.execution.failpoints import Point


@pytest.mark.parametrize("point", Point)
def test_they_are_off(point: Point) -> None:
    assert failpoints._order is None
    failpoints.reach(point)


def test_they_are_refused_outside_tests(settings: Any) -> None:
    del settings.FAILPOINTS

    with pytest.raises(ImproperlyConfigured, match="ACTIONCENTER_FAILPOINT"):
        failpoints.arm("kill:marked")


def test_a_product_that_is_told_of_one_does_not_run(tmp_path: Path) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONCENTER_")}
    ours |= {
        "DJANGO_SETTINGS_MODULE": "actioncenter.conf",
        "ACTIONCENTER_DATA": str(tmp_path),
        "ACTIONCENTER_FAILPOINT": "kill:marked",
    }
    start = "from actioncenter.ops import commandline; commandline.run(['manage.py', 'runner'])"

    done = subprocess.run(
        [sys.executable, "-c", start],
        env=ours,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode != 0
    assert "ACTIONCENTER_FAILPOINT would kill this runner" in done.stderr
