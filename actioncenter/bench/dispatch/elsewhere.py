"""A part in a process of its own, because settings are read once: another broker, or none and SQLite."""

import json
import os
import random
import subprocess
import sys
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command

from actioncenter.bench.dispatch import parts

START: Final = "import django; django.setup(); from actioncenter.bench.dispatch.elsewhere import main; main()"
Figures = dict[str, list[float]]


def run(part: str, number: int, seed: int, environment: dict[str, str], **more: Any) -> Figures:
    """That part of `parts` in that environment."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", START],
        input=json.dumps({"part": part, "number": number, "seed": seed, "more": more}),
        env={**os.environ, **environment},
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Figures = json.loads(done.stdout)
    return found


def main() -> None:
    spec: dict[str, Any] = json.load(sys.stdin)
    call_command("migrate", verbosity=0, interactive=False)
    rng = random.Random(spec["seed"])  # noqa: S311 - order of measurements
    found = getattr(parts, spec["part"])(spec["number"], rng, say=say, **spec["more"])
    sys.stdout.write(json.dumps(found))


def say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
