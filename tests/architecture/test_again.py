"""Which failures of a CI run are tried again alone: those that may lack time, never those that count effects."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

BROWSER = "tests/e2e/test_triage.py::test_next_row[light: 390]"
HOST = "tests/connectors/ssh/test_isolation.py::test_confirmed_it_stays"


STORM = "tests/faults/test_storms.py::test_nothing_is_lost[redis]"


def again(folder: Path, *runs: list[str] | None, waited: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    caches = [folder / str(number) for number, _ in enumerate(runs)]
    for cache, failed in zip(caches, runs, strict=True):
        if failed is not None:
            kept = cache / "v/cache/lastfailed"
            kept.parent.mkdir(parents=True)
            kept.write_text(json.dumps(dict.fromkeys(failed, True)))
            told = cache / "v/impatience/waited"
            told.parent.mkdir(parents=True)
            told.write_text(json.dumps(waited))
    script = settings.BASE_DIR / ".ci" / "again.py"
    done = subprocess.run([sys.executable, script, *caches], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_what_talks_to_other_programs_is_tried_again(tmp_path: Path) -> None:
    assert again(tmp_path, [BROWSER, HOST]) == (0, [HOST, BROWSER])


def test_failures_of_several_runs_are_tried_together(tmp_path: Path) -> None:
    assert again(tmp_path, [BROWSER], [HOST]) == (0, [BROWSER, HOST])


@pytest.mark.parametrize(
    "other",
    [
        "tests/contests/test_contests.py::test_an_action_is_approved_or_expires",
        STORM,
        "tests/audit/test_tampering.py::test_found",
        "tests/actions/test_stops.py::test_stop",
        "tests/e2e/test_that_does_not_import.py",
    ],
)
def test_one_that_counts_decides_for_all(tmp_path: Path, other: str) -> None:
    assert again(tmp_path, [BROWSER, other]) == (1, [])


def test_one_that_only_waited_in_vain_is_tried_again(tmp_path: Path) -> None:
    assert again(tmp_path, [BROWSER, STORM], waited=(STORM,)) == (0, [BROWSER, STORM])


WAITED_AND_WRONG = """
import subprocess
import pytest
from tests.impatience import TookTooLong

def test_late():
    raise TookTooLong("it never came")

def test_program():
    raise subprocess.TimeoutExpired("sleep", 1)

def test_doubled():
    assert 2 == 1

@pytest.fixture
def doubles():
    yield
    assert 2 == 1

def test_late_and_doubled(doubles):
    raise TookTooLong("it never came")
"""


RUN = """
import sys, pytest
from tests.impatience import Impatience
pytest.main(["-c", "/dev/null", "--rootdir", sys.argv[1], sys.argv[1]], plugins=[Impatience()])
"""


def test_only_waiting_in_vain_is_kept(tmp_path: Path) -> None:
    """A planted double next to it is never excused."""
    (tmp_path / "test_planted.py").write_text(WAITED_AND_WRONG)
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    start = [sys.executable, "-c", RUN, str(tmp_path)]
    subprocess.run(start, cwd=settings.BASE_DIR, env=alone, capture_output=True, check=False)
    (kept,) = tmp_path.rglob("v/impatience/waited")
    assert [node.partition("::")[2] for node in json.loads(kept.read_text())] == ["test_late", "test_program"]


@pytest.mark.parametrize("failed", [[], None], ids=["none", "no record"])
def test_a_run_that_broke_otherwise_is_not_excused(tmp_path: Path, failed: list[str] | None) -> None:
    assert again(tmp_path, [BROWSER], failed) == (1, [])
