import os
import subprocess
import sys
from pathlib import Path

import pytest

from actioncenter.estate.services import free_port
from actioncenter.ops.management.commands import check_all
from tests.architecture.tree import ROOT


def manage(data: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ACTIONCENTER_", "DJANGO_"))
    }
    environment = inherited | {"ACTIONCENTER_NO_BOOTSTRAP": "1", "ACTIONCENTER_DATA": str(data)} | settings
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_any_command_migrates_a_fresh_folder(tmp_path: Path) -> None:
    result = manage(tmp_path, "showmigrations", "--plan")

    assert result.returncode == 0, result.stderr
    assert "[X]  audit.0001_initial" in result.stdout
    assert "[ ]" not in result.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ACTIONCENTER_HTTPS": "perhaps"}, "ACTIONCENTER_HTTPS must be 1 or 0"),
        (
            {"ACTIONCENTER_DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
            "Check ACTIONCENTER_DATABASE_URL",
        ),
    ],
)
def test_bad_setting_is_named_without_a_traceback(
    settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    result = manage(tmp_path, "up", "--no-demo", "--port", str(free_port()), **settings)

    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_database_that_is_away_is_named_without_a_traceback(tmp_path: Path) -> None:
    """Also by what asks it before anything else, as the check of the triggers does."""
    away = "postgres://nobody@127.0.0.1:1/none"
    for command in ("hosts", "migrate"):
        result = manage(tmp_path, command, ACTIONCENTER_DATABASE_URL=away)
        assert result.returncode == 1
        assert "check ACTIONCENTER_DATABASE_URL" in result.stderr
        assert "Traceback" not in result.stderr


def test_help_makes_no_keys(tmp_path: Path) -> None:
    """It is how a release is given its environment, by root and in a folder that nobody looks into again."""
    result = manage(tmp_path, "help")

    assert result.returncode == 0, result.stderr
    assert "collectstatic" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_suite_never_touches_the_installation(tmp_path: Path) -> None:
    result = manage(tmp_path, "test", "--collect-only", "-q", "tests/ops/test_keys.py")

    assert result.returncode == 0, result.stdout
    assert list(tmp_path.iterdir()) == []


def test_suite_passes_the_exit_status_on(tmp_path: Path) -> None:
    nothing_collected = 5

    assert manage(tmp_path, "test", "-k", "no_such_test", "tests/ops").returncode == nothing_collected


def test_failed_check_is_named_and_fails_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = check_all.Step("good one", [sys.executable, "-c", ""])
    bad = check_all.Step("bad one", [sys.executable, "-c", "raise SystemExit('what is wrong')"])
    monkeypatch.setattr(check_all, "steps", lambda: [good, bad])

    with pytest.raises(check_all.CommandError, match=r"^Failed: bad one$"):
        check_all.Command().handle(no_audit=True)

    output = capsys.readouterr().out
    assert "good one                   ok" in output
    assert "what is wrong" in output
