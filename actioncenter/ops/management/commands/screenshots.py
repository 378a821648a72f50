"""`manage.py screenshots FOLDER`: every page of the demo estate as a picture, from a real browser."""

import importlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
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
        parser.add_argument(
            "--page", action="append", help="only this page, such as pending; may be repeated"
        )
        parser.add_argument("--view", action="append", help="only light, dark, narrow or phone")

    def handle(self, *, folder: Path, page: list[str] | None, view: list[str] | None, **options: Any) -> None:
        if importlib.util.find_spec("playwright") is None:
            raise CommandError("Pictures need the development set: pip install -r requirements-dev.txt")
        # Playwright is not there at run time, so nothing may import this before the check above.
        camera = importlib.import_module("actioncenter.ops.camera")
        stops, views = chosen(camera.STOPS, page), chosen(camera.VIEWS, view)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with (
                tempfile.TemporaryDirectory(prefix="actioncenter-camera-") as data,
                camera.browser() as browser,
                product(Path(data)) as (base, password),
            ):
                for path in camera.photograph(browser, base, password, folder, stops, views):
                    self.stdout.write(f"{path}  {path.stat().st_size // 1000} kB")
                    self.stdout.flush()
        except (camera.NoBrowser, camera.NotThere) as reason:
            raise CommandError(str(reason)) from None


def chosen(things: Sequence[Any], names: Sequence[str] | None) -> list[Any]:
    """Those with these names; all when none is named."""
    known = {thing.name: thing for thing in things}
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise CommandError(f"There is no {unknown[0]}. There are: {', '.join(known)}.")
    return [known[name] for name in names or known]


@contextmanager
def product(data: Path) -> Iterator[tuple[str, str]]:
    """Run `up` with the demo over that folder; gives its address and the demo people's password."""
    port = free_port()
    keep = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONCENTER_")}
    # A file, because a pipe that nobody empties would stop the server.
    printed = data / "up.log"
    with printed.open("w") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "manage.py", "up", "--port", str(port), "--data", str(data)],
            cwd=settings.BASE_DIR,
            env={**keep, "ACTIONCENTER_NO_BOOTSTRAP": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://127.0.0.1:{port}", password_from(process, printed)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def password_from(process: "subprocess.Popen[bytes]", printed: Path) -> str:
    """Wait until `up` is ready, and read what it printed."""
    while process.poll() is None and READY not in printed.read_text(encoding="utf-8"):
        time.sleep(0.2)
    text = printed.read_text(encoding="utf-8")
    found = PASSWORD.search(text)
    if found is None or READY not in text:
        raise CommandError(f"The demo did not start:\n{text}")
    return found[1]
