"""`manage.py screenshots FOLDER`: every page of the demo estate as a picture, from a real browser."""

import importlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from actioncenter.estate.services import free_port

PASSWORD = re.compile(r"Password \(shown only now\): (\S+)")
READY = "Ctrl-C"


class Command(BaseCommand):
    help = "Photograph every page of a throw-away demo: light, dark, narrow and phone."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="where the pictures go; made when missing")
        parser.add_argument("--page", action="append", default=[], help="only this page; may be repeated")
        parser.add_argument("--view", action="append", default=[], help="only light, dark, narrow or phone")

    def handle(self, *, folder: Path, page: list[str], view: list[str], **options: Any) -> None:
        if importlib.util.find_spec("playwright") is None:
            raise CommandError("Pictures need the development set: pip install -r requirements-dev.txt")
        # Playwright is not there at run time, so nothing may import this before the check above.
        camera = importlib.import_module("actioncenter.ops.camera")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix="actioncenter-camera-") as data, camera.browser() as browser:
                with product(Path(data)) as (base, password):
                    for path in camera.photograph(browser, base, password, folder, names=page, views=view):
                        self.stdout.write(f"{path}  {path.stat().st_size // 1000} kB")
                        self.stdout.flush()
        except camera.NoBrowser as reason:
            raise CommandError(str(reason)) from None


@contextmanager
def product(data: Path) -> Iterator[tuple[str, str]]:
    """Run `up` with the demo over that folder; gives its address and the demo people's password."""
    port = free_port()
    keep = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONCENTER_")}
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "manage.py", "up", "--port", str(port), "--data", str(data)],
        cwd=settings.BASE_DIR,
        env={**keep, "ACTIONCENTER_NO_BOOTSTRAP": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}", password_from(process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def password_from(process: "subprocess.Popen[str]") -> str:
    """Read what `up` prints until it is ready."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith(READY):
            break
    found = PASSWORD.search(printed)
    if found is None:
        raise CommandError(f"The demo did not start:\n{printed}")
    return found[1]
