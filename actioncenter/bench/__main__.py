"""Run one benchmark in this process, on the database that the environment names.

`manage.py bench` starts it with an empty database and a data folder of its own.
"""

import argparse
import logging
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

from actioncenter.bench.serving import OWN_SERVERS, Servers, servers


def main() -> None:
    parser = argparse.ArgumentParser(prog="actioncenter.bench")
    parser.add_argument("name")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--json", type=Path, required=True, help="where the result goes")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with servers() if asked.name in OWN_SERVERS else nullcontext() as own:
        sys.exit(run(asked, own))


def run(asked: argparse.Namespace, own: Servers | None) -> int:
    """The exit status."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "actioncenter.bench.conf"
    django.setup()
    _prepare()
    # Models can't be imported before Django is set up.
    from actioncenter.bench.registry import BENCHMARKS, Asked  # noqa: PLC0415

    report = BENCHMARKS[asked.name](
        Asked(
            rows=asked.rows,
            rounds=asked.rounds,
            seed=asked.seed,
            database=asked.database,
            say=say,
            minutes=asked.minutes,
            servers=own,
        )
    )
    sys.stdout.write(report.text() + "\n")
    asked.json.write_text(report.json(), encoding="utf-8")
    return 0 if report.held in (True, None) else 1


def _prepare() -> None:
    if settings.DEBUG:
        raise SystemExit(
            "ACTIONCENTER_DEBUG is set: every statement would be recorded and nothing comparable."
        )
    logging.captureWarnings(capture=True)
    say("Preparing an empty database ...")
    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)


def say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
