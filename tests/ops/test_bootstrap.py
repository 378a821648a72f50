"""What the bootstrap decides. Its network half is what CI itself runs on a new machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from actioncenter import bootstrap
from tests.architecture.tree import ROOT


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A project in which set-up is only noted; returns what was installed."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text(f"{name}==1\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "RUNTIME", tmp_path / "requirements.txt")
    monkeypatch.setattr(bootstrap, "DEVELOPMENT", tmp_path / "requirements-dev.txt")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    done: list[Path] = []

    def install(wanted: Path) -> None:
        bootstrap.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        bootstrap.PYTHON.touch(mode=0o755)
        done.append(wanted)

    monkeypatch.setattr(bootstrap, "install", install)
    return done


def test_second_start_installs_nothing(installed: list[Path]) -> None:
    bootstrap.ensure_environment(bootstrap.RUNTIME)
    bootstrap.ensure_environment(bootstrap.RUNTIME)

    assert installed == [bootstrap.RUNTIME]


def test_changed_pins_are_installed(installed: list[Path]) -> None:
    bootstrap.ensure_environment(bootstrap.RUNTIME)
    bootstrap.RUNTIME.write_text("other==2\n")
    bootstrap.ensure_environment(bootstrap.RUNTIME)

    assert installed == [bootstrap.RUNTIME, bootstrap.RUNTIME]


def test_tests_add_what_they_need_and_up_keeps_it(installed: list[Path]) -> None:
    bootstrap.ensure_environment(bootstrap.RUNTIME)
    bootstrap.ensure_environment(bootstrap.DEVELOPMENT)
    bootstrap.ensure_environment(bootstrap.RUNTIME)
    bootstrap.RUNTIME.write_text("other==2\n")
    bootstrap.ensure_environment(bootstrap.RUNTIME)

    assert installed == [bootstrap.RUNTIME, bootstrap.DEVELOPMENT, bootstrap.DEVELOPMENT]


def test_failed_set_up_is_tried_again(installed: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(bootstrap, "install", lambda wanted: bootstrap.stop("no network"))
        with pytest.raises(SystemExit):
            bootstrap.ensure_environment(bootstrap.RUNTIME)

    bootstrap.ensure_environment(bootstrap.RUNTIME)

    assert installed == [bootstrap.RUNTIME]


def test_no_pip_anywhere_names_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "quiet", lambda command: False)
    monkeypatch.setattr(bootstrap, "run", lambda command: 0)

    with pytest.raises(SystemExit):
        bootstrap.install_with_pip(bootstrap.RUNTIME)

    assert capsys.readouterr().err.splitlines() == [bootstrap.needs_package()]
    assert "apt install python3-venv" in bootstrap.needs_package()


def test_settings_app_refuses_to_be_the_settings() -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "actioncenter.settings", "ACTIONCENTER_NO_BOOTSTRAP": "1"}
    command = [sys.executable, "manage.py", "check"]

    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert result.returncode != 0
    assert "must be actioncenter.conf" in result.stderr
